"""A real machine makes itself anew. The programs on it are real but kexec; what plays the live system is the test, which
fetches the config as that would and lets the rig install it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.installation import installation
from tests.rig import Rig
from tests.test_operations_rig import Fleet
from tests.test_provisioning_rig import approved

#: The same scripts run in ops/tests/test_in_place.py in every run.
pytestmark = [pytest.mark.e2e, pytest.mark.rig, pytest.mark.soak]
IMAGES = {"/kernel": b"a live kernel", "/initramfs": b"a live initramfs" * 50_000}
#: What is loaded is told to the test; what would start it ends the host, as kexec does.
KEXEC = """#!/bin/sh
for word; do case $word in --command-line=*) curl -sf --data "${{word#*=}}" {url}/kexec;; esac; done
"""
SYSTEMCTL = """#!/bin/sh
[ "$*" = "--no-block kexec" ] && exec /usr/bin/systemctl --no-block poweroff
exec /usr/bin/systemctl "$@"
"""


class Images:
    """Serves the parts of the live system, and hears with which arguments it is started."""

    def __init__(self, address: str) -> None:
        self.lines: list[str] = []
        images = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(IMAGES.get(self.path))

            def do_POST(self) -> None:
                images.lines.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.answer(b"")

            def answer(self, body: bytes | None) -> None:
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_given: Any) -> None:
                return None

        self.server = ThreadingHTTPServer((address, 0), Handler)
        self.url = f"http://{address}:{self.server.server_port}"


@contextmanager
def images_on(address: str) -> Iterator[Images]:
    found = Images(address)
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
        thread.join()


def live_system(rig: Rig, name: str, images: Images, config: Path, made: list[Any]) -> None:
    """Once the host is off: fetch the config by the arguments of the kernel, and install."""
    deadline = time.monotonic() + 120
    while not images.lines or state(rig, name) != "off":
        assert time.monotonic() < deadline, "the installer was not started"
        time.sleep(0.2)
    given = dict(word.partition("=")[::2] for word in images.lines[-1].split())
    with urllib.request.urlopen(given["coreos.inst.ignition_url"]) as answer:
        config.write_bytes(answer.read())
    made.append(json.loads(rig("recreate", name, "--ignition", str(config), "--no-rig-key")))


def state(rig: Rig, name: str) -> str:
    return next(str(one["state"]) for one in json.loads(rig("list", "--json")) if one["name"] == name)


def test_a_machine_makes_itself_anew(tmp_path: Path, rig: Rig) -> None:
    (host,) = rig.up(1)
    name = str(host["name"])
    bridge = f"{host['address'].rpartition('.')[0]}.1"
    with images_on(bridge) as images, installation(tmp_path / "var", FLEETUI_POLL_INTERVAL_S="900") as started:
        rig("ssh", name, "sudo mount -t tmpfs -o mode=755 tmpfs /usr/local/bin")
        for program, text in (("kexec", KEXEC.format(url=images.url)), ("systemctl", SYSTEMCTL)):
            rig("ssh", name, f"sudo install -m 755 /dev/stdin /usr/local/bin/{program}", stdin=text)
        rig("ssh", name, "sudo mknod /dev/fleetui-disk b 7 200")
        fleet = Fleet(started, rig)
        fleet.take_in([host])
        version = approved(fleet, host)
        sums = {part: hashlib.sha256(IMAGES[f"/{part}"]).hexdigest() for part in ("kernel", "initramfs")}
        settings = {
            "kernel_url": f"{images.url}/kernel",
            "kernel_sha256": sums["kernel"],
            "initramfs_url": f"{images.url}/initramfs",
            "initramfs_sha256": sums["initramfs"],
            "rootfs_url": f"{images.url}/rootfs",
            "install_dev": "/dev/fleetui-disk",
            "arguments": "hostname={node}",
        }
        given = {"name": "metal", "kind": "in_place", "base_url": started.url, "pools": ["web"], "settings": settings}
        # What does not arrive as it should be is not started, and the machine stays as it is.
        wrong = {**given, "settings": {**settings, "kernel_sha256": "0" * 64}}
        metal = fleet.ask("POST", "provisioners/", wrong)
        done = fleet.end(fleet.start("replace", name, soak_s=0))
        assert done["state"] == "failed", (done["step"], done["waits_for"], done["result_sentence"])
        assert "FAILED" in done["result_sentence"]
        assert not images.lines
        fleet.ask("PUT", f"provisioners/{metal['id']}/", given)
        before = fleet.node(name)

        made: list[Any] = []
        plays = threading.Thread(target=live_system, args=(rig, name, images, tmp_path / "config.ign", made))
        plays.start()
        operation = fleet.start("replace", name, soak_s=0)
        done = fleet.end(operation)
        plays.join()
        assert done["state"] == "succeeded", (done["step"], done["waits_for"], done["result_sentence"])
        after = fleet.node(name)
        assert (after["generation"], after["reachability"]) == (before["generation"] + 1, "reachable")
        assert after["machine_id"] != before["machine_id"]
        assert [one["generation"] for one in made] == [host["generation"] + 1]
        assert len(images.lines) == 1
        assert "coreos.inst.install_dev=/dev/fleetui-disk" in images.lines[0]
        assert f"hostname={name}" in images.lines[0]
        assert fleet.ask("GET", f"nodes/{name}/ignition/")["applied"]["id"] == version["id"]
        text = "\n".join(line["text"] for line in fleet.ask("GET", f"operations/{operation}/log/")["lines"])
        assert "kexec" in text
        told = json.dumps(fleet.ask("GET", "audit/?limit=200"))
        assert "fleetui-ignition_" not in text + started.output + told
