"""Readers of the documents that tell of releases. Every error names the field, its value and the mend.

Four forms are read: the update metadata of Fedora CoreOS (`updates/STREAM.json`), its release index
(`releases.json`), a Cincinnati graph, and our own manifest `{"streams": [...], "releases": [...]}`.
"""

import contextlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import NoReturn

from nodes.hosts.errors import N_
from nodes.releases.release import Release, Rollout
from nodes.releases.support import SupportEnd

#: The field of an error that is about the document itself, and the value of one that is not there.
WHOLE = "The document"
MISSING = "missing"
_SHOWN_CHARACTERS = 80
_LONGEST_TEXT = 4096
#: What the columns of streams and versions hold.
_LONGEST_NAME = 100
_UNSOUND = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAJOR = re.compile(r"[0-9]{1,20}")
_COREOS = "org.fedoraproject.coreos."
_UPDATES = f"{_COREOS}updates."


class ReleaseFormatError(ValueError):
    """A document that is not in the expected form: which field, what it holds, what to do.

    `mend` is what to do before its `params` are filled in, so that a page can say it in another language.
    """

    def __init__(self, field: str, value: object, mend: str, **params: str | int) -> None:
        self.field = field
        self.value = _shown(value)
        self.mend, self.params = mend, params
        self.what_to_do = mend % params
        super().__init__(f"{field} is {self.value}. {self.what_to_do}")


def parse_updates_metadata(text: str) -> list[Release]:
    """The releases of a Fedora CoreOS `updates/STREAM.json`: barriers, dead ends and rollouts."""
    document = _document(text)
    stream = _own_stream(document)
    return _each_once(
        "releases", [_updates_release(stream, where, entry) for where, entry in _entries(document, "releases")]
    )


def parse_release_index(text: str) -> list[Release]:
    """The releases of a Fedora CoreOS `releases.json`: commits and images per architecture."""
    document = _document(text)
    stream = _own_stream(document)
    return _each_once(
        "releases", [_index_release(stream, where, entry) for where, entry in _entries(document, "releases")]
    )


def parse_cincinnati_graph(text: str, *, stream: str, basearch: str = "x86_64") -> list[Release]:
    """The nodes of a Cincinnati graph, which itself names neither stream nor architecture.

    Edges are checked, not kept: they follow from barriers, dead ends and rollouts, which the nodes carry.
    """
    stream = _sound_stream(stream, "stream")
    document = _document(text)
    nodes = _entries(document, "nodes")
    _check_edges(document, len(nodes))
    return _each_once("nodes", [_graph_release(stream, basearch, where, node) for where, node in nodes])


def parse_manifest(text: str, os_family: str = "") -> list[Release]:
    """The releases of our own form `{"streams": [names], "releases": [...]}`.

    A release has `stream`, `version` and, as far as known, `released_at` (ISO 8601), `checksums`
    (architecture to commit; or `checksum` alone), `images`, `barrier` and `deadend` (a reason, true, or
    false, which takes back what was said before) and `rollout`. A stream that names an `os_family` is refused for another.
    """
    document = _document(text)
    names = [_stream_name(where, item, os_family) for where, item in _items(document, "streams")]
    releases = [_manifest_release(where, entry) for where, entry in _entries(document, "releases")]
    for number, release in enumerate(releases):
        if release.stream not in names:
            where = f"releases[{number}].stream"
            if not names:
                _refuse(where, release.stream, N_("Add it to the streams of the document, which lists none."))
            mend = N_("Use one of the document's streams (%(names)s) or add it there.")
            _refuse(where, release.stream, mend, names=", ".join(names))
    return _each_once("releases", releases)


def parse_support(text: str) -> list[SupportEnd]:
    """The ends of support in our own form: `"support": [{"stream", "major", "ends_on"}]`, stream or major may be left out."""
    found = []
    for where, entry in _entries(_document(text), "support", needed=False):
        stream = _string(entry, "stream", where) if entry.get("stream") else ""
        major = _string(entry, "major", where) if entry.get("major") else ""
        if major and not _MAJOR.fullmatch(major):
            _refuse(f"{where}.major", major, N_('Write the first number of a version as a text, for example "43".'))
        day = _string(entry, "ends_on", where)
        try:
            ends_on = date.fromisoformat(day)
        except ValueError:
            _refuse(f"{where}.ends_on", day, N_("Write a day as 2026-05-13."))
        found.append(SupportEnd(stream and _sound_stream(stream, f"{where}.stream"), major, ends_on))
    return found


def _own_stream(document: Mapping[str, object]) -> str:
    name = _string(document, "stream", "", N_('Name the stream in the document, for example "stream": "stable".'))
    return _sound_stream(name, "stream")


def _each_once(listed: str, releases: list[Release]) -> list[Release]:
    """The releases, none of which is told twice: which of the two would count?"""
    seen: dict[tuple[str, str], int] = {}
    for number, release in enumerate(releases):
        first = seen.setdefault((release.stream, release.version), number)
        if first != number:
            mend = N_("Name it once: %(first)s is the same version.")
            _refuse(f"{listed}[{number}].version", release.version, mend, first=f"{listed}[{first}]")
    return releases


def _updates_release(stream: str, where: str, entry: Mapping[str, object]) -> Release:
    marks = _mapping(entry, "metadata", where)
    return Release(
        stream=stream,
        version=_version(entry, where),
        barrier=_mark(marks, "barrier", f"{where}.metadata"),
        deadend=_mark(marks, "deadend", f"{where}.metadata"),
        rollout=_rollout(marks, f"{where}.metadata"),
        denied=_denied(marks),
    )


def _index_release(stream: str, where: str, entry: Mapping[str, object]) -> Release:
    commits = {
        _string(commit, "architecture", at): _string(commit, "checksum", at)
        for at, commit in _entries(entry, "commits", where, needed=False)
    }
    images = {
        _string(image, "architecture", at): _string(image, "digest-ref", at)
        for at, image in _entries(entry, "oci-images", where, needed=False)
    }
    return Release(stream=stream, version=_version(entry, where), checksums=commits, images=images)


def _graph_release(stream: str, basearch: str, where: str, node: Mapping[str, object]) -> Release:
    tags = _mapping(node, "metadata", where)
    payload = _string(node, "payload", where)
    is_image = tags.get(f"{_COREOS}scheme") == "oci"
    return Release(
        stream=stream,
        version=_version(node, where),
        checksums={} if is_image else {basearch: payload},
        images={basearch: payload} if is_image else {},
        barrier=_tagged_reason(tags, "barrier"),
        deadend=_tagged_reason(tags, "deadend"),
        rollout=_tagged_rollout(tags, f"{where}.metadata"),
    )


def _manifest_release(where: str, entry: Mapping[str, object]) -> Release:
    checksums = _strings(entry, "checksums", where)
    if not checksums and entry.get("checksum") not in (None, ""):
        checksums = {"x86_64": _string(entry, "checksum", where)}
    return Release(
        stream=_string(entry, "stream", where),
        version=_version(entry, where),
        released_at=_moment(entry.get("released_at"), f"{where}.released_at"),
        checksums=checksums,
        images=_strings(entry, "images", where),
        barrier=_mark(entry, "barrier", where),
        deadend=_mark(entry, "deadend", where),
        rollout=_rollout(entry, where),
        denied=_denied(entry),
    )


def _mark(entry: Mapping[str, object], name: str, where: str) -> str | None:
    """The reason of a barrier or dead end, which may be an object, a text or true."""
    value = entry.get(name)
    if isinstance(value, Mapping):
        value = value.get("reason", "")
    if value is None or value is False:
        return None
    if value is True:
        return ""
    if isinstance(value, str):
        return _sound(value, f"{where}.{name}")
    _refuse(f"{where}.{name}", value, N_('Write {"reason": "..."}, a text, true or false.'))


def _denied(entry: Mapping[str, object]) -> frozenset[str]:
    """What was said of the release before and is to be taken back."""
    return frozenset(name for name in ("barrier", "deadend") if entry.get(name) is False)


def _rollout(entry: Mapping[str, object], where: str) -> Rollout | None:
    if entry.get("rollout") is None:
        return None
    rollout = _mapping(entry, "rollout", where)
    at = f"{where}.rollout"
    return _made_rollout(
        at, rollout.get("start_epoch"), rollout.get("start_percentage"), rollout.get("duration_minutes")
    )


def _tagged_reason(tags: Mapping[str, object], name: str) -> str | None:
    if tags.get(_UPDATES + name) != "true":
        return None
    reason = tags.get(f"{_UPDATES}{name}_reason", "")
    return _sound(reason, f"metadata.{name}_reason") if isinstance(reason, str) else ""


def _tagged_rollout(tags: Mapping[str, object], where: str) -> Rollout | None:
    if tags.get(f"{_UPDATES}rollout") != "true":
        return None
    values = (tags.get(_UPDATES + name) for name in ("start_epoch", "start_value", "duration_minutes"))
    return _made_rollout(where, *values)


def _made_rollout(where: str, epoch: object, share: object, minutes: object) -> Rollout:
    start_share = _number(share, f"{where}.start_percentage", maximum=1.0)
    duration_minutes = int(_number(minutes, f"{where}.duration_minutes", maximum=10_000_000))
    if epoch is None:
        return Rollout(None, start_share, duration_minutes)
    seconds = _number(epoch, f"{where}.start_epoch", maximum=253_402_300_000)
    return Rollout(datetime.fromtimestamp(seconds, UTC), start_share, duration_minutes)


def _number(value: object, field: str, *, maximum: float) -> float:
    # A graph carries its numbers as texts, update metadata as numbers.
    if value is None:
        return 0.0
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)
    if not 0 <= number <= maximum:
        _refuse(field, value, N_("Write a number from 0 to %(maximum)s."), maximum=f"{maximum:g}")
    return number


def _check_edges(document: Mapping[str, object], count: int) -> None:
    for where, edge in _items(document, "edges"):
        ends = edge if isinstance(edge, list) else []
        fits = [end for end in ends if type(end) is int and 0 <= end < count]
        if len(ends) != 2 or len(fits) != 2:
            _refuse(where, edge, N_("An edge is two indices into nodes, each from 0 to %(last)s."), last=count - 1)


def _moment(value: object, field: str) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    _refuse(field, value, N_("Write an ISO 8601 time, for example 2026-01-31T12:00:00Z."))


def _stream_name(where: str, item: object, os_family: str) -> str:
    if isinstance(item, Mapping):
        said = item.get("os_family")
        if os_family and said is not None and said != os_family:
            # Streams of several systems have the same names: hosts would be offered what is none of theirs.
            mend = N_("Import it as releases of that system (os_family), not of %(os_family)s.")
            _refuse(f"{where}.os_family", said, mend, os_family=os_family)
        return _sound_stream(_string(item, "name", where), f"{where}.name")
    if isinstance(item, str) and item:
        return _sound_stream(item, where)
    _refuse(where, item, N_("Write the name of a stream as a text."))


def _sound_stream(name: str, field: str) -> str:
    """A name that can stand in the address of a page."""
    name = _sound(name, field, _LONGEST_NAME)
    if not _STREAM.fullmatch(name):
        mend = N_("Write letters, digits, dots, hyphens and underscores, with a letter or digit first.")
        _refuse(field, name, mend)
    return name


def _version(entry: Mapping[str, object], where: str) -> str:
    found = _string(entry, "version", where, N_('Write the version as a text, for example "43.20251214.3.0".'))
    if not any(sign.isdigit() for sign in found):
        # Releases are put in order by their numbers: "latest" or a name would stand for nothing.
        _refuse(_path(where, "version"), found, N_('Write the version as a text, for example "43.20251214.3.0".'))
    return _sound(found, _path(where, "version"), _LONGEST_NAME)


def _string(entry: Mapping[str, object], name: str, where: str, mend: str = "") -> str:
    value = entry.get(name)
    if isinstance(value, str) and value.strip():
        return _sound(value.strip(), _path(where, name))
    _refuse(_path(where, name), value, mend or N_("Write a text that is not empty."))


def _sound(text: str, field: str, longest: int = _LONGEST_TEXT) -> str:
    """A text that every database takes: no NUL, no lone half of a character pair, not endless."""
    if len(text) > longest:
        _refuse(field, text, N_("Write at most %(longest)s characters."), longest=longest)
    if _UNSOUND.search(text):
        _refuse(field, text, N_("Leave control characters and lone surrogates out."))
    return text


def _strings(entry: Mapping[str, object], name: str, where: str) -> dict[str, str]:
    values = _mapping(entry, name, where)
    return {_sound(key, f"{where}.{name}"): _string(values, key, f"{where}.{name}") for key in values}


def _mapping(entry: Mapping[str, object], name: str, where: str) -> Mapping[str, object]:
    value = entry.get(name)
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    _refuse(_path(where, name), value, N_("Write an object in braces."))


def _items(entry: Mapping[str, object], name: str, where: str = "", *, needed: bool = True) -> list[tuple[str, object]]:
    value = entry.get(name)
    if value is None and not needed:
        return []
    if not isinstance(value, list):
        _refuse(_path(where, name), value, N_("Write a list in brackets."))
    return [(f"{_path(where, name)}[{number}]", item) for number, item in enumerate(value)]


def _entries(
    entry: Mapping[str, object], name: str, where: str = "", *, needed: bool = True
) -> list[tuple[str, Mapping[str, object]]]:
    found: list[tuple[str, Mapping[str, object]]] = []
    for at, item in _items(entry, name, where, needed=needed):
        if not isinstance(item, Mapping):
            _refuse(at, item, N_("Write an object in braces."))
        found.append((at, item))
    return found


def _document(text: str) -> Mapping[str, object]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        mend = N_("It is not JSON at line %(line)s, column %(column)s. Check that the whole file was sent.")
        raise ReleaseFormatError(WHOLE, text, mend, line=error.lineno, column=error.colno) from error
    except (RecursionError, ValueError) as error:
        mend = N_("It is nested too deeply or holds a number that is too long.")
        raise ReleaseFormatError(WHOLE, text, mend) from error
    if not isinstance(document, Mapping):
        _refuse(WHOLE, document, N_("Send a JSON object, the file as it was published."))
    return document


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _refuse(field: str, value: object, mend: str, **params: str | int) -> NoReturn:
    raise ReleaseFormatError(field, value, mend, **params)


def _shown(value: object) -> str:
    if value is None:
        return MISSING
    text = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
