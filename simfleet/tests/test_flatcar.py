"""A simulated Flatcar host, read by the driver of the product."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from nodes.axes.update_state import update_state
from nodes.hosts import drivers
from nodes.hosts.facts import Facts
from nodes.hosts.probe import build_script, read_frames
from nodes.releases.graph import ReleasesView
from simfleet.model import Fault, HostPlan
from simfleet.tests.world import OneHost

NONCE = "0123456789abcdef"


def host(**over: object) -> OneHost:
    plan = {"versions_behind": 1, "strategy": "etcd-lock", **over}
    return OneHost(HostPlan("ingress-01", "ingress", role="edge", os="flatcar", stream="flatcar/stable", **plan))  # type: ignore[arg-type]


def look(one: OneHost) -> Facts:
    driver = drivers.get("flatcar")
    script = build_script(drivers.undetected_sections(), NONCE)
    output = read_frames(one.ask("sh", "-s", stdin=script).out, NONCE)
    assert drivers.detect_output(output).family == "flatcar"
    return driver.parse(output, datetime.now(UTC)).facts


def state(facts: Facts) -> tuple[str, str]:
    found = update_state(facts.as_json(), ReleasesView("stable"), datetime.now(UTC))
    return found.value, found.reason


def test_everything_that_a_driver_asks_is_answered() -> None:
    one = host()
    facts = look(one)
    assert not facts.unread
    assert facts.os.version == one.host.booted.version
    assert facts.os.stream == "stable"
    assert [(row.id, row.booted, row.rollback) for row in facts.deployments] == [
        ("USR-A", True, False),
        ("USR-B", False, True),
    ]
    assert [runtime.name for runtime in facts.containers.runtimes if runtime.containers] == ["docker"]
    assert {row.mount for row in facts.storage.filesystems} == {"/", "/boot", "/var"}
    assert facts.boot.kernel is not None
    assert facts.boot.kernel.endswith("-flatcar")


def test_an_update_stages_and_a_reboot_changes_the_slot() -> None:
    one = host()
    before = look(one)
    assert one.ask("sudo -n update_engine_client -update").status == 0
    staged = look(one)
    assert staged.staged is not None
    assert (staged.staged.id, staged.staged.version) == ("USR-B", one.catalog.tip("flatcar/stable").version)
    assert state(staged) == ("deferred", "update_strategy")
    assert one.ask("sudo -n systemctl reboot").status == 0
    after = look(one)
    assert after.booted is not None
    assert (after.booted.id, after.booted.version) == ("USR-B", staged.staged.version)
    assert after.boot.boot_id != before.boot.boot_id
    assert [row.rollback for row in after.deployments] == [False, True]


def test_a_staged_update_can_be_dropped() -> None:
    one = host(staged=True)
    assert look(one).staged is not None
    one.ask("sudo -n update_engine_client -reset_status")
    assert look(one).staged is None


@pytest.mark.parametrize(("strategy", "expected"), [("reboot", "reboot_pending"), ("off", "staged")])
def test_what_a_staged_update_waits_for(strategy: str, expected: str) -> None:
    assert state(look(host(staged=True, strategy=strategy)))[0] == expected


def test_an_update_that_does_not_start_falls_back() -> None:
    one = host(staged=True, faults={Fault.FALLBACK.value: 1.0})
    one.ask("sudo -n systemctl reboot")
    facts = look(one)
    assert facts.booted is not None
    assert facts.booted.id == "USR-A"
    assert state(facts) == ("rolled_back", "boot_failed")
    assert state(look(host(fell_back=True))) == ("rolled_back", "boot_failed")


def test_a_rollback_waits_for_its_reboot() -> None:
    one = host()
    target = look(one).rollback
    assert target is not None
    assert one.ask(*drivers.get("flatcar").going_back(asdict(target)).argv).status == 0
    assert state(look(one)) == ("reboot_pending", "other_deployment_first")


def test_garbage_is_kept_with_its_reason() -> None:
    facts = look(host(faults={Fault.GARBAGE.value: 1.0}))
    assert [(row.section, row.reason) for row in facts.unread] == [("update_engine", "not_understood")]


def test_what_fedora_coreos_has_is_not_there() -> None:
    one = host()
    assert one.ask("rpm-ostree status").status == 127
    assert one.ask("command -v podman").status == 1
    assert one.ask("cat /etc/zincati/config.d/51-identity.toml").status == 1
