"""The frame of all answers: a call on a host, its answer, and the table of commands."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from simfleet.model import Host
from simfleet.world import World


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command prints, and its exit status."""

    status: int = 0
    out: bytes = b""
    err: bytes = b""


@dataclass(frozen=True, slots=True)
class Call:
    """One command on one host."""

    host: Host
    world: World
    argv: tuple[str, ...]
    root: bool = False
    stdin: bytes = b""

    @property
    def args(self) -> tuple[str, ...]:
        """The words after the command."""
        return self.argv[1:]

    @property
    def now(self) -> float:
        """The time on the host."""
        return self.world.now()

    def other(self, argv: tuple[str, ...], *, root: bool | None = None) -> Call:
        """Another command in the same place."""
        return Call(self.host, self.world, argv, self.root if root is None else root, self.stdin)


Command = Callable[[Call], Answer | Awaitable[Answer]]
AGAIN = "\x1f"  # between the values of an option that was given twice
COMMANDS: dict[str, Command] = {}
#: Commands of one operating system by its name; None hides a command that it lacks.
OWN: dict[str, dict[str, Command | None]] = {}


def command(*names: str) -> Callable[[Command], Command]:
    """Enter a function in the table of commands."""

    def enter(function: Command) -> Command:
        for name in names:
            COMMANDS[name] = function
        return function

    return enter


def say(text: str, status: int = 0) -> Answer:
    """An answer on standard output."""
    return Answer(status, text.encode())


def fail(text: str, status: int = 1) -> Answer:
    """An answer on standard error only."""
    return Answer(status, b"", (text if text.endswith("\n") else text + "\n").encode())


def options(args: tuple[str, ...], valued: frozenset[str] = frozenset()) -> tuple[dict[str, str], list[str]]:
    """Split arguments into options and words. `--a=b`, `--a b` and `-a b` are the same for the valued ones."""
    found: dict[str, str] = {}
    words: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return found, words + rest
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, equals, value = word.partition("=")
        if name in valued and not equals and rest:
            value = rest.pop(0)
        found[name] = f"{found[name]}{AGAIN}{value}" if name in found and value else value
    return found, words


async def answer(call: Call) -> Answer:
    """Run one command."""
    word = call.argv[0].rsplit("/", 1)[-1] if call.argv else ""
    own = OWN.get(call.host.plan.os, {})
    function = own[word] if word in own else COMMANDS.get(word)
    if function is None:
        name = call.argv[0] if call.argv else ""
        return Answer(127, b"", f"sh: line 1: {name}: command not found\n".encode())
    try:
        result = function(call)
        return result if isinstance(result, Answer) else await result
    except (IndexError, KeyError, TypeError, ValueError, re.error):
        # Words that the simulated command does not know must not leave the client without an answer.
        return fail(f"{call.argv[0]}: invalid arguments", 2)
