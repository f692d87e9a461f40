"""What one host answers: texts, statuses and the changes they stand for."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ops.replacement.etcd import CHANGED_STATUS, look_command, read, remove_command
from simfleet.answers.base import COMMANDS
from simfleet.model import Fault, HostPlan
from simfleet.tests.world import OneHost

UPGRADE = "sudo -n rpm-ostree upgrade --bypass-driver --unchanged-exit-77"


def status(world: OneHost) -> dict[str, object]:
    document: dict[str, object] = json.loads(world.ask("rpm-ostree status --json").out)
    return document


def versions(world: OneHost) -> list[str]:
    return [row.version for row in world.host.deployments]


def test_upgrade_stages_and_a_reboot_moves_the_deployments() -> None:
    world = OneHost()
    before, boot_id, count = world.host.booted.version, world.host.boot_id, world.host.boot_count
    tip = world.catalog.tip("stable").version
    answer = world.ask(UPGRADE)
    assert answer.status == 0
    assert answer.out.decode().endswith('Run "systemctl reboot" to start a reboot\n')
    rows = status(world)["deployments"]
    assert isinstance(rows, list)
    assert (rows[0]["version"], rows[0]["staged"], rows[0]["booted"]) == (tip, True, False)
    assert world.ask("sudo -n systemctl reboot").status == 0
    assert world.host.booted.version == tip
    assert versions(world) == [tip, before]
    assert (world.host.boot_id != boot_id, world.host.boot_count) == (True, count + 1)
    assert world.ask(UPGRADE).status == 77


def test_status_has_the_shape_of_the_real_one() -> None:
    for native in (False, True):
        world = OneHost(HostPlan("db-01", "db", role="db", layered=("tcpdump",), container_native=native))
        document = status(world)
        assert list(document) == ["deployments", "transaction", "cached-update", "update-driver"]
        rows = document["deployments"]
        assert isinstance(rows, list)
        assert ("container-image-reference" in rows[0], "origin" in rows[0]) == (native, not native)
        assert rows[0]["packages"] == ["tcpdump"]
        assert rows[0]["base-checksum"] != rows[0]["checksum"]
        text = world.ask("rpm-ostree status").out.decode()
        assert text.startswith("State: idle\nAutomaticUpdatesDriver: Zincati\n  DriverState: active; periodically")


def test_the_driver_root_and_a_running_transaction_are_reasons_to_refuse() -> None:
    world = OneHost()
    driven = world.ask("sudo -n rpm-ostree upgrade")
    assert (driven.status, b"driven by Zincati (zincati.service)" in driven.err) == (1, True)
    assert world.ask("rpm-ostree upgrade --bypass-driver").status == 1

    async def both() -> tuple[bytes, int]:
        world.transaction_s = 0.2
        first = asyncio.create_task(world.run(UPGRADE))
        await asyncio.sleep(0.05)
        busy = json.loads((await world.run("rpm-ostree status --json")).out)["transaction"]
        assert busy[0] == "upgrade"
        second = await world.run(UPGRADE)
        cancelled = await world.run("sudo -n rpm-ostree cancel")
        assert cancelled.out.startswith(b"Cancelling transaction: upgrade")
        return second.err, (await first).status

    said, first_status = asyncio.run(both())
    assert said.startswith(b"error: Transaction in progress: upgrade")
    assert first_status == 1
    assert world.host.pending is None


def test_rollback_cleanup_pin_and_kargs() -> None:
    world = OneHost()
    newer, older = versions(world)
    before = int(world.ask("stat -c %Y /boot/loader").out)
    said = world.ask("sudo -n rpm-ostree rollback").out.decode()
    assert before < world.host.booted_at < int(world.ask("stat -c %Y /boot/loader").out) + 1
    assert said.startswith("Moving '")
    assert versions(world) == [older, newer]
    world.reboot(world.host)
    assert world.host.booted.version == older
    assert world.ask("sudo -n ostree admin pin 1").out == b"Deployment 1 is now pinned\n"
    world.ask(UPGRADE)
    assert world.ask("sudo -n rpm-ostree rollback").err == b"error: Staged deployment (remove with cleanup -p)\n"
    assert world.ask("sudo -n ostree admin pin 0").status == 1
    assert world.ask("sudo -n rpm-ostree cleanup -p").status == 0
    assert versions(world) == [older, newer]
    assert world.ask("sudo -n rpm-ostree cleanup -r").out == b"Deployments unchanged.\n"
    changed = world.ask("sudo -n rpm-ostree kargs --unchanged-exit-77 --append-if-missing=a=1,2 --append-if-missing=b")
    assert changed.status == 0
    assert world.host.deployments[0].kargs[-2:] == ("a=1,2", "b")
    assert b" a=1,2 b " in world.ask("rpm-ostree kargs").out


def test_deploy_by_version_checksum_and_digest() -> None:
    world = OneHost(HostPlan("web-02", "web", container_native=True, versions_behind=2))
    wanted = world.catalog.behind("stable", 1)
    for word in (f"version={wanted.version}", wanted.version, f"revision={wanted.checksum}", wanted.image_digest):
        answer = world.ask("sudo", "-n", "rpm-ostree", "deploy", "--bypass-driver", word)
        assert answer.status == 0, answer.err
        assert world.host.deployments[0].version == wanted.version
        world.ask("sudo -n rpm-ostree cleanup -p")
    missing = world.ask("sudo -n rpm-ostree deploy --bypass-driver version=9.9.9")
    assert missing.err.startswith(b"error: Version 9.9.9 not found in ")


def test_a_locked_deployment_waits_for_finalize() -> None:
    world = OneHost()
    before = world.host.booted.version
    world.ask(f"{UPGRADE} --lock-finalization")
    assert b"locked" in world.ask("ls -1 /run/ostree").out
    world.reboot(world.host)
    assert (world.host.booted.version, world.host.pending) == (before, None)
    world.ask(f"{UPGRADE} --lock-finalization")
    checksum = world.host.deployments[0].checksum
    assert world.ask(f"sudo -n rpm-ostree finalize-deployment {'0' * 64}").status == 1
    world.ask(f"sudo -n rpm-ostree finalize-deployment {checksum}")
    assert world.host.booted.version == world.catalog.tip("stable").version


def test_a_bad_update_falls_back() -> None:
    world = OneHost()
    before = world.host.booted.version
    world.host.faults[Fault.FALLBACK.value] = 1.0
    world.ask(UPGRADE)
    world.reboot(world.host)
    assert world.host.booted.version == before
    assert versions(world)[0] == world.catalog.tip("stable").version
    assert not world.host.has(Fault.FALLBACK)


def test_a_stuck_transaction_is_cancelled_by_hand() -> None:
    world = OneHost()
    world.host.faults[Fault.STUCK_TRANSACTION.value] = 1.0
    assert world.ask(UPGRADE).err.startswith(b"error: Transaction in progress")
    assert world.ask("sudo -n rpm-ostree cancel").status == 0
    assert world.ask(UPGRADE).status == 0


def test_the_agent_says_what_it_waits_for() -> None:
    show = "systemctl show zincati.service -p StatusText --value"
    plan = HostPlan("edge-01", "edge", staged=True, versions_behind=1, faults={Fault.SESSION.value: 1.0})
    world = OneHost(plan)
    assert world.ask(show).out.decode().strip().endswith("; reboot delayed due to active user sessions")
    assert b"pts/0" in world.ask("loginctl list-sessions --no-pager").out
    waiting = OneHost(HostPlan("web-01", "web", staged=True, versions_behind=1, strategy="periodic"))
    assert waiting.ask(show).out.decode().strip().endswith("; reboot pending due to update strategy")
    assert OneHost().ask(show).out.startswith(b"periodically polling for updates (last checked ")
    stopped = OneHost()
    assert stopped.ask("sudo -n systemctl stop zincati.service").status == 0
    assert stopped.ask("systemctl is-active zincati").out == b"inactive\n"
    assert stopped.ask("sudo -n rpm-ostree upgrade").status == 0


def test_a_transient_unit_runs_once_and_keeps_its_result() -> None:
    world = OneHost()
    start = "sudo -n systemd-run --quiet --unit=job-1.service --property=RemainAfterExit=yes --setenv=LC_ALL=C -- "
    show = "systemctl show job-1.service --property=ActiveState,SubState,Result,ExecMainStatus"

    async def both() -> None:
        assert (await world.run(start + "rpm-ostree upgrade --bypass-driver")).status == 0
        again = await world.run(start + "rpm-ostree upgrade --bypass-driver")
        assert (again.status, b"already loaded" in again.err) == (1, True)
        await asyncio.sleep(0.1)

    asyncio.run(both())
    shown = world.ask(show).out.decode().split()
    assert set(shown) == {"Result=success", "ExecMainStatus=0", "ActiveState=active", "SubState=exited"}
    journal = world.ask("sudo -n journalctl -u job-1.service -o cat -q --no-pager --show-cursor").out.decode()
    assert "Staging deployment... done" in journal
    cursor = journal.splitlines()[-1].removeprefix("-- cursor: ")
    more = world.ask(
        f"sudo -n journalctl -u job-1.service -o cat -q --show-cursor '--after-cursor={cursor}'"
    ).out.decode()
    assert "Staging" not in more
    assert world.ask("sudo -n systemctl stop job-1.service").status == 0
    assert b"LoadState=not-found" in world.ask("systemctl show job-1.service").out


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("nosuch --x", 127, b"sh: line 1: nosuch: command not found\n"),
        ("cat /nosuch", 1, b"cat: /nosuch: No such file or directory\n"),
        ("systemctl reboot", 1, b"Interactive authentication required."),
        ("rpm-ostree frobnicate", 1, b"error: Unknown command 'frobnicate'\n"),
        ("sudo -n systemctl restart nosuch", 5, b"Unit nosuch.service not found."),
        ("ls /etc/nosuch", 2, b"ls: cannot access '/etc/nosuch'"),
    ],
)
def test_failures_look_like_those_of_a_host(command: str, code: int, said: bytes) -> None:
    answer = OneHost().ask(command)
    assert (answer.status, said in answer.err) == (code, True)


def test_lists_of_commands_follow_the_shell() -> None:
    world = OneHost()
    assert world.ask("false && echo a || echo b; echo c").out == b"b\nc\n"
    assert world.ask("if test -d /nosuch; then echo a; else echo b; fi").out == b"b\n"
    assert world.ask("command -v nosuch >/dev/null || exit 127; echo a").status == 127
    assert world.ask("LC_ALL=C uname -s; exit 3").status == 3


def test_settings_of_the_agent_can_be_written_and_removed() -> None:
    world = OneHost()
    script = 'mkdir -p "$1" && printf "[updates]\\nenabled = false\\n" >"$1/$2.new" && mv "$1/$2.new" "$1/$2"'
    directory = "/etc/zincati/config.d"
    assert world.ask("sudo", "-n", "sh", "-c", script, "name", directory, "99-pause.toml").status == 0
    assert world.ask(f"cat {directory}/99-pause.toml").out == b"[updates]\nenabled = false\n"
    assert b"disabled by configuration" in world.ask("systemctl show zincati.service -p StatusText").out
    assert world.ask(f"sudo -n rm -f {directory}/99-pause.toml").status == 0
    assert world.host.agent_enabled


def test_a_full_boot_file_system_stops_an_update() -> None:
    world = OneHost()
    world.host.faults[Fault.FULL_DISK.value] = 96.0
    assert b"96%" in world.ask("df -P /boot").out
    assert world.ask(UPGRADE).err.startswith(b"error: Writing content object: min-free-space-percent")


def test_a_unit_that_ran_when_the_fleet_stopped_has_failed() -> None:
    world = OneHost()

    async def start() -> None:
        world.transaction_s = 5.0
        await world.run("sudo -n systemd-run --unit=job-2 -- rpm-ostree upgrade --bypass-driver")
        await asyncio.sleep(0.02)
        saved = json.loads(json.dumps(world.host.saved()))
        world.host.restore(saved)

    asyncio.run(start())
    shown = world.ask("systemctl show job-2.service -p ActiveState,Result").out.decode()
    assert set(shown.split()) == {"Result=signal", "ActiveState=failed"}
    assert world.ask("sudo -n systemctl reset-failed job-2.service").status == 0
    assert b"not-found" in world.ask("systemctl show job-2.service").out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_odd_arguments_get_an_answer(name: str) -> None:
    world = OneHost(HostPlan("k8s-control-01", "k8s-control", role="k8s-control"))
    for words in (
        (),
        ("--",),
        ("-x",),
        ("a", "b"),
        ("-u",),
        ("-m", "x"),
        ("status",),
        ("(", "/etc/os-release"),
        ("deploy", "="),
    ):
        assert 0 <= world.ask(name, *words).status < 256
        assert 0 <= world.ask("sudo", "-n", name, *words).status < 256


@pytest.mark.parametrize(
    "script", ["", ";", "&&", "if", "exec", "exit", "echo 'a", "> x", "a >", "if true; then", "fi", "|| ||"]
)
def test_odd_scripts_get_an_answer(script: str) -> None:
    assert 0 <= OneHost().ask(script or " ").status < 256


@pytest.mark.parametrize("native", [False, True])
def test_the_status_has_the_keys_of_recorded_hosts(native: bool) -> None:
    corpus = os.environ.get("FLEETUI_CORPUS")
    if not corpus:
        pytest.skip("corpus not present")
    name = "2026-fcos43-oci-booted-rollback-driver" if native else "2020-fcos31-staged-locked"
    recorded = json.loads((Path(corpus) / "hosts" / "fcos" / f"rpmostree-status-{name}.json").read_text())
    world = OneHost(HostPlan("web-01", "web", container_native=native, staged=not native, versions_behind=1))
    made = status(world)
    rows = made["deployments"]
    assert isinstance(rows, list)
    for real, simulated in zip(recorded["deployments"], rows, strict=False):
        missing = set(real) - set(simulated)
        assert not {key for key in missing if not key.startswith("pending-")}
        assert {key: type(real[key]) for key in real if key in simulated} == {
            key: type(simulated[key]) for key in real if key in simulated
        }


def test_a_member_of_etcd_goes_once_and_a_new_machine_has_another() -> None:
    world = OneHost(HostPlan("k8s-control-01", "k8s-control", role="k8s-control"))

    def members() -> list[str]:
        found = read(world.ask(*look_command().argv).out)
        assert found is not None
        return [one.id for one in found.members]

    first = read(world.ask(*look_command().argv).out)
    assert first is not None
    assert first.is_sure
    (member,) = first.members
    assert world.ask(*remove_command(replace(member, peers=("https://10.0.0.9:2380",))).argv).status == CHANGED_STATUS
    assert members() == [member.id]
    assert world.ask(*remove_command(member).argv).status == 0
    assert (members(), world.ask(*remove_command(member).argv).status) == ([], 0)
    world.host.generation += 1
    assert len(members()) == 1
    assert members() != [member.id]
