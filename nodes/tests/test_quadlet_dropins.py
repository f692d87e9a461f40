"""Drop-ins of Quadlets are found where Quadlet looks: in folders below too, and not those of users."""

from __future__ import annotations

import subprocess
from pathlib import Path

from nodes.hosts.drivers import sections


def test_dropins_in_folders_below_are_found_and_those_of_users_are_not(tmp_path: Path) -> None:
    for folder in ("top.container.d", "shop/web.container.d", "users/own.container.d"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "10.conf").touch()
    find = sections._PODMAN_UNITS.partition("exit 127;")[2].partition(" for file")[0]
    script = find.replace("/etc/containers/systemd", str(tmp_path))
    out = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
    assert sorted(out.splitlines()) == [
        f"{tmp_path}/shop/web.container.d/10.conf\tdropin",
        f"{tmp_path}/top.container.d/10.conf\tdropin",
    ]
