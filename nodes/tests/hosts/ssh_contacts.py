"""Shared by the tests of servers that misbehave: contacts that fail, and what must hold after each of them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

import nodes.hosts.ssh as ssh
from nodes.hosts.errors import (
    HostError,
)
from tests.sshd import FakeHost, RawHandler, fake_host, raw_server

IDENTITY = ssh.generate_identity("faults")[1]
OTHER_KEY = ssh.HostKey.parse(ssh.generate_identity()[1].public_line)
BANNER = b"SSH-2.0-Test_1\r\n"


def within(seconds: float = 5) -> ssh.Deadline:
    return ssh.Deadline.after(seconds)


def quiet_and_without_threads(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    # They end when they next look, which on a busy machine is not at once.
    for thread in threading.enumerate():
        if thread.name == "ssh-transport":
            thread.join(60)
            assert not thread.is_alive()
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
