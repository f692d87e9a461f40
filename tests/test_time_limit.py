"""Servers that send a byte now and then hold nobody, wherever in the exchange they do it."""

from __future__ import annotations

import socket
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from django.test import override_settings
from urllib3.exceptions import ProtocolError

from fleetui.audit.sinks import Syslog
from fleetui.core import posting
from fleetui.core.limited_http import PlainPool
from fleetui.core.posting import NotSent, post
from fleetui.core.time_limit import TimeLimit
from fleetui.notify import receivers
from fleetui.notify.formats import Item, Message
from fleetui.notify.sender import LEASE
from nodes.hosts.references import Reference
from ops import registry
from ops.kubernetes import Access, ClusterError, transport
from tests.kubeapi import make_certificates

LIMIT_S = 0.3
LONG_S = 5.0
HEADERS, BODY = b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"


@contextmanager
def dripping(first: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that says `first` to everybody and then a byte every 10 ms, for ever."""
    done = threading.Event()

    def drip(plain: socket.socket) -> None:
        with plain, suppress(OSError), tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
            try:
                connection.sendall(first)
                while not done.wait(0.01):
                    connection.sendall(b"x")
            except OSError:
                return

    def serve() -> None:
        while not done.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            thread.join()


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    began_s = monotonic()
    yield
    assert monotonic() - began_s < LONG_S


def test_headers_without_an_end_are_not_waited_for() -> None:
    with dripping(HEADERS) as port, pytest.raises(NotSent, match=r"It had not answered after 0.3 s\."):
        post(f"http://127.0.0.1:{port}/", b"", {}, longest_s=LIMIT_S)


def test_a_body_without_an_end_takes_nothing_from_the_status_that_came() -> None:
    with dripping(BODY) as port:
        answer = post(f"http://127.0.0.1:{port}/", b"", {}, longest_s=LIMIT_S)
    assert answer.status == 200


def test_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LONGEST_S", LIMIT_S)
    with dripping(HEADERS) as port, override_settings(PLAIN_REGISTRIES=[f"127.0.0.1:{port}"]):
        found = registry.ask(Reference(f"127.0.0.1:{port}/app", "v1"))
    assert (found.state, found.said) == ("unknown", "it took too long to answer")


@pytest.mark.parametrize("first", [HEADERS, BODY])
def test_a_cluster_over_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: bytes) -> None:
    monkeypatch.setattr(transport, "ANSWER_S", LIMIT_S)
    made, tls = make_certificates(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "server.pem").write_text(made.server)
    tls.load_cert_chain(tmp_path / "server.pem")
    with dripping(first, tls) as port:
        cluster = transport.HttpsTransport(Access(f"https://127.0.0.1:{port}", ca=made.ca))
        with pytest.raises(ClusterError, match="timed_out"):
            cluster.send("GET", "/version")
        cluster.close()


def test_a_mail_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "LONGEST_MAIL_S", LIMIT_S)
    item = Item("It is down.", "/", "node:a", None, {}, "warning", datetime.now(UTC))
    message = Message(uuid.uuid4(), "test", [item], "")
    with dripping(b"220-") as port:
        place = {"host": "127.0.0.1", "port": port, "security": "none", "username": ""}
        settings = {**place, "sender": "a@b.example", "recipients": ["c@d.example"]}
        with pytest.raises(NotSent, match=r"not answered after 0.3 s"):
            receivers.send("email", settings, {}, message)


def test_a_receiver_of_syslog(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had its events before; what it says afterwards is of no interest."""
    monkeypatch.setattr("fleetui.audit.sinks.LONGEST_S", LIMIT_S)
    with dripping(b"") as port:
        Syslog(f"tcp://127.0.0.1:{port}").send([{"seq": 1, "at": "2026-01-01T00:00:00Z", "action": "a"}])


def test_a_pool_of_urllib3_and_a_limit_that_is_used_again() -> None:
    with TimeLimit(LIMIT_S) as limit, dripping(HEADERS) as port, PlainPool("127.0.0.1", port, limit=limit) as pool:
        # Headers that were cut read as whole ones; a byte that comes after the cut ends the reading of the body with an error instead.
        with suppress(ProtocolError):
            assert pool.urlopen("GET", "/", retries=False).status == 200
        with pytest.raises(TimeoutError):
            limit.check()
    with limit:
        limit.check()


def test_a_name_with_many_silent_addresses_is_tried_until_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """192.0.2.0/24 is nobody's."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (f"192.0.2.{number}", 9)) for number in range(1, 100)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
    with pytest.raises(OSError, match=r"."), TimeLimit(LIMIT_S) as limit:
        limit.connect(("many.example", 9), LIMIT_S)


def test_what_is_over_before_it_is_watched_is_cut_at_once() -> None:
    one, other = socket.socketpair()
    with one, other:
        limit = TimeLimit(0.01)
        with limit:
            threading.Event().wait(0.05)
            limit.watch(one)
        assert other.recv(1) == b""


def test_the_limits_are_below_the_lease_of_a_delivery() -> None:
    assert max(posting.LONGEST_S, receivers.LONGEST_MAIL_S) < LEASE.total_seconds()
