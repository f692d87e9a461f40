"""Handshakes with real servers on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodes.hosts.ssh import Deadline
from nodes.hosts.tls import EndpointError, served_chain
from nodes.tests.certificates.making import Made, ca, make


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that talks with one client."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                client, _ = server.accept()
                with client:
                    client.settimeout(5)
                    talk(client)
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def tls_server(folder: Path, *chain: Made, wants_client: bool = False, version: int = 0) -> ssl.SSLContext:
    (folder / "chain.pem").write_bytes(b"".join(one.pem for one in chain))
    (folder / "key.pem").write_bytes(chain[0].key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    if version:
        context.maximum_version = ssl.TLSVersion(version)
    if wants_client:
        context.load_verify_locations(folder / "chain.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize(
    ("wants_client", "version"),
    [(False, 0), (False, ssl.TLSVersion.TLSv1_2), (True, 0), (True, ssl.TLSVersion.TLSv1_2)],
)
def test_the_whole_chain_that_is_served(tmp_path: Path, wants_client: bool, version: int) -> None:
    root = ca()
    made = make("web", issuer=root, names=("localhost",))
    context = tls_server(tmp_path, made, root, wants_client=wants_client, version=version)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    def talk(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as tls:
            tls.recv(1)

    with listening(talk) as port:
        assert served_chain("127.0.0.1", port, "web.example.org", Deadline.after(5)) == [made.der, root.der]
    assert asked == ["web.example.org"]


def test_what_is_no_tls_is_said(tmp_path: Path) -> None:
    with listening(lambda client: client.sendall(b"220 mail.example.org ESMTP\r\n")) as port:
        with pytest.raises(EndpointError) as caught:
            served_chain("127.0.0.1", port, "", Deadline.after(5))
        assert caught.value.kind == "not_tls"
    with listening(lambda client: client.close()) as port, pytest.raises(EndpointError) as caught:
        served_chain("127.0.0.1", port, "", Deadline.after(5))
    assert caught.value.kind in ("not_tls", "connection_lost")


def test_one_that_says_nothing_or_dribbles_is_given_up_in_time() -> None:
    def dribble(client: socket.socket) -> None:
        client.sendall(b"\x16\x03\x03\x20\x00")
        for _ in range(40):
            client.sendall(b"\x00")
            time.sleep(0.05)

    for talk in (lambda client: time.sleep(1), dribble):
        with listening(talk) as port:
            began = time.monotonic()
            with pytest.raises(EndpointError) as caught:
                served_chain("127.0.0.1", port, "", Deadline.after(0.4))
            assert caught.value.kind in ("timed_out", "not_tls")
            assert time.monotonic() - began < 1


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EndpointError) as caught:
        served_chain("127.0.0.1", port, "", Deadline.after(2))
    assert caught.value.kind == "refused"
