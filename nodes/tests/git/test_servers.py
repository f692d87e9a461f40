"""Servers that are not as they should be: what is said of each, and what is not said to them."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from fleetui.core.posting import NotSent, post, refuse_link_local
from nodes.git.address import Allowed, parse
from nodes.git.errors import GitProblem
from nodes.git.fetch import fetch
from nodes.git.history import info_of
from nodes.git.limits import DEFAULT
from nodes.git.meter import Meter
from nodes.git.mirror import Mirror
from nodes.git.people import Arrivals
from nodes.tests.certificates.making import Made, ca, make
from nodes.tests.git.repositories import GOOD, make_work
from nodes.wording.git import sentence_of


@contextmanager
def answering(
    *, tls: ssl.SSLContext | None = None, status: int = 404, headers: dict[str, str] | None = None, body: bytes = b""
) -> Iterator[str]:
    """A server that says the same to everybody; its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serving(folder: Path, *chain: Made) -> ssl.SSLContext:
    (folder / "chain.pem").write_bytes(b"".join(one.pem for one in chain))
    (folder / "key.pem").write_bytes(chain[0].key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return context


def problem_at(base: str, folder: Path) -> GitProblem:
    with pytest.raises(GitProblem) as problem:
        fetch(parse(f"{base}/bare.git", Allowed(http_hosts=frozenset({"127.0.0.1"}))), "main", folder / "mirror")
    return problem.value


@pytest.mark.parametrize(
    ("names", "age_days", "is_known", "said"),
    [
        (("127.0.0.1",), 1, True, "not_found"),
        (("127.0.0.1",), 90, True, "certificate_over"),
        (("git.example.org",), 1, True, "certificate_name"),
        (("127.0.0.1",), 1, False, "certificate"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], age_days: int, is_known: bool, said: str
) -> None:
    now = datetime.now(UTC)
    root, other = ca(begins=now - timedelta(days=100)), ca("another CA")
    began = now - timedelta(days=age_days)
    made = make("git", issuer=root, names=names, begins=began, ends=began + timedelta(days=30))
    (tmp_path / "trusted.pem").write_bytes((root if is_known else other).pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    with answering(tls=serving(tmp_path, made, root)) as base:
        problem = problem_at(base, tmp_path)
    assert problem.reason == said
    assert "%(" not in sentence_of(problem.kind, problem.reason, problem.params)


def test_not_even_tls_is_begun_with_a_link_local_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test host has such an address: the one of loopback stands for it."""

    def refuse(peer: str) -> None:
        refuse_link_local("169.254.169.254" if peer == "127.0.0.1" else peer)

    for module in ("fleetui.core.posting", "fleetui.core.limited_http"):
        monkeypatch.setattr(f"{module}.refuse_link_local", refuse)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(2):
                client, _peer = listening.accept()
                with client:
                    client.settimeout(5)
                    heard.append(client.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        base = f"https://127.0.0.1:{listening.getsockname()[1]}"
        assert problem_at(base, tmp_path).reason == "link_local"
        with pytest.raises(NotSent, match="link-local"):
            post(f"{base}/hook", b"{}", {})
        thread.join(10)
    assert heard == [b"", b""]


def test_an_answer_that_ends_within_a_line_broke_off_and_is_not_called_hostile(tmp_path: Path) -> None:
    headers = {"Content-Type": "application/x-git-upload-pack-advertisement"}
    with answering(status=200, headers=headers, body=b"001e# service=git-upload-pack\n0000003fcafe") as base:
        problem = problem_at(base, tmp_path)
    assert (problem.kind, problem.reason) == ("unreachable", "broke_off")
    assert problem.received == 42, "what came is counted, for the list of looks"


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("http://user:secret@git.example.org:8080/x?token=1", "http://git.example.org:8080"),
        ("file:///etc/passwd", "file://"),
    ],
)
def test_it_is_said_where_a_redirect_leads_without_what_it_holds(tmp_path: Path, location: str, place: str) -> None:
    with answering(status=302, headers={"Location": location}) as base:
        problem = problem_at(base, tmp_path)
    assert sentence_of(problem.kind, problem.reason, problem.params) == f"The server leads elsewhere: {place}."


def test_many_commits_at_once_are_not_gone_through_again_for_each() -> None:
    class Line:
        """As many commits as a history may have, one after the other."""

        limits = DEFAULT

        def parents(self, sha: str) -> list[str]:
            return [str(int(sha) - 1)] if sha != "0" else []

    gathered = Arrivals(cast("Mirror", Line()), "0")
    began = time.process_time()
    for number in range(1, 50_001):
        gathered.add(str(number))
    assert time.process_time() - began < 2
    assert len(gathered.taken("50000")) == 49_999


@pytest.mark.parametrize(
    ("encoding", "written", "read"),
    [
        ("ISO-8859-1", "Größe", "Größe"),
        ("TIS-620", "สวัสดี", "สวัสดี"),
        # Text for Python alone, and none: neither is taken for what it says.
        ("unicode_escape", "a\\u0041", "a\\u0041"),
        ("zlib", "text", "text"),
    ],
)
def test_a_commit_may_be_written_in_an_encoding_that_it_names(
    tmp_path: Path, encoding: str, written: str, read: str
) -> None:
    work = make_work(tmp_path)
    work.commit("first", host_bu=GOOD)
    raw = written.encode({"unicode_escape": "ascii", "zlib": "ascii"}.get(encoding, encoding))
    tree = work.git("rev-parse", "HEAD^{tree}")
    person = b" <a@example.org> 1790000000 +0000\n"
    commit = b"tree %s\nauthor %s%scommitter %s%sencoding %s\n\n%s\n" % (
        *(tree.encode(), raw, person, raw, person),
        *(encoding.encode(), raw),
    )
    sha = work.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=commit)
    work.git("push", "-q", "origin", f"{sha}:refs/heads/main")
    address = parse(str(work.bare), Allowed(local_root=tmp_path))
    assert fetch(address, "main", tmp_path / "mirror").head == sha
    mirror = Mirror(tmp_path / "mirror", DEFAULT)
    found = info_of(mirror, sha)
    mirror.close()
    assert (found.message, found.author) == (read, f"{read} <a@example.org>")


@pytest.mark.parametrize("place", ["write", "take"])
def test_a_full_disk_is_told_as_such_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    work = make_work(tmp_path)
    head = work.commit(host_bu=GOOD)
    work.push()
    address = parse(str(work.bare), Allowed(local_root=tmp_path))

    def full(*_given: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        if place == "write":
            patched.setattr(Meter, "count", full)
        else:
            patched.setattr("nodes.git.mirror.shutil.copyfileobj", full)
        with pytest.raises(GitProblem) as problem:
            fetch(address, "main", tmp_path / "mirror")
    assert (problem.value.kind, problem.value.reason) == ("failed", "no_room")
    assert [one for one in (tmp_path / "mirror").rglob("*") if one.is_file()] == []
    assert fetch(address, "main", tmp_path / "mirror").head == head
