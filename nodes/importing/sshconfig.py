"""OpenSSH client configuration: every Host that is no pattern is a node. The first value found wins, as in ssh(1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from nodes.importing.rows import CLOSE_IT, N_, OPEN_QUOTE, SPLIT, Inventory, Note, Problem, Refused, Row

_LINE = re.compile(r"(?P<key>[A-Za-z]+)(?:\s*=\s*|\s+)(?P<value>\S.*)")
_WORD = re.compile(r"""\s*(?:(?P<comment>\#.*)|(?P<word>(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+))""")
_QUOTES = re.compile(r"""\\(["'\\ ])|["']""")
_TOKEN = re.compile(r"%([%h])")
#: What a node is made from; other settings are not looked at.
_READ = ("hostname", "port", "proxyjump")
MAX_BLOCKS = 20_000
MAX_PATTERN_CHECKS = 5_000_000
MAX_PATTERNS = 10_000
MATCH_LEFT_OUT = N_("Line %(line)s: this Match block depends on more than the host, so its settings are left out.")


@dataclass
class _Block:
    """A Host or Match block. Each condition is what is compared (`originalhost` or `host`) and its patterns."""

    line: int
    conditions: list[tuple[str, list[str]]]
    settings: dict[str, str] = field(default_factory=dict)
    evaluable: bool = True

    @cached_property
    def names(self) -> dict[str, None]:
        """The nodes that a Host line names, in its order."""
        if len(self.conditions) != 1 or self.conditions[0][0] != "name":
            return {}
        return dict.fromkeys(word for word in self.conditions[0][1] if word and not _is_pattern(word))

    @cached_property
    def plain(self) -> bool:
        """A Host line of names alone: whom it is about is looked up, however many it names."""
        return bool(self.names) and not any(map(_is_pattern, self.conditions[0][1]))

    @property
    def words(self) -> list[str]:
        return [word for _what, words in self.conditions for word in words]

    def applies(self, name: str, host: str) -> bool:
        if self.plain:
            return name in self.names
        return all(_matches(words, host if what == "host" else name) for what, words in self.conditions)


def read_ssh_config(text: str) -> Inventory:
    blocks = [_Block(1, [])]
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise Refused(
                N_("Line %(line)s is not a setting: %(text)s"),
                N_("Write a keyword and its value."),
                line=number,
                text=line,
            )
        key, value = found["key"].lower(), found["value"]
        if key == "include":
            raise Refused(
                N_("Line %(line)s includes another file."), N_("Put the text of that file in its place."), line=number
            )
        if key == "match":
            blocks.append(_match(_words(value, number), number))
        elif key == "host":
            blocks.append(_Block(number, [("name", _words(value, number))]))
        elif key in _READ and (words := _words(value, number)):
            blocks[-1].settings.setdefault(key, words[0])
        if len(blocks) > MAX_BLOCKS:
            raise Refused(N_("The file has more than %(limit)s Host blocks."), SPLIT, limit=MAX_BLOCKS)
    return _inventory(blocks)


def _match(words: list[str], number: int) -> _Block:
    """`all`, `host` and `originalhost` can be decided here; a user or a command cannot."""
    block = _Block(number, [])
    rest = iter(words)
    for word in rest:
        what = word.lower()
        if what == "all":
            continue
        if what not in ("host", "originalhost"):
            block.evaluable = False
            break
        block.conditions.append(("host" if what == "host" else "original", next(rest, "").split(",")))
    return block


def _inventory(blocks: list[_Block]) -> Inventory:
    inventory = Inventory()
    inventory.notes += [
        Note(MATCH_LEFT_OUT, {"line": str(block.line)}) for block in blocks if not block.evaluable and block.settings
    ]
    blocks = [block for block in blocks if block.evaluable]
    names: dict[str, int] = {}
    exact: dict[str, list[int]] = {}
    for index, block in enumerate(blocks):
        for name in block.names:
            names.setdefault(name, block.line)
            if block.plain:
                exact.setdefault(name, []).append(index)
    wild = [index for index, block in enumerate(blocks) if not block.plain]
    words = [word for index in wild for word in blocks[index].words]
    if len(words) * len(names) > MAX_PATTERN_CHECKS or sum(map(_is_pattern, words)) > MAX_PATTERNS:
        raise Refused(N_("The file has too many patterns for so many hosts."), SPLIT)
    for name, line in names.items():
        inventory.add(_row(name, line, [blocks[index] for index in sorted({*exact.get(name, ()), *wild})]))
    return inventory


def _words(value: str, number: int) -> list[str]:
    """The words of a value up to its comment, without their quotes."""
    words: list[str] = []
    position = 0
    while position < len(value.rstrip()):
        found = _WORD.match(value, position)
        if found is None:
            raise Refused(OPEN_QUOTE, CLOSE_IT, line=number)
        if found["comment"]:
            break
        words.append(_QUOTES.sub(lambda quote: quote[1] or "", found["word"]))
        position = found.end()
    return words


def _is_pattern(word: str) -> bool:
    return not set(word).isdisjoint("*?!")


@lru_cache(maxsize=MAX_PATTERNS)
def _pattern(text: str) -> re.Pattern[str]:
    """Only * and ? mean something; brackets do not."""
    return re.compile(re.sub(r"\\([*?])", lambda one: ".*" if one[1] == "*" else ".", re.escape(text)), re.DOTALL)


def _matches(words: list[str], name: str) -> bool:
    if any(word.startswith("!") and _pattern(word[1:]).fullmatch(name) for word in words):
        return False
    # A name needs no pattern made of it, and one line may hold thousands.
    return any(
        _pattern(word).fullmatch(name) if _is_pattern(word) else word == name
        for word in words
        if word and not word.startswith("!")
    )


def _row(name: str, line: int, blocks: list[_Block]) -> Row:
    settings: dict[str, str] = {}
    for block in blocks:
        if block.applies(name, _expanded(settings.get("hostname", name), name)):
            for key, value in block.settings.items():
                settings.setdefault(key, value)
    row = Row(f"line {line}", name, address=_expanded(settings.get("hostname", name), name))
    if "port" in settings:
        row.set_port(settings["port"])
    if "%" in _TOKEN.sub("", settings.get("hostname", "")):
        row.problems.append(Problem("address", settings["hostname"][:100], N_("Write the address without tokens.")))
    jump = settings.get("proxyjump", "none")
    if jump.lower() != "none":
        row.labels = {"ssh-proxyjump": jump.replace(",", " ")[:100]}
        row.jump_hosts = tuple(jump.replace(",", " ").split())
    return row


def _expanded(address: str, name: str) -> str:
    return _TOKEN.sub(lambda token: name if token[1] == "h" else "%", address)
