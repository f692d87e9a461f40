"""A report with the lines of the source that it speaks of."""

from nodes.ignition.gotext import SPACES
from nodes.ignition.paths import path_text
from nodes.ignition.report import Entry, Kind, Report

_CONTEXT_LINES = 2
_COLORS = {Kind.ERROR: "\033[1;31m", Kind.WARNING: "\033[1;33m", Kind.INFO: "\033[1;36m"}
_BLUE, _RESET = "\033[1;34m", "\033[0m"


def with_excerpts(report: Report, file_name: str, source: bytes, *, color: bool = False) -> str:
    """Each entry under an excerpt of the source, as butane 0.29 prints it."""
    lines = source.split(b"\n")
    return "\n".join(_excerpt(entry, file_name, lines, color=color) for entry in report.entries)


def _excerpt(entry: Entry, file_name: str, lines: list[bytes], *, color: bool) -> str:
    position = entry.position
    if (
        position is None
        or not 1 <= position.line <= len(lines)
        or not 1 <= position.column <= len(lines[position.line - 1])
    ):
        return entry.as_text() + "\n"
    line, column = position
    where = f"[{path_text(entry.path)}]" if entry.path else ""
    last = min(len(lines), line + _CONTEXT_LINES)
    gutter = len(str(last))
    blank = f" {'':{gutter}} |"
    told = [
        f"{_colored(entry.kind, _COLORS[entry.kind], color)}{where}:",
        f"  {_colored('-->', _BLUE, color)} {file_name}:{line}:{column}",
        blank,
    ]
    for number in range(max(1, line - _CONTEXT_LINES), last + 1):
        text = lines[number - 1].decode("utf-8", "surrogateescape")
        told.append(f" {_colored(f'{number:{gutter}}', _BLUE, color)} | {text}")
        if number == line:
            # The real tool takes the column, which counts characters, for one that counts bytes.
            marks = _colored("^" * _word_bytes(lines[number - 1][column - 1 :]), _BLUE, color)
            told.append(f"{blank} {' ' * (column - 1)}{marks} {entry.message}")
    return "\n".join([*told, blank]) + "\n"


def _word_bytes(rest: bytes) -> int:
    """Bytes up to the next space."""
    text = rest.decode("utf-8", "surrogateescape")
    word = next((text[:at] for at, character in enumerate(text) if character in SPACES), text)
    return len(word.encode("utf-8", "surrogateescape"))


def _colored(text: str, code: str, color: bool) -> str:  # noqa: FBT001
    return f"{code}{text}{_RESET}" if color else text
