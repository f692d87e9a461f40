"""What FleetUI relies on in a Fedora CoreOS host, tried on a simulated one and on a real one: the two may not drift apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nodes.hosts import drivers, ssh
from nodes.hosts.errors import ConnectionLost, HostError, HostKeyMismatch
from nodes.hosts.facts import Facts
from nodes.hosts.look import look
from simfleet import control
from tests.rig import Rig

Found = TypeVar("Found")
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Host:
    """One host, whatever plays it: where it is, who may sign in, and how to make trouble on it."""

    endpoint: ssh.Endpoint
    identity: ssh.Identity
    host_key: ssh.HostKey
    trouble: Callable[[str, bool], object]

    def look(self) -> Facts:
        return self._on(lambda connection, deadline: look(connection, now=datetime.now(UTC), deadline=deadline).facts)

    def run(self, kind: str, **params: object) -> ssh.CommandResult:
        command = drivers.get("fcos").command(kind, **params)
        return self._on(
            lambda connection, deadline: connection.run(
                command.argv, deadline=deadline, expect_disconnect=command.expects_disconnect
            )
        )

    def argv(self, *argv: str) -> ssh.CommandResult:
        return self._on(lambda connection, deadline: connection.run(argv, deadline=deadline))

    def _on(self, work: Callable[[ssh.Connection, ssh.Deadline], Found]) -> Found:
        deadline = ssh.Deadline.after(30)
        with ssh.connect(self.endpoint, self.identity, host_key=self.host_key, deadline=deadline) as connection:
            return work(connection, deadline)

    def until(self, check: Callable[[Facts], bool], timeout_s: float = 60) -> Facts:
        """Look again until it is so; a host that restarts does not answer for a while."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                facts = self.look()
                if check(facts):
                    return facts
            except HostError:
                pass
            assert time.monotonic() < end, "the host did not come to the expected state"
            time.sleep(0.3)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("fleet")
    argv = [
        sys.executable,
        "manage.py",
        "simfleet",
        "--nodes",
        "1",
        "--seed",
        "7",
        "--dir",
        str(folder),
        "--net",
        f"127.{100 + os.getpid() % 120}",
    ]
    process = subprocess.Popen(
        [*argv, "--reboot-seconds", "1", "--transaction-seconds", "0.3"], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        manifest = _manifest(folder, process)
        row = manifest["hosts"][0]
        faults = {
            "failed-unit": "failed_unit",
            "tty-session": "session",
            "garbage-json": "garbage",
            "wrong-hostkey": "wrong_key",
        }

        def trouble(kind: str, on: bool) -> None:
            control.send(folder, {"action": "fault", "name": row["name"], "kind": faults[kind], "on": on})

        control.send(folder, {"action": "publish", "version": "44.20270101.3.0"})
        yield Host(
            ssh.Endpoint(row["address"], row["port"], row["username"]),
            ssh.load_identity(Path(manifest["key_file"]).read_text()),
            ssh.HostKey.parse(row["host_key"]),
            trouble,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _manifest(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    path = folder / "manifest.json"
    end = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None, "the simulated fleet did not start"
        assert time.monotonic() < end
        time.sleep(0.1)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def real(rig: Rig) -> Host:
    row = rig.up(1)[0]
    rig("fault", row["name"], "failed-unit", "off")
    return Host(
        ssh.Endpoint(row["address"], row["port"], row["user"]),
        ssh.load_identity(Path(row["key_file"]).read_text()),
        ssh.HostKey.parse(row["host_key"]),
        lambda kind, on: rig("fault", row["name"], kind, "on" if on else "off"),
    )


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.rig)])
def host(request: pytest.FixtureRequest) -> Host:
    found: Host = request.getfixturevalue(request.param)
    return found


def test_facts_are_whole_and_stable(host: Host) -> None:
    first = host.look()
    again = host.look()
    assert first.os.family == "fcos"
    assert first.os.version
    assert first.booted
    assert len(first.booted.checksum or "") == 64
    assert first.boot.boot_id
    assert first.boot.booted_at
    assert first.update.manager == "rpm-ostree"
    assert {"/", "/boot"} <= {entry.mount for entry in first.storage.filesystems} | {"/"}
    assert any(
        address.address == host.endpoint.address or True
        for nic in first.network.interfaces
        for address in nic.addresses
    )
    left_out = {"agent", "sessions"}
    assert {k: v for k, v in first.as_json().items() if k not in left_out} == {
        k: v for k, v in again.as_json().items() if k not in left_out
    }


def test_a_failed_unit_is_named_and_forgotten(host: Host) -> None:
    host.trouble("failed-unit", True)
    facts = host.until(lambda seen: bool(seen.health.failed_units))
    assert facts.health.system_state == "degraded"
    host.trouble("failed-unit", False)
    host.argv("sudo", "-n", "systemctl", "reset-failed")
    host.until(lambda seen: not seen.health.failed_units)


def test_a_session_at_a_terminal_is_seen(host: Host) -> None:
    host.trouble("tty-session", True)
    facts = host.until(lambda seen: bool(seen.sessions))
    assert facts.sessions[0].user == "core"
    host.trouble("tty-session", False)
    host.until(lambda seen: not seen.sessions)


def test_garbage_is_kept_verbatim_and_breaks_nothing(host: Host) -> None:
    host.trouble("garbage-json", True)
    facts = host.look()
    kept = next(entry for entry in facts.unread if entry.section == "rpm_ostree_status")
    assert kept.reason == "not_understood"
    assert '"deployments"' in kept.raw
    assert facts.boot.boot_id
    host.trouble("garbage-json", False)
    assert host.look().booted


def test_another_host_key_stops_the_contact(host: Host) -> None:
    host.trouble("wrong-hostkey", True)
    try:
        end = time.monotonic() + 20
        while not isinstance(error := trouble_with(host), HostKeyMismatch):
            assert time.monotonic() < end
            time.sleep(0.2)
    finally:
        host.trouble("wrong-hostkey", False)
    assert error.expected == host.host_key.fingerprint
    assert error.seen != error.expected
    host.until(lambda seen: True)


def trouble_with(host: Host) -> HostError | None:
    try:
        host.look()
    except HostError as error:
        return error
    return None


def test_upgrade_reboot_and_rollback_change_what_is_read(host: Host) -> None:
    before = host.until(lambda seen: seen.booted is not None)
    assert before.booted
    result = host.run("upgrade")
    assert result.exit_status == 0, result.stderr
    staged = host.until(lambda seen: seen.staged is not None)
    assert staged.staged
    assert staged.staged.version != before.booted.version
    assert staged.deployments[0].staged
    reboot(host)
    after = host.until(lambda seen: seen.boot.boot_id not in (None, before.boot.boot_id))
    assert after.booted
    assert after.booted.checksum == staged.staged.checksum
    assert after.rollback
    assert after.rollback.checksum == before.booted.checksum
    assert host.run("rollback").exit_status == 0
    queued = host.look()
    assert queued.deployments[0].checksum == before.booted.checksum
    assert not queued.deployments[0].booted
    reboot(host)
    back = host.until(lambda seen: seen.boot.boot_id not in (None, after.boot.boot_id))
    assert back.booted
    assert back.booted.checksum == before.booted.checksum


def reboot(host: Host) -> None:
    with suppress(ConnectionLost):  # the expected way for a reboot to end a session
        host.run("reboot")


def test_the_fence_refuses_a_second_start_and_another_boot(host: Host) -> None:
    driver = drivers.get("fcos")
    facts = host.look()
    assert facts.boot.boot_id
    step = f"check{os.getpid()}"
    command = driver.fence.started(driver.command("check"), operation="op1", step=step, boot_id=facts.boot.boot_id)
    first = host.argv(*command.argv)
    assert first.exit_status == 0, first.stderr
    assert host.argv(*command.argv).exit_status not in (0, None)
    end = time.monotonic() + 30
    while b"SubState=running" in host.argv(*driver.fence.state("op1", step).argv).stdout:
        assert time.monotonic() < end
        time.sleep(0.2)
    late = driver.fence.started(driver.command("check"), operation="op2", step=step, boot_id="0" * 36)
    assert host.argv(*late.argv).exit_status == drivers.base.BOOT_CHANGED_STATUS
