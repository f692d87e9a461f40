"""Operations on real hosts: real ostree, real systemd, real restarts, asked for over REST.

Workers that are killed meanwhile are in tests/test_operations_rig_storm.py.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation, installation
from tests.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.rig]
LEASE_S = 8
#: A host that stays away for longer is a person's.
RETURN_S = 60
#: The newest of the versions that every rig has.
GOOD = "43.20251214.3.0"


class Fleet:
    """A running FleetUI with one real host in the pool web, and its REST API."""

    def __init__(self, started: Installation, rig: Rig) -> None:
        self.started, self.rig = started, rig
        self.token = started.token("admin")
        self.unused: list[str] = []

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(f"{self.started.url}/api/v1/{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()}") from None

    def take_in(self, hosts: list[dict[str, Any]]) -> None:
        key = Path(hosts[0]["key_file"]).read_text()
        self.ask("POST", "credentials/", {"name": "rig", "username": hosts[0]["user"], "private_key": key})
        self.ask("POST", "pools/", {"name": "web", "credential": "rig"})
        for host in hosts:
            given = {"name": host["name"], "address": host["address"], "port": host["port"], "pool": "web"}
            self.ask("POST", "nodes/", {**given, "host_key": host["host_key"]})
        self.known_releases()
        self.unused = [host["name"] for host in hosts]
        self.until(lambda: all(self.node(name)["booted"] for name in self.unused))

    def known_releases(self) -> None:
        releases = [
            {"stream": "stable", "version": one["version"], "checksum": one["checksum"]}
            for one in json.loads(self.rig("versions"))
        ]
        self.ask("POST", "releases/import/", {"text": json.dumps({"streams": ["stable"], "releases": releases})})

    def node(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"nodes/{name}/")
        return found

    def polled(self, name: str) -> dict[str, Any]:
        before = self.node(name)["last_seen_at"]
        self.ask("POST", f"nodes/{name}/poll/")
        self.until(lambda: self.node(name)["last_seen_at"] not in (None, before))
        return self.node(name)

    def start(self, kind: str, name: str, **params: Any) -> str:
        made = self.ask("POST", "operations/", {"kind": kind, "nodes": [name], "params": params, "reason": "proof"})
        assert made["operations"], made
        return str(made["operations"][0]["id"])

    def end(self, operation: str, timeout_s: float = 180) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while True:
            found: dict[str, Any] = self.ask("GET", f"operations/{operation}/?wait=5")
            if found["is_final"] or found["state"] == "needs_attention":
                return found
            assert time.monotonic() < end, (found["state"], found["step"], found["waits_for"], self.log(operation))

    def log(self, operation: str) -> str:
        return "\n".join(line["text"] for line in self.ask("GET", f"operations/{operation}/log/")["lines"])

    def until(self, true: Any, timeout_s: float = 60) -> None:
        self.started.wait_for(true, timeout_s)


@pytest.fixture(scope="module")
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rig: Rig) -> Iterator[Fleet]:
    """One installation, and a host of its own for each test: none finds what another left."""
    tests = sum(one.path == request.path for one in request.session.items)
    folder = tmp_path_factory.mktemp("operations") / "var"
    with installation(
        folder,
        # A sign-in costs a real host a second of processor time: the tests ask for the polls that they need.
        FLEETUI_POLL_INTERVAL_S="900",
        FLEETUI_OPERATION_LEASE_S=str(LEASE_S),
        FLEETUI_OPERATION_RETURN_S=str(RETURN_S),
    ) as started:
        found = Fleet(started, rig)
        found.take_in(rig.up(tests))
        yield found


@pytest.fixture
def name(fleet: Fleet) -> str:
    return fleet.unused.pop(0)


def boots(rig: Rig, name: str) -> int:
    return len([line for line in rig.ssh(name, "journalctl --list-boots -q --no-pager").splitlines() if line.strip()])


def nothing_left(rig: Rig, name: str) -> bool:
    units = rig.ssh(name, "systemctl list-units --all --no-legend 'fleetui-*'")
    files = rig.ssh(name, "ls /run/zincati/config.d 2>/dev/null || true")
    return "fleetui" not in units + files


# In each run a real host is upgraded and rolled back in test_first_host.
@pytest.mark.soak
def test_an_upgrade_restarts_the_host_once_and_a_rollback_goes_back(fleet: Fleet, rig: Rig, name: str) -> None:
    before, count = fleet.node(name), boots(rig, name)
    done = fleet.end(fleet.start("upgrade", name, version=GOOD, soak_s=3))
    assert (done["state"], done["result"]) == ("succeeded", "healthy"), (done, fleet.log(done["id"]))
    after = fleet.polled(name)
    assert after["booted"]["version"] == done["plan"]["target"]["version"] != before["booted"]["version"]
    assert boots(rig, name) == count + 1
    assert nothing_left(rig, name)

    back = fleet.end(fleet.start("rollback", name, soak_s=3))
    assert (back["state"], back["result"]) == ("succeeded", "healthy"), (back, fleet.log(back["id"]))
    assert fleet.polled(name)["booted"]["version"] == before["booted"]["version"]
    assert boots(rig, name) == count + 2
    assert nothing_left(rig, name)


def test_a_cancelled_upgrade_leaves_nothing_staged(fleet: Fleet, rig: Rig, name: str) -> None:
    operation = fleet.start("upgrade", name, version=GOOD)
    fleet.until(lambda: fleet.ask("GET", f"operations/{operation}/")["step"] in ("stage", "reboot"))
    fleet.ask("POST", f"operations/{operation}/cancel/", {"reason": "not today"})
    done = fleet.end(operation)
    if done["state"] == "cancelled" and done["step"] != "await_boot":
        assert fleet.polled(name)["staged"] is None
    assert nothing_left(rig, name)


def test_a_full_boot_disk_is_seen_before_anything_changes(fleet: Fleet, rig: Rig, name: str) -> None:
    rig("fault", name, "boot-full", "on")
    try:
        done = fleet.end(fleet.start("upgrade", name, version=GOOD))
    finally:
        rig("fault", name, "boot-full", "off")
    assert (done["state"], done["result"]) == ("failed", "preflight"), done
    assert "/boot" in done["result_sentence"]
    assert fleet.polled(name)["staged"] is None


@pytest.mark.soak
def test_a_unit_is_restarted_once_and_kernel_arguments_are_changed(fleet: Fleet, rig: Rig, name: str) -> None:
    for unit, command in (("app-good", "sleep infinity"), ("app-bad", "sh -c 'echo no port to listen on; exit 3'")):
        text = f"[Service]\nExecStart=/bin/{command}\n"
        rig.ssh(name, f"sudo tee /etc/systemd/system/{unit}.service", stdin=text)
    rig.ssh(name, "sudo systemctl daemon-reload; sudo systemctl start app-good")
    before = rig.ssh(name, "systemctl show -P InvocationID app-good").strip()

    good = fleet.end(fleet.start("unit_restart", name, unit="app-good"))
    assert good["result_sentence"] == "app-good.service was restarted and is active (running).", fleet.log(good["id"])
    after = rig.ssh(name, "systemctl show -P InvocationID app-good").strip()
    assert len(after) == 32
    assert after != before
    assert rig.ssh(name, "sudo journalctl -b -u app-good -o cat -q --no-pager").count("Started ") == 2
    assert nothing_left(rig, name)

    bad = fleet.end(fleet.start("unit_restart", name, unit="app-bad"))
    assert (bad["state"], bad["result"]) == ("failed", "unit_failed"), (bad, fleet.log(bad["id"]))
    assert "no port to listen on" in fleet.log(bad["id"])
    rig.ssh(name, "sudo systemctl reset-failed app-bad")
    none = fleet.end(fleet.start("unit_restart", name, unit="nothing"))
    assert (none["state"], none["result"]) == ("failed", "preflight"), none

    assert fleet.end(fleet.start("refresh", name))["state"] == "succeeded"
    assert fleet.end(fleet.start("check", name))["result"] == "update_there"

    count = boots(rig, name)
    changed = fleet.end(fleet.start("kargs", name, append=["fleetui.test=1"], soak_s=3))
    assert (changed["state"], changed["result"]) == ("succeeded", "healthy"), (changed, fleet.log(changed["id"]))
    assert "fleetui.test=1" in rig.ssh(name, "rpm-ostree kargs").split()
    assert boots(rig, name) == count + 1
    assert nothing_left(rig, name)
    same = fleet.end(fleet.start("kargs", name, append=["fleetui.test=1"]))
    assert (same["state"], same["result"], boots(rig, name)) == ("succeeded", "arguments_there", count + 1)


@pytest.fixture
def a_good_head(rig: Rig) -> Iterator[None]:
    """What is published stays the head of the branch, for other tests and runs too: the last one is good again."""
    yield
    there = json.loads(rig("versions"))
    if there[-1]["bad"]:
        rig("publish", f"43.20260130.3.{len(there)}")


def publish(rig: Rig, version: str, *bad: str) -> None:
    """A rig keeps what was published in an earlier run."""
    if version not in {one["version"] for one in json.loads(rig("versions"))}:
        rig("publish", version, *bad)


@pytest.mark.usefixtures("a_good_head")
def test_bad_versions_are_gone_back_from_and_held_back(fleet: Fleet, rig: Rig, name: str) -> None:
    """One fails its health check and goes back by itself, the other does not boot and falls back."""
    before = fleet.node(name)["booted"]["version"]
    publish(rig, "43.20260110.3.0", "--bad", "unit")
    fleet.known_releases()
    done = fleet.end(fleet.start("upgrade", name, version="43.20260110.3.0", soak_s=0, roll_back=True), 400)
    assert (done["state"], done["result"]) == ("failed", "went_back"), (done, fleet.log(done["id"]))
    assert "rig-app.service" in done["result_sentence"]
    found = fleet.ask("GET", f"operations/{done['id']}/findings/")
    kept = {one["kind"]: one for one in found["attachments"]}
    assert {"unit_status", "unit_journal", "boot_journal"} <= set(kept), kept
    journal = fleet.ask("GET", f"operations/{done['id']}/attachments/{kept['unit_journal']['id']}/")
    assert "rig-app" in journal["text"]
    assert found["packages"]["upgraded"] > 0
    assert found["facts_before"]["version"] == found["facts_after"]["version"] == before

    # A plan is made for what was read last: not in the bad boot.
    assert fleet.polled(name)["booted"]["version"] == before
    publish(rig, "43.20260115.3.0", "--bad", "noboot")
    fleet.known_releases()
    done = fleet.end(fleet.start("upgrade", name, version="43.20260115.3.0", soak_s=0), 300)
    assert (done["state"], done["result"]) == ("failed", "fell_back"), (done, fleet.log(done["id"]))
    assert fleet.polled(name)["booted"]["version"] == before
    assert nothing_left(rig, name)

    holds = fleet.ask("GET", f"version-holds/?node={name}")["results"]
    whys = {one["version"]: one["why"] for one in holds}
    assert whys == {"43.20260110.3.0": "went_back", "43.20260115.3.0": "fell_back"}
    asked = {"kind": "upgrade", "nodes": [name], "params": {"version": "43.20260110.3.0"}, "dry_run": True}
    assert [one["code"] for one in fleet.ask("POST", "operations/", asked)["refused"]] == ["held"]


@pytest.mark.soak
def test_a_host_that_does_not_come_back_is_a_persons_who_may_bring_it_back(fleet: Fleet, rig: Rig, name: str) -> None:
    count = boots(rig, name)
    rig("fault", name, "no-return", "on")
    lost = fleet.end(fleet.start("reboot", name, soak_s=0), 300)
    assert (lost["state"], lost["result"]) == ("needs_attention", "did_not_return"), (lost, fleet.log(lost["id"]))
    rig("on", name)
    fleet.ask("POST", f"operations/{lost['id']}/go-on/", {"reason": "plugged in again"})
    done = fleet.end(lost["id"])
    assert (done["state"], done["result"]) == ("succeeded", "healthy"), (done, fleet.log(done["id"]))
    assert boots(rig, name) == count + 1
    assert nothing_left(rig, name)


def test_a_pin_and_a_host_key_that_changed_meanwhile(fleet: Fleet, rig: Rig, name: str) -> None:
    done = fleet.end(fleet.start("pin", name, deployment="booted"))
    assert done["state"] == "succeeded", (done, fleet.log(done["id"]))
    assert "Pinned: yes" in rig.ssh(name, "rpm-ostree status")
    count = boots(rig, name)
    fleet.ask("PUT", "operations/stop/", {"stopped": True, "reason": "proof"})
    try:
        operation = fleet.start("reboot", name)
        rig("fault", name, "wrong-hostkey", "on")
    finally:
        fleet.ask("PUT", "operations/stop/", {"stopped": False, "reason": "proof"})
    done = fleet.end(operation)
    rig("fault", name, "wrong-hostkey", "off")
    assert (done["state"], done["result"]) == ("failed", "contact_refused"), done
    assert done["result_params"]["kind"] == "key_mismatch"
    assert boots(rig, name) == count
