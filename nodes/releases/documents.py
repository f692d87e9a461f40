"""Readers of the documents that tell of releases. Every error names the field, its value and the mend.

Four forms are read: the update metadata of Fedora CoreOS (`updates/STREAM.json`), its release index
(`releases.json`), a Cincinnati graph, and our own manifest `{"streams": [...], "releases": [...]}`.
"""

import contextlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NoReturn

from nodes.releases.release import Release, Rollout

_SHOWN_CHARACTERS = 80
_COREOS = "org.fedoraproject.coreos."
_UPDATES = f"{_COREOS}updates."


class ReleaseFormatError(ValueError):
    """A document that is not in the expected form: which field, what it holds, what to do."""

    def __init__(self, field: str, value: object, what_to_do: str) -> None:
        self.field = field
        self.value = _shown(value)
        self.what_to_do = what_to_do
        super().__init__(f"{field} is {self.value}. {what_to_do}")


def parse_updates_metadata(text: str) -> list[Release]:
    """The releases of a Fedora CoreOS `updates/STREAM.json`: barriers, dead ends and rollouts."""
    document = _document(text)
    stream = _string(document, "stream", "", 'Name the stream, for example "stable".')
    return [_updates_release(stream, where, entry) for where, entry in _entries(document, "releases")]


def parse_release_index(text: str) -> list[Release]:
    """The releases of a Fedora CoreOS `releases.json`: commits and images per architecture."""
    document = _document(text)
    stream = _string(document, "stream", "", 'Name the stream, for example "stable".')
    return [_index_release(stream, where, entry) for where, entry in _entries(document, "releases")]


def parse_cincinnati_graph(text: str, *, stream: str, basearch: str = "x86_64") -> list[Release]:
    """The nodes of a Cincinnati graph, which itself names neither stream nor architecture.

    Edges are checked, not kept: they follow from barriers, dead ends and rollouts, which the nodes carry.
    """
    document = _document(text)
    nodes = _entries(document, "nodes")
    _check_edges(document, len(nodes))
    return [_graph_release(stream, basearch, where, node) for where, node in nodes]


def parse_manifest(text: str) -> list[Release]:
    """The releases of our own form `{"streams": [names], "releases": [...]}`.

    A release has `stream`, `version` and, as far as known, `released_at` (ISO 8601), `checksums`
    (architecture to commit; or `checksum` alone), `images`, `barrier` and `deadend` (a reason, true or
    false) and `rollout`.
    """
    document = _document(text)
    names = [_stream_name(where, item) for where, item in _items(document, "streams")]
    releases = [_manifest_release(where, entry) for where, entry in _entries(document, "releases")]
    for number, release in enumerate(releases):
        if release.stream not in names:
            mend = f"Use one of the document's streams ({', '.join(names) or 'it has none'}) or add it there."
            _refuse(f"releases[{number}].stream", release.stream, mend)
    return releases


def _updates_release(stream: str, where: str, entry: Mapping[str, object]) -> Release:
    marks = _mapping(entry, "metadata", where)
    return Release(
        stream=stream,
        version=_version(entry, where),
        barrier=_mark(marks, "barrier", f"{where}.metadata"),
        deadend=_mark(marks, "deadend", f"{where}.metadata"),
        rollout=_rollout(marks, f"{where}.metadata"),
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
        return value
    _refuse(f"{where}.{name}", value, 'Write {"reason": "..."}, a text, true or false.')


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
    return reason if isinstance(reason, str) else ""


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
        _refuse(field, value, f"Write a number from 0 to {maximum:g}.")
    return number


def _check_edges(document: Mapping[str, object], count: int) -> None:
    for where, edge in _items(document, "edges"):
        ends = edge if isinstance(edge, list) else []
        fits = [end for end in ends if type(end) is int and 0 <= end < count]
        if len(ends) != 2 or len(fits) != 2:
            _refuse(where, edge, f"An edge is two indices into nodes, each from 0 to {count - 1}.")


def _moment(value: object, field: str) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    _refuse(field, value, "Write an ISO 8601 time, for example 2026-01-31T12:00:00Z.")


def _stream_name(where: str, item: object) -> str:
    if isinstance(item, Mapping):
        return _string(item, "name", where)
    if isinstance(item, str) and item:
        return item
    _refuse(where, item, "Write the name of a stream as a text.")


def _version(entry: Mapping[str, object], where: str) -> str:
    return _string(entry, "version", where, 'Write the version as a text, for example "43.20251214.3.0".')


def _string(entry: Mapping[str, object], name: str, where: str, mend: str = "") -> str:
    value = entry.get(name)
    if isinstance(value, str) and value.strip():
        return value.strip()
    _refuse(_path(where, name), value, mend or "Write a text that is not empty.")


def _strings(entry: Mapping[str, object], name: str, where: str) -> dict[str, str]:
    values = _mapping(entry, name, where)
    return {key: _string(values, key, f"{where}.{name}") for key in values}


def _mapping(entry: Mapping[str, object], name: str, where: str) -> Mapping[str, object]:
    value = entry.get(name)
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    _refuse(_path(where, name), value, "Write an object in braces.")


def _items(entry: Mapping[str, object], name: str, where: str = "", *, needed: bool = True) -> list[tuple[str, object]]:
    value = entry.get(name)
    if value is None and not needed:
        return []
    if not isinstance(value, list):
        _refuse(_path(where, name), value, "Write a list in brackets.")
    return [(f"{_path(where, name)}[{number}]", item) for number, item in enumerate(value)]


def _entries(
    entry: Mapping[str, object], name: str, where: str = "", *, needed: bool = True
) -> list[tuple[str, Mapping[str, object]]]:
    found: list[tuple[str, Mapping[str, object]]] = []
    for at, item in _items(entry, name, where, needed=needed):
        if not isinstance(item, Mapping):
            _refuse(at, item, "Write an object in braces.")
        found.append((at, item))
    return found


def _document(text: str) -> Mapping[str, object]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        mend = f"It is not JSON at line {error.lineno}, column {error.colno}. Check that the whole file was sent."
        raise ReleaseFormatError("The document", text, mend) from error
    except (RecursionError, ValueError) as error:
        mend = "It is nested too deeply or holds a number that is too long."
        raise ReleaseFormatError("The document", text, mend) from error
    if not isinstance(document, Mapping):
        _refuse("The document", document, "Send a JSON object, the file as it was published.")
    return document


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _refuse(field: str, value: object, what_to_do: str) -> NoReturn:
    raise ReleaseFormatError(field, value, what_to_do)


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
