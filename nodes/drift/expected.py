"""From the Ignition config of a machine to what should be found on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from nodes.drift.model import Unlooked
from nodes.ignition.contents import Content
from nodes.ignition.sections import sections
from nodes.ignition.sections.model import Disk, FileNode, Filesystem, Luks, Sections, Unit, User
from nodes.ignition.sections.model import Group as ConfigGroup

UNIT_FOLDER = "/etc/systemd/system"
_ALGORITHMS = ("sha256", "sha512")
_DEFAULT_MODES = {"file": 0o644, "directory": 0o755}


@dataclass(frozen=True)
class Place:
    """A file, directory or link. `subject` is the path as it may be shown.

    `digest` is (algorithm, hex) of the whole contents; `body` is there only where it may be shown. `lines` must be in the
    file somewhere. `mode` and owners that are None are left as they were by Ignition.
    """

    path: str
    subject: str
    kind: str
    section: str = "files"
    mode: int | None = None
    owner: str | None = None
    group: str | None = None
    digest: tuple[str, str] | None = None
    size_bytes: int | None = None
    body: bytes | None = field(default=None, repr=False)
    lines: tuple[bytes, ...] = field(default=(), repr=False)
    target: str | None = None
    is_secret: bool = False

    @property
    def may_be_shown(self) -> bool:
        """What only some on the host may read is shown to nobody here."""
        return not self.is_secret and (self.mode is None or bool(self.mode & 0o004))


@dataclass(frozen=True)
class Argument:
    words: tuple[str, ...]
    subject: str
    is_wanted: bool


@dataclass(frozen=True)
class Expected:
    """All that a machine should have, and what of it cannot be told."""

    places: tuple[Place, ...] = ()
    units: tuple[Unit, ...] = ()
    users: tuple[User, ...] = ()
    groups: tuple[ConfigGroup, ...] = ()
    arguments: tuple[Argument, ...] = ()
    disks: tuple[Disk, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    luks: tuple[Luks, ...] = ()
    unlooked: tuple[Unlooked, ...] = ()

    @property
    def wants_blocks(self) -> bool:
        return bool(self.disks or self.filesystems or self.luks)


def expect(text: str, shown: str | None = None) -> Expected:
    """What a config makes of a machine. `shown` is the same with placeholders for its secrets: where the two differ,
    there is a secret, of which only the hash is kept.

    Raises nodes.ignition.sections.UnreadableDocument.
    """
    config = sections(text)
    told = sections(shown) if shown is not None and shown != text else config
    unlooked: list[Unlooked] = []
    places = [*_files(config, told, unlooked), *_unit_files(config, told, unlooked)]
    unlooked += [
        Unlooked("users", user.name, "password") for user in config.users if user.has_password and not user.is_removed
    ]
    unlooked += [Unlooked("disks", raid.name, "raid") for raid in config.raids]
    unlooked += [
        Unlooked("rest", one.content.url or one.kind, "fetched_config")
        for one in told.rest.fetched
        if one.kind in ("merge", "replace")
    ]
    # A later entry of the same path wins, as at boot.
    merged = {place.path: place for place in places}
    return Expected(
        tuple(merged.values()),
        config.units,
        config.users,
        config.groups,
        tuple(_arguments(config, told)),
        config.disks,
        config.filesystems,
        config.luks,
        tuple(unlooked),
    )


def _arguments(config: Sections, told: Sections) -> Iterator[Argument]:
    for one, other in zip(config.kernel.arguments, told.kernel.arguments, strict=True):
        yield Argument(tuple(one.text.split()), other.text, one.is_wanted)


def _files(config: Sections, told: Sections, unlooked: list[Unlooked]) -> Iterator[Place]:
    shown = {node.at: node for node in told.files}
    for node in config.files:
        other = shown[node.at]
        place = Place(node.path, other.path, node.kind, owner=node.owner, group=node.group)
        if node.kind == "link":
            if node.is_hard:
                unlooked.append(Unlooked("files", other.path, "hard_link"))
                continue
            yield replace(place, target=node.target, is_secret=node.target != other.target)
            continue
        yield _with_contents(_with_mode(place, node), node, other, unlooked)


def _with_mode(place: Place, node: FileNode) -> Place:
    """What was there before, and is not overwritten, keeps what the config does not say."""
    is_kept = not node.overwrites and (node.kind == "directory" or node.content is None)
    if not is_kept:
        return replace(place, mode=node.mode)
    return replace(
        place,
        mode=None if node.mode == _DEFAULT_MODES[node.kind] else node.mode,
        owner=None if node.owner == "root" else node.owner,
        group=None if node.group == "root" else node.group,
    )


def _with_contents(place: Place, node: FileNode, other: FileNode, unlooked: list[Unlooked]) -> Place:
    if node.kind != "file":
        return place
    is_secret = node.is_secret or [_identity(one) for one in node.contents] != [
        _identity(one) for one in other.contents
    ]
    place = replace(place, is_secret=is_secret)
    unknown = next((one for one in node.contents if one.body is None), None)
    if unknown is not None:
        return _remote(place, node, unknown, unlooked)
    parts = [one.body or b"" for one in node.contents]
    if node.content is not None:
        return with_body(place, b"".join(parts))
    if not parts:
        return place
    if is_secret:
        unlooked.append(Unlooked("files", place.subject, "secret_lines"))
        return place
    return replace(place, lines=tuple(part for part in parts if part.strip()))


def _identity(content: Content) -> str:
    return content.identity


def with_body(place: Place, body: bytes) -> Place:
    """The place with the contents that it should have; of a secret only the hash."""
    digest = ("sha256", hashlib.sha256(body).hexdigest())
    done = replace(place, digest=digest, size_bytes=len(body))
    return replace(done, body=body) if done.may_be_shown else done


def _remote(place: Place, node: FileNode, unknown: Content, unlooked: list[Unlooked]) -> Place:
    """What is fetched at boot is known by the hash that the config demands, which is of what is unpacked."""
    algorithm, _dash, digest = (unknown.hash or "").partition("-")
    if node.contents == (unknown,) and unknown.is_remote and algorithm in _ALGORITHMS:
        return replace(place, digest=(algorithm, digest.lower()))
    unlooked.append(Unlooked("files", place.subject, "fetched_contents" if unknown.is_remote else "unreadable"))
    return place


def _unit_files(config: Sections, told: Sections, unlooked: list[Unlooked]) -> Iterator[Place]:
    shown = {unit.at: unit for unit in told.units}
    for unit in config.units:
        other = shown[unit.at]
        path, said = f"{UNIT_FOLDER}/{unit.name}", f"{UNIT_FOLDER}/{other.name}"
        if unit.is_masked:
            yield Place(path, said, "link", "units", target="/dev/null")
        elif unit.contents:
            yield _unit_file(path, said, unit.contents, other.contents)
        drop_ins = {one.at: one for one in other.dropins}
        for one in unit.dropins:
            if one.contents:
                told_one = drop_ins[one.at]
                below = f".d/{one.name}"
                yield _unit_file(path + below, f"{said}.d/{told_one.name}", one.contents, told_one.contents)


def _unit_file(path: str, subject: str, contents: str, told: str | None) -> Place:
    place = Place(path, subject, "file", "units", 0o644, "root", "root", is_secret=contents != told)
    return with_body(place, contents.encode())
