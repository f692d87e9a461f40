"""Input and output of commands that stand in for other tools: bytes in, bytes out."""

import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, TextIO


def read_input(name: str | None, limit: int) -> bytes:
    """A file, or standard input without a name; one byte more than the limit tells that it is longer."""
    if name is None:
        return sys.stdin.buffer.read(limit + 1)
    with Path(name).open("rb") as file:
        return file.read(limit + 1)


def read_action(error: OSError) -> str:
    """What failed. The real tools can open a directory, and fail when they read it."""
    return "read" if isinstance(error, IsADirectoryError) else "open"


def failure(action: str, name: str, error: OSError) -> str:
    """`open x: no such file or directory`."""
    reason = error.strerror or str(error)
    return f"{action} {name}: {reason[:1].lower()}{reason[1:]}"


def write_text(stream: Any, text: str) -> None:
    """Write without a change of encoding or line ends. Ends quietly when the reader of a pipe has gone."""
    out: TextIO = getattr(stream, "_out", stream)
    buffer: BinaryIO | None = getattr(out, "buffer", None)
    if buffer is None:
        out.write(text)
        return
    try:
        out.flush()
        buffer.write(text.encode("utf-8", "surrogateescape"))
        buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        raise SystemExit(1) from None
