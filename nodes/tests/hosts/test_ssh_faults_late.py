"""Servers that misbehave from the login on. Each contact must end in time, with an error that says what to do, and quietly."""

from __future__ import annotations

import socket
import time

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
from nodes.hosts.errors import (
    AuthenticationFailed,
    ChannelRefused,
    ConnectionLost,
    ConnectionRefused,
    HostError,
    JumpFailed,
    OutputTooLarge,
    TimedOut,
)
from nodes.tests.hosts.ssh_contacts import (
    IDENTITY,
    OTHER_KEY,
    connected,
    login_failure,
    quiet_and_without_threads,
    within,
)
from tests.sshd import FakeHost, fake_host, free_port, raw_server

_quiet = pytest.fixture(autouse=True)(quiet_and_without_threads)


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
