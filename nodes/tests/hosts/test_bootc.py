"""`bootc status --json`: every recording states its facts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.hosts.drivers.bootc import parse_status
from nodes.hosts.drivers.documents import NotUnderstood
from nodes.hosts.drivers.rpmostree import reboot_changes
from nodes.tests.hosts.hostdoubles import answer, corpus, read
from nodes.tests.hosts.ostree_documents import states

yaml = pytest.importorskip("yaml")

STREAM9, NIGHTLY = "quay.io/centos-bootc/centos-bootc:stream9", "quay.io/example/someimage:latest"
V9 = "stream9.20240807.0"
V2023 = "stream9.20231213.0"


@dataclass(frozen=True)
class Expected:
    """What a recording holds; image, signature and overlay are those of the booted deployment."""

    deployments: Sequence[tuple[str, str | None, str]]
    image: str | None = None
    signature: str | None = None
    cached: str | None = None
    locked: list[int] = field(default_factory=list)
    unlocked: str = "none"


BOOTED_9 = [("booted", V9, "439f6bd2")]
OTHER = Expected([("booted", "20231230.1", "41af286d")], "quay.io/otherexample/otherimage:latest")
STAGED_NIGHTLY = Expected(
    [("staged", "nightly", "3c6dad65"), ("booted", "nightly", "26836632")], NIGHTLY, "image_unverified"
)
RECORDINGS = {
    "booted-update-same-digest.yaml": Expected(BOOTED_9, STREAM9),
    "booted-usroverlay.yaml": Expected(
        [("booted", "nightly", "26836632")], NIGHTLY, "image_unverified", unlocked="development"
    ),
    "booted-with-update-no-version.yaml": Expected(BOOTED_9, STREAM9, cached="sha256:b1b1"),
    "booted-with-update.yaml": Expected(BOOTED_9, STREAM9, cached="stream9.20240901.0"),
    "only-booted.yaml": Expected(BOOTED_9, STREAM9),
    "ostree-remote.yaml": OTHER,
    "ostree-to-bootc.yaml": Expected([("staged", V9, "05cbf6dc"), ("booted", None, "f9fa3a55")]),
    "rfe-ostree-deployment.yaml": Expected([("staged", None, "1c24260f"), ("booted", None, "f9fa3a55")]),
    "staged-booted.yaml": STAGED_NIGHTLY,
    "staged-download-only.yaml": replace(STAGED_NIGHTLY, locked=[0]),
    "v1-null.json": Expected([]),
    "v1a1-orig.yaml": STAGED_NIGHTLY,
    "v1a1.yaml": OTHER,
    "v1alpha1-2023-booted-rollback.json": Expected(
        [("booted", V2023, "6aa32a31"), ("rollback", "39.20231109.3", "56612a59")],
        "192.168.124.1:5000/bootc-insights:latest",
    ),
    "via-local-oci.yaml": Expected(BOOTED_9, "oci:/var/mnt/osupdate"),
}


class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined, unused-ignore]
    """Turns bootc's YAML into what its JSON says: tags become objects, times stay text."""


Loader.add_multi_constructor("!", lambda loader, name, node: {name: loader.construct_scalar(node)})
Loader.yaml_implicit_resolvers = {
    first: [row for row in rows if row[0] != "tag:yaml.org,2002:timestamp"]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def recorded(name: str) -> str:
    text = corpus("bootc", f"bootc-status-{name}").read_text()
    return json.dumps(yaml.load(text, Loader)) if name.endswith(".yaml") else text


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings(name: str) -> None:
    expected, problems = RECORDINGS[name], list[str]()
    state = parse_status(recorded(name), problems)
    assert problems == []
    assert state.manager == "bootc"
    assert states(state) == expected.deployments
    assert [one.index for one in state.deployments if one.locked] == expected.locked
    update = state.cached_update or {}
    assert (update.get("version") or (update.get("checksum") or "")[:11] or None) == expected.cached
    has_staged = any(name == "staged" for name, _, _ in expected.deployments)
    assert reboot_changes(state.deployments) is (has_staged and not expected.locked)
    for one in state.deployments:
        if one.booted:
            assert (one.image, one.signature) == (expected.image, expected.signature)
            assert one.unlocked == expected.unlocked
            assert (one.image_digest or "sha256:").startswith("sha256:")
            assert one.osname == "default"


def test_every_recording_is_in_the_table() -> None:
    found = {path.name.removeprefix("bootc-status-") for path in corpus("bootc").iterdir()}
    assert found == set(RECORDINGS)


def test_times_are_whole_seconds() -> None:
    staged = parse_status(recorded("staged-booted.yaml"), []).deployments[0]
    assert staged.timestamp == "2023-10-14T19:22:15Z"


def entry(letter: str, **changes: Any) -> dict[str, Any]:
    made = {
        "image": {
            "image": {"image": "quay.io/x/os:1", "transport": "registry"},
            "version": letter,
            "imageDigest": f"sha256:{letter * 64}",
        },
        "ostree": {"checksum": letter * 64, "deploySerial": 2, "stateroot": "default"},
    }
    return made | changes


def host(spec: dict[str, Any] | None = None, **status: Any) -> str:
    return json.dumps({"apiVersion": "org.containers.bootc/v1", "kind": "BootcHost", "spec": spec, "status": status})


def test_a_queued_rollback_comes_before_the_booted_one() -> None:
    state = parse_status(host(booted=entry("a"), rollback=entry("b"), rollbackQueued=True), [])
    assert [name for name, _, _ in states(state)] == ["", "booted"]
    assert reboot_changes(state.deployments)


def test_other_deployments_pinned_ones_and_composefs() -> None:
    composefs = {"image": None, "composefs": {"verity": "v" * 128}, "pinned": True}
    state = parse_status(host(booted=entry("a"), otherDeployments=[composefs]), [])
    assert state.deployments[1].pinned
    assert state.deployments[1].checksum == "v" * 128
    assert state.deployments[0].id == f"default-{'a' * 64}.2"


@pytest.mark.parametrize(
    ("signature", "word"),
    [
        ("insecure", "image_unverified"),
        ("containerPolicy", "image_signed"),
        ({"ostreeRemote": "fedora"}, "image_remote:fedora"),
        (None, None),
    ],
)
def test_signatures_of_the_wanted_image(signature: Any, word: str | None) -> None:
    spec = {"image": {"image": "quay.io/x/os:1", "transport": "registry", "signature": signature}}
    assert parse_status(host(spec, booted=entry("a")), []).deployments[0].signature == word


def test_bootc_is_read_where_rpm_ostree_is_absent() -> None:
    reading = read(rpm_ostree_status=answer(status=127, stderr="not found"), bootc_status=host(booted=entry("a")))
    assert reading.facts.update.manager == "bootc"
    assert reading.facts.booted is not None
    assert reading.facts.unread == ()


def test_rpm_ostree_is_believed_where_both_answer() -> None:
    status = json.dumps({"deployments": [{"id": "x", "checksum": "c" * 64, "booted": True}]})
    reading = read(rpm_ostree_status=status, bootc_status=host(booted=entry("a")))
    assert reading.facts.update.manager == "rpm-ostree"
    assert [one.checksum for one in reading.facts.deployments] == ["c" * 64]


def test_bootc_needs_root() -> None:
    refused = answer(status=1, stderr="error: Status: This command must be executed as the root user; requires root")
    reading = read(rpm_ostree_status=answer(status=127), bootc_status=refused)
    assert {(one.section, one.reason) for one in reading.facts.unread} == {
        ("rpm_ostree_status", "absent"),
        ("bootc_status", "permission"),
    }


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "Other", "status": {}}', '{"kind": "BootcHost"}'])
def test_what_is_no_host_document(text: str) -> None:
    with pytest.raises(NotUnderstood):
        parse_status(text, [])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mutation_escapes(data: st.DataObject) -> None:
    text = host({"image": {"image": "quay.io/x/os:1"}}, booted=entry("a"), staged=entry("b"), rollback=None)
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 30)))
    insert = data.draw(st.text(max_size=8) | st.sampled_from(["null", "1e999", "[]", "{}", '"', "5", "true"]))
    reading = read(rpm_ostree_status=answer(status=127), bootc_status=text[:start] + insert + text[stop:])
    json.dumps(reading.facts.as_json(), allow_nan=False).encode()
