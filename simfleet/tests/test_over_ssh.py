"""The fleet as a client sees it: connections, faults, reboots, restarts."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from pathlib import Path
from urllib.parse import quote

import asyncssh
import pytest

from simfleet import Fault, FleetError, Settings, control, storage
from simfleet.demo import demo_plans
from simfleet.running import serve
from simfleet.tests.fleets import NET, client, in_loop, run, running, settings, until

NAME = "web-01"
UPGRADE = "sudo -n rpm-ostree upgrade --bypass-driver --unchanged-exit-77"


def test_commands_come_back_with_status_and_separate_streams(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as fleet, client(fleet, NAME) as connection:
            good = await connection.run("cat /etc/os-release")
            assert (good.exit_status, good.stderr, "VARIANT_ID=coreos" in str(good.stdout)) == (0, "", True)
            bad = await connection.run("nosuch")
            assert (bad.exit_status, bad.stdout, bad.stderr) == (127, "", "sh: line 1: nosuch: command not found\n")

    in_loop(work())


def test_an_upgrade_and_a_reboot(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as fleet:
            host = fleet.host(NAME)
            fleet.publish("45.20261231.3.0", bad=False)
            boot_id = str((await run(fleet, NAME, "cat /proc/sys/kernel/random/boot_id")).stdout).strip()
            assert (await run(fleet, NAME, UPGRADE)).exit_status == 0
            async with client(fleet, NAME) as connection:
                assert (await connection.run("sudo -n systemctl reboot")).exit_status == 0
                busy = await connection.run("sudo -n rpm-ostree cleanup -p")
                assert "Reboot initiated" in str(busy.stderr)
                await asyncio.wait_for(connection.wait_closed(), 5)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(host.address, host.port)
            await until(lambda: fleet.servers[NAME].listening)
            after = await run(fleet, NAME, "cat /proc/sys/kernel/random/boot_id; grep OSTREE_VERSION /etc/os-release")
            assert boot_id not in str(after.stdout)
            assert "45.20261231.3.0" in str(after.stdout)

    in_loop(work())


def test_a_host_is_a_jump_host_to_others_of_the_fleet_and_to_nothing_else(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as fleet, client(fleet, NAME) as jump:
            inner = next(host for host in fleet.hosts.values() if host.name != NAME)
            reader, writer = await jump.open_connection(inner.address, inner.port)
            greeting = await asyncio.wait_for(reader.readline(), 60)
            assert "SSH-2.0-" in str(greeting)
            writer.close()
            for place in ("192.0.2.1", "localhost"):
                with pytest.raises(asyncssh.ChannelOpenError):
                    await jump.open_connection(place, 22)

    in_loop(work())


def test_faults_of_the_network(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as fleet:
            fleet.set_fault(NAME, Fault.UNREACHABLE, on=True)
            with pytest.raises(ConnectionRefusedError):
                await run(fleet, NAME, "true")
            fleet.set_fault(NAME, Fault.UNREACHABLE, on=False)
            fleet.set_fault(NAME, Fault.BLACKHOLE, on=True)
            reader, writer = await asyncio.open_connection(fleet.host(NAME).address, fleet.host(NAME).port)
            writer.write(b"SSH-2.0-test\r\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.3)
            fleet.set_fault(NAME, Fault.BLACKHOLE, on=False)
            assert await asyncio.wait_for(reader.read(1), 2) == b""
            writer.close()
            fleet.set_fault(NAME, Fault.WRONG_KEY, on=True)
            with pytest.raises(asyncssh.HostKeyNotVerifiable):
                await run(fleet, NAME, "true")
            fleet.set_fault(NAME, Fault.WRONG_KEY, on=False)
            fleet.set_fault(NAME, Fault.AUTH_REFUSED, on=True)
            with pytest.raises(asyncssh.PermissionDenied):
                await run(fleet, NAME, "true")
            fleet.set_fault(NAME, Fault.AUTH_REFUSED, on=False)
            assert (await run(fleet, NAME, "true")).exit_status == 0

    in_loop(work())


def test_faults_of_the_answers(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as fleet:
            fleet.set_fault(NAME, Fault.SLOW, on=True, value=0.4)
            before = time.monotonic()
            await run(fleet, NAME, "true")
            assert time.monotonic() - before >= 0.4
            fleet.set_fault(NAME, Fault.SLOW, on=False)
            fleet.set_fault(NAME, Fault.GARBAGE, on=True)
            with pytest.raises(ValueError):
                json.loads(str((await run(fleet, NAME, "rpm-ostree status --json")).stdout))
            fleet.set_fault(NAME, Fault.TRUNCATED, on=True)
            async with client(fleet, NAME) as connection:
                cut = await connection.run("cat /etc/os-release")
            assert (cut.exit_status, "VARIANT_ID" in str(cut.stdout)) == (None, False)
            assert str(cut.stdout).startswith("NAME=")
            fleet.set_fault(NAME, Fault.TRUNCATED, on=False)
            fleet.set_fault(NAME, Fault.FAILED_UNIT, on=True)
            degraded = await run(fleet, NAME, "systemctl is-system-running; systemctl list-units --failed --plain")
            assert str(degraded.stdout).startswith("degraded\n")
            assert "loaded failed failed" in str(degraded.stdout)
            fleet.set_fault(NAME, Fault.FULL_DISK, on=True)
            assert " 97% " in str((await run(fleet, NAME, "df -P /boot")).stdout)

    in_loop(work())


def test_a_stranger_is_refused(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as fleet:
            other = asyncssh.generate_private_key("ssh-ed25519")
            for given in ({"client_keys": [other]}, {"username": "root"}):
                with pytest.raises(asyncssh.PermissionDenied):
                    async with client(fleet, NAME, **given):
                        pass

    in_loop(work())


def test_a_restart_finds_the_same_hosts(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as fleet:
            fleet.publish("45.20261231.3.0", bad=False)
            await run(fleet, NAME, UPGRADE)
            fleet.reboot(fleet.host("web-02") if "web-02" in fleet.hosts else fleet.host("edge-01"))
            fleet.set_fault(NAME, Fault.SLOW, on=True, value=0.2)
            before = fleet.manifest()
        saved = {
            name: (host.boot_id, host.deployments, host.faults, host.booted_at) for name, host in fleet.hosts.items()
        }
        async with running(tmp_path) as again:
            assert again.manifest() == before
            assert {n: (h.boot_id, h.deployments, h.faults, h.booted_at) for n, h in again.hosts.items()} == saved
            assert again.host(NAME).deployments[0].version == "45.20261231.3.0"
            assert (await run(again, NAME, "true")).exit_status == 0

    in_loop(work())


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path):
            for name in ("client_key", "manifest.json", "state.json", "control.sock"):
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name

    in_loop(work())
    assert not (tmp_path / "control.sock").exists()


def test_control_over_the_socket(tmp_path: Path) -> None:
    # Deeper than a socket path may be long.
    directory = tmp_path / ("d" * 90)
    directory.mkdir()

    async def work() -> None:
        async with running(directory) as fleet:

            async def send(**command: object) -> dict[str, object]:
                return await asyncio.to_thread(control.send, directory, command)

            rows = (await send(action="list"))["hosts"]
            assert isinstance(rows, list)
            assert len(rows) == 4
            await send(action="fault", name=NAME, kind="unreachable", on=True)
            assert not fleet.servers[NAME].listening
            await send(action="fault", name=NAME, kind="unreachable", on=False)
            assert (await send(action="publish", version="45.20261231.3.0", bad=True))["stream"] == "stable"
            await send(action="upgrade", name=NAME)
            await send(action="reboot", name=NAME)
            await until(lambda: fleet.servers[NAME].listening and not fleet.host(NAME).rebooting)
            assert fleet.host(NAME).pending is not None
            refused: list[dict[str, object]] = [{}, {"action": "nosuch"}, {"action": "reboot", "name": "nosuch"}]
            refused.append({"action": "fault", "name": NAME, "kind": "nosuch", "on": True})
            for command in refused:
                with pytest.raises(FleetError):
                    await send(**command)

    in_loop(work())
    with pytest.raises(FleetError, match="No simulated fleet runs"):
        control.send(directory, {"action": "list"})


def test_another_machine_takes_the_place_of_a_host(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    files = {"/etc/ssh/ssh_host_ed25519_key": key, "/etc/motd": "made anew\n"}
    rows = [{"path": path, "contents": {"source": f"data:,{quote(text)}"}} for path, text in files.items()]
    config = json.dumps({"ignition": {"version": "3.4.0"}, "storage": {"files": rows}})
    asked = "cat /etc/machine-id /etc/motd /proc/sys/kernel/random/boot_id"

    async def work() -> None:
        async with running(tmp_path) as fleet:
            before = str((await run(fleet, NAME, asked)).stdout).split()
            with pytest.raises(FleetError, match="no Ignition config with a host key"):
                fleet.recreate(NAME, "{}")
            fleet.recreate(NAME, config)
            with pytest.raises(FleetError, match="reboots"):
                fleet.recreate(NAME, config)
            await until(lambda: not fleet.host(NAME).rebooting and fleet.servers[NAME].listening)
            after = str((await run(fleet, NAME, asked)).stdout).split()
            assert "anew" in after
            assert not set(before) & set(after)
        async with running(tmp_path) as again:
            assert str((await run(again, NAME, asked)).stdout).split() == after
            assert again.host(NAME).generation == 1

    in_loop(work())


def test_a_person_who_signs_out_lets_the_agent_reboot(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, demo=True) as fleet:
            host = fleet.host("edge-03")
            wanted = host.deployments[0].version
            fleet.set_fault("edge-03", Fault.SESSION, on=False)
            await until(lambda: host.booted.version == wanted)

    in_loop(work())


def test_one_fleet_per_folder_and_one_kind(tmp_path: Path) -> None:
    lock = storage.Lock(tmp_path)
    with pytest.raises(FleetError, match=f"already runs in .* \\(process {os.getpid()}\\)"):
        storage.Lock(tmp_path)
    lock.release()

    async def start(wanted: Settings) -> list[str]:
        said: list[str] = []
        stop = asyncio.Event()
        stop.set()
        await serve(wanted, stop, said.append)
        return said

    (tmp_path / "control.sock").touch()
    assert "4 simulated hosts listen" in asyncio.run(start(settings(tmp_path)))[0]
    with pytest.raises(FleetError, match="holds a fleet of 4 hosts with seed 7"):
        asyncio.run(start(settings(tmp_path, seed=8)))
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(FleetError, match="cannot be read"):
        asyncio.run(start(settings(tmp_path)))


def test_addresses_that_are_taken(tmp_path: Path) -> None:
    async def work() -> None:
        for name in ("one", "two", "three"):
            (tmp_path / name).mkdir()
        async with running(tmp_path / "one"):
            with pytest.raises(FleetError, match="cannot be used"):
                async with running(tmp_path / "two"):
                    pass
            async with running(tmp_path / "three", net=None) as fleet:
                assert not fleet.host(NAME).address.startswith(f"{NET}.")
            async with running(tmp_path / "two", net="127.0.0.1") as fleet:
                assert {host.address for host in fleet.hosts.values()} == {"127.0.0.1"}
                assert (await run(fleet, "edge-01", "true")).exit_status == 0

    in_loop(work())


def test_five_hundred_hosts_answer(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, nodes=500) as fleet:
            gate = asyncio.Semaphore(20)

            async def one(name: str) -> str:
                async with gate:
                    return str((await run(fleet, name, "cat /etc/machine-id")).stdout)

            answers = await asyncio.gather(*(one(name) for name in fleet.hosts))
            assert len(set(answers)) == 500

    in_loop(work())


def test_the_demo_tells_its_story() -> None:
    plans = demo_plans(7)
    assert len(plans) == 66
    assert {row.pool for row in plans} == {"web", "edge", "db", "k8s-control", "k8s-workers", "ingress"}
    faults = [kind for row in plans for kind in row.faults]
    assert {kind: faults.count(kind) for kind in set(faults)} == {
        "unreachable": 2, "wrong_key": 1, "full_disk": 1, "failed_unit": 2, "session": 1, "garbage": 1, "auth_refused": 1,
    }  # fmt: skip
    assert sum(row.staged for row in plans) == 9
    assert {row.container_native for row in plans} == {True, False}
    assert len({(row.stream, row.versions_behind) for row in plans}) >= 4
