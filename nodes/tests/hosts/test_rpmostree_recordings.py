"""The recordings of `rpm-ostree status --json`: each states its facts."""

from dataclasses import dataclass, field

import pytest

from nodes.hosts.drivers.rpmostree import parse_status, reboot_changes
from nodes.tests.hosts.hostdoubles import corpus
from nodes.tests.hosts.ostree_documents import states

FCOS_IMAGE = "quay.io/fedora/fedora-coreos"


@dataclass(frozen=True)
class Expected:
    """What a recording holds: (state, version, first digits of the checksum) of each deployment, and of the booted one."""

    deployments: list[tuple[str, str | None, str]]
    origin: str
    image: str | None = None
    digest: str | None = None
    stream: str | None = None
    signature: str | None = "gpg_off"
    layered: int = 0
    overrides: int = 0
    base_checksum: str | None = None
    timestamp: str | None = None
    pending: str | None = None
    driver: str | None = None
    locked: list[int] = field(default_factory=list)
    reboot_changes: bool = False


DIGEST_2024 = "sha256:d12dd2fcb57ecfde0941be604f4dcd43ce0409b86e5ee4e362184c802b80fb84"
DIGEST_2025 = "sha256:c4a15145a232d882ccf2ed32d22c06c01a7cf62317eb966a98340ae4bd56dfa6"
LAYERED_2021 = Expected(
    [("booted", "33.21", "63335a77"), ("rollback", "33.17", "775d54e8")],
    "fedora/33/x86_64/silverblue",
    layered=16,
    overrides=2,
    base_checksum="229387d3",
    timestamp="2021-02-05T20:02:49Z",
)
RECORDINGS = {
    "2019-fcos30-single-ostree-remote": Expected(
        [("booted", "30.1", "ce718b90")],
        "fedora/x86_64/coreos/testing-devel",
        stream="testing-devel",
        timestamp="2019-06-28T20:21:37Z",
    ),
    "2020-fcos30-base-checksum": Expected(
        [("booted", "30.1", "ce718b90")],
        "fedora/x86_64/coreos/testing-devel",
        stream="testing-devel",
        base_checksum="41af286d",
        timestamp="2019-06-28T20:21:37Z",
    ),
    "2020-fcos31-staged-locked": Expected(
        [("staged", "31.20200517.3.0", "967b7b8d"), ("booted", "31.20200505.3.0", "01f074cc")],
        "fedora:fedora/x86_64/coreos/stable",
        stream="stable",
        signature="gpg_valid",
        timestamp="2020-05-19T13:39:46Z",
        pending="31.20200517.3.0",
        locked=[0],
    ),
    "2021-rhel8edge-single": Expected(
        [("booted", None, "f0c02948")], "edge:rhel/8/x86_64/edge", timestamp="2021-03-02T20:40:52Z"
    ),
    "2021-silverblue33-layered-overrides": LAYERED_2021,
    "2021-silverblue33-unfiltered-commit-meta": LAYERED_2021,
    "2023-silverblue38-staged-3deployments": Expected(
        [
            ("staged", "38.20230414.n.0", "8523da04"),
            ("booted", "38.20230414.n.0", "55164711"),
            ("rollback", "38.20230414.n.0", "d1846d3f"),
        ],
        "fedora:fedora/38/x86_64/silverblue",
        signature="gpg_valid",
        layered=4,
        base_checksum="7f13707d",
        timestamp="2023-04-23T10:56:59Z",
        pending="38.20230422.1",
        reboot_changes=True,
    ),
    "2024-fcos41-oci-unverified-digest": Expected(
        [("booted", "41.20241109.3.0", "41e8b64a")],
        f"ostree-unverified-registry:{FCOS_IMAGE}@{DIGEST_2024}",
        image=f"{FCOS_IMAGE}@{DIGEST_2024}",
        digest=DIGEST_2024,
        stream="stable",
        signature="image_unverified",
        timestamp="2024-11-25T02:09:37Z",
    ),
    "2025-fcos41-oci-custom-origin-digest": Expected(
        [("booted", "41.20250105.2.0", "93d03417")],
        f"ostree-remote-image:fedora:registry:{FCOS_IMAGE}@{DIGEST_2025}",
        image=f"{FCOS_IMAGE}@{DIGEST_2025}",
        digest=DIGEST_2025,
        stream="testing",
        signature="image_remote:fedora",
        timestamp="2025-01-06T19:46:25Z",
    ),
    "2025-fcos41-oci-tag": Expected(
        [("booted", "41.20250105.2.0", "b3d02401")],
        f"ostree-remote-image:fedora:registry:{FCOS_IMAGE}:testing",
        image=f"{FCOS_IMAGE}:testing",
        digest=DIGEST_2025,
        stream="testing",
        signature="image_remote:fedora",
        timestamp="2025-01-06T19:46:25Z",
    ),
    "2025-fcos43-oci-signed": Expected(
        [("booted", "43.20251024.3.0", "36ff46d7")],
        f"ostree-image-signed:docker://{FCOS_IMAGE}:stable",
        image=f"{FCOS_IMAGE}:stable",
        digest="sha256:ca99893c80a7b84dd84d4143bd27538207c2f38ab6647a58d9c8caa251f9a087",
        stream="stable",
        signature="image_signed",
        timestamp="2025-11-11T05:05:57Z",
        driver="Zincati",
    ),
    "2026-fcos43-oci-booted-rollback-driver": Expected(
        [("booted", "43.20251214.3.0", "5ff49ca4"), ("rollback", "42.20251012.3.0", "efc63620")],
        f"ostree-image-signed:docker://{FCOS_IMAGE}:stable",
        image=f"{FCOS_IMAGE}:stable",
        digest="sha256:688fb50c9f19fecb638f660d2ad66fcafe47cb31d7a3cef98370dbde4d3315e9",
        stream="stable",
        signature="image_signed",
        timestamp="2026-01-02T19:17:54Z",
        driver="Zincati",
    ),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings(name: str) -> None:
    text = corpus("fcos", f"rpmostree-status-{name}.json").read_text()
    expected, problems = RECORDINGS[name], list[str]()
    state = parse_status(text, problems)
    booted = next(one for one in state.deployments if one.booted)
    assert problems == []
    assert states(state) == expected.deployments
    assert [one.index for one in state.deployments] == list(range(len(expected.deployments)))
    assert (booted.origin, booted.image, booted.image_digest) == (expected.origin, expected.image, expected.digest)
    assert (booted.stream, booted.signature) == (expected.stream, expected.signature)
    assert (len(booted.layered), len(booted.overrides)) == (expected.layered, expected.overrides)
    assert (booted.base_checksum or "")[:8] == (expected.base_checksum or "")
    assert booted.timestamp == expected.timestamp
    assert (state.pending_commit or {}).get("version") == expected.pending
    assert (state.driver or {}).get("name") == expected.driver
    assert [one.index for one in state.deployments if one.locked] == expected.locked
    assert reboot_changes(state.deployments) is expected.reboot_changes
    assert not any(one.pinned for one in state.deployments)
    assert all(one.unlocked == "none" for one in state.deployments)
    assert state.transaction is None
    assert state.cached_update is None


def test_every_status_recording_is_in_the_table() -> None:
    found = {path.stem.removeprefix("rpmostree-status-") for path in corpus("fcos").glob("rpmostree-status-*.json")}
    assert found == set(RECORDINGS)


def test_names_in_the_recordings() -> None:
    text = corpus("fcos", "rpmostree-status-2021-silverblue33-layered-overrides.json").read_text()
    booted = parse_status(text, []).deployments[0]
    assert {"fish", "gdb", "git-evtag"} <= set(booted.layered)
    assert booted.overrides == ("rpm-ostree-2021.1-2.fc33.x86_64", "rpm-ostree-libs-2021.1-2.fc33.x86_64")
    text = corpus("fcos", "rpmostree-status-2025-fcos41-oci-custom-origin-digest.json").read_text()
    custom = parse_status(text, []).deployments[0].custom_origin
    assert custom == (f"{FCOS_IMAGE}@{DIGEST_2025}", "Fedora CoreOS Testing stream through OCI images")
