"""`manage.py simfleet` as a person types it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from nodes import importing
from nodes.importing.known_hosts import KnownHosts
from simfleet.tests.fleets import NET, in_loop, running

ROOT = Path(__file__).resolve().parents[2]


def typed(directory: Path, *words: str) -> str:
    out = io.StringIO()
    call_command("simfleet", *words, "--dir", str(directory), stdout=out)
    return out.getvalue()


def test_steering_a_fleet(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as fleet:

            async def steer(*words: str) -> str:
                return await asyncio.to_thread(typed, tmp_path, *words)

            assert (await steer("control", "web-01", "fault", "full_disk", "on")) == "web-01: full_disk\n"
            assert fleet.host("web-01").faults == {"full_disk": 97.0}
            assert (await steer("control", "web-01", "fault", "full_disk", "off")) == "web-01: no faults\n"
            assert "45.20261231.3.0 is published in stable." in await steer("publish", "45.20261231.3.0", "--bad")
            assert (await steer("upgrade", "web-01")) == "web-01 staged 45.20261231.3.0.\n"
            assert "-> 45.20261231.3.0" in (await steer("list")).splitlines()[0]
            assert (await steer("reboot", "web-01")) == "web-01 reboots.\n"
            for words in (("reboot", "nosuch"), ("publish", "45"), ("publish", "45.20261231.3.0")):
                with pytest.raises(CommandError):
                    await steer(*words)
            for kind, value, limit in (("slow", "-3", "3600"), ("full_disk", "300", "100"), ("slow", "nan", "3600")):
                with pytest.raises(CommandError, match=rf"{kind} takes a value from 0 to {limit}, not {value}"):
                    await steer("control", "web-01", "fault", kind, "on", f"--value={value}")
            with pytest.raises(CommandError, match="failed_unit takes no value"):
                await steer("control", "web-01", "fault", "failed_unit", "on", "--value=1")
            assert not fleet.host("web-01").faults

    in_loop(work())
    with pytest.raises(CommandError, match="No simulated fleet runs"):
        typed(tmp_path, "list")


@pytest.mark.parametrize("option", ["--reboot-seconds", "--transaction-seconds"])
@pytest.mark.parametrize("value", ["-1", "soon", "nan", "3601"])
def test_a_time_that_no_host_takes_is_refused(tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(CommandError, match=f"{option}: {value} is not a number of seconds from 0 to 3600"):
        typed(tmp_path, f"{option}={value}")
    assert not list(tmp_path.iterdir())


def test_the_fleet_as_other_tools_know_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, nodes=40):
            pass

    in_loop(work())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    hosts = {row.name: row for row in importing.read((tmp_path / "hosts.ini").read_text(), "ansible-ini").rows}
    keys = KnownHosts.parse((tmp_path / "known_hosts").read_text())
    assert len(hosts) == 40
    for told in manifest["hosts"]:
        row = hosts[told["name"]]
        assert (row.address, row.port) == (told["address"], told["port"])
        assert row.groups[0].replace("_", "-") == told["pool"]
        key = keys.of(told["address"], told["name"], told["port"])
        assert key is not None
        assert key.line == told["host_key"]
    assert hosts["k8s-workers-01"].groups == ("k8s_workers", "prod")


def test_refusals_of_a_start(tmp_path: Path) -> None:
    for words in (("--nodes", "0"), ("--net", "192.168"), ("--net", "127.300")):
        with pytest.raises(CommandError):
            typed(tmp_path, *words)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(tmp_path: Path, stop: signal.Signals) -> None:
    words = [sys.executable, "manage.py", "simfleet", "--nodes", "300", "--net", NET, "--dir", str(tmp_path / "fleet")]
    environment = {**os.environ, "FLEETUI_DATA_DIR": str(tmp_path)}
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "300 simulated hosts listen" in process.stdout.readline()
        manifest = json.loads((tmp_path / "fleet" / "manifest.json").read_text())
        assert len(manifest["hosts"]) == 300
        assert {"key_file", "releases", "other_releases", "pools", "hosts"} == set(manifest)
        process.send_signal(stop)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, said) == (0, "")
    assert not (tmp_path / "fleet" / "control.sock").exists()


def test_two_thousand_hosts_start_soon_and_stay_small(tmp_path: Path) -> None:
    words = [sys.executable, "manage.py", "simfleet", "--nodes", "2000", "--net", NET, "--dir", str(tmp_path / "fleet")]
    before = time.monotonic()
    environment = {**os.environ, "FLEETUI_DATA_DIR": str(tmp_path)}
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "2000 simulated hosts listen" in process.stdout.readline()
        assert time.monotonic() - before < 15
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            rows = dict(line.split(":", 1) for line in status.read_text().splitlines())
            assert int(rows["VmRSS"].split()[0]) < 200_000
    finally:
        process.terminate()
        assert process.wait(20) == 0
