"""Contacts with servers that misbehave. Each must end in time, with an error that says what to do, and quietly."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import paramiko
import pytest
from paramiko.common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    cMSG_DISCONNECT,
)
from paramiko.message import Message

import nodes.hosts.ssh as ssh
import nodes.hosts.ssh.dial as dialing
from nodes.hosts.errors import (
    AuthenticationFailed,
    ChannelRefused,
    ConnectionLost,
    ConnectionRefused,
    HostError,
    JumpFailed,
    NameNotResolved,
    NoCommonAlgorithm,
    NoRoute,
    OutputTooLarge,
    TimedOut,
)
from tests.sshd import FakeHost, RawHandler, fake_host, free_port, raw_server

IDENTITY = ssh.generate_identity("faults")[1]
OTHER_KEY = ssh.HostKey.parse(ssh.generate_identity()[1].public_line)
BANNER = b"SSH-2.0-Test_1\r\n"


def within(seconds: float = 5) -> ssh.Deadline:
    return ssh.Deadline.after(seconds)


@pytest.fixture(autouse=True)
def _quiet_and_without_threads(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    left = [thread for thread in threading.enumerate() if thread.name == "ssh-transport"]
    assert left == []
    assert caplog.get_records("call") == []
    out, err = capfd.readouterr()
    assert out + err == ""


def failure_of(port: int, seconds: float = 5, address: str = "127.0.0.1") -> HostError:
    started = time.monotonic()
    with pytest.raises(HostError) as caught:
        ssh.connect(ssh.Endpoint(address, port), IDENTITY, host_key=OTHER_KEY, deadline=within(seconds))
    assert time.monotonic() - started < seconds + 1
    error = caught.value
    assert error.message.endswith(".")
    assert error.what_to_do.endswith(".")
    assert "\n" not in error.message + error.what_to_do
    return error


def failure_of_raw(handler: RawHandler, seconds: float = 5) -> HostError:
    with raw_server(handler) as port:
        return failure_of(port, seconds)


@contextlib.contextmanager
def connected(host: FakeHost, seconds: float = 5) -> Iterator[ssh.Connection]:
    with fake_host(host) as port:
        endpoint = ssh.Endpoint("127.0.0.1", port)
        key = ssh.HostKey.parse(host.host_key_line)
        with ssh.connect(endpoint, IDENTITY, host_key=key, deadline=within(seconds)) as connection:
            yield connection


def login_failure(host: FakeHost, seconds: float = 5) -> HostError:
    with pytest.raises(HostError) as caught, connected(host, seconds):
        pass
    return caught.value


# Before the identification


def test_a_closed_port() -> None:
    assert isinstance(failure_of(free_port()), ConnectionRefused)


def test_a_name_that_does_not_exist() -> None:
    for name in ("no-such-host.invalid", "a" * 70, "x..y", ""):
        assert isinstance(failure_of(22, 15, name), NameNotResolved)


def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(host: str, port: int, flags: int) -> list[dialing.Resolved]:
        if flags == socket.AI_NUMERICHOST:
            raise socket.gaierror
        release.wait(10)
        return []

    monkeypatch.setattr(dialing, "_getaddrinfo", hang)
    error = failure_of(22, 0.4, "slow.example")
    release.set()
    assert isinstance(error, NameNotResolved)
    assert "in time" in str(error.params["reason"])


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES])
def test_no_route(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(socket.socket, "connect_ex", lambda _self, _address: code)
    assert isinstance(failure_of(22), NoRoute)


@contextlib.contextmanager
def unanswering_port() -> Iterator[int]:
    """A port whose full queue makes the kernel drop every further connection request."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


def test_a_port_that_drops_every_packet() -> None:
    with unanswering_port() as port:
        error = failure_of(port, 0.5)
        assert isinstance(error, TimedOut)
        assert error.phase == "connect"
        started = time.monotonic()
        with pytest.raises(TimedOut):
            ssh.scan_host_key(ssh.Endpoint("127.0.0.1", port), deadline=within(20), connect_timeout_s=0.4)
        assert time.monotonic() - started < 2


def test_the_next_address_is_tried_while_the_first_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost()
    with unanswering_port() as silent, fake_host(host) as port:
        addresses: list[dialing.Resolved] = [
            (socket.AF_INET, ("127.0.0.1", free_port())),
            (socket.AF_INET, ("127.0.0.1", silent)),
            (socket.AF_INET, ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(dialing, "_getaddrinfo", lambda _host, _port, _flags: addresses)
        started = time.monotonic()
        seen = ssh.scan_host_key(ssh.Endpoint("several.example"), deadline=within())
        assert time.monotonic() - started < 2
    assert seen == ssh.HostKey.parse(host.host_key_line)


def test_no_identification() -> None:
    error = failure_of_raw(lambda sock: time.sleep(3), 0.5)
    assert isinstance(error, TimedOut)
    assert error.phase == "banner"


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\xff\xfe\x80garbage\r\n" * 3,
        b"SSH-",
        b"SSH-2.0\r\n",
        b"\x1b[31mred\x1b[0m\r\n",
        b"{}",
        b"",
    ],
)
def test_garbage_instead_of_an_identification(text: bytes) -> None:
    def handler(sock: socket.socket) -> None:
        sock.sendall(text)

    error = failure_of_raw(handler)
    assert isinstance(error, ConnectionLost)
    assert error.message.isprintable()


def test_what_the_host_says_before_it_hangs_up_is_shown() -> None:
    error = failure_of_raw(lambda sock: sock.sendall(b"Not allowed at this time\r\n"))
    assert "Not allowed at this time" in str(error)


def test_an_old_protocol() -> None:
    def handler(sock: socket.socket) -> None:
        sock.sendall(b"SSH-1.5-Ancient\r\n")
        sock.recv(1000)

    assert isinstance(failure_of_raw(handler), NoCommonAlgorithm)


@pytest.mark.parametrize("piece", [b"wait\r\n" * 100, b"x" * 4096, b"a line\r\n"])
def test_endless_text_before_the_identification(piece: bytes) -> None:
    def handler(sock: socket.socket) -> None:
        while True:
            sock.sendall(piece)

    assert isinstance(failure_of_raw(handler), ConnectionLost)


def test_slow_endless_text_before_the_identification_ends_at_the_deadline() -> None:
    def handler(sock: socket.socket) -> None:
        for _ in range(40):
            sock.sendall(b"please wait\r\n")
            time.sleep(0.1)

    error = failure_of_raw(handler, 0.8)
    assert isinstance(error, TimedOut)
    assert error.phase == "banner"


# During the key exchange


def test_the_host_hangs_up_during_the_key_exchange() -> None:
    def handler(sock: socket.socket) -> None:
        sock.sendall(BANNER)
        sock.recv(200)

    assert isinstance(failure_of_raw(handler), ConnectionLost)


def test_the_host_falls_silent_during_the_key_exchange() -> None:
    def handler(sock: socket.socket) -> None:
        sock.sendall(BANNER)
        time.sleep(4)

    error = failure_of_raw(handler, 0.5)
    assert isinstance(error, TimedOut)
    assert error.phase == "key_exchange"
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


@pytest.mark.parametrize(
    "noise",
    [b"\xff" * 9000, b"\x00\x00\x00\x0c\x0a\x14" + b"\x00" * 4, b"\x00\x00\x00\x0c\x0a\x63" + b"\x07" * 40],
    ids=["absurd", "cut", "unknown message"],
)
def test_noise_instead_of_a_key_exchange(noise: bytes) -> None:
    def handler(sock: socket.socket) -> None:
        sock.sendall(BANNER + noise)
        time.sleep(0.5)

    assert isinstance(failure_of_raw(handler, 2), ConnectionLost | TimedOut)


def test_a_packet_of_absurd_size_is_not_buffered() -> None:
    def handler(sock: socket.socket) -> None:
        sock.sendall(BANNER + b"\x7f\xff\xff\xf4")
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"\0" * 65536)

    started = time.monotonic()
    assert isinstance(failure_of_raw(handler, 5), ConnectionLost)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("kex", ["diffie-hellman-group14-sha256"]),
        ("ciphers", ["aes256-cbc"]),
        ("digests", ["hmac-sha1"]),
    ],
)
def test_no_common_algorithm(kind: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(transport: paramiko.Transport) -> None:
        if kind == "digests":  # a cipher that needs a separate digest
            transport.get_security_options().ciphers = ["aes128-ctr"]
        setattr(transport.get_security_options(), kind, names)

    if kind == "kex":
        monkeypatch.setattr("nodes.hosts.ssh.transport.QuietTransport._preferred_kex", ("ecdh-sha2-nistp256",))
    error = login_failure(FakeHost(prepare=prepare))
    assert isinstance(error, NoCommonAlgorithm)
    assert "acceptable" in str(error.params["reason"])


# During the login


def test_a_denied_login() -> None:
    host = FakeHost(auth_result=AUTH_FAILED)
    assert isinstance(login_failure(host), AuthenticationFailed)
    assert host.auth_attempts == 1


def test_a_login_that_demands_more() -> None:
    error = login_failure(FakeHost(auth_result=AUTH_PARTIALLY_SUCCESSFUL, allowed_auths="keyboard-interactive"))
    assert isinstance(error, AuthenticationFailed)
    assert "keyboard-interactive" in str(error)


def test_a_host_that_takes_only_passwords() -> None:
    error = login_failure(FakeHost(auth_result=AUTH_FAILED, allowed_auths="password"))
    assert isinstance(error, AuthenticationFailed)
    assert "only password" in str(error)


def test_a_login_without_an_answer() -> None:
    error = login_failure(FakeHost(auth_delay_s=2), 0.7)
    assert isinstance(error, TimedOut)
    assert error.phase == "auth"


@pytest.mark.parametrize(
    ("said", "kind"), [("Too many authentication failures", AuthenticationFailed), ("Going down", ConnectionLost)]
)
def test_a_host_that_disconnects_during_the_login(said: str, kind: type[HostError]) -> None:
    host = FakeHost()

    def disconnect(username: str, key: paramiko.PKey) -> int:
        message = Message()
        message.add_byte(cMSG_DISCONNECT)
        message.add_int(2)
        message.add_string(said)
        message.add_string("en")
        host.transports[0]._send_message(message)  # type: ignore[attr-defined]  # missing in the stubs
        time.sleep(0.2)
        host.transports[0].close()
        return AUTH_FAILED

    host.check_auth_publickey = disconnect  # type: ignore[method-assign]
    error = login_failure(host)
    assert isinstance(error, kind)
    assert said in str(error)


# During the command


def say(channel: paramiko.Channel, text: bytes = b"done\n", status: int | None = 0) -> None:
    channel.sendall(text)
    if status is not None:
        channel.send_exit_status(status)


def test_a_channel_that_is_refused() -> None:
    host = FakeHost(open_result=OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED)
    with connected(host) as connection, pytest.raises(ChannelRefused):
        connection.run(["true"], deadline=within())


def test_a_channel_that_never_opens() -> None:
    with connected(FakeHost(open_delay_s=2)) as connection, pytest.raises(TimedOut) as caught:
        connection.run(["true"], deadline=within(0.5))
    assert caught.value.phase == "channel"


def test_a_command_that_is_refused() -> None:
    with connected(FakeHost(accept_exec=False)) as connection, pytest.raises(ChannelRefused):
        connection.run(["true"], deadline=within())


def test_no_terminal_is_requested() -> None:
    def play(channel: paramiko.Channel, _command: str) -> None:
        say(channel)
        channel.close()

    host = FakeHost(play=play)
    with connected(host) as connection:
        assert connection.run(["echo", "a b"], deadline=within()).stdout == b"done\n"
    assert host.commands == ["echo 'a b'"]
    assert host.pty_requests == 0


def test_a_channel_that_is_never_closed() -> None:
    with connected(FakeHost(play=lambda channel, _command: say(channel))) as connection:
        started = time.monotonic()
        result = connection.run(["true"], deadline=within())
        assert (result.exit_status, result.stdout) == (0, b"done\n")
        assert time.monotonic() - started < 4


def test_a_status_without_the_end_of_the_channel_after_the_end_of_the_output() -> None:
    def play(channel: paramiko.Channel, _command: str) -> None:
        channel.sendall(b"done\n")
        channel.shutdown_write()
        time.sleep(0.2)
        channel.send_exit_status(4)

    with connected(FakeHost(play=play)) as connection:
        assert connection.run(["true"], deadline=within()).exit_status == 4


def close_without_status(channel: paramiko.Channel, _command: str) -> None:
    channel.sendall(b"half")
    channel.close()


def test_a_missing_exit_status() -> None:
    with connected(FakeHost(play=close_without_status)) as connection:
        with pytest.raises(ConnectionLost):
            connection.run(["true"], deadline=within())
        result = connection.run(["reboot"], deadline=within(), expect_disconnect=True)
        assert (result.exit_status, result.stdout) == (None, b"half")


def test_only_the_end_of_the_output_and_then_silence() -> None:
    host = FakeHost(play=lambda channel, _command: channel.shutdown_write())
    with connected(host) as connection, pytest.raises(TimedOut) as caught:
        connection.run(["true"], deadline=within(0.5))
    assert caught.value.phase == "command"


def test_a_flood_on_the_error_stream() -> None:
    def flood(channel: paramiko.Channel, _command: str) -> None:
        while True:
            channel.sendall_stderr(b"x" * 30_000)

    with connected(FakeHost(play=flood)) as connection, pytest.raises(OutputTooLarge):
        connection.run(["true"], deadline=within(), max_bytes=1_000_000)


def test_an_input_that_is_never_read() -> None:
    def prepare(transport: paramiko.Transport) -> None:
        transport.default_window_size = 65536

    with connected(FakeHost(prepare=prepare)) as connection, pytest.raises(TimedOut):
        connection.run(["true"], stdin=b"x" * 1_000_000, deadline=within(0.7))


def test_a_host_that_stops_reading_from_the_network() -> None:
    """The write itself blocks then; the deadline must hold all the same."""
    host = FakeHost()
    taken: list[socket.socket] = []

    def handler(sock: socket.socket) -> None:
        taken.append(sock)
        host.serve(sock)

    def freeze(channel: paramiko.Channel, _command: str) -> None:
        transport = channel.get_transport()
        transport._parse_global_request = lambda _m: time.sleep(4)  # type: ignore[attr-defined]
        transport._channel_handler_table = {94: lambda _c, _m: time.sleep(3)}  # type: ignore[attr-defined]

    host.play = freeze
    with raw_server(handler) as port:
        endpoint, key = ssh.Endpoint("127.0.0.1", port), ssh.HostKey.parse(host.host_key_line)
        with ssh.connect(endpoint, IDENTITY, host_key=key, deadline=within()) as connection:
            buffer = connection._transports[0].stream
            assert isinstance(buffer, socket.socket)
            buffer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            taken[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            started = time.monotonic()
            with pytest.raises(TimedOut):
                connection.run(["true"], stdin=b"x" * 2_000_000, deadline=within(1))
            assert time.monotonic() - started < 2.5
        for transport in host.transports:
            transport.close()


def test_a_host_that_goes_away_under_the_command() -> None:
    def vanish(channel: paramiko.Channel, _command: str) -> None:
        channel.sendall(b"bye")
        channel.get_transport().close()

    with connected(FakeHost(play=vanish)) as connection, pytest.raises(ConnectionLost):
        connection.run(["reboot"], deadline=within())
    with connected(FakeHost(play=vanish)) as connection:
        assert connection.run(["reboot"], deadline=within(), expect_disconnect=True).exit_status is None


def test_a_jump_host_that_never_forwards() -> None:
    hop = FakeHost()
    hop.check_channel_direct_tcpip_request = lambda *_args: time.sleep(2) or 0  # type: ignore[method-assign,func-returns-value]
    with fake_host(hop) as port:
        jump = ssh.Hop(ssh.Endpoint("127.0.0.1", port), IDENTITY, ssh.HostKey.parse(hop.host_key_line))
        target = ssh.Endpoint("10.0.0.1")
        with pytest.raises(TimedOut) as caught:
            ssh.connect(target, IDENTITY, host_key=OTHER_KEY, deadline=within(0.7), jumps=[jump])
        assert caught.value.phase == "jump"
        refused = ssh.Hop(ssh.Endpoint("127.0.0.1", free_port()), IDENTITY, OTHER_KEY)
        with pytest.raises(JumpFailed) as failed:
            ssh.connect(target, IDENTITY, host_key=OTHER_KEY, deadline=within(), jumps=[refused])
        assert isinstance(failed.value.inner, ConnectionRefused)


def test_a_target_that_falls_silent_behind_a_jump_host() -> None:
    hop = FakeHost()
    hop.check_channel_direct_tcpip_request = lambda *_args: 0  # type: ignore[method-assign]
    with fake_host(hop) as port:
        jump = ssh.Hop(ssh.Endpoint("127.0.0.1", port), IDENTITY, ssh.HostKey.parse(hop.host_key_line))
        started = time.monotonic()
        with pytest.raises(TimedOut) as caught:
            ssh.scan_host_key(ssh.Endpoint("10.0.0.1"), deadline=within(0.8), jumps=[jump])
        assert caught.value.phase == "banner"
        assert time.monotonic() - started < 2


def test_many_failures_leave_nothing_behind() -> None:
    actions: list[Callable[[socket.socket], None]] = [
        lambda sock: sock.sendall(b"nonsense\r\n"),
        lambda sock: sock.sendall(BANNER),
        lambda sock: None,
    ]
    before_threads = threading.active_count()
    before_files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # only the count matters
    for action in actions * 5:
        failure_of_raw(action, 2)
    assert threading.active_count() <= before_threads
    assert len(os.listdir("/proc/self/fd")) <= before_files + 1  # noqa: PTH208


def test_paramiko_keeps_silent_even_for_a_root_logger_that_wants_everything(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        failure_of_raw(lambda sock: sock.sendall(b"\xff\xfe\r\n"))
    assert caplog.text == ""
