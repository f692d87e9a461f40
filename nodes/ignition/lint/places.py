"""Findings to lines: of the node that holds what was found, or of the line within a block of text."""

import re

from nodes.ignition.paths import Path
from nodes.ignition.places import Place
from nodes.ignition.report import Position

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_LITERAL = re.compile(r"(?:[&!]\S*\s+)*\|[-+0-9]*\s*(?:#.*)?\Z")


class SourceLines:
    """The lines of a source, and where its nodes are."""

    def __init__(self, source: str, root: Place | None) -> None:
        self._lines = _BREAK.split(source.removeprefix("\ufeff"))
        self._root = root

    def position(self, path: Path, content_line: int | None = None, content: str | None = None) -> Position | None:
        """The deepest node of a path that exists; within a literal block the line that is meant."""
        if self._root is None:
            return None
        position = Position(*self._root.deepest(path))
        if content_line is None or content is None or not self._is_literal(position):
            return position
        wanted = _line(content, content_line)
        number = position.line + content_line
        if wanted is None or number > len(self._lines) or self._lines[number - 1].strip() != wanted.strip():
            return position
        text = self._lines[number - 1]
        return Position(number, len(text) - len(text.lstrip()) + 1)

    def _is_literal(self, position: Position) -> bool:
        if not 1 <= position.line <= len(self._lines):
            return False
        return bool(_LITERAL.match(self._lines[position.line - 1][position.column - 1 :]))

    def enclosing(self, path: Path) -> set[int]:
        """The lines on which a node and all that it lies in begin: of keys, and of items of lists."""
        lines: set[int] = set()
        place = self._root
        for step in path:
            if place is None:
                break
            key = (place.keys or {}).get(str(step)) if isinstance(step, str) else None
            place = place.child(step)
            lines.update(line for line, _ in filter(None, (key, place.position if place else None)))
        return lines


def _line(text: str, number: int) -> str | None:
    lines = re.split(r"\r\n|\n|\r", text)
    return lines[number - 1] if 1 <= number <= len(lines) else None
