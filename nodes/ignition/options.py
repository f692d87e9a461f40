"""Files of sections and options with the line of each: units, networkd, NetworkManager keyfiles, quadlets.

Syntax errors of units are `unitfile`'s work. Here everything that can be read is read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SECTION = re.compile(r"\[([^\]]*)\]\s*\Z")
_LINE_END = re.compile(r"\r\n|\n|\r")
# No unit or connection is as long as this; what is behind it is not looked at.
_MOST_CHARACTERS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Option:
    """One assignment. `block` counts the section headers before it, because a section may stand more than once."""

    section: str
    name: str
    value: str
    line: int
    block: int


class Options:
    """The assignments of a file, in order."""

    def __init__(self, options: tuple[Option, ...], sections: tuple[tuple[str, int], ...]) -> None:
        self.all = options
        self.sections = sections

    def __iter__(self) -> Iterator[Option]:
        return iter(self.all)

    def has_section(self, name: str) -> bool:
        return any(section == name for section, _ in self.sections)

    def find(self, section: str, *names: str) -> list[Option]:
        """The assignments that count: an empty one takes back those before it, as systemd does."""
        found: list[Option] = []
        for option in self.all:
            if option.section == section and option.name in names:
                if option.value:
                    found.append(option)
                else:
                    found.clear()
        return found

    def last(self, section: str, *names: str) -> Option | None:
        """The assignment that wins."""
        found = self.find(section, *names)
        return found[-1] if found else None

    def value(self, section: str, *names: str) -> str | None:
        option = self.last(section, *names)
        return option.value if option else None

    def words(self, section: str, *names: str) -> list[tuple[str, int]]:
        """Words of all assignments, each with its line."""
        return [(word, option.line) for option in self.find(section, *names) for word in option.value.split()]

    def blocks(self, section: str) -> list["Options"]:
        """Each appearance of a section on its own."""
        numbers = dict.fromkeys(option.block for option in self.all if option.section == section)
        return [
            Options(tuple(option for option in self.all if option.block == number), ((section, 0),))
            for number in numbers
        ]


def read_options(text: str, *, continues: bool = True) -> Options:
    """Read a file. `continues` tells that a backslash at the end of a line goes on with the next, as in units."""
    options: list[Option] = []
    sections: list[tuple[str, int]] = []
    section, started = "", 0
    pending = ""
    for number, raw in enumerate(_LINE_END.split(text[:_MOST_CHARACTERS]), start=1):
        line = raw.strip()
        if line.startswith(("#", ";")) or (not line and not pending):
            continue
        if not pending:
            started = number
        if continues and line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        line, pending = pending + line, ""
        header = _SECTION.match(line)
        if header is not None:
            section = header[1]
            sections.append((section, started))
            continue
        name, equals, value = line.partition("=")
        if equals:
            options.append(Option(section, name.strip(), value.strip(), started, len(sections)))
    return Options(tuple(options), tuple(sections))
