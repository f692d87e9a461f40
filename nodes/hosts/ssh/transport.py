"""paramiko's transport and packet reader, kept within a deadline, quiet, and safe against a hostile peer."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import paramiko
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_OPEN,
)
from paramiko.message import Message
from paramiko.packet import Packetizer
from paramiko.ssh_exception import SSHException

from nodes.hosts.ssh.deadline import Deadline

if TYPE_CHECKING:
    from typing_extensions import Buffer

Stream: TypeAlias = socket.socket | paramiko.Channel
ChannelHandler: TypeAlias = Callable[[paramiko.Channel, Message], object]

MAX_BEFORE_BANNER_BYTES = 64 * 1024
MAX_PACKET_BYTES = 512 * 1024
READ_AHEAD_BYTES = 16 * 1024
WAKE_FOR_BYTES = 64 * 1024
WRITE_CHUNK_BYTES = 32 * 1024
LONGEST_REASON = 200

# A hostile banner makes paramiko log stack traces; every failure reaches the caller as an error anyway.
_logger = logging.getLogger("paramiko")
if _logger.level == logging.NOTSET:
    _logger.setLevel(logging.CRITICAL + 1)


def printable(text: str) -> str:
    """One short line of what a host said, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_REASON]


class _Buffered:
    """A socket from which little is read often: the kernel is asked once for what paramiko takes in three pieces."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""

    def recv(self, size: int) -> bytes:
        if not self._held:
            # sshd leaves Nagle on for sessions without a terminal, so each of its small packets waits for our
            # acknowledgement, which the kernel delays by up to 40 ms. It forgets this option, so it is set each time.
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            if size >= READ_AHEAD_BYTES:
                return self._sock.recv(size)
            self._held = self._sock.recv(READ_AHEAD_BYTES)
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class BoundedPacketizer(Packetizer):
    """Reads no more than a sane peer sends, and writes no longer than the deadline allows."""

    def __init__(self, stream: Stream) -> None:
        read_from = _Buffered(stream) if isinstance(stream, socket.socket) else stream
        super().__init__(read_from)  # type: ignore[arg-type]  # a channel serves as a socket for jump hosts
        self.stream = stream
        self.deadline: Deadline | None = None
        self.before_banner_bytes = 0
        self.last_line = ""
        self.is_web_server = False
        self._is_closing = False
        self._held: bytearray | None = None
        self.write_lock: threading.RLock = self._Packetizer__write_lock  # type: ignore[attr-defined]  # missing in the stubs

    def start_handshake(self, timeout: float) -> None:
        """Start no timer thread: the deadline of the contact ends a handshake that hangs."""

    def readline(self, timeout: float) -> str:
        """Read one line of the identification; what is not text counts as no SSH."""
        line = super().readline(timeout)
        if not line.startswith("SSH-"):
            self.last_line = printable(line) or self.last_line
            # Its status line, or the page that it sends to those who speak no HTTP.
            self.is_web_server = self.is_web_server or line.startswith(("HTTP/", "<"))
        return line

    def _read_timeout(self, timeout: float) -> bytes:
        piece: bytes = super()._read_timeout(timeout)  # type: ignore[misc]  # missing in the stubs
        self.before_banner_bytes += len(piece)
        if self.before_banner_bytes > MAX_BEFORE_BANNER_BYTES:
            raise SSHException("The peer sent too much text before its identification")
        return piece

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT001, FBT002  # paramiko's signature
        """Refuse packets of absurd size instead of buffering them."""
        if n > MAX_PACKET_BYTES or n < 0:
            raise SSHException("The peer sent a packet of impossible size")
        return super().read_all(n, check_rekey)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Send all packets that are written within in one piece: each write costs us and the host a turn of a thread."""
        with self.write_lock:
            self._held = bytearray()
        try:
            yield
        finally:
            with self.write_lock:
                held, self._held = self._held, None
                self.write_all(held)

    def write_all(self, out: Buffer) -> None:
        """Write everything, or raise EOFError when the peer takes nothing until the deadline."""
        if self._held is not None:
            self._held += out
            return
        view = memoryview(out)
        while view:
            if self._is_closing:
                raise EOFError
            try:
                sent = self._write(view[:WRITE_CHUNK_BYTES])
            except (TimeoutError, BlockingIOError):
                self._wait_writable()
                continue
            except Exception:
                raise EOFError from None
            if sent <= 0:
                raise EOFError
            view = view[sent:]

    def close(self) -> None:
        """Not while a packet is written: the number of the socket may belong to another connection a moment later."""
        self._is_closing = True
        with self.write_lock:
            super().close()

    def _write(self, piece: memoryview) -> int:
        if isinstance(self.stream, paramiko.Channel):
            if not self.stream.send_ready():
                raise BlockingIOError
            return self.stream.send(bytes(piece))
        # Not send(): with a timeout set it asks the kernel twice, and lets go of the interpreter each time.
        return os.write(self.stream.fileno(), piece)

    def _wait_writable(self) -> None:
        if isinstance(self.stream, paramiko.Channel):
            self._check_deadline()
            time.sleep(0.02)
            return
        try:
            poll = select.poll()
            poll.register(self.stream, select.POLLOUT)
        except (OSError, ValueError):
            raise EOFError from None
        while not poll.poll(500 if self.deadline is None else min(500, self.deadline.remaining_s * 1000)):
            self._check_deadline()

    def _check_deadline(self) -> None:
        if self._is_closing or (self.deadline is not None and self.deadline.expired):
            raise EOFError


def _waking(code: int, handler: ChannelHandler) -> ChannelHandler:
    is_data = code in (MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA)

    def handle(channel: paramiko.Channel, message: Message) -> None:
        handler(channel, message)
        # A little output can wait for what comes after it: each time that a thread is woken costs more than a packet.
        if is_data and len(channel.in_buffer) + len(channel.in_stderr_buffer) < WAKE_FOR_BYTES:
            return
        transport = channel.get_transport()
        if isinstance(transport, QuietTransport):
            transport.wake.set()

    return handle


def _channel_request(channel: paramiko.Channel, message: Message) -> None:
    """Keep a death by signal as shells do (128 + number); paramiko drops it and reports no status at all."""
    kind = message.get_text()
    message.get_boolean()
    if kind == "exit-signal":
        name = "SIG" + message.get_text()
        channel.exit_status = 128 + getattr(signal.Signals, name, signal.SIGKILL)
        channel.status_event.set()
    message.rewind()
    message.get_int()
    paramiko.Channel._handle_request(channel, message)  # type: ignore[attr-defined]  # missing in the stubs


class ForwardRefused(Exception):
    """The peer did not open a connection for us; `said` is its reason."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code, self.said = code, said


class Forwarded(paramiko.Channel):
    """A connection that a jump host opened for us.

    One thread may close it while another one sends. For a single packet of data behind the close sshd ends the whole
    connection, with the contacts of everybody else on it: what is late is not sent.
    """

    is_ended = False

    def _send(self, s: bytes, m: Message) -> int:
        with self.lock:
            if self.closed:
                raise OSError("It is closed")
            size: int = self._wait_for_send_window(len(s))  # type: ignore[attr-defined]  # missing in the stubs
            if size == 0:
                return 0
            m.add_string(s[:size])
        self.get_transport().send_unless_ended(self, m)
        return size

    def _close_internal(self) -> Any:
        messages = super()._close_internal()  # type: ignore[misc]  # missing in the stubs
        with self.get_transport().writing():
            self.is_ended = True
        return messages

    def get_transport(self) -> QuietTransport:
        return self.transport  # type: ignore[return-value]  # `forward` set it


class QuietTransport(paramiko.Transport):
    """One SSH connection. `wake` is set whenever something arrived on a channel, or the connection ended."""

    # The default of 0.1 s makes 1,000 idle connections burn a third of a core.
    _active_check_timeout = 5

    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )
    _preferred_macs = (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    )
    _channel_handler_table = {
        code: _waking(code, _channel_request if code == MSG_CHANNEL_REQUEST else handler)
        for code, handler in paramiko.Transport._channel_handler_table.items()  # type: ignore[attr-defined]  # missing in the stubs
    }

    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self.stream = stream
        self.wake = threading.Event()
        self.disconnect_reason = ""
        self.host_key_blob = b""
        self.open_failure = ""
        self._refusals: dict[int, ForwardRefused] = {}
        self.bounded: BoundedPacketizer | None = None
        super().__init__(stream, packetizer_class=self._make_packetizer)  # type: ignore[arg-type]  # a factory serves as well
        self.log_name = "paramiko.quiet"
        self.name = "ssh-transport"
        self.set_deadline(deadline)

    def _make_packetizer(self, stream: Stream) -> BoundedPacketizer:
        self.bounded = BoundedPacketizer(stream)
        return self.bounded

    def set_deadline(self, deadline: Deadline) -> None:
        """Bound every wait of paramiko's by the deadline of the present contact."""
        seconds = deadline.remaining_s
        if self.bounded is not None:
            self.bounded.deadline = deadline
        self.banner_timeout = self.handshake_timeout = self.auth_timeout = seconds
        self.channel_timeout = self.clear_to_send_timeout = seconds

    def together(self) -> contextlib.AbstractContextManager[None]:
        """Send what is written within in one piece."""
        return self.bounded.together() if self.bounded is not None else contextlib.nullcontext()

    def writing(self) -> contextlib.AbstractContextManager[object]:
        """Held while a packet is written: nobody else writes one meanwhile."""
        return self.bounded.write_lock if self.bounded is not None else contextlib.nullcontext()

    def send_unless_ended(self, channel: Forwarded, message: Message) -> None:
        """As paramiko sends what users send, but nothing once the close of the channel may be under way."""
        until_s = time.monotonic() + self.clear_to_send_timeout
        while self.is_active():
            self.clear_to_send.wait(0.1)
            with self.clear_to_send_lock, self.writing():
                if channel.is_ended:
                    raise OSError("It is closed")
                if self.clear_to_send.is_set():
                    self._send_message(message)  # type: ignore[attr-defined]  # missing in the stubs
                    return
            if time.monotonic() > until_s:
                raise SSHException("Key-exchange timed out waiting for key negotiation")
        raise EOFError

    @property
    def last_line(self) -> str:
        """The last line the peer sent before identifying itself, if it said anything."""
        return self.bounded.last_line if self.bounded is not None else ""

    @property
    def is_web_server(self) -> bool:
        """Whether the peer answered as a web server does."""
        return self.bounded is not None and self.bounded.is_web_server

    def _log(self, level: int, msg: object, *args: object) -> None:
        """Say nothing: what matters is raised."""

    def _parse_disconnect(self, m: Message) -> None:
        m.get_int()
        with contextlib.suppress(Exception):
            self.disconnect_reason = printable(m.get_text())

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """What was asked for and nothing else; paramiko would add every type of certificate behind it."""
        return tuple(self._preferred_keys)  # type: ignore[attr-defined]  # missing in the stubs

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        """Keep what the host showed, byte for byte: a certificate is more than the key in it."""
        super()._verify_key(host_key, sig)  # type: ignore[misc]  # missing in the stubs
        self.host_key_blob = bytes(host_key)

    def _parse_channel_open_failure(self, m: Message) -> None:
        channel_id, code = m.get_int(), m.get_int()
        said = ""
        with contextlib.suppress(Exception):
            said = printable(m.get_text())
        # By channel: paramiko keeps one error for all, which is the wrong one when several are opened at once.
        self._refusals[channel_id] = ForwardRefused(code, said)
        self.open_failure = said
        m.rewind()
        super()._parse_channel_open_failure(m)  # type: ignore[misc]  # missing in the stubs

    def _parse_channel_open_success(self, m: Message) -> None:
        channel_id, theirs = m.get_int(), m.get_int()
        if self._channels.get(channel_id) is None:  # type: ignore[attr-defined]  # missing in the stubs
            # Given up meanwhile: without this the peer would hold it open for as long as the connection lives.
            close = Message()
            close.add_byte(cMSG_CHANNEL_CLOSE)
            close.add_int(theirs)
            self._send_message(close)  # type: ignore[attr-defined]  # missing in the stubs
            return
        m.rewind()
        super()._parse_channel_open_success(m)  # type: ignore[misc]  # missing in the stubs

    def forward(self, address: str, port: int, timeout_s: float) -> Forwarded:
        """Have the peer connect to an address; many threads may do so at once.

        Raises ForwardRefused with what the peer said, TimeoutError, or EOFError when the connection has ended.
        """
        channel_id, channel, opened = self._new_channel()
        request = Message()
        request.add_byte(cMSG_CHANNEL_OPEN)
        request.add_string("direct-tcpip")
        request.add_int(channel_id)
        request.add_int(channel.in_window_size)
        request.add_int(channel.in_max_packet_size)
        for host, number in ((address, port), ("127.0.0.1", 0)):
            request.add_string(host)
            request.add_int(number)
        self._send_user_message(request)  # type: ignore[attr-defined]  # missing in the stubs
        until_s = time.monotonic() + timeout_s
        while not opened.wait(min(0.2, max(0.0, until_s - time.monotonic()))):
            if not self.is_active():
                raise EOFError
            if time.monotonic() >= until_s:
                raise TimeoutError
        if refused := self._refusals.pop(channel_id, None):
            raise refused
        if not self.is_active():
            raise EOFError
        return channel

    def _new_channel(self) -> tuple[int, Forwarded, threading.Event]:
        if not self.is_active():
            raise EOFError
        opened = threading.Event()
        with self.lock:
            channel_id = self._next_channel()  # type: ignore[attr-defined]  # missing in the stubs
            channel = Forwarded(channel_id)
            self._channels.put(channel_id, channel)  # type: ignore[attr-defined]  # missing in the stubs
            self.channel_events[channel_id] = opened
            self.channels_seen[channel_id] = True
            channel._set_transport(self)  # type: ignore[attr-defined]  # missing in the stubs
            channel._set_window(self.default_window_size, self.default_max_packet_size)  # type: ignore[attr-defined]
        return channel_id, channel, opened

    def run(self) -> None:
        """Serve the connection until it ends, then wake whoever waits for it."""
        try:
            super().run()
        finally:
            self.wake.set()

    def end(self) -> None:
        """Close the connection and wait for its thread, so that no thread outlives a contact."""
        with contextlib.suppress(Exception):
            if isinstance(self.stream, socket.socket):
                # Closing alone would leave the thread in poll() for up to `_active_check_timeout`.
                self.stream.shutdown(socket.SHUT_RDWR)
            else:
                self.stream.close()
        if self.is_alive() and self is not threading.current_thread():
            self.join(2.0)
        with contextlib.suppress(Exception):
            self.close()
        with contextlib.suppress(Exception):
            self.stream.close()
