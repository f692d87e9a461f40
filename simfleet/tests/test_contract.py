"""The drivers of the product read simulated hosts, and their commands work on them."""

from __future__ import annotations

import asyncio
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodes.hosts import drivers
from nodes.hosts.look import look
from nodes.hosts.probe import build_script, read_frames
from nodes.hosts.ssh import Deadline, Endpoint, HostKey, connect, load_identity
from simfleet import Fault
from simfleet.fleet import Fleet
from simfleet.model import HostPlan
from simfleet.tests.fleets import in_loop, running
from simfleet.tests.world import OneHost

NONCE = "abcdef0123456789"
PLANS = [
    HostPlan("web-01", "web"),
    HostPlan("web-02", "web", container_native=True, staged=True, versions_behind=1, strategy="periodic"),
    HostPlan("db-01", "db", role="db", layered=("tcpdump",), pinned=True, strategy="fleet_lock"),
    HostPlan("edge-01", "edge", role="edge", rolled_back=True, versions_behind=1, faults={Fault.SESSION.value: 1.0}),
    HostPlan("k8s-control-01", "k8s-control", role="k8s-control", faults={Fault.FAILED_UNIT.value: 1.0}),
    HostPlan("k8s-workers-01", "k8s-workers", role="k8s-worker", faults={Fault.STUCK_TRANSACTION.value: 1.0}),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_the_driver_reads_everything(plan: HostPlan) -> None:
    world = OneHost(plan)
    driver = drivers.get("fcos")
    answer = world.ask("sh -s", stdin=build_script(driver.probe(), NONCE))
    output = read_frames(answer.out, NONCE)
    assert (output.complete, answer.status) == (True, 0)
    assert drivers.detect_output(output).family == "fcos"
    facts = driver.parse(output, datetime.now(UTC)).facts.as_json()
    assert facts["unread"] in ((), [])
    assert [row["version"] for row in facts["deployments"]] == [row.version for row in world.host.deployments]
    assert facts["boot"]["boot_id"] == world.host.boot_id
    assert facts["boot"]["boot_count"] == world.host.boot_count
    assert facts["agent"]["config"]["identity"]["group"] == plan.pool
    assert len(facts["health"]["failed_units"]) == len([kind for kind in plan.faults if kind == "failed_unit"])
    assert len(facts["sessions"]) == len([kind for kind in plan.faults if kind == "session"])
    assert facts["containers"]["runtimes"]


def test_facts_stay_the_same_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = drivers.get("fcos")
    for plan in PLANS:
        world = OneHost(plan)
        seen = []
        for later_s in (0, 40, 4000):
            monkeypatch.setattr(world, "now", lambda later_s=later_s, world=world: world.created_at + later_s)
            answer = world.ask("sh -s", stdin=build_script(driver.probe(), NONCE))
            facts = driver.parse(read_frames(answer.out, NONCE), datetime.now(UTC)).facts.as_json()
            facts["agent"].pop("status_text")
            facts["agent"].pop("detail")
            seen.append(json.dumps(facts))
        assert seen[0] == seen[1] == seen[2], plan.name


@pytest.mark.parametrize(
    "kind", ["pin", "check", "kargs", "cleanup_rollback", "cancel", "zincati_pause", "zincati_resume"]
)
def test_the_commands_of_the_driver_work(kind: str) -> None:
    world = OneHost()
    given = {"deployment": "booted"} if kind == "pin" else {}
    command = drivers.get("fcos").command(kind, **given)
    answer = world.ask(*command.argv)
    assert answer.status in {0, *command.unchanged_statuses}, answer.err


def test_the_fence_holds() -> None:
    world = OneHost()
    driver = drivers.get("fcos")
    upgrade = driver.command("upgrade")

    async def work() -> None:
        late = driver.fence.started(upgrade, operation="op1", step="stage", boot_id="00-00")
        assert (await world.run(shlex.join(late.argv))).status == 75
        start = driver.fence.started(upgrade, operation="op1", step="stage", boot_id=world.host.boot_id)
        assert (await world.run(shlex.join(start.argv))).status == 0
        assert (await world.run(shlex.join(start.argv))).status == 1
        await asyncio.sleep(0.1)
        shown = (await world.run(shlex.join(driver.fence.state("op1", "stage").argv))).out.decode()
        assert "SubState=exited" in shown
        journal = (await world.run(shlex.join(driver.fence.journal("op1", "stage").argv))).out.decode()
        assert "Staging deployment" in journal

    asyncio.run(work())
    assert world.host.deployments[0].staged


def test_a_look_over_a_real_connection(tmp_path: Path) -> None:
    def read(fleet: Fleet, name: str) -> str:
        row = fleet.row(fleet.host(name))
        identity = load_identity(Path(fleet.key_file).read_text())
        where, key = Endpoint(row["address"], row["port"], row["username"]), HostKey.parse(row["host_key"])
        with connect(where, identity, host_key=key, deadline=Deadline.after(10)) as connection:
            found = look(connection, now=datetime.now(UTC), deadline=Deadline.after(10))
        assert not found.facts.unread
        return found.facts.os.version or ""

    async def work() -> None:
        async with running(tmp_path) as fleet:
            for name, host in fleet.hosts.items():
                assert await asyncio.to_thread(read, fleet, name) == host.booted.version

    in_loop(work())
