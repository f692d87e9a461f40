"""A machine of a pool from its first fetch to its first contact: a plain HTTP client, a real sshd with the key in the config."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from tests.asking import Asked, fetched, file_in
from tests.installation import Installation, installation, manage
from tests.sshd import keygen, real_sshd

pytestmark = pytest.mark.e2e
KEY = "/etc/ssh/ssh_host_ed25519_key"
SOURCE = """\
variant: fcos
version: 1.6.0
# fleetui:variable hostname hostname
storage:
  files:
    - path: /etc/hostname
      mode: 0644
      contents:
        inline: ${fleetui:hostname}
"""


def with_an_approved_version(started: Installation, ask: Asked, private_key: str) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    ask("POST", "credentials/", {"name": "edge", "username": user, "private_key": private_key})
    ask("POST", "pools/", {"name": "edge", "credential": "edge", "poll_interval_s": 10})
    ask("POST", "ignition/configs/", {"name": "base", "pools": ["edge"]})
    version = ask("POST", "ignition/versions/", {"config": "base", "source": SOURCE})
    assert version["is_valid"], version
    ask("POST", f"ignition/versions/{version['id']}/submit/", {})
    manage(started.folder, "user", "add", "mira", "--role", "approver")
    Asked(started, started.token("admin", user="mira"))("POST", f"ignition/versions/{version['id']}/approve/", {})
    ask("PUT", "pools/edge/ignition/", {"version": version["id"]})


def test_a_machine_fetches_boots_and_is_known(tmp_path: Path) -> None:
    own_key = keygen(tmp_path / "login")
    with installation(tmp_path / "var", FLEETUI_POLL_INTERVAL_S="5") as started:
        ask = Asked(started, started.token("admin"))
        ask("POST", "pools/", {"name": "empty"})
        early = ask("POST", "pools/empty/provisioning-tokens/", {"name": "asg"})
        assert fetched(f"{early['url']}?id=i-0001")[0] == 503, "nothing is approved for the pool"
        with_an_approved_version(started, ask, (tmp_path / "login").read_text())
        token = ask(
            "POST", "pools/edge/provisioning-tokens/", {"name": "asg", "max_uses": 1, "networks": ["127.0.0.0/8"]}
        )

        status, config = fetched(f"{token['url']}?id=i-0abc")
        assert status == 200
        assert fetched(f"{token['url']}?id=i-0abc") == (200, config)
        assert file_in(config, "/etc/hostname") == "edge-i-0abc"
        assert fetched(f"{token['url']}?id=i-0def")[0] == 410, "the limit"
        assert fetched(token["url"])[0] == 400, "this machine's own address tells nobody apart"
        node = ask("GET", "nodes/edge-i-0abc/")
        assert (node["reachability"], node["reachability_reason"]) == ("never_seen", "provisioning")

        def boots(folder: Path) -> list[str]:
            (folder / "host_ed25519").write_text(file_in(config, KEY))
            (folder / "host_ed25519.pub").write_text(file_in(config, f"{KEY}.pub"))
            return []

        with real_sshd([own_key], host_key_types=("ed25519",), prepare=boots) as machine:
            ask("PATCH", "nodes/edge-i-0abc/", {"port": machine.port})
            ask.until(lambda: ask("GET", "nodes/edge-i-0abc/")["reachability"] == "reachable")
        told = ask("GET", "nodes/edge-i-0abc/ignition/")
        assert (told["applied"]["config"], told["applied"]["number"], told["applied_how"]) == ("base", 1, "fetch")
        (offer,) = ask("GET", "nodes/edge-i-0abc/provisionings/")["results"]
        assert (offer["state"], offer["fetches"]) == ("arrived", 2)
        assert fetched(f"{token['url']}?id=i-0abc")[0] == 410
        (key,) = ask("GET", "nodes/edge-i-0abc/host-keys/")["results"]
        assert key["state"] == "pinned", "nobody had to compare a key"
        assert token["url"].rpartition("/")[2] not in started.output
