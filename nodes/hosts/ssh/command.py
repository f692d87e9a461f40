"""One command on an open connection: a single loop feeds stdin and reads both streams."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST
from paramiko.message import Message
from paramiko.ssh_exception import ChannelException, SSHException

from nodes.hosts.errors import ChannelRefused, ConnectionLost, HostError, OutputTooLarge, TimedOut
from nodes.hosts.ssh.deadline import Deadline
from nodes.hosts.ssh.handshake import lost
from nodes.hosts.ssh.transport import QuietTransport

READ_BYTES = 65536
# A background process can keep the streams open after the command has ended; wait that long for more.
LINGER_S = 2.0
LONGEST_WAIT_S = 1.0


@dataclass(frozen=True)
class CommandResult:
    """What a command printed and how it ended. The status is None when an expected disconnect came first."""

    exit_status: int | None
    stdout: bytes
    stderr: bytes
    duration_s: float


def command_line(argv: Sequence[str]) -> str:
    """The quoted command line for an argument list."""
    if isinstance(argv, str | bytes):
        raise TypeError("A command is a list of arguments, never one string.")
    if not argv:
        raise ValueError("A command needs at least one argument.")
    if any("\0" in argument for argument in argv):
        raise ValueError("An argument of a command must not hold a NUL character.")
    return shlex.join(argv)


def run_command(
    transport: QuietTransport,
    address: str,
    line: str,
    *,
    stdin: bytes,
    deadline: Deadline,
    opened_by: Deadline,
    max_bytes: int,
    expect_disconnect: bool,
) -> CommandResult:
    """Run one command line and collect its output. The exit status is None only after an expected disconnect.

    `opened_by` is when the host must have answered that it takes the command.
    """
    started = time.monotonic()
    channel = open_session(transport, address, opened_by)
    running = _Running(transport, channel, address, line, stdin, deadline, max_bytes)
    try:
        status = running.finish(expect_disconnect=expect_disconnect)
    finally:
        with contextlib.suppress(SSHException, EOFError, OSError):
            channel.close()
    return CommandResult(status, bytes(running.stdout), bytes(running.stderr), time.monotonic() - started)


def open_session(transport: QuietTransport, address: str, deadline: Deadline) -> paramiko.Channel:
    """A channel for one command, or the reason why there is none."""
    deadline.check("channel", address)
    try:
        return transport.open_session(timeout=deadline.remaining_s)
    except ChannelException as error:
        raise ChannelRefused(address, transport.open_failure or error.text) from None
    except (SSHException, EOFError, OSError):
        if transport.is_active() or deadline.expired:
            raise TimedOut("channel", address, deadline.span_s) from None
        raise lost(transport, address, "it ended before the command started") from None


class _Running:
    """A command that has been sent, until it has ended."""

    def __init__(
        self,
        transport: QuietTransport,
        channel: paramiko.Channel,
        address: str,
        line: str,
        stdin: bytes,
        deadline: Deadline,
        max_bytes: int,
    ) -> None:
        self.transport, self.channel, self.address, self.line = transport, channel, address, line
        self.unsent: memoryview | None = memoryview(stdin)
        self.deadline, self.max_bytes = deadline, max_bytes
        self.stdout, self.stderr = bytearray(), bytearray()
        self.quiet_since_s = time.monotonic()

    def finish(self, *, expect_disconnect: bool) -> int | None:
        """Returns the exit status, or None when the connection ended first and that was expected."""
        try:
            self._request()
            while not self._ended():
                self.deadline.check("command", self.address)
                self.transport.wake.wait(min(self.deadline.remaining_s, LONGEST_WAIT_S))
                self.transport.wake.clear()
                self._move()
        except (EOFError, OSError, SSHException):
            if self.deadline.expired:
                raise TimedOut("command", self.address, self.deadline.span_s) from None
        if self.channel.status_event.is_set() and self.channel.exit_status >= 0:
            return self.channel.exit_status
        error = self._no_status()
        if expect_disconnect and isinstance(error, ConnectionLost):
            return None
        raise error

    def _request(self) -> None:
        """Ask for the command without waiting for the answer, which would cost one more round trip."""
        self.channel.settimeout(0.0)
        request = Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(self.channel.remote_chanid)
        request.add_string("exec")
        request.add_boolean(True)  # noqa: FBT003  # want a reply
        request.add_string(self.line.encode("utf-8", "surrogateescape"))
        self.channel._event_pending()  # type: ignore[attr-defined]  # missing in the stubs
        with self.transport.together():
            self.transport._send_user_message(request)  # type: ignore[attr-defined]  # missing in the stubs
            self._move()

    def _move(self) -> None:
        """Move whatever can be moved now, in all three directions."""
        moved = True
        while moved:
            moved = self._feed()
            for ready, receive, kept in (
                (self.channel.recv_ready, self.channel.recv, self.stdout),
                (self.channel.recv_stderr_ready, self.channel.recv_stderr, self.stderr),
            ):
                if ready():
                    kept.extend(receive(READ_BYTES))
                    moved = True
                    self.quiet_since_s = time.monotonic()
                    self._check_size()

    def _check_size(self) -> None:
        if len(self.stdout) + len(self.stderr) > self.max_bytes:
            raise OutputTooLarge(self.line[:200], self.max_bytes)

    def _feed(self) -> bool:
        if self.unsent is None:
            return False
        if not self.unsent:
            self.channel.shutdown_write()
            self.unsent = None
            return False
        if self.channel.closed or not self.channel.send_ready():
            return False
        try:
            sent = self.channel.send(bytes(self.unsent[:READ_BYTES]))
        except TimeoutError:
            return False
        self.unsent = self.unsent[sent:]
        return sent > 0

    def _ended(self) -> bool:
        channel = self.channel
        if channel.recv_ready() or channel.recv_stderr_ready():
            return False
        if channel.closed or not self.transport.is_active():
            self._move()
            return True
        if not channel.status_event.is_set():
            return False
        return bool(channel.eof_received) or time.monotonic() - self.quiet_since_s > LINGER_S

    def _no_status(self) -> HostError:
        if not self.transport.is_active():
            return lost(self.transport, self.address, "it ended during the command")
        if not self.channel.event_ready:
            return ChannelRefused(self.address, "the request to run a command was denied")
        return ConnectionLost(self.address, "the command ended without a status")
