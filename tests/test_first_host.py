"""The first real host of one's own: added in the browser, its key compared and accepted, and every change of it seen on the page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.installation import Installation, installation
from tests.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.rig]
SOON_MS = 30_000
_tokens: dict[str, str] = {}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("first") / "var", FLEETUI_POLL_INTERVAL_S="5") as started:
        yield started


def sign_in(page: Page, fleet: Installation) -> None:
    page.goto(f"{fleet.url}/")
    page.locator("input[name=login]").fill("admin")
    page.locator("input[name=password]").fill(fleet.password)
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_a_real_host_is_added_upgraded_and_rolled_back(page: Page, fleet: Installation, rig: Rig) -> None:
    host = rig.up(1)[0]
    sign_in(page, fleet)

    page.goto(f"{fleet.url}/credentials/add/")
    page.get_by_label("Name", exact=True).fill("rig")
    page.get_by_label("User name on the hosts").fill(host["user"])
    page.get_by_text("Use a private key that you have").click()
    page.locator("textarea[name=private_key]").fill(Path(host["key_file"]).read_text())
    page.locator("main button[type=submit]").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rig")
    assert "PRIVATE KEY" not in page.content()

    page.goto(f"{fleet.url}/nodes/add/")
    page.get_by_label("Name", exact=True).fill("first")
    page.get_by_label("Address").fill(host["address"])
    page.get_by_label("Port").fill(str(host["port"]))
    page.get_by_label("Credential").select_option(label="rig")
    page.get_by_role("button", name="Ask the host for its key").click()
    expect(page.locator("[data-fingerprint]")).to_have_text(fingerprint_on(rig, host["name"]))
    page.get_by_role("button", name="Accept this key and add first").click()

    # From here on the page is never loaded again: it must follow the host by itself.
    expect(page.get_by_role("heading", level=1)).to_have_text("first")
    main = page.locator("main")
    expect(main).to_contain_text("Reachable", timeout=SOON_MS)
    expect(main).to_contain_text(host["version"], timeout=SOON_MS)
    title = page.locator("#node-title")
    expect(title).to_contain_text(host["version"], timeout=SOON_MS)
    expect(page.get_by_text("Operate", exact=True)).to_be_visible()

    rig.ssh(host["name"], "sudo rpm-ostree upgrade")
    expect(main.locator(".ui-boot [data-role=staged]")).to_be_visible(timeout=SOON_MS)
    newest = fleet_node(fleet, "first")["staged"]
    assert newest["version"] != host["version"]

    rig("reboot", host["name"])
    expect(main.locator(".ui-boot [data-booted=true]")).to_contain_text(newest["version"], timeout=SOON_MS)
    expect(title).to_contain_text(newest["version"], timeout=SOON_MS)
    page.goto(f"{fleet.url}/nodes/first/?tab=timeline")
    expect(main).to_contain_text(newest["version"])
    after = fleet_node(fleet, "first")
    assert after["booted"]["version"] == newest["version"]
    assert after["rollback"]["version"] == host["version"]

    # A machine that shows another key is not spoken to, and both fingerprints are shown.
    rig("fault", host["name"], "wrong-hostkey", "on")
    page.goto(f"{fleet.url}/nodes/first/?tab=host-key")
    expect(main).to_contain_text("Key mismatch", timeout=SOON_MS)
    expect(main).to_contain_text(host["host_key_fingerprint"])
    assert "Traceback" not in fleet.output


def fingerprint_on(rig: Rig, name: str) -> str:
    """What a person would read on the console of the host."""
    line = rig.ssh(name, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    return line.split()[1]


def fleet_node(fleet: Installation, name: str) -> dict[str, dict[str, str]]:
    if fleet.url not in _tokens:
        _tokens[fleet.url] = fleet.token()
    found: dict[str, dict[str, str]] = fleet.get(f"/api/v1/nodes/{name}/", _tokens[fleet.url])
    return found


def test_the_probe_command_reads_the_same_host(rig: Rig) -> None:
    host = rig.up(1)[0]
    argv = [
        sys.executable,
        "manage.py",
        "probe",
        f"{host['user']}@{host['address']}:{host['port']}",
        "--identity",
        host["key_file"],
    ]
    done = subprocess.run(
        [*argv, "--accept-new-host-key", "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["os"]["family"] == "fcos"
    assert [one["booted"] for one in facts["deployments"]].count(True) == 1
