"""A certificate of Debian's certbot, from pebble, on a real host: found, renewed, taken by its service, and proved to be served."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import certbot
from tests.conftest import missing
from tests.installation import installation
from tests.rig import Rig
from tests.test_operations_rig import Fleet

pytestmark = [pytest.mark.e2e, pytest.mark.rig, pytest.mark.soak]
NAME = "shop.example.org"
LIVE = f"/etc/letsencrypt/live/{NAME}"
SERVICE = f"""\
[Service]
ExecStart=/usr/bin/openssl s_server -quiet -accept 8443 -cert {LIVE}/fullchain.pem -key {LIVE}/privkey.pem -www
"""


def with_certbot(rig: Rig, host: str, directory: str, trusted: str) -> None:
    """Certbot as hosts without packages have it, and its first certificate, which a service serves."""
    tree = certbot.archive()
    given = [rig.program, "ssh", host, f"sudo mkdir -p {certbot.ROOT} && sudo tar -x -C {certbot.ROOT} -f -"]
    subprocess.run(given, input=tree, check=True, capture_output=True)
    # As on Fedora CoreOS, where /usr/local leads there.
    rig.ssh(host, "sudo mkdir -p /var/usrlocal/bin && sudo mount --bind /var/usrlocal /usr/local")
    for path, text in (
        ("/usr/local/bin/certbot", certbot.WRAPPER),
        (certbot.TRUSTED, trusted),
        ("/etc/systemd/system/shop.service", SERVICE),
    ):
        rig.ssh(host, f"sudo mkdir -p {Path(path).parent} && sudo tee {path} >/dev/null", stdin=text)
    rig.ssh(host, "sudo chmod 755 /usr/local/bin/certbot")
    first = "sudo certbot certonly --standalone --non-interactive --agree-tos --register-unsafely-without-email"
    rig.ssh(host, f"{first} --server {directory} -d {NAME}")
    rig.ssh(host, "sudo systemctl daemon-reload && sudo systemctl start shop")


def found(fleet: Fleet, path: str) -> dict[str, Any]:
    """The certificate of an endpoint or node itself, without its chain."""
    rows = fleet.ask("GET", path)["results"]
    return next((row for row in rows if row["position"] == 0), {})


def test_a_certificate_is_renewed_and_the_new_one_is_served(tmp_path: Path, rig: Rig) -> None:
    try:
        certbot.needed()
    except certbot.Missing as error:
        missing(str(error))
    (given,) = rig.up(1)
    host, address = str(given["name"]), str(given["address"])
    here = f"{address.rpartition('.')[0]}.1"
    # What lives for 20 days is due from its first day on.
    with certbot.pebble(tmp_path / "pebble", here, days=20) as (directory, trusted):
        with_certbot(rig, host, directory, trusted)
        with installation(tmp_path / "var", FLEETUI_POLL_INTERVAL_S="20") as started:
            fleet = Fleet(started, rig)
            fleet.take_in([given])
            body = {"host": address, "port": 8443, "server_name": NAME, "pool": "web"}
            endpoint = fleet.ask("POST", "certificate-endpoints/", body)["id"]
            fleet.ask("POST", f"nodes/{host}/certificates/read/")
            fleet.until(lambda: found(fleet, f"nodes/{host}/certificates/"))
            fleet.until(lambda: found(fleet, f"certificates/?endpoint={address}"))
            before = found(fleet, f"nodes/{host}/certificates/")
            assert (before["use"], before["names"], before["place"]) == ("certbot", [NAME], f"{LIVE}/fullchain.pem")
            assert found(fleet, f"certificates/?endpoint={address}")["fingerprint"] == before["fingerprint"]

            params = {"certificate": NAME, "endpoint": f"{address}:8443", "reload": "shop"}
            done = fleet.end(fleet.start("certbot_renew", host, **params))
            assert (done["state"], done["result"]) == ("succeeded", "certificate_served"), done
            fleet.until(
                lambda: found(fleet, f"certificates/?endpoint={address}")["fingerprint"] != before["fingerprint"]
            )
            fleet.until(lambda: found(fleet, f"nodes/{host}/certificates/")["fingerprint"] != before["fingerprint"])
            after = found(fleet, f"nodes/{host}/certificates/")
            served = found(fleet, f"certificates/?endpoint={address}")
            assert served["fingerprint"] == after["fingerprint"]
            assert after["not_after"] > before["not_after"]
            assert fleet.ask("GET", f"certificate-endpoints/{endpoint}/")["failure"] is None
            assert "PRIVATE KEY" not in rig.ssh(host, "sudo journalctl -q -o cat")
