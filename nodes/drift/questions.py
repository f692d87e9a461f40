"""What a host is asked, and how its answers are read. Every answer is read strictly: it comes from a machine that may lie."""

from __future__ import annotations

import base64
import binascii
import json
import re
import stat
from collections.abc import Iterable, Iterator, Sequence

from nodes.drift.model import Account, Answer, Block, GroupSeen, Node, NotUnderstood, Question, UnitSeen

#: Reading somebody else's files needs root; what is asked here must not be felt by what runs there.
_CALM = ("sudo", "-n", "nice", "-n19", "ionice", "-c3", "timeout", "60")
_EACH = ("xargs", "-0", "-r")
_STAT = ("stat", r"--printf=%n\0%f\0%u\0%U\0%g\0%G\0%s\0", "--")
_UNIT = ("systemctl", "show", "--no-pager", "--property=Id,LoadState,UnitFileState,DropInPaths", "--")
#: Prints name and contents, as base64, of regular files: those that are named, and those in folders that are named.
_READ = (
    'for one do if [ -d "$one" ] && [ ! -L "$one" ]; then set -- "$one"/*; else set -- "$one"; fi;'
    ' for file do if [ -f "$file" ] && [ ! -L "$file" ]; then'
    ' printf "%s\\0" "$file"; head -c 262144 -- "$file" | base64 -w 0; printf "\\0"; fi; done; done'
)
#: Arguments of one command on the host: far below what any kernel takes.
MOST_BYTES_AT_ONCE, MOST_AT_ONCE = 60_000, 500
MOST_BYTES_READ = 262_144
_MISSING = ("No such file or directory", "Not a directory")
_CANNOT_STAT = re.compile(r"cannot statx? .*: ([^:]+)$")
_KINDS = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"))
_XARGS_SOME_FAILED = 123


def in_parts(names: Iterable[str]) -> Iterator[list[str]]:
    """The names in parts that one command takes."""
    part: list[str] = []
    size = 0
    for name in names:
        length = len(name.encode()) + 1
        if part and (size + length > MOST_BYTES_AT_ONCE or len(part) == MOST_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(name)
        size += length
    if part:
        yield part


def _asked(name: str, command: Sequence[str], names: Sequence[str]) -> Question:
    return Question(name, (*_CALM, *_EACH, *command), b"".join(one.encode() + b"\0" for one in names))


def stat_of(paths: Sequence[str]) -> Question:
    return _asked("stat", _STAT, paths)


def hash_of(algorithm: str, paths: Sequence[str]) -> Question:
    return _asked(f"{algorithm}sum", (f"{algorithm}sum", "-z", "--"), paths)


def targets_of(paths: Sequence[str]) -> Question:
    return _asked("readlink", ("readlink", "-z", "--"), paths)


def bodies_of(paths: Sequence[str]) -> Question:
    return _asked("read", ("sh", "-c", _READ, "fleetui-read"), paths)


def units_of(names: Sequence[str]) -> Question:
    return _asked("systemctl", _UNIT, names)


def accounts_of(names: Sequence[str]) -> Question:
    return _asked("passwd", ("getent", "passwd", "--"), names)


def groups_of(names: Sequence[str]) -> Question:
    return _asked("group", ("getent", "group", "--"), names)


def blocks() -> Question:
    columns = "NAME,TYPE,FSTYPE,LABEL,PARTLABEL"
    return Question("lsblk", (*_CALM, "lsblk", "--json", "--list", "--output", columns))


def _fields(question: Question, answer: Answer, width: int) -> list[list[str]]:
    """Rows of so many fields, each ended by NUL."""
    words = _text(question, answer).split("\0")
    if words.pop() or len(words) % width:
        raise _wrong(question, answer, "it is cut")
    return [words[at : at + width] for at in range(0, len(words), width)]


def _text(question: Question, answer: Answer) -> str:
    if answer.status not in (0, _XARGS_SOME_FAILED):
        raise _wrong(question, answer, f"the command ended with status {answer.status}")
    try:
        return answer.out.decode()
    except UnicodeDecodeError:
        raise _wrong(question, answer, "it is no text") from None


def _wrong(question: Question, answer: Answer, why: str) -> NotUnderstood:
    # Never the contents of files: they may be secrets.
    said = answer.err if question.name == "read" else answer.err + b"\n" + answer.out
    # Whole: whoever keeps it looks for secrets first, and would not find half of one at the end.
    return NotUnderstood(question.name, why, said.decode("utf-8", "replace").strip())


def read_stat(question: Question, answer: Answer) -> tuple[dict[str, Node], str]:
    """The paths that are there, and why those that are not may be there after all; empty when they are surely not."""
    found = {}
    for name, mode, uid, owner, gid, group, size in _fields(question, answer, 7):
        try:
            bits = int(mode, 16)
            kind = next((word for test, word in _KINDS if test(bits)), "other")
            found[name] = Node(kind, stat.S_IMODE(bits), int(uid), int(gid), owner, group, int(size))
        except ValueError:
            raise _wrong(question, answer, f"{mode[:20]} or {size[:20]} is no number") from None
    doubts = (match[1] for line in _errors(answer) if (match := _CANNOT_STAT.search(line)))
    return found, next((why for why in doubts if why not in _MISSING), "")


def _errors(answer: Answer) -> list[str]:
    return answer.err.decode("utf-8", "replace").splitlines()


def read_hashes(question: Question, answer: Answer) -> dict[str, str]:
    """Hexadecimal digits by path; one that could not be read is not in it."""
    found = {}
    for (row,) in _fields(question, answer, 1):
        digest, space, path = row.partition("  ")
        if not space or not re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{128}", digest):
            raise _wrong(question, answer, "it holds a line without a hash")
        found[path] = digest
    return found


def read_targets(question: Question, answer: Answer, paths: Sequence[str]) -> dict[str, str]:
    """Targets have no names beside them: only all of them together can be told apart."""
    rows = _fields(question, answer, 1)
    if len(rows) != len(paths):
        raise _wrong(question, answer, f"{len(paths)} links were asked for, {len(rows)} are in it")
    return {path: target for path, (target,) in zip(paths, rows, strict=True)}


def read_bodies(question: Question, answer: Answer) -> dict[str, bytes]:
    """Contents by path, at most MOST_BYTES_READ of each."""
    found = {}
    for name, encoded in _fields(question, answer, 2):
        try:
            found[name] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise _wrong(question, answer, f"the contents of {name[:200]} are no base64") from None
    return found


def read_units(question: Question, answer: Answer, names: Sequence[str]) -> dict[str, UnitSeen]:
    """Blocks come as asked for."""
    blocks_ = [block for block in _text(question, answer).strip().split("\n\n") if block]
    if len(blocks_) != len(names):
        raise _wrong(question, answer, f"{len(names)} units were asked for, {len(blocks_)} are in it")
    found = {}
    for name, block in zip(names, blocks_, strict=True):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        if not {"Id", "LoadState"} <= values.keys():
            raise _wrong(question, answer, f"the state of {name[:200]} is not in it")
        state = values.get("UnitFileState", "") or ("not-found" if values["LoadState"] == "not-found" else "")
        found[name] = UnitSeen(state, tuple(values.get("DropInPaths", "").split()))
    return found


def _rows(question: Question, answer: Answer, width: int) -> Iterator[list[str]]:
    for line in _text(question, answer).splitlines():
        fields = line.split(":")
        if len(fields) != width or not fields[2].isdecimal():
            raise _wrong(question, answer, f"{line[:100]!r} is no line of it")
        yield fields


def read_accounts(question: Question, answer: Answer) -> dict[str, Account]:
    return {row[0]: Account(int(row[2]), row[5], row[6]) for row in _rows(question, answer, 7)}


def read_groups(question: Question, answer: Answer) -> dict[str, GroupSeen]:
    return {
        row[0]: GroupSeen(int(row[2]), frozenset(name for name in row[3].split(",") if name))
        for row in _rows(question, answer, 4)
    }


def read_blocks(question: Question, answer: Answer) -> list[Block]:
    """All block devices."""
    try:
        devices = json.loads(_text(question, answer))["blockdevices"]
        columns = ("name", "type", "fstype", "label", "partlabel")
        return [Block(*(str(row.get(column) or "") for column in columns)) for row in devices]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, NotUnderstood):
            raise
        raise _wrong(question, answer, "it is no list of devices") from None
