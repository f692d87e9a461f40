"""Rules, what they look at, and what they find."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from nodes.ignition.lint.services import Service, services, started_units
from nodes.ignition.lint.zincati_config import Zincati, read_zincati
from nodes.ignition.paths import ROOT, Path
from nodes.ignition.record import Record
from nodes.ignition.report import Position
from nodes.ignition.said import Params
from nodes.ignition.sections.model import Sections

FCOS, FLATCAR = "fcos", "flatcar"


class Severity(StrEnum):
    """Error: it will not work or is not safe. Warning: it will hurt in production. Advice: there is a better way."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


@dataclass(frozen=True)
class Subject:
    """A config as rules see it. `source` is there when it came from Butane; `variant` is None when nothing tells it.

    `secrets` are the references to variables that it declares as secrets, as they stand in texts.
    """

    config: Record
    sections: Sections
    size_bytes: int
    variant: str | None = None
    version: str | None = None
    platform: str | None = None
    source: Record | None = None
    secrets: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether what is not in it is nowhere: no other config is merged in."""
        return self.sections.is_whole

    @cached_property
    def services(self) -> tuple[Service, ...]:
        return tuple(services(self.sections))

    @cached_property
    def started(self) -> set[str]:
        """Units that something starts, switches or links."""
        return started_units(self.sections)

    @cached_property
    def zincati(self) -> Zincati:
        return read_zincati(self.sections)

    @property
    def is_fcos(self) -> bool:
        return self.variant == FCOS


@dataclass(frozen=True)
class Found:
    """What a rule found: a path in the Ignition document, the line in the text there, and what the sentence needs.

    `source_path` is a path in the Butane source, for rules that look at the source itself.
    """

    path: Path = ROOT
    params: Params = field(default_factory=dict)
    line: int | None = None
    source_path: Path | None = None


@dataclass(frozen=True)
class Rule:
    """A rule. `good` and `bad` are Butane sources: one without a finding of this rule, and one with it."""

    id: str
    severity: Severity
    check: Callable[[Subject], Iterator[Found]]
    good: str
    bad: str
    platform: str | None = None


@dataclass(frozen=True)
class Finding:
    """A finding with its place. `path` is in the source that was given, `content_line` in the text at that path."""

    rule: str
    severity: Severity
    params: Params = field(default_factory=dict)
    path: Path = ROOT
    position: Position | None = None
    content_line: int | None = None


HEADER = "variant: fcos\nversion: 1.6.0\n"
CORE = (
    "passwd:\n  users:\n    - name: core\n      ssh_authorized_keys:\n"
    "        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Zr1bXn0nJ2bXo0E5v0l6mJx0P3m9cQh6m0aYzY1Xq ops@example.com\n"
)


def example(body: str, *, header: str = HEADER) -> str:
    """A source for the examples of a rule."""
    return header + body.lstrip("\n")


def file_example(path: str, text: str, *, mode: str = "0644", name: str = "files") -> str:
    """A source with one file."""
    indented = "".join(f"          {line}\n" if line else "\n" for line in text.strip("\n").split("\n"))
    return example(
        f"storage:\n  {name}:\n    - path: {path}\n      mode: {mode}\n      contents:\n        inline: |\n{indented}"
    )


def unit_example(name: str, text: str, *, enabled: bool = True) -> str:
    """A source with one unit."""
    indented = "".join(f"        {line}\n" if line else "\n" for line in text.strip("\n").split("\n"))
    switch = "      enabled: true\n" if enabled else ""
    return example(f"systemd:\n  units:\n    - name: {name}\n{switch}      contents: |\n{indented}")
