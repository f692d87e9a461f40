"""Containers, their images and the units that run them, from what Podman 5.4 and files of units print."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nodes.hosts.drivers import sections
from nodes.hosts.drivers.containers import _podman_images, _podman_ps, parse_units
from nodes.hosts.references import Reference, parse

DIGEST = "sha256:" + "be" * 32
#: As podman 5.4.2 prints it of a Quadlet with a health check.
WEB: dict[str, Any] = {
    "Id": "7857" * 16,
    "Image": "10.0.0.1:5000/app:v1",
    "ImageID": "97a0" * 16,
    "Labels": {"PODMAN_SYSTEMD_UNIT": "web.service", "version": "v1"},
    "Names": ["web"],
    "Ports": [{"host_ip": "", "container_port": 8080, "host_port": 8080, "range": 1, "protocol": "tcp"}],
    "StartedAt": 1795660798,
    "State": "running",
    "Status": "Up 3 seconds (healthy)",
}


def ps(**changes: Any) -> Any:
    problems: list[str] = []
    (found,) = _podman_ps(json.dumps([{**WEB, **changes}]), problems)
    assert problems == []
    return found


def test_what_differs_at_every_look_is_not_read() -> None:
    assert ps(Status="Up 3 seconds (healthy)") == ps(Status="Up 2 weeks (healthy)", CreatedAt="2 weeks ago")
    assert ps().health == "healthy"
    assert ps(Status="Up 2 weeks").health is None
    assert ps(Status="Up 1 second (starting)").health == "starting"


def test_unit_ports_and_image_of_a_container() -> None:
    found = ps()
    assert (found.unit, found.image_id, found.ports) == ("web.service", "97a0" * 16, ("8080->8080/tcp",))
    wide = {"host_ip": "::1", "container_port": 100, "host_port": 200, "range": 3, "protocol": "udp"}
    assert ps(Ports=[wide]).ports == ("[::1]:200-202->100-102/udp",)
    assert ps(Ports=None, Labels=None).unit is None


def test_an_odd_port_costs_that_port_only() -> None:
    problems: list[str] = []
    (found,) = _podman_ps(json.dumps([{**WEB, "Ports": [{"container_port": "ssh"}, *WEB["Ports"]]}]), problems)
    assert found.ports == ("8080->8080/tcp",)
    assert problems


def test_images_have_the_digests_of_their_registries() -> None:
    row = {"Id": "97a0", "Names": ["r.example/app:v1"], "RepoDigests": [f"r.example/app@{DIGEST}"], "Size": 5}
    (found,) = _podman_images(json.dumps([row]), [])
    assert found.digests == (f"r.example/app@{DIGEST}",)


UNITS = """\
/run/systemd/generator/tool-image.service\tSourcePath=/etc/containers/systemd/tool.image
/run/systemd/generator/web.service\tSourcePath=/etc/containers/systemd/web.container
/run/systemd/generator/web.service\tExecStart\tname=web\timage=10.0.0.1:5000/app:v1
/etc/containers/systemd/web.container.d/50-fleetui-image.conf\tdropin
/etc/systemd/system/long.service\tExecStart\tname=%N\timage=10.0.0.1:5000/app:v1
/etc/systemd/system/long.service.d/50-fleetui-image.conf\tExecStart\tname=%N\timage=10.0.0.1:5000/app:v2
"""


def test_units_that_run_containers() -> None:
    problems: list[str] = []
    long, web = parse_units(UNITS, problems)
    assert problems == []
    assert (web.name, web.kind, web.source, web.container) == (
        "web.service",
        "quadlet",
        "/etc/containers/systemd/web.container",
        "web",
    )
    assert web.dropins == ("/etc/containers/systemd/web.container.d/50-fleetui-image.conf",)
    assert (long.kind, long.container, long.image) == ("unit", "long", "10.0.0.1:5000/app:v2")
    assert long.source == "/etc/systemd/system/long.service"


@pytest.mark.parametrize("line", ["garbage", "/etc/passwd\tExecStart\tname=x", "a\tb\tc", "/x/../y.service"])
def test_other_lines_are_told_and_make_no_unit(line: str) -> None:
    problems: list[str] = []
    assert parse_units(line + "\n", problems) == ()
    assert problems


def test_the_command_of_a_unit_never_leaves_the_host_whole(tmp_path: Path) -> None:
    """The real shell and awk: lines that go on are joined, and of the words only name and image are printed."""
    unit = tmp_path / "shop.service"
    unit.write_text(
        "[Service]\n# podman run --name no\nExecStartPre=-/usr/bin/podman rm -f shop\nExecStart=/usr/bin/podman run --rm \\\n"
        "  --name=shop -e TOKEN=secret/word -v data:/var/lib/data:Z \\\n  -p 80:80 r.example:5000/team/shop:1.2 serve /etc/x\n"
    )
    done = subprocess.run(
        ["awk", sections._READ_UNITS, str(unit)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"{unit}\tExecStart\tname=shop\timage=r.example:5000/team/shop:1.2\n"
    assert "secret" not in done.stdout


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("quay.io/a/b:v1", Reference("quay.io/a/b", "v1")),
        ("localhost:5000/app", Reference("localhost:5000/app")),
        (f"r.example/app:v1@{DIGEST}", Reference("r.example/app", "v1", DIGEST)),
        ("busybox:1.36", Reference("busybox", "1.36")),
        ("97a0f6e7434e768dec0d4c65495b9948a68c93a0204a1f2e60548355f6524fed", None),
        ("-v", None),
        ("a b", None),
        ("r.example/app:v1 --privileged", None),
        ("r.example/UPPER:v1", None),
    ],
)
def test_references(text: str, found: Reference | None) -> None:
    assert parse(text) == found
    if found is not None:
        assert str(found) == text


def test_the_registry_of_a_reference() -> None:
    assert (Reference("quay.io/a/b").registry, Reference("quay.io/a/b").path) == ("quay.io", "a/b")
    assert (Reference("team/app").registry, Reference("team/app").path) == ("", "team/app")
