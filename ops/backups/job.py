"""One backup from its source to its target: the bytes pass, are hashed on the way, and count only when all of them came.

Pure but for the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ops.backups.age import Envelope, Pieces
from ops.backups.base import Counted, Stored, Target
from ops.backups.sources import LONGEST_HEADER_BYTES, Header, Source


class Stream(Protocol):
    """A source that is printing: a command on a host, or FleetUI itself.

    `status` waits for its end; `said` is the end of its error output.
    """

    def chunks(self) -> Iterator[bytes]: ...

    def status(self) -> int: ...

    @property
    def said(self) -> str: ...


class Talk(Stream, Protocol):
    """A command on a host that also takes bytes in. `read` waits for so many, or for its end."""

    def read(self, size: int) -> bytes: ...

    def write(self, data: bytes) -> None: ...


class NoJob(Exception):
    """There is nothing left to go by: the policy was deleted, or its target cannot be used; `code` says which."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code, self.params = code, params


@dataclass(frozen=True)
class Job:
    """What a policy asks for: the kind of source and its settings."""

    kind: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """What the ledger says of a run: `state` is running, good or failed; `stored` is what was written under `key`."""

    state: str
    key: str
    stored: Stored
    location: str = ""


#: What a shell ends with when a program cannot be started or is not there; no later attempt finds it.
NO_PROGRAM: Final = frozenset({126, 127})


class SourceFailed(Exception):
    """What the source gave is no backup; `code` is worded where it is shown. `again`: another attempt may mend it."""

    again = True

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code, self.params = code, params
        if params.get("status") in NO_PROGRAM:
            self.again = False


class NoProgram(SourceFailed):
    """What makes the backup is not on this machine."""

    again = False


@dataclass
class Passed:
    """What is known of a backup once it has passed. `changed` is what the source said of files that changed meanwhile;
    `recipients` are those that it was encrypted to, and `found` what the ledger keeps of what was read."""

    stored: Stored = field(default_factory=lambda: Stored(0, ""))
    header: Header | None = None
    changed: str = ""
    recipients: Sequence[str] = ()
    found: Mapping[str, Any] = field(default_factory=dict)


def pass_on(
    stream: Stream,
    source: Source,
    target: Target,
    key: str,
    held: Callable[[], None],
    envelope: Envelope,
    came: Callable[[int], None] = lambda _size_bytes: None,
) -> Passed:
    """Write what the stream prints to the target; raises what stands against it, and then nothing is at the target.

    `came` hears the size of each piece of the source.
    """
    passed = Passed(recipients=envelope.recipients, found=source.found)
    with closing(envelope.closed(_checked(stream, source, passed, came))) as pieces:
        passed.stored = target.put(key, pieces, held)
    return passed


def _checked(stream: Stream, source: Source, passed: Passed, came: Callable[[int], None]) -> Pieces:
    """The bytes; at their end, and before the target takes them as whole, whether they are."""
    pieces, first, counted = stream.chunks(), b"", Counted()
    wanted = LONGEST_HEADER_BYTES if source.read_header else len(source.begins_with)
    while len(first) < wanted and not (source.read_header and b"\n" in first):
        piece = next(pieces, b"")
        if not piece:
            break
        first += piece
    if source.read_header is not None:
        line, newline, first = first.partition(b"\n")
        if not newline:
            raise _why(stream, source, "no_header")
        try:
            passed.header = source.read_header(line)
        except (ValueError, KeyError, TypeError):
            raise SourceFailed("no_header", said=stream.said) from None
    elif not first.startswith(source.begins_with):
        raise _why(stream, source, "not_a_backup")
    for piece in _with_first(first, pieces):
        if source.read_header is not None:
            counted.add(piece)
        came(len(piece))
        yield piece
    status = stream.status()
    if status in source.changed_statuses:
        passed.changed = stream.said or str(status)
    elif status:
        raise SourceFailed("source_failed", status=status, said=stream.said)
    all_came = counted.stored()
    if passed.header and (passed.header.size_bytes, passed.header.sha256) != (all_came.size_bytes, all_came.sha256):
        raise SourceFailed("differs_from_host", size=all_came.size_bytes, expected=passed.header.size_bytes)


def _why(stream: Stream, source: Source, otherwise: str) -> SourceFailed:
    """A command that printed nothing usable has mostly said why in its error output, and in its status."""
    for _rest in stream.chunks():
        pass
    status = stream.status()
    code = "source_failed" if status and status not in source.changed_statuses else otherwise
    return SourceFailed(code, status=status, said=stream.said)


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
