"""What somebody changes by hand on a real machine is found over SSH, and named with what can be done about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.asking import fetched
from tests.installation import installation
from tests.rig import Rig
from tests.test_operations_rig import Fleet
from tests.test_provisioning_rig import approved

pytestmark = [pytest.mark.e2e, pytest.mark.rig]
SOURCE = """\
variant: fcos
version: 1.6.0
# fleetui:variable join secret
passwd:
  users:
    - name: {user}
      groups: [sudo]
      ssh_authorized_keys:
        - {key}
storage:
  directories:
    - path: /etc/shop
      mode: 0750
  files:
    - path: /etc/shop/front.conf
      mode: 0644
      contents:
        inline: |
          port = 8080
          workers = 4
    - path: /etc/shop/rules
      mode: 0640
      contents:
        inline: allow all
    - path: /etc/shop/join
      mode: 0600
      contents:
        inline: ${{fleetui:join}}
  links:
    - path: /etc/shop/current
      target: /etc/shop/front.conf
systemd:
  units:
    - name: shop-front.service
      enabled: true
      contents: |
        [Unit]
        Description=Shop front
        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart=/bin/true
        [Install]
        WantedBy=multi-user.target
    - name: shop-sync.service
      enabled: true
      contents: |
        [Service]
        Type=oneshot
        ExecStart=/bin/true
        [Install]
        WantedBy=multi-user.target
"""
SECRET = "a-join-token-of-the-cluster"
#: Of nobody: it was made for this test and thrown away.
ADDED_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIObLDg41cZFJtosEThU0kmZ+fEjC1c5UitOlaYPJ6jYx mallory@laptop"
PUT_BACK = {("contents", "/etc/shop/front.conf"), ("mode", "/etc/shop/rules")}


def compared(fleet: Fleet, name: str) -> dict[str, Any]:
    """The comparison after one that is asked for now."""
    fleet.ask("POST", f"nodes/{name}/drift/check/")
    fleet.until(lambda: not fleet.ask("GET", f"nodes/{name}/drift/")["is_requested"], 120)
    found: dict[str, Any] = fleet.ask("GET", f"nodes/{name}/drift/")
    assert found["failure"] is None, found["failure"]
    return found


def test_what_is_changed_by_hand_is_found_and_named(tmp_path: Path, rig: Rig) -> None:
    (host,) = rig.up(1)
    name = str(host["name"])
    with installation(tmp_path / "var", FLEETUI_POLL_INTERVAL_S="15") as started:
        fleet = Fleet(started, rig)
        fleet.take_in([host])
        fleet.ask("PUT", "pools/web/ignition/values/join/", {"value": SECRET, "is_secret": True})
        approved(fleet, host, SOURCE)
        offered = fleet.ask("POST", f"nodes/{name}/provisionings/", {"hours": 1})
        file = tmp_path / "config.ign"
        file.write_bytes(fetched(offered["url"])[1])
        rig("recreate", name, "--ignition", str(file), "--no-rig-key")
        fleet.until(lambda: fleet.ask("GET", f"nodes/{name}/ignition/")["applied_how"] == "fetch", 120)
        # By itself, without anybody asking.
        fleet.until(lambda: fleet.ask("GET", f"nodes/{name}/drift/")["checked_at"], 180)
        born = fleet.ask("GET", f"nodes/{name}/drift/")
        assert born["state"] == "in_step", born

        home = rig.ssh(name, f"getent passwd {host['user']} | cut -d: -f6").strip()
        changes = (
            "sed -i s/8080/9090/ /etc/shop/front.conf",
            "chmod 644 /etc/shop/rules",
            "chown nobody /etc/shop/rules",
            "sh -c 'printf another > /etc/shop/join'",
            "ln -sfn /etc/passwd /etc/shop/current",
            "systemctl disable shop-front.service",
            "systemctl set-property shop-front.service CPUWeight=50",
            "sh -c 'rm /etc/systemd/system/shop-sync.service'",
            f"sh -c 'echo {ADDED_KEY} >> {home}/.ssh/authorized_keys.d/ignition'",
        )
        rig.ssh(name, " && ".join(f"sudo {change}" for change in changes))

        drifted = compared(fleet, name)
        named = {(one["what"], one["subject"], one["class"]): one for one in drifted["differences"]}
        assert set(named) == {
            ("contents", "/etc/shop/front.conf", "in_place"),
            ("mode", "/etc/shop/rules", "in_place"),
            ("owner", "/etc/shop/rules", "in_place"),
            ("contents", "/etc/shop/join", "in_place"),
            ("target", "/etc/shop/current", "in_place"),
            ("enablement", "shop-front.service", "in_place"),
            ("present", "/etc/systemd/system.control/shop-front.service.d/50-CPUWeight.conf", "in_place"),
            ("missing", "/etc/systemd/system/shop-sync.service", "in_place"),
            ("key_added", str(host["user"]), "in_place"),
        }, drifted
        assert drifted["state"] == fleet.node(name)["ignition_state"] == "drifted"
        diff = named["contents", "/etc/shop/front.conf", "in_place"]["diff"]
        assert [line for line in diff if line[0] in ("added", "removed")] == [
            ["removed", "port = 8080"],
            ["added", "port = 9090"],
        ]
        secret = named["contents", "/etc/shop/join", "in_place"]
        assert (secret["is_secret"], secret["diff"]) == (True, [])
        assert "mallory@laptop" in named["key_added", str(host["user"]), "in_place"]["found"]
        assert [one["name"] for one in fleet.ask("GET", "nodes/?ignition_state=drifted")["results"]] == [name]
        assert SECRET not in "\n".join(started.lines)

        rig.ssh(name, "sudo sed -i s/9090/8080/ /etc/shop/front.conf && sudo chmod 640 /etc/shop/rules")
        left = {(one["what"], one["subject"]) for one in compared(fleet, name)["differences"]}
        assert left == {(what, subject) for what, subject, _class in named if (what, subject) not in PUT_BACK}
