"""A command that is talked with: bytes go in and out while it runs, within one deadline."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import paramiko
from paramiko.ssh_exception import SSHException

from nodes.hosts.errors import ConnectionLost, TimedOut
from nodes.hosts.ssh.deadline import Deadline
from nodes.hosts.ssh.transport import printable

_READ_BYTES = 65536
_LOOK_EVERY_S = 1.0
_MOST_STDERR_BYTES = 16 * 1024


class Exchange:
    """A running command. `said` is the end of what it wrote to its error output."""

    def __init__(self, channel: paramiko.Channel, address: str, line: str, deadline: Deadline) -> None:
        self._channel, self._address, self._deadline = channel, address, deadline
        self._held = bytearray()
        self._errors = bytearray()
        channel.settimeout(_LOOK_EVERY_S)
        try:
            channel.exec_command(line)
        except (SSHException, EOFError, OSError) as error:
            raise ConnectionLost(address, printable(str(error))) from None

    @property
    def said(self) -> str:
        """One line of what went wrong, in the words of the other side."""
        self._take_errors()
        return printable(self._errors.decode("utf-8", "replace"))

    def read(self, size: int) -> bytes:
        """So many bytes; fewer only at the end."""
        while len(self._held) < size:
            self._deadline.check("command", self._address)
            # Both streams are read, or a full one would stop the other side.
            self._take_errors()
            try:
                piece = self._channel.recv(_READ_BYTES)
            except TimeoutError:
                continue
            except (SSHException, EOFError, OSError) as error:
                raise ConnectionLost(self._address, printable(str(error))) from None
            if not piece:
                break
            self._held += piece
        found = bytes(self._held[:size])
        del self._held[:size]
        return found

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._deadline.check("command", self._address)
            try:
                view = view[self._channel.send(bytes(view[:_READ_BYTES])) :]
            except TimeoutError:
                continue
            except (SSHException, EOFError, OSError) as error:
                raise ConnectionLost(self._address, printable(str(error))) from None
        if self._deadline.expired:
            raise TimedOut("command", self._address, self._deadline.span_s)

    def chunks(self) -> Iterator[bytes]:
        """What it prints, piece by piece to its end."""
        while piece := self.read(_READ_BYTES):
            yield piece

    def status(self) -> int:
        """Its exit status, once it has ended and all that it printed was read."""
        while not self._channel.status_event.wait(_LOOK_EVERY_S):
            self._deadline.check("command", self._address)
            self._take_errors()
            if self._channel.closed:
                break
        self._take_errors()
        if self._channel.exit_status < 0:
            raise ConnectionLost(self._address, "it ended during the command")
        return self._channel.exit_status

    def can_read(self) -> bool:
        return bool(self._held) or self._channel.recv_ready()

    def close(self) -> None:
        with contextlib.suppress(SSHException, EOFError, OSError):
            self._channel.close()

    def _take_errors(self) -> None:
        while self._channel.recv_stderr_ready():
            self._errors += self._channel.recv_stderr(_READ_BYTES)
            del self._errors[:-_MOST_STDERR_BYTES]
