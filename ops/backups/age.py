"""Encryption to age recipients (age-encryption.org/v1), as the bytes pass: in memory is one piece of them at a time.

Pure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final

import pyrage

#: What an encrypted file begins with.
BEGINS_WITH: Final = b"age-encryption.org/v1"
SUFFIX: Final = ".age"
MOST_RECIPIENTS = 20
Pieces = Generator[bytes, None, None]


class RecipientRefused(ValueError):
    """What is no recipient, or no identity of one of them; `value` is shown only where it may be."""

    def __init__(self, value: str = "") -> None:
        super().__init__(value)
        self.value = value


class NotOpened(Exception):
    """`code`: no_identity, other_identity, or spoilt."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def checked_recipients(given: Iterable[str]) -> list[str]:
    """Public keys, `age1…`, `ssh-ed25519 …` or `ssh-rsa …`, each once and without a comment; raises RecipientRefused."""
    found = []
    for text in given:
        words = text.split()
        plain = " ".join(words[:2] if text.strip().startswith("ssh-") else words)
        _recipient(plain)
        found.append(plain)
    return list(dict.fromkeys(found))


def checked_identity(text: str, recipients: Sequence[str]) -> str:
    """A secret key `AGE-SECRET-KEY-1…` that opens what is encrypted to one of the recipients; raises RecipientRefused."""
    try:
        identity = pyrage.x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError:
        raise RecipientRefused from None
    if str(identity.to_public()) not in recipients:
        raise RecipientRefused
    return text.strip()


def _recipient(text: str) -> Any:
    try:
        return (pyrage.ssh if text.startswith("ssh-") else pyrage.x25519).Recipient.from_str(text)
    except pyrage.RecipientError:
        raise RecipientRefused(text) from None


@dataclass(frozen=True)
class Envelope:
    """What closes backups, and with an identity opens them. Without recipients they lie open."""

    recipients: Sequence[str] = ()
    identity: str = field(default="", repr=False)

    @property
    def suffix(self) -> str:
        return SUFFIX if self.recipients else ""

    def closed(self, chunks: Pieces) -> Pieces:
        """Whatever the chunks raise comes out of it."""
        if not self.recipients:
            return chunks
        to = [_recipient(text) for text in self.recipients]
        return _passed(lambda source, sink: pyrage.encrypt_io(source, sink, to), chunks)

    def opened(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Raises NotOpened, and whatever the chunks raise."""
        if not self.identity:
            raise NotOpened("no_identity")
        by = [pyrage.x25519.Identity.from_str(self.identity)]

        def opening(source: _Source, sink: _Sink) -> None:
            try:
                pyrage.decrypt_io(source, sink, by)
            except pyrage.DecryptError as error:
                # The library has one kind of error for all that stands in the header.
                raise NotOpened("other_identity" if "matching keys" in str(error) else "spoilt") from error
            except OSError as error:
                raise NotOpened("spoilt") from error

        return _passed(opening, chunks)


class _Over(Exception):
    """Nobody wants the rest."""


class _Source:
    """The file that the work reads: each piece is asked for, and then waited for."""

    def __init__(self, told: SimpleQueue[Any], given: SimpleQueue[bytes | None]) -> None:
        self._told, self._given, self._left = told, given, memoryview(b"")

    def read(self, size: int) -> bytes:
        if not self._left:
            self._told.put(None)
            piece = self._given.get()
            if piece is None:
                raise _Over
            self._left = memoryview(piece)
        piece, self._left = bytes(self._left[:size]), self._left[size:]
        return piece


class _Sink:
    """The file that the work writes."""

    def __init__(self, told: SimpleQueue[Any]) -> None:
        self._told = told

    def write(self, piece: bytes) -> int:
        self._told.put(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass


def _passed(work: Callable[[_Source, _Sink], None], chunks: Iterator[bytes]) -> Pieces:
    """What `work` makes of the chunks. It drives its two files itself, and so has a thread of its own; the chunks are read in the
    caller's, whose connection to the database they may use."""
    told: SimpleQueue[Any] = SimpleQueue()
    given: SimpleQueue[bytes | None] = SimpleQueue()

    def run() -> None:
        try:
            work(_Source(told, given), _Sink(told))
            told.put(_Over())
        except BaseException as error:  # it goes on in the caller's thread
            told.put(error)

    thread = threading.Thread(target=run, name="age", daemon=True)
    thread.start()
    try:
        while True:
            said = told.get()
            if isinstance(said, _Over):
                return
            if isinstance(said, BaseException):
                raise said
            if said is None:
                given.put(next((chunk for chunk in chunks if chunk), b""))
            else:
                yield said
    finally:
        given.put(None)
        thread.join()
