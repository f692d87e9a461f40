"""Containers of real Podman on a real host, with a real registry: updated, crashed and given back, rolled back, cleaned up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.installation import installation
from tests.rig import Rig
from tests.test_operations_rig import Fleet

pytestmark = [pytest.mark.e2e, pytest.mark.rig]
QUADLET = """\
[Container]
Image={registry}/app:v1
ContainerName=web
PublishPort=8080:8080
HealthCmd=/bin/wget -q -O /dev/null http://127.0.0.1:8080/
HealthInterval=2s
StopTimeout=1
[Service]
Restart=always
"""
UNIT = """\
[Service]
ExecStartPre=-/usr/bin/podman rm -f shop
ExecStart=/usr/bin/podman run --rm --name shop --network host -e TOKEN=a/secret \\
  {registry}/app:v1 \\
  /bin/sleep 100000
ExecStop=/usr/bin/podman stop -t 1 shop
"""
DROPIN = "/etc/containers/systemd/web.container.d/50-fleetui-image.conf"


def put(rig: Rig, host: str, path: str, text: str) -> None:
    rig.ssh(host, f"sudo mkdir -p {Path(path).parent} && sudo tee {path} >/dev/null", stdin=text)


def containers(fleet: Fleet, host: str) -> dict[str, dict[str, Any]]:
    fleet.polled(host)
    return {one["name"]: one for one in fleet.ask("GET", f"nodes/{host}/containers/")["results"]}


@pytest.mark.parametrize("and_all_else", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_a_container_is_updated_crashes_and_goes_back(tmp_path: Path, rig: Rig, and_all_else: bool) -> None:
    (given,) = rig.up(1)
    host, registry = str(given["name"]), str(json.loads(rig("registry"))["registry"])
    put(
        rig,
        host,
        "/etc/containers/registries.conf.d/90-rig.conf",
        f'[[registry]]\nlocation="{registry}"\ninsecure=true\n',
    )
    put(rig, host, "/etc/containers/systemd/web.container", QUADLET.format(registry=registry))
    put(rig, host, "/etc/systemd/system/shop.service", UNIT.format(registry=registry))
    rig.ssh(host, "sudo systemctl daemon-reload && sudo systemctl start web shop")
    with installation(tmp_path / "var", FLEETUI_POLL_INTERVAL_S="900", FLEETUI_PLAIN_REGISTRIES=registry) as started:
        fleet = Fleet(started, rig)
        fleet.take_in([given])
        born = containers(fleet, host)
        assert {name: (one["managed_by"], one["unit"], one["tag"]) for name, one in born.items()} == {
            "web": ("quadlet", "web.service", "v1"),
            "shop": ("unit", "shop.service", "v1"),
        }

        better = fleet.end(fleet.start("container_update", host, unit="web", image=f"{registry}/app:v2", soak_s=4))
        assert (better["state"], better["result"]) == ("succeeded", "image_runs"), better
        now = containers(fleet, host)["web"]
        assert now["tag"] == "v2"
        assert now["digest"] not in (None, born["web"]["digest"])
        assert rig.ssh(host, "cat /etc/containers/systemd/web.container") == QUADLET.format(registry=registry)
        assert f"Image={registry}/app:v2" in rig.ssh(host, f"cat {DROPIN}")
        assert "app v2" in rig.ssh(host, "curl -s http://127.0.0.1:8080/")

        crashed = fleet.end(fleet.start("container_update", host, unit="web", image=f"{registry}/app:crash", soak_s=8))
        assert (crashed["state"], crashed["result"]) == ("failed", "image_went_back"), crashed
        assert containers(fleet, host)["web"]["digest"] == now["digest"]
        assert f"Image={registry}/app:v2" in rig.ssh(host, f"cat {DROPIN}")
        assert rig.ssh(host, f"ls {Path(DROPIN).parent}").split() == [Path(DROPIN).name]

        missing = fleet.end(fleet.start("container_update", host, unit="web", image=f"{registry}/app:none"))
        assert (missing["state"], missing["result"]) == ("failed", "preflight"), missing
        assert "has no" in missing["result_sentence"]

        back = fleet.end(fleet.start("container_rollback", host, unit="web", soak_s=2))
        assert (back["state"], back["result"]) == ("succeeded", "image_runs"), back

        if not and_all_else:
            return
        plain = fleet.end(fleet.start("container_update", host, unit="shop", image=f"{registry}/app:v2", soak_s=2))
        assert (plain["state"], plain["result"]) == ("succeeded", "image_runs"), plain
        assert "secret" not in fleet.log(plain["id"])
        assert containers(fleet, host)["shop"]["tag"] == "v2"

        for kind, code in (("container_stop", "container_stop_done"), ("container_start", "container_start_done")):
            done = fleet.end(fleet.start(kind, host, container="shop"))
            assert (done["state"], done["result"]) == ("succeeded", code), done
        rig.ssh(
            host, f"sudo podman pull -q {registry}/app:crash && sudo podman tag {registry}/app:crash localhost/left:1"
        )
        fleet.polled(host)
        pruned = fleet.end(fleet.start("image_prune", host))
        assert (pruned["state"], pruned["result"]) == ("succeeded", "images_removed"), pruned
        assert "crash" not in rig.ssh(host, "sudo podman images")
        read = fleet.end(fleet.start("container_logs", host, container="web", lines=20, seconds=3))
        assert (read["state"], read["result"]) == ("succeeded", "logs_read"), read
        assert "listening" in fleet.log(read["id"])
        asked = fleet.end(fleet.start("auto_update_check", host))
        assert (asked["state"], asked["result"]) == ("succeeded", "auto_update_nothing"), asked
