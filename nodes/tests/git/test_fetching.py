"""Real repositories over HTTP, SSH and from a folder into a mirror, and what is read of them."""

from __future__ import annotations

import socket
import struct
import threading
import zlib
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest

from fleetui.core.posting import refuse_link_local
from nodes.git.address import Address, Allowed, parse
from nodes.git.errors import GitProblem
from nodes.git.fetch import SignIn, fetch, look
from nodes.git.history import info_of, new_commits
from nodes.git.limits import DEFAULT
from nodes.git.mirror import Mirror
from nodes.git.packs import look_over
from nodes.git.reading import Wanted, key_of, read
from nodes.hosts.ssh import HostKey, generate_identity
from nodes.tests.git.repositories import GOOD, Work, http_server, make_work
from tests.sshd import real_sshd


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


def _local(work: Work) -> Address:
    return Address("file", "", None, "", str(work.bare))


def _http(base: str) -> Address:
    return parse(f"{base}/bare.git", Allowed(http_hosts=frozenset({"127.0.0.1"})))


def _refused(problem: pytest.ExceptionInfo[GitProblem]) -> str:
    return f"{problem.value.kind}.{problem.value.reason}"


def test_a_branch_comes_over_http_and_only_what_is_new(work: Work, tmp_path: Path) -> None:
    first = work.commit("first", host_bu=GOOD)
    work.push()
    folder = tmp_path / "mirror"
    with http_server(tmp_path) as base:
        found = fetch(_http(base), "main", folder)
        assert found.head == first
        second = work.commit("second", files__motd="hello")
        work.push()
        assert fetch(_http(base), "main", folder).head == second
        again = fetch(_http(base), "main", folder)
        assert look(_http(base), "main").names == ("main",)
    assert again.head == second
    mirror = Mirror(folder, DEFAULT)
    assert new_commits(mirror, first, second) == [second]
    content = read(mirror, second, Wanted("host.bu", "files"))
    assert content.source == GOOD.encode()
    assert content.files == {"motd": (b"hello", False)}
    assert info_of(mirror, first).author == "Anna Example <anna@example.org>"


def test_the_sign_in_is_sent_and_a_wrong_one_is_refused(work: Work, tmp_path: Path) -> None:
    work.commit(host_bu=GOOD)
    work.push()
    with http_server(tmp_path, password="s3cret") as base:
        assert fetch(_http(base), "main", tmp_path / "m", SignIn("x", "s3cret")).head
        with pytest.raises(GitProblem) as problem:
            fetch(_http(base), "main", tmp_path / "m", SignIn("x", "wrong"))
        assert _refused(problem) == "refused.sign_in"
        assert "wrong" not in str(problem.value.params)


def test_a_branch_comes_over_ssh_with_a_deploy_key_from_a_known_host(work: Work, tmp_path: Path) -> None:
    head = work.commit(host_bu=GOOD)
    work.push()
    _, identity = generate_identity("deploy")
    _, other = generate_identity("other")
    with real_sshd([identity.public_line]) as sshd:
        there = Address("ssh", sshd.address, sshd.port, sshd.username, str(work.bare))
        key = HostKey.parse(sshd.host_key_lines["ed25519"])
        good = SignIn(identity=identity, host_key=key)
        assert fetch(there, "main", tmp_path / "m", good).head == head
        for sign_in, said in (
            (replace(good, host_key=None), "host_key.unknown"),
            (replace(good, host_key=HostKey.parse(other.public_line)), "host_key.changed"),
            (replace(good, identity=other), "refused.key"),
        ):
            with pytest.raises(GitProblem) as problem:
                fetch(there, "main", tmp_path / "m", sign_in)
            assert _refused(problem) == said
        with pytest.raises(GitProblem) as problem:
            fetch(replace(there, path="/none.git"), "main", tmp_path / "m", good)
        assert _refused(problem) == "refused.not_found"


def test_merges_are_one_step_and_rewritten_history_is_told(work: Work, tmp_path: Path) -> None:
    first = work.commit("first", host_bu=GOOD)
    work.git("checkout", "-q", "-b", "side")
    side = work.commit("side", other_txt="1")
    work.git("checkout", "-q", "main")
    second = work.commit("second", more_txt="1")
    work.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    merge = work.git("rev-parse", "HEAD")
    work.push()
    fetch(_local(work), "main", tmp_path / "m")
    mirror = Mirror(tmp_path / "m", DEFAULT)
    assert new_commits(mirror, "", merge) == [merge]
    assert new_commits(mirror, first, merge) == [second, merge]
    # Seen on the side branch: it still leads to the head.
    assert new_commits(mirror, side, merge) == [second, merge]
    work.git("reset", "-q", "--hard", first)
    other = work.commit("other", host_bu=GOOD + "# x\n")
    work.push("--force")
    assert fetch(_local(work), "main", tmp_path / "m").head == other
    mirror = Mirror(tmp_path / "m", DEFAULT)
    assert new_commits(mirror, merge, other) is None
    # The branch went back.
    assert new_commits(mirror, merge, first) is None


def test_what_is_gone_is_told(work: Work, tmp_path: Path) -> None:
    head = work.commit(host_bu=GOOD)
    work.push()
    with pytest.raises(GitProblem) as problem:
        fetch(_local(work), "trunk", tmp_path / "m")
    assert _refused(problem) == "no_branch.gone"
    fetch(_local(work), "main", tmp_path / "m")
    mirror = Mirror(tmp_path / "m", DEFAULT)
    assert key_of(mirror, head, Wanted("none.bu")) is None
    with pytest.raises(GitProblem) as problem:
        read(mirror, head, Wanted("host.bu/deeper"))
    assert _refused(problem) == "no_file.gone"


def test_links_submodules_and_lfs_are_not_read(work: Work, tmp_path: Path) -> None:
    work.write("host.bu", GOOD)
    work.write("files/real", "1")
    work.write("large.bu", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (work.tree / "link.bu").symlink_to("/etc/passwd")
    (work.tree / "files" / "shadow").symlink_to("/etc/shadow")
    (work.tree / "files" / "run").write_text("#!/bin/sh\n")
    (work.tree / "files" / "run").chmod(0o755)
    work.git("add", "-A")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},files/module")
    work.git("commit", "-q", "-m", "all")
    head = work.git("rev-parse", "HEAD")
    work.push()
    fetch(_local(work), "main", tmp_path / "m")
    mirror = Mirror(tmp_path / "m", DEFAULT)
    assert read(mirror, head, Wanted("host.bu", "files")).files == {
        "real": (b"1", False),
        "run": (b"#!/bin/sh\n", True),
    }
    assert list(read(mirror, head, Wanted("host.bu", "files", "re*")).files) == ["real"]
    for path, said in (
        ("link.bu", "link"),
        ("files", "no_regular"),
        ("files/module", "no_regular"),
        ("large.bu", "lfs"),
    ):
        with pytest.raises(GitProblem) as problem:
            read(mirror, head, Wanted(path))
        assert _refused(problem) == f"no_file.{said}"


def test_names_that_lead_out_of_a_folder_are_hostile(work: Work, tmp_path: Path) -> None:
    blob = work.git("hash-object", "-w", "--stdin", stdin=b"x")
    for name in (b"..", b".git", b"a/b"):
        raw = b"100644 %s\0" % name + bytes.fromhex(blob)
        tree = work.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=raw)
        commit = work.git("commit-tree", tree, "-m", "bad")
        work.git("push", "-q", "--force", "origin", f"{commit}:refs/heads/main")
        folder = tmp_path / f"m{len(name)}{name[:1].hex()}"
        fetch(_local(work), "main", folder)
        with pytest.raises(GitProblem) as problem:
            read(Mirror(folder, DEFAULT), commit, Wanted("host.bu", "."))
        assert _refused(problem) == "hostile.names"


def test_deep_trees_and_many_files_are_too_large(work: Work, tmp_path: Path) -> None:
    deep = "/".join(["d"] * 20)
    work.write("host.bu", GOOD)
    work.write(f"deep/{deep}/x", "1")
    for number in range(12):
        work.write(f"many/{number}", "1")
    head = work.commit("deep")
    work.push()
    fetch(_local(work), "main", tmp_path / "m")
    limits = replace(DEFAULT, files=10)
    for folder, said in (("deep", "depth"), ("many", "file_count")):
        with pytest.raises(GitProblem) as problem:
            read(Mirror(tmp_path / "m", limits), head, Wanted("host.bu", folder))
        assert _refused(problem) == f"too_large.{said}"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (replace(DEFAULT, received_bytes=4096), "received"),
        (replace(DEFAULT, object_bytes=50_000), "object"),
        (replace(DEFAULT, inflated_bytes=50_000), "inflated"),
        (replace(DEFAULT, objects=2), "objects"),
    ],
)
def test_what_is_larger_than_allowed_is_not_taken(work: Work, tmp_path: Path, limits: object, said: str) -> None:
    import random

    work.write("noise", random.Random(1).randbytes(60_000).hex())
    work.commit(host_bu=GOOD)
    work.push()
    with http_server(tmp_path) as base, pytest.raises(GitProblem) as problem:
        fetch(_http(base), "main", tmp_path / "m", limits=limits)  # type: ignore[arg-type]
    assert _refused(problem) == f"too_large.{said}"
    assert Mirror(tmp_path / "m", DEFAULT).head == ""


def _pack(*objects: tuple[int, int, bytes]) -> bytes:
    """A pack of objects: kind, the size that it says, and what it holds."""
    body = b"PACK" + struct.pack(">II", 2, len(objects))
    for kind, size, data in objects:
        head, size = (kind << 4) | (size & 15), size >> 4
        while size:
            body += bytes([head | 0x80])
            head, size = size & 0x7F, size >> 7
        body += bytes([head]) + zlib.compress(data)
    return body + sha1(body).digest()  # as git names packs


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        (_pack((3, 10, b"x" * 1_000_000)), "hostile.bomb"),
        (_pack((3, 10**9, b"x")), "too_large.object"),
        (_pack((3, 5, b"x")), "hostile.pack"),
        (_pack((5, 1, b"x")), "hostile.pack"),
        (_pack((3, 1, b"x"))[:-25] + b"\0" * 25, "hostile.pack"),
        (b"PACK" + struct.pack(">II", 2, 4_000_000_000) + b"\0" * 40, "too_large.objects"),
        (b"nothing", "hostile.pack"),
    ],
)
def test_packs_that_lie_are_found_before_anything_is_made_of_them(tmp_path: Path, pack: bytes, said: str) -> None:
    (tmp_path / "pack").write_bytes(pack)
    with (tmp_path / "pack").open("rb") as file, pytest.raises(GitProblem) as problem:
        look_over(file, DEFAULT, lambda: None)
    assert _refused(problem) == said


_TREE = b"tree " + b"0" * 40 + b"\n"


def _delta(base: bytes, delta: bytes) -> bytes:
    """A pack of the blob `hello world` and of a delta; the id of its base stands between its head and its data."""
    body = _pack((3, 11, b"hello world"), (7, len(delta), delta))[:-20]
    at = body.index(zlib.compress(delta))
    whole = body[:at] + base + body[at:]
    return whole + sha1(whole).digest()


@pytest.mark.parametrize(
    "pack",
    [
        _delta(b"\1" * 20, b"\1\1\1x"),
        _delta(sha1(b"blob 11\0hello world").digest(), b"\x0b\5\1x"),
        _pack((1, 1, b"x")),
        _pack((1, 59, _TREE + b"parent zz\n\nhi")),
        _pack((2, 1, b"x")),
        _pack((2, 30, b"100644 a\0" + b"1" * 21)),
    ],
    ids=["no base", "no delta", "no commit", "no parent", "no tree", "no entry"],
)
def test_objects_that_are_none_are_hostile_and_no_fault_of_ours(tmp_path: Path, pack: bytes) -> None:
    (tmp_path / "pack").write_bytes(pack)
    mirror = Mirror(tmp_path / "m", DEFAULT)
    with (tmp_path / "pack").open("rb") as file, pytest.raises(GitProblem) as problem:
        mirror.take(file, lambda: None)
    assert _refused(problem) == "hostile.objects"


def test_a_commit_of_nobody_is_hostile(tmp_path: Path) -> None:
    raw = _TREE + b"\nhi"
    (tmp_path / "pack").write_bytes(_pack((1, len(raw), raw)))
    mirror = Mirror(tmp_path / "m", DEFAULT)
    with (tmp_path / "pack").open("rb") as file:
        mirror.take(file, lambda: None)
    with pytest.raises(GitProblem) as problem:
        info_of(mirror, sha1(b"commit %d\0" % len(raw) + raw).hexdigest())
    assert _refused(problem) == "hostile.objects"


def test_a_delta_that_would_grow_beyond_bounds_is_found(tmp_path: Path) -> None:
    grown = b"\x01" + b"\x80\x80\x80\x80\x10" + b"\x90\x01"
    body = _pack((3, 1, b"x"), (7, len(grown), grown))
    # The id of the base stands between the head of the delta and its data.
    at = body.index(zlib.compress(grown))
    (tmp_path / "pack").write_bytes(body[:at] + b"\0" * 20 + body[at:])
    with (tmp_path / "pack").open("rb") as file, pytest.raises(GitProblem) as problem:
        look_over(file, DEFAULT, lambda: None)
    assert _refused(problem) == "too_large.object"


def _answering(answer: bytes, *, forever: bytes = b"") -> tuple[str, threading.Event]:
    """A server that says the same to everybody."""
    listening = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        with listening:
            listening.settimeout(0.2)
            while not done.is_set():
                try:
                    sock, _ = listening.accept()
                except TimeoutError:
                    continue
                with sock:
                    sock.recv(65536)
                    try:
                        sock.sendall(answer)
                        while forever and not done.wait(0.01):
                            sock.sendall(forever)
                    except OSError:
                        continue

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}", done


_GIT = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "forever", "said"),
    [
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://example.org/x\r\nContent-Length: 0\r\n\r\n",
            b"",
            "unreachable.redirected",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            b"",
            "unreachable.redirects",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi", b"", "unreachable.no_git"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"", "refused.not_found"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", b"", "unreachable.status"),
        (_GIT + b"zzzz not git", b"", "hostile.protocol"),
        (
            _GIT + b"001e# service=git-upload-pack\n0000",
            b"003f" + b"1" * 40 + b" refs/heads/many-branches\n"[:19],
            "too_large.refs",
        ),
        (_GIT + b"fff0", b"x", "unreachable.slow"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", "unreachable.slow"),
    ],
)
def test_servers_that_misbehave(tmp_path: Path, answer: bytes, forever: bytes, said: str) -> None:
    limits = replace(DEFAULT, seconds=1.0 if said.endswith("slow") else 120.0)
    base, done = _answering(answer, forever=forever * (16_000 if said.endswith("refs") else 1))
    try:
        with pytest.raises(GitProblem) as problem:
            fetch(_http(base), "main", tmp_path / "m", limits=limits)
    finally:
        done.set()
    assert _refused(problem) == said


def test_a_name_that_leads_to_a_link_local_address_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test host has such an address: the one of loopback stands for it."""

    def refuse(peer: str) -> None:
        refuse_link_local("169.254.169.254" if peer == "127.0.0.1" else peer)

    monkeypatch.setattr("fleetui.core.limited_http.refuse_link_local", refuse)
    base, done = _answering(_GIT)
    try:
        with pytest.raises(GitProblem) as problem:
            fetch(_http(base), "main", tmp_path / "m")
    finally:
        done.set()
    assert _refused(problem) == "unreachable.link_local"


def test_where_nothing_listens_is_not_said_to_be_slow(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(GitProblem) as problem:
        fetch(_http(f"http://127.0.0.1:{port}"), "main", tmp_path / "m")
    assert _refused(problem) == "unreachable.connect"


def test_thousands_of_branches_do_no_harm(work: Work, tmp_path: Path) -> None:
    head = work.commit(host_bu=GOOD)
    work.push()
    lines = "".join(f"{head} refs/heads/b{number}\n" for number in range(5_000))
    (work.bare / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted \n{lines}")
    with http_server(tmp_path) as base:
        assert fetch(_http(base), "main", tmp_path / "m").head == head
        assert len(look(_http(base), "main").names) == 200


def test_a_repository_that_leads_elsewhere_on_the_machine_is_refused(work: Work, tmp_path: Path) -> None:
    work.commit(host_bu=GOOD)
    work.push()
    (work.bare / "objects" / "info" / "alternates").write_text("/somewhere/objects\n")
    with pytest.raises(GitProblem) as problem:
        fetch(_local(work), "main", tmp_path / "m")
    assert _refused(problem) == "hostile.elsewhere"


def test_a_killed_fetch_leaves_nothing_in_the_way(work: Work, tmp_path: Path) -> None:
    head = work.commit(host_bu=GOOD)
    work.push()
    packs = tmp_path / "m" / "objects" / "pack"
    packs.mkdir(parents=True)
    (packs / "tmpabc.pack").write_bytes(b"half a pack")
    (tmp_path / "m" / "head.new").write_text("half")
    assert fetch(_local(work), "main", tmp_path / "m").head == head
    assert not (packs / "tmpabc.pack").exists()


def test_a_mirror_of_many_packs_is_made_anew(work: Work, tmp_path: Path) -> None:
    limits = replace(DEFAULT, packs=2)
    for number in range(5):
        head = work.commit(f"{number}", host_bu=f"{GOOD}# {number}\n")
        work.push()
        fetch(_local(work), "main", tmp_path / "m", limits=limits)
    assert len(list((tmp_path / "m" / "objects" / "pack").glob("*.pack"))) <= 3
    assert len(new_commits(Mirror(tmp_path / "m", DEFAULT), "", head) or []) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ftp://host/x", "scheme"),
        ("git://host/x", "scheme"),
        ("ext::sh -c true", "unreadable"),
        ("file:///etc", "local_outside"),
        ("/etc", "local_outside"),
        ("https://anna:secret@host/x", "credentials"),
        ("https://token@host/x", "credentials"),
        ("http://host/x", "http"),
        ("https://host", "unreadable"),
        ("-oProxyCommand=x:y", "scheme"),
        ("https://host/x?y", "unreadable"),
        ("ssh://-oProxyCommand=x/y", "unreadable"),
    ],
)
def test_addresses_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(GitProblem) as problem:
        parse(text, Allowed(local_root=tmp_path))
    assert _refused(problem) == f"address.{said}"


def test_addresses_that_are_taken(tmp_path: Path) -> None:
    assert parse("git@host.example.org:team/configs.git", Allowed()).scheme == "ssh"
    assert str(parse("ssh://git@host:2222/x.git", Allowed())) == "ssh://git@host:2222/x.git"
    assert str(parse("https://host/x.git", Allowed())) == "https://host/x.git"
    (tmp_path / "in").mkdir()
    (tmp_path / "out").symlink_to("/etc")
    assert parse(str(tmp_path / "in"), Allowed(local_root=tmp_path)).path == str((tmp_path / "in").resolve())
    with pytest.raises(GitProblem):
        parse(str(tmp_path / "out"), Allowed(local_root=tmp_path))
    with pytest.raises(GitProblem):
        parse(str(tmp_path / "in" / ".." / ".." / "x"), Allowed(local_root=tmp_path))
