"""Every form of `rpm-ostree status --json`, also those of which there is no recording."""

import json
from typing import Any

import pytest

from nodes.hosts.drivers.rpmostree import parse_check, reboot_changes
from nodes.tests.hosts.hostdoubles import CHECKSUM, read
from nodes.tests.hosts.ostree_documents import deployment, parse, states


class TestOrder:
    def test_a_staged_deployment_before_the_booted_one(self) -> None:
        state, _ = parse(deployment("a", staged=True), deployment("b", booted=True), deployment("c"))
        assert [name for name, _, _ in states(state)] == ["staged", "booted", "rollback"]
        assert reboot_changes(state.deployments)

    def test_a_held_deployment_does_not_start_at_a_reboot(self) -> None:
        state, _ = parse(deployment("a", staged=True, **{"finalization-locked": True}), deployment("b", booted=True))
        assert state.deployments[0].locked
        assert not reboot_changes(state.deployments)

    def test_a_fallback_where_the_booted_one_is_not_first(self) -> None:
        state, _ = parse(deployment("a"), deployment("b", booted=True))
        assert [name for name, _, _ in states(state)] == ["", "booted"]
        assert reboot_changes(state.deployments)

    def test_other_state_roots_are_neither_rollback_nor_pending(self) -> None:
        other = deployment("a", osname="other", id=f"other-{CHECKSUM['a']}.0")
        state, _ = parse(other, deployment("b", booted=True), other, deployment("c"))
        assert [name for name, _, _ in states(state)] == ["", "booted", "", "rollback"]
        assert not reboot_changes(state.deployments)

    def test_a_live_system_has_nothing_booted(self) -> None:
        state, problems = parse(deployment("a"), deployment("b"))
        assert not any(one.booted or one.rollback for one in state.deployments)
        assert not reboot_changes(state.deployments)
        assert problems == []

    def test_no_deployments_at_all(self) -> None:
        assert parse()[0].deployments == ()

    def test_pinned_ones_and_the_same_checksum_twice(self) -> None:
        again = deployment("a", id=f"fedora-coreos-{CHECKSUM['a']}.1", serial=1, pinned=True)
        state, _ = parse(deployment("a", booted=True), again)
        assert [one.pinned for one in state.deployments] == [False, True]
        assert len({one.id for one in state.deployments}) == 2


class TestOrigins:
    @pytest.mark.parametrize(
        ("reference", "image", "signature"),
        [
            ("ostree-image-signed:docker://quay.io/x/y:stable", "quay.io/x/y:stable", "image_signed"),
            ("ostree-image-signed:registry:quay.io/x/y:stable", "quay.io/x/y:stable", "image_signed"),
            ("ostree-unverified-registry:quay.io/x/y:stable", "quay.io/x/y:stable", "image_unverified"),
            ("ostree-unverified-image:docker://quay.io/x/y:stable", "quay.io/x/y:stable", "image_unverified"),
            ("ostree-unverified-image:registry:quay.io/x/y:stable", "quay.io/x/y:stable", "image_unverified"),
            ("ostree-remote-registry:fedora:quay.io/x/y:stable", "quay.io/x/y:stable", "image_remote:fedora"),
            ("ostree-remote-image:fedora:docker://quay.io/x/y:stable", "quay.io/x/y:stable", "image_remote:fedora"),
            ("ostree-unverified-image:oci:/var/os", "oci:/var/os", "image_unverified"),
            ("something-new:quay.io/x/y:stable", "something-new:quay.io/x/y:stable", None),
        ],
    )
    def test_container_references(self, reference: str, image: str, signature: str | None) -> None:
        entry = deployment("a", booted=True, origin=..., **{"container-image-reference": reference})
        one = parse(entry)[0].deployments[0]
        assert (one.origin, one.image, one.signature) == (reference, image, signature)

    def test_the_digest_from_wherever_it_is(self) -> None:
        digest = "sha256:" + "1" * 64
        pinned = {"container-image-reference": f"ostree-image-signed:docker://quay.io/x/y@{digest}"}
        meta = {"base-commit-meta": {"ostree.manifest-digest": "sha256:" + "2" * 64}}
        assert parse(deployment("a", **pinned))[0].deployments[0].image_digest == digest
        assert parse(deployment("a", **pinned | meta))[0].deployments[0].image_digest == "sha256:" + "2" * 64

    @pytest.mark.parametrize(
        ("labels", "annotations", "tag", "stream"),
        [
            ({"com.coreos.stream": "next"}, {"fedora-coreos.stream": "stable"}, "testing", "next"),
            ({}, {"fedora-coreos.stream": "stable"}, "testing", "stable"),
            ({}, {}, "testing", "testing"),
            ({}, {}, "latest", None),
        ],
    )
    def test_the_stream_of_an_image(
        self, labels: dict[str, str], annotations: dict[str, str], tag: str, stream: str | None
    ) -> None:
        meta = {
            "ostree.container.image-config": json.dumps({"config": {"Labels": labels}}),
            "ostree.manifest": json.dumps({"annotations": annotations}),
        }
        reference = f"ostree-image-signed:docker://quay.io/x/y:{tag}"
        entry = deployment("a", **{"container-image-reference": reference, "base-commit-meta": meta})
        assert parse(entry)[0].deployments[0].stream == stream

    def test_a_version_only_in_the_image_labels(self) -> None:
        config = json.dumps({"config": {"Labels": {"org.opencontainers.image.version": "43.1.2"}}})
        entry = deployment(
            "a",
            version=...,
            **{
                "container-image-reference": "ostree-image-signed:docker://quay.io/x/y:stable",
                "base-commit-meta": {"ostree.container.image-config": config},
            },
        )
        assert parse(entry)[0].deployments[0].version == "43.1.2"

    def test_an_older_rhcos_without_version_and_with_a_pivot_origin(self) -> None:
        digest = "sha256:" + "3" * 64
        url = f"pivot://quay.io/openshift/os@{digest}"
        entry = deployment(
            "a",
            booted=True,
            osname="rhcos",
            version=...,
            origin=...,
            **{"custom-origin": [url, "Managed by machine-config-operator"], "base-commit-meta": {}},
        )
        one = parse(entry)[0].deployments[0]
        assert (one.version, one.origin, one.image_digest) == (None, url, digest)
        assert one.image == f"quay.io/openshift/os@{digest}"

    def test_a_checksum_as_origin(self) -> None:
        one = parse(deployment("a", origin=CHECKSUM["a"]))[0].deployments[0]
        assert (one.origin, one.image) == (CHECKSUM["a"], None)

    @pytest.mark.parametrize(
        ("row", "verdict"),
        [
            ([True, False, False, False, False, "F"], "gpg_valid"),
            ([False, False, False, False, True, "F"], "gpg_key_missing"),
            ([False, True, False, False, False, "F"], "gpg_expired"),
            ([True, False, True, False, False, "F"], "gpg_key_expired"),
            ([False, False, False, True, False, "F"], "gpg_key_revoked"),
            ([False, False, False, False, False, "F"], "gpg_invalid"),
            ("odd", "gpg_invalid"),
            (None, "gpg_unverified"),
        ],
    )
    def test_signatures(self, row: Any, verdict: str) -> None:
        rows = {} if row is None else {"signatures": [row]}
        assert parse(deployment("a", **{"gpg-enabled": True}, **rows))[0].deployments[0].signature == verdict


def test_packages_of_every_kind() -> None:
    entry = deployment(
        "a",
        booted=True,
        packages=["vim"],
        **{
            "requested-packages": ["vim", "emacs"],
            "requested-local-packages": ["tool-1-1.x86_64"],
            "requested-local-fileoverride-packages": ["over-1-1.x86_64"],
            "base-removals": [["nano-7-1.x86_64", "nano", 0, "7", "1", "x86_64"]],
            "base-local-replacements": [[["podman-6-1.x86_64", "podman"], ["podman-5-1.x86_64", "podman"]]],
            "base-remote-replacements": {"copr:x": [[["crun-2-1.x86_64", "crun"], ["crun-1-1.x86_64", "crun"]]]},
            "base-checksum": CHECKSUM["b"],
            "base-version": "43.b",
            "endoflife": "This stream has ended.",
        },
    )
    one = parse(entry)[0].deployments[0]
    assert one.layered == ("vim",)
    assert one.local_packages == ("tool-1-1.x86_64", "over-1-1.x86_64")
    assert one.removed == ("nano-7-1.x86_64",)
    assert one.overrides == ("podman-6-1.x86_64", "crun-2-1.x86_64")
    assert (one.base_checksum, one.base_version) == (CHECKSUM["b"], "43.b")
    assert one.end_of_life == "This stream has ended."


def test_transaction_cached_update_and_driver() -> None:
    state, problems = parse(
        deployment("a", booted=True, **{"pending-base-checksum": CHECKSUM["b"], "pending-base-version": "43.b"}),
        transaction=["deploy", ":1.18", "/org/projectatomic/rpmostree1/fedora_coreos"],
        **{
            "cached-update": {"checksum": CHECKSUM["c"], "version": "43.c", "ref-has-new-commit": True},
            "update-driver": {"driver-name": "Zincati", "driver-sd-unit": "zincati.service"},
        },
    )
    assert state.transaction == "deploy"
    assert state.cached_update == {"version": "43.c", "checksum": CHECKSUM["c"]}
    assert state.driver == {"name": "Zincati", "unit": "zincati.service"}
    assert state.pending_commit == {"version": "43.b", "checksum": CHECKSUM["b"]}
    assert problems == []


def test_the_oldest_documents_lack_most_keys() -> None:
    state, problems = parse({"id": "x-y.0", "checksum": CHECKSUM["a"], "booted": True})
    assert states(state) == [("booted", None, "aaaaaaaa")]
    assert problems == []


@pytest.mark.parametrize("seconds", [-7689964138319052800, 7435743550895030272, 0, -1])
def test_garbage_times_are_not_shown(seconds: int) -> None:
    state, problems = parse(deployment("a", timestamp=seconds))
    assert state.deployments[0].timestamp is None
    assert problems == []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "AvailableUpdate:\n        Version: 44.20260101.3.0 (2026-01-01T00:00:00Z)\n         Commit: abc\n",
            "44.20260101.3.0",
        ),
        ("AvailableUpdate:\n         Commit: abc\n   Diff: 3 upgraded\n", "abc"),
        ("No updates available.\n", ""),
        ("Version: 1\n", ""),
        ("", ""),
    ],
)
def test_the_answer_of_a_check(text: str, version: str) -> None:
    assert parse_check(text) == version


@pytest.mark.parametrize(
    ("written_at", "changed"),
    [("1782899990\n", False), ("1782900600\n", True), ("not a time\n", None), (None, None)],
)
def test_whether_the_boot_order_was_written_in_this_boot(written_at: str | None, changed: bool | None) -> None:
    """The host of these tests started at 1782900000."""
    assert read(boot_order=written_at).facts.update.order_changed is changed
