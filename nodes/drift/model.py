"""Words of a comparison: what is asked of a host, what was seen there, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Sort(StrEnum):
    """What a difference asks for: nothing, putting it back, or another machine."""

    OS = "os"
    IN_PLACE = "in_place"
    REPLACEMENT = "replacement"


class What(StrEnum):
    """What about a subject differs."""

    MISSING = "missing"
    PRESENT = "present"
    KIND = "kind"
    CONTENTS = "contents"
    LINES = "lines"
    MODE = "mode"
    OWNER = "owner"
    TARGET = "target"
    ENABLEMENT = "enablement"
    KEY_MISSING = "key_missing"
    KEY_ADDED = "key_added"
    KEY_OPTIONS = "key_options"
    NUMBER = "number"
    HOME = "home"
    SHELL = "shell"
    MEMBERSHIP = "membership"
    FORMAT = "format"
    LABEL = "label"


@dataclass(frozen=True)
class Question:
    """One command for the host, with what it reads. Its words are fixed: names go in by `stdin`, with NUL between them."""

    name: str
    argv: tuple[str, ...]
    stdin: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What the command printed. It may hold what only this comparison may see."""

    status: int
    out: bytes = field(repr=False)
    err: bytes = field(default=b"", repr=False)


class NotUnderstood(ValueError):
    """The answer to a question does not read as it should. `raw` is what the host said, as far as it may be kept."""

    def __init__(self, question: str, why: str, raw: str) -> None:
        super().__init__(f"The answer to {question} was not understood: {why}.")
        self.question, self.why, self.raw = question, why, raw


@dataclass(frozen=True)
class Node:
    """A path on the host, itself, not what a link leads to. `kind` is file, directory, link or other."""

    kind: str
    mode: int
    uid: int
    gid: int
    owner: str
    group: str
    size_bytes: int


@dataclass(frozen=True)
class Account:
    """A line of the users."""

    uid: int
    home: str
    shell: str


@dataclass(frozen=True)
class GroupSeen:
    gid: int
    members: frozenset[str]


@dataclass(frozen=True)
class Block:
    """A block device; empty where the host does not say."""

    name: str
    type: str
    format: str
    label: str
    part_label: str


@dataclass(frozen=True)
class UnitSeen:
    """`state` is whether it is enabled, in systemd's word; `not-found` for one that is nowhere."""

    state: str
    drop_ins: tuple[str, ...] = ()


@dataclass
class Seen:
    """What a host answered. A path, user or group that is asked for and not in here is not on the host.

    `unread` are paths of which nothing is known, with the reason. `keys` are, by home, the lines of authorized keys by the
    name of their file. `blocks` None: not known.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict, repr=False)
    unread: dict[str, str] = field(default_factory=dict)
    units: dict[str, UnitSeen] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    groups: dict[str, GroupSeen] = field(default_factory=dict)
    keys: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    blocks: list[Block] | None = None
    platform_keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Difference:
    """One difference. Contents are in `diff` only, as (kind, text), and only where everybody on the host may read them."""

    section: str
    subject: str
    what: What
    sort: Sort
    expected: str = ""
    found: str = ""
    reason: str = ""
    is_secret: bool = False
    diff: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As it is stored, and as the API says it."""
        return {
            "section": self.section,
            "subject": self.subject,
            "what": self.what.value,
            "class": self.sort.value,
            "expected": self.expected,
            "found": self.found,
            "reason": self.reason,
            "is_secret": self.is_secret,
            "diff": [list(line) for line in self.diff],
        }


@dataclass(frozen=True)
class Unlooked:
    """Something that the config declares and nobody compared, and why."""

    section: str
    subject: str
    why: str

    def as_json(self) -> dict[str, str]:
        return {"section": self.section, "subject": self.subject, "why": self.why}


Json = Mapping[str, Any]
