"""Files, directories and links of real folders against a config."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.drift import Seen, compare, expect, inspection
from nodes.drift.model import Node
from nodes.tests.drift.hosts import Machine, data_url, file, ignition, named

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and name == name.strip() and len(name.encode()) < 200
)


def write(path: Path, body: bytes, mode: int = 0o644) -> None:
    path.write_bytes(body)
    path.chmod(mode)


def files(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"storage": {"files": list(entries)}}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tree=st.dictionaries(names, st.tuples(st.binary(max_size=300), st.sampled_from([0o644, 0o600, 0o755])), min_size=1),
    data=st.data(),
)
def test_what_was_written_is_clean_and_one_changed_file_is_named(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, tuple[bytes, int]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("machine")
    for name, (body, mode) in tree.items():
        write(folder / name, body, mode)
    config = files(*(file(folder / name, body, mode=mode) for name, (body, mode) in tree.items()))
    assert Machine().compared(config).verdict == "clean"

    name = data.draw(st.sampled_from(sorted(tree)))
    body, mode = tree[name]
    at = data.draw(st.integers(0, len(body)))
    changed = body[:at] + data.draw(st.binary(min_size=1, max_size=9)) + body[at + data.draw(st.integers(0, 1)) :]
    write(folder / name, changed, mode)
    expected = [] if changed == body else [("contents", str(folder / name), "in_place")]
    assert named(Machine().compared(config)) == expected


def test_every_kind_of_difference_of_a_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/other")
    write(tmp_path / "mode", b"", 0o666)
    config = {
        "storage": {
            "files": [file(tmp_path / name) for name in ("folder", "gone", "mode")],
            "links": [{"path": str(tmp_path / "link"), "target": "/right"}],
            "directories": [{"path": str(tmp_path / "mode" / "below"), "mode": 0o755}],
        }
    }
    found = Machine().compared(config)
    assert sorted((one.what, one.subject) for one in found.differences) == [
        ("kind", str(tmp_path / "folder")),
        ("missing", str(tmp_path / "gone")),
        ("missing", str(tmp_path / "mode/below")),
        ("mode", str(tmp_path / "mode")),
        *([("owner", str(tmp_path / "link"))] if os.getuid() else []),
        ("target", str(tmp_path / "link")),
    ]
    told = {one.what.value: (one.expected, one.found) for one in found.differences}
    assert told["mode"] == ("0644", "0666")
    assert told["target"] == ("/right", "/other")


def test_an_owner_is_compared_by_name_or_number_as_the_config_says_it(tmp_path: Path) -> None:
    write(tmp_path / "one", b"")
    config = files(file(tmp_path / "one", user={"name": "nobody"}, group={"id": 65000}))
    (difference,) = Machine().compared(config).differences
    assert (difference.what, difference.expected) == ("owner", "nobody:65000")
    assert difference.found.endswith(f":{os.getgid()}")


def test_changed_lines_are_shown_of_what_everybody_may_read(tmp_path: Path) -> None:
    write(tmp_path / "conf", b"a\nport = 2\nc\n")
    (difference,) = Machine().compared(files(file(tmp_path / "conf", b"a\nport = 1\nc\n"))).differences
    assert difference.diff == (("same", "a"), ("removed", "port = 1"), ("added", "port = 2"), ("same", "c"))


def test_what_is_left_out_between_changed_lines_is_told_and_nothing_above_the_first(tmp_path: Path) -> None:
    lines = [str(number) for number in range(40)]
    write(tmp_path / "conf", "\n".join(["added", *lines[:30], *lines[31:]]).encode())
    (difference,) = Machine().compared(files(file(tmp_path / "conf", "\n".join(lines).encode()))).differences
    assert [kind for kind, _line in difference.diff] == (
        ["added", "same", "same", "gap", "same", "same", "removed", "same", "same"]
    )


def test_a_line_end_that_one_of_them_lacks_is_shown(tmp_path: Path) -> None:
    write(tmp_path / "conf", b"a\n")
    (difference,) = Machine().compared(files(file(tmp_path / "conf", b"a"))).differences
    assert difference.diff == (("same", "a"), ("added", ""))


@pytest.mark.parametrize(
    ("there", "sort", "reason"),
    [(b"web-1\n", "os", "same_hostname"), (b"evil\n", "in_place", ""), (b"", "in_place", "")],
)
def test_a_name_that_the_config_gives_is_kept_by_the_os(there: bytes, sort: str, reason: str) -> None:
    """Ignition writes after Afterburn: another name was set by somebody."""
    config = files({"path": "/etc/hostname", "mode": 0o644, "contents": {"source": data_url(b"web-1")}})
    wanted = expect(ignition(config))
    node = Node("file", 0o644, 0, 0, "root", "root", len(there))
    seen = Seen(nodes={"/etc/hostname": node}, hashes={"/etc/hostname": ""}, bodies={"/etc/hostname": there})
    (difference,) = compare(wanted, seen).differences
    assert (difference.what, difference.sort, difference.reason) == ("contents", sort, reason)


@pytest.mark.parametrize(("wanted", "there"), [(0o600, 0o600), (0o644, 0o600), (0o600, 0o644)])
def test_what_not_everybody_may_read_is_never_fetched(tmp_path: Path, wanted: int, there: int) -> None:
    write(tmp_path / "conf", b"two", there)
    machine = Machine()
    found = machine.compared(files(file(tmp_path / "conf", b"one", mode=wanted)))
    assert [one.diff for one in found.differences if one.what == "contents"] == [()]
    assert "read" not in machine.asked


def test_what_looks_like_a_secret_is_not_shown(tmp_path: Path) -> None:
    write(tmp_path / "env", b"API_TOKEN=0123456789abcdef\n")
    (difference,) = Machine().compared(files(file(tmp_path / "env", b"PORT=1\n"))).differences
    assert difference.diff == ()


def test_of_a_secret_only_the_hash_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "join", b"other-word")
    config = files(file(tmp_path / "join", b"secret-word"))
    shown = ignition(files(file(tmp_path / "join", b"[secret join]")))
    machine = Machine()
    (difference,) = machine.compared(config, shown=shown).differences
    assert (difference.what, difference.is_secret, difference.diff) == ("contents", True, ())
    assert "read" not in machine.asked
    write(tmp_path / "join", b"secret-word")
    assert machine.compared(config, shown=shown).verdict == "clean"


def test_contents_are_compared_unpacked_and_with_what_is_appended(tmp_path: Path) -> None:
    write(tmp_path / "packed", b"x" * 5000 + b"tail")
    packed = {"source": data_url(gzip.compress(b"x" * 5000)), "compression": "gzip"}
    config = files(file(tmp_path / "packed", contents=packed, append=[{"source": data_url(b"tail")}]))
    assert Machine().compared(config).verdict == "clean"


def test_appended_lines_are_looked_for_in_a_file_of_the_os(tmp_path: Path) -> None:
    write(tmp_path / "hosts", b"127.0.0.1 localhost\n10.0.0.9 registry\n# the end\n", 0o600)
    entry = file(tmp_path / "hosts", append=[{"source": data_url(b"10.0.0.9 registry\n")}])
    del entry["contents"], entry["mode"]
    assert Machine().compared(files(entry)).verdict == "clean"
    write(tmp_path / "hosts", b"127.0.0.1 localhost\n")
    (difference,) = Machine().compared(files(entry)).differences
    assert (difference.what, difference.diff) == ("lines", (("removed", "10.0.0.9 registry"), ("removed", "")))


def test_what_is_fetched_at_boot_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    write(tmp_path / "tool", b"binary")
    digest = hashlib.sha512(b"binary").hexdigest()
    remote = {"source": "https://example.org/tool", "verification": {"hash": f"sha512-{digest}"}}
    with_hash, without = files(file(tmp_path / "tool", contents=remote)), {"source": "https://example.org/tool"}
    assert not Machine().compared(with_hash).unlooked
    assert Machine().compared(with_hash).verdict == "clean"
    write(tmp_path / "tool", b"others")
    assert named(Machine().compared(with_hash)) == [("contents", str(tmp_path / "tool"), "in_place")]
    (unlooked,) = Machine().compared(files(file(tmp_path / "tool", contents=without))).unlooked
    assert (unlooked.subject, unlooked.why) == (str(tmp_path / "tool"), "fetched_contents")


def test_what_is_too_much_to_hash_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MOST_HASHED_BYTES", 5)
    write(tmp_path / "a", b"12345")
    write(tmp_path / "b", b"12345")
    found = Machine().compared(files(file(tmp_path / "a", b"12345"), file(tmp_path / "b", b"54321")))
    assert [(one.subject, one.why) for one in found.unlooked] == [(str(tmp_path / "b"), "too_large")]
    assert not found.differences


def test_differences_that_the_os_makes_count_for_nothing() -> None:
    config = files({"path": "/etc/machine-id", "mode": 0o444, "contents": {"source": data_url(b"born")}})
    found = Machine().compared({**config})
    contents = [one for one in found.differences if one.what == "contents"]
    # Where this machine has no such file, it is missing, which no OS does by itself.
    if Path("/etc/machine-id").is_file():
        assert [(one.sort, one.reason) for one in contents] == [("os", "made_at_first_boot")]


def test_a_directory_that_was_there_keeps_what_the_config_does_not_say(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    entry: dict[str, Any] = {"path": str(tmp_path / "there")}
    assert Machine().compared({"storage": {"directories": [entry]}}).verdict == "clean"
    overwritten = {**entry, "overwrite": True, "user": {"id": os.getuid()}, "group": {"id": os.getgid()}}
    found = Machine().compared({"storage": {"directories": [overwritten]}})
    assert named(found) == [("mode", str(tmp_path / "there"), "in_place")]
