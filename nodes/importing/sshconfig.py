"""OpenSSH client configuration: every Host that is no pattern is a node. The first value found wins, as in ssh(1)."""

from __future__ import annotations

import re
import shlex
from fnmatch import fnmatchcase

from nodes.importing.rows import CLOSE_IT, N_, OPEN_QUOTE, SPLIT, Inventory, Note, Problem, Refused, Row

_LINE = re.compile(r"(?P<key>[A-Za-z]+)(?:\s*=\s*|\s+)(?P<value>.*)")
MAX_BLOCKS = 20_000
MAX_PATTERN_CHECKS = 20_000_000


def read_ssh_config(text: str) -> Inventory:
    blocks: list[tuple[list[str], dict[str, str], int]] = [(["*"], {}, 1)]
    notes: list[Note] = []
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
        key, value = found["key"].lower(), found["value"].strip()
        if key == "include":
            raise Refused(
                N_("Line %(line)s includes another file."), N_("Put the text of that file in its place."), line=number
            )
        if key == "match":
            notes.append(Note(N_("Line %(line)s: Match blocks are left out."), {"line": str(number)}))
            blocks.append(([], {}, number))
        elif key == "host":
            blocks.append((_words(value, number), {}, number))
        else:
            blocks[-1][1].setdefault(key, " ".join(_words(value, number)))
        if len(blocks) > MAX_BLOCKS:
            raise Refused(N_("The file has more than %(limit)s Host blocks."), SPLIT, limit=MAX_BLOCKS)
    inventory = Inventory(notes=notes)
    patterns = [block for block in blocks if any("*" in word or "?" in word or word[0] == "!" for word in block[0])]
    names = dict.fromkeys((word, number) for words, _, number in blocks for word in words if not set(word) & set("*?!"))
    if len(patterns) * len(names) > MAX_PATTERN_CHECKS:
        raise Refused(N_("The file has too many patterns for so many hosts."), SPLIT)
    exact: dict[str, list[int]] = {}
    for index, (words, _, _) in enumerate(blocks):
        for word in words:
            exact.setdefault(word, []).append(index)
    wild = [index for index, block in enumerate(blocks) if block in patterns]
    seen: set[str] = set()
    for name, number in names:
        if name not in seen:
            seen.add(name)
            inventory.add(_row(name, number, [blocks[i] for i in sorted({*exact.get(name, ()), *wild})]))
    return inventory


def _words(value: str, number: int) -> list[str]:
    try:
        return shlex.split(value) or [""]
    except ValueError:
        raise Refused(OPEN_QUOTE, CLOSE_IT, line=number) from None


def _applies(words: list[str], name: str) -> bool:
    if any(word.startswith("!") and fnmatchcase(name, word[1:]) for word in words):
        return False
    return any(fnmatchcase(name, word) for word in words if word and not word.startswith("!"))


def _row(name: str, number: int, blocks: list[tuple[list[str], dict[str, str], int]]) -> Row:
    settings: dict[str, str] = {}
    for words, values, _ in blocks:
        if _applies(words, name):
            for key, value in values.items():
                settings.setdefault(key, value)
    row = Row(f"line {number}", name, address=settings.get("hostname", name).replace("%h", name))
    if "port" in settings:
        row.set_port(settings["port"])
    if row.address and "%" in row.address.partition("%")[2]:
        row.problems.append(Problem("address", row.address, N_("Write the address without tokens.")))
    jump = settings.get("proxyjump", "none")
    if jump != "none":
        row.labels = {"ssh-proxyjump": jump.replace(",", " ")[:100]}
    return row
