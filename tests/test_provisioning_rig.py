"""From a Butane source to a real machine: written, approved by somebody else, fetched, booted, known by its key."""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests.asking import fetched
from tests.installation import installation, manage
from tests.rig import Rig
from tests.test_operations_rig import Fleet

pytestmark = [pytest.mark.e2e, pytest.mark.rig]
SOURCE = """\
variant: fcos
version: 1.6.0
# fleetui:variable hostname hostname
passwd:
  users:
    - name: {user}
      groups: [wheel, sudo]
      ssh_authorized_keys:
        - {key}
storage:
  files:
    - path: /etc/motd
      mode: 0644
      overwrite: true
      contents:
        inline: born as ${{fleetui:hostname}}
"""


def approve(fleet: Fleet, path: str) -> None:
    """Somebody else than who wrote it."""
    manage(fleet.started.folder, "user", "add", "mira", "--role", "approver")
    own, fleet.token = fleet.token, fleet.started.token("admin", user="mira")
    try:
        fleet.ask("POST", path, {})
    finally:
        fleet.token = own


def approved(fleet: Fleet, host: dict[str, Any], source: str = SOURCE) -> dict[str, Any]:
    """A config for the pool, approved, and what the pool intends. `source` has places for the user and its key."""
    public = fleet.ask("GET", "credentials/rig/")["public_key"]
    source = source.format(user=host["user"], key=public)
    fleet.ask("POST", "ignition/configs/", {"name": "edge", "pools": ["web"]})
    version: dict[str, Any] = fleet.ask("POST", "ignition/versions/", {"config": "edge", "source": source})
    assert version["is_valid"], version
    one = f"ignition/versions/{version['id']}"
    fleet.ask("POST", f"{one}/submit/", {})
    approve(fleet, f"{one}/approve/")
    fleet.ask("PUT", "pools/web/ignition/", {"version": version["id"]})
    return version


def test_a_machine_is_known_by_the_config_that_it_fetched(tmp_path: Path, rig: Rig) -> None:
    (host,) = rig.up(1)
    name = str(host["name"])
    with installation(tmp_path / "var", FLEETUI_POLL_INTERVAL_S="10") as started:
        fleet = Fleet(started, rig)
        fleet.take_in([host])
        before = fleet.node(name)
        approved(fleet, host)
        offered = fleet.ask("POST", f"nodes/{name}/provisionings/", {"hours": 1})

        status, config = fetched(offered["url"])
        assert (status, fetched(offered["url"])[1]) == (200, config)
        assert f"born as {name}" in urllib.parse.unquote(config.decode()), "the value of the variable"
        assert offered["sha512"] == f"sha512-{hashlib.sha512(config).hexdigest()}"
        file = tmp_path / "config.ign"
        file.write_bytes(config)
        replaced = json.loads(rig("recreate", name, "--ignition", str(file), "--no-rig-key"))
        assert replaced["generation"] > host["generation"]

        fleet.until(lambda: fleet.node(name)["generation"] == before["generation"] + 1, 120)
        fleet.until(lambda: fleet.node(name)["reachability"] == "reachable", 120)
        told = fleet.ask("GET", f"nodes/{name}/ignition/")
        assert (told["applied"]["number"], told["applied_how"]) == (1, "fetch"), told
        (row,) = fleet.ask("GET", f"nodes/{name}/provisionings/")["results"]
        assert (row["state"], row["fetches"], row["last_address"]) == ("arrived", 2, "127.0.0.1")
        assert fetched(offered["url"])[0] == 410
        (pinned,) = [key for key in fleet.ask("GET", f"nodes/{name}/host-keys/")["results"] if key["state"] == "pinned"]
        assert pinned["fingerprint"] == offered["host_key_fingerprint"]
        assert offered["url"].rpartition("/")[2] not in "\n".join(started.lines)
