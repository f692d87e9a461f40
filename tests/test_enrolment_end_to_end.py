"""The generated unit, run with a real curl against a running FleetUI, by hosts that are polled thereafter."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodes.services.enrolment import butane
from simfleet import seeds
from tests.conftest import missing
from tests.fleet import Manifest, fault, simulated_fleet
from tests.installation import Installation, installation

# Machines that fetch their configs and are known are seen in each run by test_pool_tokens_end_to_end.py and the real hosts.
pytestmark = [pytest.mark.e2e, pytest.mark.soak]
HOSTS = 4
SEED = 7
ABSENT_AFTER_S = 60


@dataclass(frozen=True)
class Fleet:
    fleetui: Installation
    folder: Path
    manifest: Manifest
    token: str
    enrolment: str

    def api(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(f"{self.fleetui.url}/api/v1/{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.api("GET", "nodes/")["results"]}

    def wait_for(self, name: str, field: str, value: object, within_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while (row := self.nodes().get(name, {})).get(field) != value:
            assert time.monotonic() < deadline, f"{name}: {field} is not {value!r}: {row}\n{self.fleetui.output}"
            time.sleep(0.5)
        return row


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """FleetUI with a pool whose credential opens the simulated hosts, and an enrolment token of it."""
    if not shutil.which("curl"):
        missing("curl is not installed. Install it: apt-get install curl")
    folder = tmp_path_factory.mktemp("enrolment")
    hosts = folder / "hosts"
    with simulated_fleet(hosts, HOSTS, seed=SEED, net="127.63") as manifest, installation(folder / "data") as fleetui:
        found = Fleet(fleetui, folder, manifest, fleetui.token("admin"), "")
        key, username = Path(manifest["key_file"]).read_text(), manifest["hosts"][0]["username"]
        found.api("POST", "credentials/", {"name": "workers", "username": username, "private_key": key})
        pool = {"name": "workers", "credential": "workers", "poll_interval_s": 10}
        found.api("POST", "pools/", {**pool, "retire_absent_after_s": ABSENT_AFTER_S})
        made = found.api("POST", "pools/workers/enrolment-tokens/", {"name": "image", "max_uses": HOSTS})
        yield Fleet(fleetui, folder, manifest, found.token, made["token"])


def machine(fleet: Fleet, host: dict[str, Any], variant: str) -> Path:
    """A root folder as Ignition and the first boot would leave it, and a script of the unit's ExecStart."""
    root = fleet.folder / f"root-{host['name']}"
    text = butane.butane(variant, url=f"{fleet.fleetui.url}/api/v1/enrol/", token=fleet.enrolment)
    config = yaml.safe_load(text)
    for file in config["storage"]["files"]:
        path = root / file["path"].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["contents"]["inline"])
        path.chmod(file["mode"])
    given = {
        "proc/sys/kernel/hostname": f"{host['name']}\n",
        "etc/machine-id": seeds.machine_hex(SEED, host["name"], "machine") + "\n",
        "etc/ssh/ssh_host_ed25519_key.pub": f"{host['host_key']} root@{host['name']}\n",
    }
    for name, content in given.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    unit = next(one["contents"] for one in config["systemd"]["units"] if one["name"] == "fleetui-enrol.service")
    command = unit.partition("ExecStart=")[2].rstrip().replace("%%", "%")
    for name in ("/etc/", "/proc/"):
        command = command.replace(f"@{name}", f"@{root}{name}")
    # A loopback address of its own stands for the machine's network card.
    script = root / "start.sh"
    script.write_text(f"#!/bin/sh\nexec {command} --interface {host['address']} --data-urlencode port={host['port']}\n")
    script.chmod(0o700)
    return script


def run(script: Path) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([str(script)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def test_machines_enrol_are_polled_and_go(fleet: Fleet) -> None:
    hosts = fleet.manifest["hosts"][:HOSTS]
    for host, variant in zip(hosts, ["fcos", "fcos", "flatcar", "fcos"], strict=True):
        code, said = run(machine(fleet, host, variant))
        assert (code, said["outcome"], said["address"]) == (0, "enrolled", host["address"]), said
    for host in hosts:
        row = fleet.wait_for(host["name"], "reachability", "reachable", 40)
        assert (row["pool"], row["failures"]) == ("workers", 0)

    first = hosts[0]
    code, said = run(machine(fleet, first, "fcos"))
    assert (code, said["outcome"]) == (0, "known")

    thief = machine(fleet, {**first, "host_key": hosts[1]["host_key"]}, "fcos")
    code, said = run(thief)
    assert (code, said["status"], said["type"]) == (22, 409, "urn:fleetui:problem:enrolment_other_key")

    fault(fleet.folder / "hosts", [first["name"]], "unreachable", on=True)
    fleet.wait_for(first["name"], "lifecycle", "retired", ABSENT_AFTER_S + 150)
    assert all(row["lifecycle"] == "active" for name, row in fleet.nodes().items() if name != first["name"])

    fault(fleet.folder / "hosts", [first["name"]], "unreachable", on=False)
    code, said = run(machine(fleet, first, "fcos"))
    assert (code, said["outcome"], said["generation"]) == (0, "restored", 1)
    fleet.wait_for(first["name"], "lifecycle", "active", 5)
    fleet.wait_for(first["name"], "reachability", "reachable", 40)
    kinds = [row["kind"] for row in fleet.api("GET", f"nodes/{first['name']}/timeline/")["results"]]
    assert {"node_enrolled", "became_unreachable", "retired_absent", "node_enrolled_again"} <= set(kinds)
    events = fleet.api("GET", "audit/?action=nodes.enrol")["results"]
    assert sorted(event["outcome"] for event in events) == ["done"] * (HOSTS + 1) + ["refused"]


def test_the_token_is_not_on_the_command_line(fleet: Fleet) -> None:
    script = machine(fleet, fleet.manifest["hosts"][0], "fcos")
    assert fleet.enrolment not in script.read_text()
    header = script.parent / "etc/fleetui/enrol.header"
    assert fleet.enrolment in header.read_text()
    assert header.stat().st_mode & 0o777 == 0o600
