"""What was found in a config: entries with kind, path, position and message, in the order of discovery."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from nodes.ignition.paths import ROOT, Path, path_text
from nodes.ignition.places import Place


class Kind(StrEnum):
    """How bad an entry is. Only an error stops the conversion."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Position(NamedTuple):
    """Line and column, from 1. Zero in both is the end of a JSON document."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One finding."""

    kind: Kind
    message: str
    path: Path = ROOT
    position: Position | None = None

    def as_text(self) -> str:
        """One line, as the real tools print it."""
        where = []
        if self.path:
            where.append(path_text(self.path))
        if self.position:
            where.append(f"line {self.position.line} col {self.position.column}")
        return f"{self.kind}{' at ' if where else ''}{', '.join(where)}: {self.message}"


@dataclass
class Report:
    """Findings in the order in which they were made."""

    entries: list[Entry] = field(default_factory=list)

    def error(self, path: Path, message: str | None) -> None:
        """Add an error; no message means that all was well."""
        if message is not None:
            self.entries.append(Entry(Kind.ERROR, message, path))

    def warning(self, path: Path, message: str | None) -> None:
        """Add a warning; no message means that all was well."""
        if message is not None:
            self.entries.append(Entry(Kind.WARNING, message, path))

    def extend(self, entries: Iterable[Entry]) -> None:
        self.entries.extend(entries)

    @property
    def has_errors(self) -> bool:
        return any(entry.kind == Kind.ERROR for entry in self.entries)

    def located(self, root: Place) -> "Report":
        """The same with positions: of the deepest part of each path that the document has."""
        return Report([replace(entry, position=Position(*root.deepest(entry.path))) for entry in self.entries])

    def as_text(self) -> str:
        """One line an entry."""
        return "".join(entry.as_text() + "\n" for entry in self.entries)
