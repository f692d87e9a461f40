"""Exit codes, and what a script may tell by them. They never change their meaning."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """What a command ends with; docs/cli.md has the same list."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    TIMEOUT = 4
    ATTENTION = 5
    AUTH = 6
    NOT_FOUND = 7
    UNREACHABLE = 8
    UNPRINTED = 9
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    Code.DONE: "done; what was waited for has succeeded",
    Code.FAILED: "an operation failed, was cancelled, rejected, ran out of time, or became void",
    Code.USAGE: "the command, its settings or the config file are wrong; nothing was asked for",
    Code.REFUSED: "the server refused the request, or nothing can be done to any of the nodes",
    Code.TIMEOUT: "--timeout is over; the operations go on",
    Code.ATTENTION: "an operation needs attention: a person has to decide",
    Code.AUTH: "the token is missing, not valid, or may not do this",
    Code.NOT_FOUND: "there is no such node, operation or request that the token may see",
    Code.UNREACHABLE: "the server cannot be reached, or failed, also after more attempts",
    Code.UNPRINTED: "the output could not be written, for example to a full disk; the operations go on",
    Code.INTERRUPTED: "stopped by Ctrl-C; the operations go on",
    Code.TERMINATED: "stopped by SIGTERM, as a CI system ends a job; the operations go on",
}


class Problem(Exception):
    """Something that ends the command with a sentence and a code."""

    def __init__(self, code: Code, message: str, mend: str = "") -> None:
        # A server whose sentence is the mend says it once.
        super().__init__(message if mend and message.endswith(mend) else f"{message} {mend}".strip())
        self.code = code
