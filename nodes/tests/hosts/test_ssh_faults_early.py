"""Servers that misbehave before the login. Each contact must end in time, with an error that says what to do, and quietly."""

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

import nodes.hosts.ssh as ssh
import nodes.hosts.ssh.dial as dialing
from nodes import wording
from nodes.hosts.errors import (
    ConnectionLost,
    ConnectionRefused,
    NameNotResolved,
    NoCommonAlgorithm,
    NoRoute,
    TimedOut,
)
from nodes.tests.hosts.ssh_contacts import (
    BANNER,
    failure_of,
    failure_of_raw,
    login_failure,
    quiet_and_without_threads,
    within,
)
from tests.sshd import FakeHost, fake_host, free_port

_quiet = pytest.fixture(autouse=True)(quiet_and_without_threads)


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


@pytest.mark.parametrize(
    "text", [b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", b"<!DOCTYPE HTML>\n<html>\n</html>\n"]
)
def test_the_port_of_a_web_server_is_told_as_that(text: bytes) -> None:
    error = failure_of_raw(lambda sock: sock.sendall(text))
    assert "the port does not speak SSH" in error.message
    assert (
        wording.error_mend(error.kind, error.params)
        == error.what_to_do
        == "Check that the port belongs to an SSH server."
    )


def test_a_host_that_turns_away_may_be_the_wrong_port() -> None:
    error = failure_of_raw(lambda sock: None)
    assert wording.error_mend(error.kind, error.params) == error.what_to_do
    assert "MaxStartups" in error.what_to_do


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

    before = timers()
    error = failure_of_raw(handler, 0.5)
    assert isinstance(error, TimedOut)
    assert error.phase == "key_exchange"
    assert timers() <= before


def timers() -> set[threading.Thread]:
    """Timer threads; those of other tests' servers may still run out."""
    return {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)}


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


# After many of them


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
