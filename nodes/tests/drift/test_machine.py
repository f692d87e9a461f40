"""Units, users, keys, kernel arguments and disks against a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodes.drift import Sort, compare, expect, inspect
from nodes.tests.drift.hosts import Machine, ignition, named

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIObLDg41cZFJtosEThU0kmZ+fEjC1c5UitOlaYPJ6jYx"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9i"


def units(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"systemd": {"units": list(entries)}}


@pytest.mark.parametrize(
    ("wanted", "state", "expected"),
    [
        ({"enabled": True}, "enabled", None),
        ({"enabled": True}, "static", None),
        ({"enabled": True}, "generated", None),
        ({"enabled": True}, "disabled", ("enabled", "disabled")),
        ({"enabled": True}, "masked", ("enabled", "masked")),
        ({"enabled": True}, None, ("enabled", "not-found")),
        ({"enabled": False}, "enabled", ("disabled", "enabled")),
        ({"enabled": False}, "disabled", None),
        ({"enabled": False}, None, None),
        ({}, "enabled", None),
        ({"mask": False}, "masked-runtime", ("unmasked", "masked-runtime")),
    ],
)
def test_enablement(wanted: dict[str, Any], state: str | None, expected: tuple[str, str] | None) -> None:
    machine = Machine(units={"a.service": state} if state else {})
    found = machine.compared(units({"name": "a.service", **wanted}))
    assert [(one.expected, one.found) for one in found.differences] == ([expected] if expected else [])
    assert all(one.sort is Sort.IN_PLACE and one.section == "units" for one in found.differences)


def test_a_unit_whose_file_is_gone_is_one_difference() -> None:
    entry = {"name": "fleetui-none.service", "enabled": True, "contents": "[Service]\nExecStart=/bin/true\n"}
    dropin = {"name": "10-a.conf", "contents": "[Service]\nNice=1\n"}
    found = Machine().compared(units({**entry, "dropins": [dropin, {"name": "20-empty.conf"}]}))
    assert named(found) == [
        ("missing", "/etc/systemd/system/fleetui-none.service", "in_place"),
        ("missing", "/etc/systemd/system/fleetui-none.service.d/10-a.conf", "in_place"),
    ]


def test_drop_ins_that_were_added_are_named() -> None:
    folder = "/etc/systemd/system"
    mine = f"{folder}/a.service.d/10-mine.conf"
    added = [f"{folder}/a.service.d/override.conf", f"{folder}.control/a.service.d/50-CPUWeight.conf"]
    others = ["/usr/lib/systemd/system/service.d/10-timeout.conf", f"{folder}/a.service.d/50-fleetui-image.conf"]
    machine = Machine(units={"a.service": "enabled"}, drop_ins=[mine, *added, *others])
    wanted = {"name": "a.service", "dropins": [{"name": "10-mine.conf", "contents": "[Service]\nNice=1\n"}]}
    # The declared one is on no disk here.
    assert set(named(machine.compared(units(wanted)))) == {
        ("missing", mine, "in_place"),
        *(("present", path, "in_place") for path in added),
    }


def test_a_masked_unit_is_a_link_to_nowhere() -> None:
    wanted = expect(ignition(units({"name": "a.service", "mask": True, "enabled": False})))
    assert [(one.kind, one.target) for one in wanted.places] == [("link", "/dev/null")]


def people(home: Path, **user: Any) -> dict[str, Any]:
    return {"passwd": {"users": [{"name": "deploy", **user}]}}


def machine_with(home: Path, **over: Any) -> Machine:
    given = {"accounts": f"deploy:x:1001:1001::{home}:/bin/bash\n", "groups": "wheel:x:10:deploy\n", **over}
    return Machine(**given)


def test_a_key_added_by_hand_and_one_that_is_gone_are_named(tmp_path: Path) -> None:
    folder = tmp_path / ".ssh/authorized_keys.d"
    folder.mkdir(parents=True)
    (folder / "ignition").write_text(f"# ours\n{OTHER_KEY} mallory@laptop\n")
    found = machine_with(tmp_path).compared(people(tmp_path, sshAuthorizedKeys=[f"{KEY} anna"], groups=["wheel"]))
    assert sorted(one.what for one in found.differences) == ["key_added", "key_missing"]
    added = next(one for one in found.differences if one.what == "key_added")
    assert added.found.startswith("ssh-ed25519 SHA256:")
    assert added.found.endswith(" mallory@laptop")
    assert (added.subject, added.sort) == ("deploy", "in_place")


def test_keys_of_the_platform_are_the_os_own(tmp_path: Path) -> None:
    folder = tmp_path / ".ssh/authorized_keys.d"
    folder.mkdir(parents=True)
    (folder / "ignition").write_text(f"{KEY}\n")
    (folder / "afterburn").write_text(f"{OTHER_KEY}\n")
    # What Flatcar gathers from these files.
    (tmp_path / ".ssh/authorized_keys").write_text(f"{KEY}\n{OTHER_KEY}\n")
    found = machine_with(tmp_path).compared(
        people(tmp_path, sshAuthorizedKeys=[KEY]), platform_keys=frozenset({"afterburn"})
    )
    assert [(one.what, one.sort, one.reason) for one in found.differences] == [("key_added", "os", "platform_keys")]
    assert found.verdict == "clean"


def test_a_key_that_lost_its_restriction_is_named(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/authorized_keys").write_text(f"{KEY}\n")
    found = machine_with(tmp_path).compared(people(tmp_path, sshAuthorizedKeys=[f'command="/bin/true" {KEY}']))
    assert [one.what for one in found.differences] == ["key_options"]


def test_accounts_are_compared_as_far_as_the_config_says(tmp_path: Path) -> None:
    config = people(tmp_path, uid=1002, shell="/bin/sh", groups=["wheel", "docker"], passwordHash="$6$x")
    config["passwd"]["groups"] = [{"name": "shop", "gid": 77}]
    found = machine_with(tmp_path).compared(config)
    assert sorted((one.what, one.subject) for one in found.differences) == [
        ("membership", "deploy"),
        ("missing", "shop"),
        ("number", "deploy"),
        ("shell", "deploy"),
    ]
    assert [(one.subject, one.why) for one in found.unlooked] == [("deploy", "password")]
    assert named(Machine().compared(people(tmp_path)))[0][:2] == ("missing", "deploy")
    assert named(machine_with(tmp_path).compared(people(tmp_path, shouldExist=False)))[0][0] == "present"


def test_kernel_arguments_need_those_of_the_running_kernel() -> None:
    config = {"kernelArguments": {"shouldExist": ["mitigations=auto,nosmt"], "shouldNotExist": ["quiet"]}}
    assert named(Machine().compared(config, ["quiet", "rw"])) == [
        ("missing", "mitigations=auto,nosmt", "in_place"),
        ("present", "quiet", "in_place"),
    ]
    assert not Machine().compared(config, ["mitigations=auto,nosmt"]).differences
    assert {one.why for one in Machine().compared(config).unlooked} == {"arguments_unknown"}


DISKS: dict[str, Any] = {
    "storage": {
        "disks": [{"device": "/dev/vdb", "partitions": [{"number": 1, "label": "data"}]}],
        "filesystems": [{"device": "/dev/disk/by-partlabel/data", "format": "xfs", "path": "/var/data"}],
    }
}


def block(**over: str) -> dict[str, str]:
    return {"name": "vdb1", "type": "part", "fstype": "xfs", "label": "", "partlabel": "data", **over}


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([block()], []),
        ([block(fstype="ext4")], ["format"]),
        ([block(partlabel="other")], ["missing", "missing"]),
    ],
)
def test_disks_that_are_otherwise_need_another_machine(devices: list[dict[str, str]], expected: list[str]) -> None:
    found = Machine(devices=devices).compared(DISKS)
    assert [one.what for one in found.differences] == expected
    assert found.verdict == ("needs_replacement" if expected else "clean")


def test_devices_without_names_are_not_looked_at() -> None:
    bare = block(partlabel="", fstype="")
    found = Machine(devices=[bare]).compared(DISKS)
    assert (found.verdict, {one.why for one in found.unlooked}) == ("clean", {"disks_unknown"})


def test_a_host_is_asked_only_what_the_config_needs() -> None:
    machine = Machine()
    wanted = expect(ignition({}))
    assert compare(wanted, inspect(wanted, machine.ask)).verdict == "clean"
    assert machine.asked == []
