"""What `rpm-ostree db diff` prints, in the recorded form and in a hostile one."""

import pytest

from nodes.hosts import drivers
from nodes.hosts.drivers.base import CommandRefused
from nodes.hosts.drivers.package_diff import MOST_PACKAGES, PackageChange, parse_package_diff
from nodes.tests.hosts.hostdoubles import corpus

TEXT = """ostree diff commit from: rollback deployment (aa)
ostree diff commit to:   booted deployment (bb)
Upgraded:
  NetworkManager 1:1.42.6-1.fc38 -> 1:1.42.8-1.fc38
Downgraded:
  podman 5:4.5.1-1.fc38 -> 5:4.4.1-1.fc38
Removed:
  nvme-stas-2.0-1.fc38.noarch
  a line that is none
Added:
  amd-gpu-firmware-20230625-151.fc38.noarch
"""


def test_each_kind_of_change_is_read() -> None:
    assert parse_package_diff(TEXT) == [
        PackageChange("upgraded", "NetworkManager", "1:1.42.6-1.fc38", "1:1.42.8-1.fc38"),
        PackageChange("downgraded", "podman", "5:4.5.1-1.fc38", "5:4.4.1-1.fc38"),
        PackageChange("removed", "nvme-stas", before="2.0-1.fc38", arch="noarch"),
        PackageChange("added", "amd-gpu-firmware", after="20230625-151.fc38", arch="noarch"),
    ]
    assert parse_package_diff("") == []
    assert parse_package_diff("Nothing:\n  a 1 -> 2\n") == []
    assert len(parse_package_diff("Upgraded:\n" + "  a 1 -> 2\n" * (MOST_PACKAGES + 5))) == MOST_PACKAGES


def test_the_recorded_form_is_read() -> None:
    found = parse_package_diff(corpus("fcos", "rpmostree-db-diff-2023-fcos38.txt").read_text())
    assert {one.change for one in found} == {"upgraded"}
    assert found[0].name == "NetworkManager"
    assert found[0].after == "1:1.42.8-1.fc38"


def test_the_command_names_two_checksums() -> None:
    driver = drivers.get("fcos")
    command = driver.command("package_diff", before="a" * 64, after="b" * 64)
    assert command.argv == ("rpm-ostree", "db", "diff", "a" * 64, "b" * 64)
    assert not command.changes
    with pytest.raises(CommandRefused):
        driver.command("package_diff", before="--repo", after="b" * 64)
    with pytest.raises(CommandRefused):
        driver.command("package_diff", before="a" * 64)
