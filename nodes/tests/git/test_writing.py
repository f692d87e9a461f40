"""Trees written out for programs that need files, and the branch, tag or commit that they are of."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from nodes.git.address import Address
from nodes.git.errors import GitProblem
from nodes.git.fetch import fetch
from nodes.git.limits import DEFAULT, GitLimits
from nodes.git.mirror import Mirror
from nodes.git.refs import Ref
from nodes.git.writing import names_in, texts_in, write_out
from nodes.tests.git.repositories import Work, http_server, make_work
from nodes.tests.git.test_fetching import _http


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return make_work(tmp_path)


def _local(work: Work) -> Address:
    return Address("file", "", None, "", str(work.bare))


def mirrored(work: Work, folder: Path, limits: GitLimits = DEFAULT) -> tuple[Mirror, str]:
    work.push("--force")
    head = fetch(_local(work), "main", folder).head
    return Mirror(folder, limits), head


def test_the_tree_is_written_for_its_owner_alone(work: Work, tmp_path: Path) -> None:
    work.write("site/main.tf", "# main")
    work.write("modules/vm/make", "#!/bin/sh\n")
    (work.tree / "modules/vm/make").chmod(0o755)
    (work.tree / "site/versions.tf").symlink_to("../modules/versions.tf")
    work.write("modules/versions.tf", "# versions")
    (work.tree / "site/later").symlink_to("../not/there/yet")
    work.commit()
    mirror, head = mirrored(work, tmp_path / "m")
    into = tmp_path / "out"
    old = os.umask(0)
    try:
        assert write_out(mirror, head, into) == 3
    finally:
        os.umask(old)
    assert (into / "site/versions.tf").read_text() == "# versions"
    modes = {name: (into / name).stat().st_mode & 0o777 for name in (".", "site", "site/main.tf", "modules/vm/make")}
    assert modes == {".": 0o700, "site": 0o700, "site/main.tf": 0o600, "modules/vm/make": 0o700}
    assert texts_in(mirror, head, "site", (".tf",)) == {"main.tf": b"# main"}
    assert names_in(mirror, head, ".") == {"site", "modules"}
    with pytest.raises(GitProblem) as problem:
        texts_in(mirror, head, "site/main.tf", (".tf",))
    assert problem.value.reason == "is_no_folder"


@pytest.mark.parametrize(
    "links",
    [
        {"out": "/etc/passwd"},
        {"a/out": "../../x"},
        # Each of them stays, by its letters; together they do not.
        {"here": ".", "out": "here/../../x"},
        {"deep": "a/b", "a/b/c": "..", "out": "deep/c/../../x"},
        {"up": "a/..", "out": "up/../x"},
    ],
    ids=["absolute", "above", "by another", "by two", "by a folder"],
)
def test_a_link_that_leaves_is_refused(work: Work, tmp_path: Path, links: dict[str, str]) -> None:
    work.write("a/b/file", "1")
    for name, target in links.items():
        (work.tree / name).symlink_to(target)
    work.commit()
    mirror, head = mirrored(work, tmp_path / "m")
    with pytest.raises(GitProblem) as problem:
        write_out(mirror, head, tmp_path / "out")
    assert (problem.value.kind, problem.value.reason) == ("hostile", "link_leaves")
    assert problem.value.params["path"] in links


def test_nothing_is_written_through_a_link(work: Work, tmp_path: Path) -> None:
    """Git itself makes no tree with a link and a folder of one name; a stranger may."""
    work.commit(evil_txt="x")
    blob = work.git("hash-object", "-w", "--stdin", stdin=b"x")
    aim = bytes.fromhex(work.git("hash-object", "-w", "--stdin", stdin=str(tmp_path).encode()))
    inner = bytes.fromhex(work.git("mktree", stdin=f"100644 blob {blob}\towned\n".encode()))
    twice = [b"120000 d\0" + aim, b"40000 d\0" + inner]
    for number, raw in enumerate((twice, twice[::-1])):
        tree = work.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=b"".join(raw))
        work.git("reset", "-q", "--soft", work.git("commit-tree", tree, "-m", "evil"))
        mirror, head = mirrored(work, tmp_path / f"m{number}")
        with suppress(GitProblem):
            write_out(mirror, head, tmp_path / f"out{number}")
        assert mirror.commit(head).tree.decode() == tree
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(DEFAULT, written_bytes=10), "written"),
        (replace(DEFAULT, tree_entries=2), "all_entries"),
        (replace(DEFAULT, depth=1), "depth"),
    ],
    ids=["bytes", "entries", "depth"],
)
def test_what_is_too_large_is_refused(work: Work, tmp_path: Path, limits: GitLimits, reason: str) -> None:
    work.commit(a__b__c_tf="x" * 6, a__b__d_tf="y" * 6)
    mirror, head = mirrored(work, tmp_path / "m", limits)
    with pytest.raises(GitProblem) as problem:
        write_out(mirror, head, tmp_path / "out")
    assert (problem.value.kind, problem.value.reason) == ("too_large", reason)


@pytest.mark.parametrize("over", ["http", "a folder"])
def test_tags_and_commits_come_too(work: Work, tmp_path: Path, over: str) -> None:
    first = work.commit("first", a_tf="1")
    work.git("tag", "-a", "v1", "-m", "one")
    second = work.commit("second", a_tf="2")
    work.git("tag", "light")
    third = work.commit("third", a_tf="3")
    work.push()
    work.git("push", "-q", "origin", "v1", "light")
    folder = tmp_path / "m"
    with http_server(tmp_path) as base:
        there = _http(base) if over == "http" else _local(work)

        def got(kind: str, name: str, into: Path = folder) -> str:
            return fetch(there, Ref(kind, name), into).head  # type: ignore[arg-type]

        assert got("tag", "v1") == first
        packs = list((folder / "objects" / "pack").glob("*.pack"))
        assert got("tag", "v1") == first
        assert list((folder / "objects" / "pack").glob("*.pack")) == packs, "nothing is fetched twice"
        # Older than the head of any branch, into a mirror that knows more and into one that knows nothing.
        assert got("branch", "main") == third
        assert got("commit", second) == second
        assert got("commit", second, tmp_path / "fresh") == second
        assert got("tag", "light") == second
        mirror = Mirror(folder, DEFAULT)
        assert texts_in(mirror, second, ".", (".tf",)) == {"a.tf": b"2"}
        for kind, name, reason in (
            ("branch", "none", "gone"),
            ("tag", "v9", "no_tag"),
            ("commit", "0" * 40, "no_commit"),
        ):
            with pytest.raises(GitProblem) as problem:
                got(kind, name)
            assert (problem.value.kind, problem.value.reason) == ("no_branch", reason)
