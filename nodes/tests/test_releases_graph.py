"""Releases: the documents are read or refused with a mend, and no step skips a barrier."""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.releases import graph
from nodes.releases.graph import Release, ReleaseFormatError, ReleasesView
from nodes.releases.versions import is_newer, version_date, version_key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STABLE = [
    Release("stable", "42.20250901.3.0"),
    Release("stable", "42.20250929.3.0", barrier="new signing key"),
    Release("stable", "43.20251101.3.0", deadend="does not boot"),
    Release("stable", "43.20251214.3.0", released_at=datetime(2025, 12, 16, tzinfo=UTC)),
    Release("stable", "43.20260201.3.0", barrier=""),
    Release("stable", "43.20260215.3.1"),
]
NEXT = [Release("next", "44.20260201.1.0")]


def _corpus(name: str) -> str:
    root = os.environ.get("FLEETUI_CORPUS")
    if not root:
        pytest.skip("corpus not present")
    return (Path(root) / "hosts" / "fcos" / name).read_text()


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("43.20251214.3.0", "43.20260101.3.0"),
        ("9.20251214.3.0", "43.20251214.3.0"),
        ("43.20251214.3.9", "43.20251214.3.10"),
        ("43.20251214.dev.0", "43.20251214.3.0"),
        ("v1.9.0-beta.1", "v1.9.0"),
        ("v1.9.0", "1.10.0"),
        ("3510.2.8", "4230.2.4"),
        ("416.94.202405291527-0", "416.94.202405291527-1"),
        ("24.05", "24.11.20241201.abcdef"),
        ("", "1"),
        ("9" * 5000, "1" + "0" * 5000),
    ],
)
def test_versions_are_ordered_by_their_numbers(older: str, newer: str) -> None:
    assert is_newer(newer, older)
    assert not is_newer(older, newer)


@given(st.text(), st.text(), st.text())
def test_any_texts_have_one_order(one: str, two: str, three: str) -> None:
    keys = sorted([version_key(one), version_key(two), version_key(three)])
    assert keys[0] <= keys[1] <= keys[2]
    assert keys[0] <= keys[2]
    assert (version_key(one) == version_key(two)) == (one == two)
    version_date(one)


@pytest.mark.parametrize(
    ("version", "step"),
    [
        ("42.20250801.3.0", "42.20250929.3.0"),
        ("42.20250901.3.0", "42.20250929.3.0"),
        ("42.20250929.3.0", "43.20260201.3.0"),
        ("43.20251101.3.0", None),
        ("43.20251214.3.0", "43.20260201.3.0"),
        ("43.20260201.3.0", "43.20260215.3.1"),
        ("43.20260215.3.1", None),
        ("44.20260301.3.0", None),
    ],
)
def test_a_step_goes_to_the_next_barrier_or_to_the_newest(version: str, step: str | None) -> None:
    found = graph.next_step(version, STABLE)
    assert (found.version if found else None) == step


def test_newest_is_of_the_stream_and_never_a_dead_end() -> None:
    newest = graph.newest("stable", [*STABLE, *NEXT])
    assert newest is not None
    assert newest.version == "43.20260215.3.1"
    assert graph.newest("stable", [Release("stable", "1.0", deadend="")]) is None
    assert graph.newest("testing", STABLE) is None


def test_next_step_finds_the_stream_by_the_version_or_takes_the_given_one() -> None:
    both = [*STABLE, *NEXT]
    assert graph.next_step("44.20260201.1.0", both) is None
    assert graph.next_step("41.1", both) is None
    step = graph.next_step("43.20260201.3.0", both)
    assert step is not None
    assert step.stream == "stable"
    assert graph.next_step("41.1", both, stream="next") == NEXT[0]


def test_a_rollout_that_has_not_begun_is_not_offered_and_its_barrier_is_not_skipped() -> None:
    later = graph.Rollout(datetime(2026, 3, 2, tzinfo=UTC), 0.0, 2880)
    releases = [
        Release("stable", "1.0"),
        Release("stable", "1.1"),
        Release("stable", "1.2", barrier="", rollout=later),
        Release("stable", "1.3"),
    ]
    view = ReleasesView.of("stable", releases)
    step = view.next_step("1.0", NOW)
    assert step is not None
    assert step.version == "1.1"
    assert view.next_step("1.1", NOW) is None
    after = view.next_step("1.1", datetime(2026, 3, 3, tzinfo=UTC))
    assert after is not None
    assert after.version == "1.2"


def test_a_rollout_grows_from_its_share_to_all() -> None:
    rollout = graph.Rollout(datetime(2026, 3, 1, tzinfo=UTC), 0.5, 24 * 60)
    assert rollout.share_at(datetime(2026, 2, 28, tzinfo=UTC)) == 0.0
    assert rollout.share_at(NOW) == 0.75
    assert rollout.share_at(datetime(2026, 3, 2, tzinfo=UTC)) == 1.0
    assert graph.Rollout(None, 1.0).share_at(NOW) == 1.0


def test_behind_counts_releases_and_days() -> None:
    assert graph.behind("43.20251214.3.0", STABLE) == graph.Behind(2, 61)
    assert graph.behind("42.20250901.3.0", STABLE) == graph.Behind(4, 167)
    assert graph.behind("43.20260215.3.1", STABLE) == graph.Behind(0, 0)
    assert graph.behind("custom", STABLE) == graph.Behind(5, None)
    assert graph.behind("x", [*STABLE, *NEXT]) is None


def test_merge_keeps_what_either_document_knows() -> None:
    index = [Release("stable", "1.0", checksums={"x86_64": "aa"}), Release("stable", "1.1")]
    marks = [Release("stable", "1.0", barrier="key"), Release("stable", "0.9")]
    merged = graph.merge(index, marks)
    assert [release.version for release in merged] == ["0.9", "1.0", "1.1"]
    assert merged[1] == Release("stable", "1.0", checksums={"x86_64": "aa"}, barrier="key")


def test_a_release_is_found_by_commit_or_image_digest() -> None:
    release = Release("stable", "1.0", checksums={"x86_64": "aa"}, images={"x86_64": "example.test/os@sha256:bb"})
    view = ReleasesView.of("stable", [release])
    assert view.find_checksum("aa") is release
    assert view.find_checksum("sha256:bb") is release
    assert view.find_checksum("") is None


def test_update_metadata_tells_barriers_dead_ends_and_rollouts() -> None:
    document = {
        "stream": "stable",
        "releases": [
            {"version": "1.0", "metadata": {"barrier": {"reason": "key"}}},
            {"version": "1.1", "metadata": {"deadend": {"reason": "broken"}}},
            {"version": "1.2", "metadata": {"rollout": {"start_epoch": 1772366400, "start_percentage": 0.1}}},
        ],
    }
    barrier, deadend, rolled = graph.parse_updates_metadata(json.dumps(document))
    assert (barrier.barrier, barrier.deadend) == ("key", None)
    assert (deadend.is_barrier, deadend.is_deadend) == (False, True)
    assert rolled.rollout == graph.Rollout(NOW, 0.1, 0)


def test_a_release_index_tells_checksums_and_images() -> None:
    document = {
        "stream": "stable",
        "releases": [
            {
                "version": "1.0",
                "commits": [{"architecture": "x86_64", "checksum": "aa"}, {"architecture": "aarch64", "checksum": "b"}],
                "oci-images": [{"architecture": "x86_64", "image": "e/os", "digest-ref": "e/os@sha256:cc"}],
            }
        ],
    }
    (release,) = graph.parse_release_index(json.dumps(document))
    assert release.checksums == {"x86_64": "aa", "aarch64": "b"}
    assert release.images == {"x86_64": "e/os@sha256:cc"}


def test_a_cincinnati_graph_carries_texts() -> None:
    prefix = "org.fedoraproject.coreos."
    tags = {f"{prefix}scheme": "oci", f"{prefix}updates.barrier": "true", f"{prefix}updates.barrier_reason": "key"}
    waves = {f"{prefix}updates.rollout": "true", f"{prefix}updates.start_value": "0.5"}
    document = {
        "nodes": [
            {"version": "1.0", "metadata": tags, "payload": "e/os@sha256:cc"},
            {"version": "1.1", "metadata": waves, "payload": "aa"},
        ],
        "edges": [[0, 1]],
    }
    first, second = graph.parse_cincinnati_graph(json.dumps(document), stream="stable", basearch="aarch64")
    assert (first.images, first.checksums, first.barrier) == ({"aarch64": "e/os@sha256:cc"}, {}, "key")
    assert second.checksums == {"aarch64": "aa"}
    assert second.rollout == graph.Rollout(None, 0.5, 0)


def test_a_manifest_accepts_marks_in_each_form() -> None:
    entries = [
        {"stream": "stable", "version": "1.0", "barrier": True, "checksum": "aa"},
        {"stream": "stable", "version": "1.1", "deadend": "broken", "released_at": "2026-01-31T12:00:00Z"},
        {"stream": "stable", "version": "1.2", "barrier": False, "checksums": {"x86_64": "bb"}},
    ]
    releases = graph.parse_manifest(json.dumps({"streams": ["stable", {"name": "next"}], "releases": entries}))
    assert [release.barrier for release in releases] == ["", None, None]
    assert releases[1].deadend == "broken"
    assert releases[1].released_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert [release.checksums for release in releases] == [{"x86_64": "aa"}, {}, {"x86_64": "bb"}]


def _manifest(**entry: object) -> str:
    return json.dumps({"streams": ["stable"], "releases": [{"stream": "stable", "version": "1.0", **entry}]})


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("{", "The document", '"{"'),
        ("[]", "The document", "[]"),
        ("{}", "streams", "missing"),
        ('{"streams": ["a"], "releases": {}}', "releases", "{}"),
        ('{"streams": [7], "releases": []}', "streams[0]", "7"),
        ('{"streams": ["a"], "releases": [3]}', "releases[0]", "3"),
        (_manifest(version=""), "releases[0].version", '""'),
        (_manifest(version="latest"), "releases[0].version", '"latest"'),
        (_manifest(stream="other"), "releases[0].stream", '"other"'),
        (_manifest(released_at="soon"), "releases[0].released_at", '"soon"'),
        (_manifest(barrier=7), "releases[0].barrier", "7"),
        (_manifest(checksums=["aa"]), "releases[0].checksums", '["aa"]'),
        (_manifest(checksums={"x86_64": 5}), "releases[0].checksums.x86_64", "5"),
        (_manifest(rollout={"start_percentage": 7}), "releases[0].rollout.start_percentage", "7"),
        (_manifest(rollout={"start_epoch": "x"}), "releases[0].rollout.start_epoch", '"x"'),
    ],
)
def test_a_wrong_manifest_is_refused_with_field_value_and_mend(text: str, field: str, value: str) -> None:
    with pytest.raises(ReleaseFormatError) as caught:
        graph.parse_manifest(text)
    assert (caught.value.field, caught.value.value) == (field, value)
    assert caught.value.what_to_do.endswith(".")
    assert str(caught.value).startswith(f"{field} is {value}. ")


@pytest.mark.parametrize("edges", [[[0, 1]], [[0]], [["0", 0]], [[-1, 0]], [True], "x", None])
def test_edges_out_of_range_are_refused(edges: object) -> None:
    document = {"nodes": [{"version": "1.0", "payload": "aa", "metadata": {}}], "edges": edges}
    with pytest.raises(ReleaseFormatError, match=r"^edges"):
        graph.parse_cincinnati_graph(json.dumps(document), stream="stable")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["stream", "streams", "releases", "version", "metadata", "nodes", "edges", "rollout", "barrier"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_readers_refuse_or_read_any_document(document: object) -> None:
    text = json.dumps(document)
    for read in (graph.parse_updates_metadata, graph.parse_release_index, graph.parse_manifest):
        with suppress(ReleaseFormatError):
            assert all(release.version for release in read(text))
    with suppress(ReleaseFormatError):
        graph.parse_cincinnati_graph(text, stream="stable")


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["", "barrier", "deadend"])), max_size=12),
    st.integers(0, 20),
)
def test_following_steps_passes_every_barrier_and_ends_at_the_newest(plan: list[tuple[int, str]], start: int) -> None:
    marks = dict(plan)
    releases = [
        Release("s", f"1.{n}", barrier="b" if mark == "barrier" else None, deadend="d" if mark == "deadend" else None)
        for n, mark in marks.items()
    ]
    view = ReleasesView.of("s", releases)
    here = f"1.{start}"
    visited: list[str] = []
    while (step := view.next_step(here)) is not None:
        assert is_newer(step.version, here)
        here = step.version
        visited.append(here)
    if marks.get(start) == "deadend":
        assert visited == []
        return
    assert {f"1.{n}" for n, mark in marks.items() if mark == "barrier" and n > start} <= set(visited)
    newest = view.newest()
    assert not visited or (newest is not None and visited[-1] == newest.version)


def test_recorded_update_metadata_is_read() -> None:
    stable = graph.parse_updates_metadata(_corpus("updates-stable-2026-07.json"))
    assert sum(release.is_barrier for release in stable) == 19
    view = ReleasesView.of("stable", stable)
    before = datetime(2026, 7, 22, 13, tzinfo=UTC)
    held, offered = view.newest(before), view.newest(datetime(2026, 7, 22, 15, tzinfo=UTC))
    assert held is not None
    assert offered is not None
    assert (held.version, offered.version) == ("44.20260621.3.1", "44.20260707.3.1")
    step = view.next_step("43.20260301.3.1", before)
    assert step is not None
    assert step.version == "43.20260413.3.2"


def test_recorded_next_stream_has_a_dead_end() -> None:
    view = ReleasesView.of("next", graph.parse_updates_metadata(_corpus("updates-next-2026-07.json")))
    assert view.next_step("38.20230310.1.0") is None
    step = view.next_step("37.20230303.1.0")
    assert step is not None
    assert step.version == "37.20230303.1.1"


def test_recorded_graph_is_read() -> None:
    releases = graph.parse_cincinnati_graph(_corpus("cincinnati-graph-2020-small.json"), stream="next")
    assert [release.version for release in releases] == ["32.20200517.1.0", "32.20200601.1.0", "32.20200601.1.1"]
    assert releases[2].rollout == graph.Rollout(datetime(2020, 6, 4, 14, tzinfo=UTC), 0.0, 2880)
    assert releases[0].checksums["x86_64"].startswith("7c23c473")
