"""A version in the parts that a person thinks of: what each does, and what was found in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from nodes.ignition.contents import Content
from nodes.ignition.paths import Path, path_text
from nodes.ignition.said import Said
from nodes.ignition.sections import Sections
from nodes.ignition.sections.model import FileNode, User
from nodes.views.ignition.findings import Finding
from nodes.wording.configs import line_sentence
from nodes.wording.ignition import SECTION_WORDS

Item = dict[str, Any]
#: Longer contents are not shown within the page.
MOST_SHOWN = 20_000


class _Findings:
    """Findings by the part that they are about; what belongs to none is left."""

    def __init__(self, findings: Iterable[Finding], source_of: Callable[[Path], Path]) -> None:
        self.left = [dict(found) for found in findings]
        self._source_of = source_of

    def take(self, *places: Path) -> list[Finding]:
        starts = [path_text(self._source_of(place)) for place in places if place]
        taken = [
            one for one in self.left if any(one["path"] == at or one["path"].startswith(f"{at}.") for at in starts)
        ]
        self.left = [one for one in self.left if one not in taken]
        return taken


def parts_of(
    sections: Sections, findings: Sequence[Finding], source_of: Callable[[Path], Path]
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """The parts that the config has, each with its items; and the findings that are about none of them.

    `source_of` gives the path in the source of a path in the Ignition document: sugar moves things.
    """
    found = _Findings(findings, source_of)
    network = _network(sections, found)
    items: Mapping[str, list[Item]] = {
        "users": [
            *(_user(one, found) for one in sections.users),
            *(_plain(one.name, one, found) for one in sections.groups),
        ],
        "files": [_file(one, found) for one in sections.files],
        "disks": [
            *(_plain(one.device, one, found) for one in sections.disks),
            *(_plain(one.device, one, found) for one in sections.filesystems),
            *(_plain(one.name, one, found) for one in sections.raids),
            *(_plain(one.name, one, found) for one in sections.luks),
        ],
        "units": [_unit(one, found) for one in sections.units],
        "network": network,
        "kernel": _lines_only(sections.kernel.lines, found, ("kernelArguments",)),
        "rest": _lines_only(sections.rest.lines, found, ("ignition",)),
    }
    parts = [
        {"key": key, "title": SECTION_WORDS[key], "items": some, "count": len(some)}
        for key, some in items.items()
        if some
    ]
    return parts, found.left


def _sentences(lines: Iterable[Said]) -> list[str]:
    return [line_sentence(line) for line in lines]


def _plain(name: str, part: Any, found: _Findings) -> Item:
    return {"name": name, "lines": _sentences(part.lines), "findings": found.take(part.at)}


def _user(user: User, found: _Findings) -> Item:
    keys = [
        {
            "type": one.key.type,
            "fingerprint": one.key.fingerprint,
            "comment": one.key.comment,
            "problem": _("This line is no SSH key.") if one.key.problem else "",
        }
        for one in user.keys
    ]
    return {**_plain(user.name, user, found), "ssh_keys": keys}


def _file(node: FileNode, found: _Findings) -> Item:
    return {
        **_plain(node.path, node, found),
        "text": "" if node.is_secret else shown_text(node.content),
    }


def shown_text(content: Content | None) -> str:
    """What a page shows of a content: a text that is not too long."""
    text = content.text if content else None
    return text if text and len(text) <= MOST_SHOWN else ""


def _unit(unit: Any, found: _Findings) -> Item:
    texts = [unit.contents or "", *(f"# {one.name}\n{one.contents}" for one in unit.dropins)]
    text = "\n".join(part for part in texts if part)
    return {**_plain(unit.name, unit, found), "text": text if len(text) <= MOST_SHOWN else ""}


def _network(sections: Sections, found: _Findings) -> list[Item]:
    """Interfaces take the findings of the files that they stand in."""
    items = [
        {"name": one.name, "note": one.kind, "lines": _sentences(one.lines), "findings": found.take(one.spot.at)}
        for one in sections.network.interfaces
    ]
    unread = _("Is about network, and is not read here.")
    return items + [{"name": path, "lines": [unread], "findings": []} for path in sections.network.other_files]


def _lines_only(lines: Sequence[Said], found: _Findings, place: Path) -> list[Item]:
    findings = found.take(place)
    if not lines and not findings:
        return []
    return [{"name": "", "lines": _sentences(lines), "findings": findings}]
