"""Flatcar: its recordings state their facts, and what they mean for the update state."""

from dataclasses import dataclass
from typing import Any

import pytest

from nodes.axes.update_state import update_state
from nodes.hosts import drivers
from nodes.hosts.drivers.base import CommandRefused
from nodes.hosts.drivers.flatcar import (
    EngineStatus,
    parse_locksmith,
    parse_status,
    parse_update_conf,
)
from nodes.hosts.drivers.flatcar_slots import Partition, device_of, parse_partitions, part_number
from nodes.hosts.facts import Facts
from nodes.hosts.probe import SectionOutput
from nodes.releases.graph import ReleasesView
from nodes.tests.hosts.hostdoubles import NOW, corpus, read

NEED_REBOOT = "LAST_CHECKED_TIME=1\nPROGRESS=0.0\nCURRENT_OP=UPDATE_STATUS_UPDATED_NEED_REBOOT\nNEW_VERSION=4230.2.4\nNEW_SIZE=9\n"
IDLE = "LAST_CHECKED_TIME=1\nPROGRESS=0.0\nCURRENT_OP=UPDATE_STATUS_IDLE\nNEW_VERSION=0.0.0\nNEW_SIZE=0\n"
OS_RELEASE = """\
NAME="Flatcar Container Linux by Kinvolk"
ID=flatcar
ID_LIKE=coreos
VERSION=4230.2.3
VERSION_ID=4230.2.3
PRETTY_NAME="Flatcar Container Linux by Kinvolk 4230.2.3 (Oklo)"
"""
UUID_A, UUID_B = "7130c94a-213a-4e5a-8e26-6cce9662f132", "e03dd35c-7c2d-4a47-b3fe-27f15780a57c"


def table(a: str, b: str) -> str:
    """A partition table with the attributes of the two slots, as cgpt prints it."""
    return "".join(
        f'  {start}  2097152  {number}  Label: "{label}"\n        Type: Alias for flatcar-rootfs\n'
        f"        UUID: {uuid.upper()}\n        Attr: {attributes}\n"
        for start, number, label, uuid, attributes in (
            (270336, 3, "USR-A", UUID_A, a),
            (2367488, 4, "USR-B", UUID_B, b),
        )
    )


GOOD_A, GOOD_B = "priority=2 tries=0 successful=1", "priority=1 tries=0 successful=1"
FRESH_B = "priority=1 tries=0 successful=0"
CONF = (
    "/usr/share/flatcar/update.conf:GROUP=stable\n/usr/share/flatcar/update.conf:SERVER=https://a.example/v1/update/\n"
)
UNITS = (
    "Id=update-engine.service\nLoadState=loaded\nActiveState=active\n\n"
    "Id=locksmithd.service\nLoadState=loaded\nActiveState={}\n"
)


def host(**over: str) -> Facts:
    """A Flatcar host that runs USR-A, with sections of its own."""
    answers = {
        "os_release": OS_RELEASE,
        "usr_os_release": OS_RELEASE,
        "update_engine": IDLE,
        "update_conf": CONF,
        "usr_device": "/dev/sda3\n",
        "usr_partitions": table(GOOD_A, FRESH_B),
        "flatcar_units": UNITS.format("active"),
        **over,
    }
    return read("flatcar", locksmith=SectionOutput(127, b"", b""), **answers).facts


def state(facts: Facts) -> tuple[str, str]:
    found = update_state(facts.as_json(), ReleasesView("stable"), NOW)
    return found.value, found.reason


@dataclass(frozen=True)
class Told:
    operation: str
    version: str | None = None


STATUS = {
    "update-engine-status-idle.stderr+stdout.txt": Told("IDLE"),
    "update-engine-status-need-reboot.txt": Told("UPDATED_NEED_REBOOT", "2079.3.2"),
    "update-engine-status-other-user-denied.stderr+stdout.txt": Told("(null)"),
    "update-engine-update-already-staged.stderr+stdout.txt": Told("UPDATED_NEED_REBOOT", "2079.3.2"),
    "update-engine-update-available-finalizing-old.txt": Told("FINALIZING"),
    "update-engine-update-downloading-stream.stderr+stdout.txt": Told("DOWNLOADING", "3815.2.1"),
    "update-engine-update-failed-no-newer.stderr+stdout.txt": Told("IDLE"),
}
SLOTS = {
    "cgpt-show-full-disk.txt": [("USR-A", 2, 0, True), ("USR-B", 1, 0, False)],
    "cgpt-show-usr-1-fresh.txt": [("USR-A", 2, 0, True), ("USR-B", 1, 0, False)],
    "cgpt-show-usr-2-update-staged-need-reboot.txt": [("USR-A", 1, 0, True), ("USR-B", 2, 1, False)],
    "cgpt-show-usr-4-confirmed.txt": [("USR-A", 1, 0, True), ("USR-B", 2, 0, True)],
    "cgpt-show-usr-5-after-prioritize-rollback.txt": [("USR-A", 2, 0, True), ("USR-B", 1, 0, True)],
}
#: Recordings of commands that change a host, and of its journal: no look reads them.
NOT_READ = {
    "flatcar-update-failed-socat-4152.txt",
    "flatcar-update-migrate-bindmount-failed.txt",
    "journal-update-engine-check.txt",
    "locksmithctl-set-max.txt",
    "locksmithd-journal-downloading.txt",
    "omaha-response-event-ok.xml",
    "update-engine-check-for-update-other-user.stderr.txt",
}
LOCKS = {
    "locksmithctl-status-self-held.txt": {"available": 0, "max": 1, "holders": ["8316b1ebdfec47a0ba3fae8992f1177f"]}
}


def recording(name: str) -> str:
    return corpus("flatcar", name).read_text()


@pytest.mark.parametrize("name", STATUS)
def test_a_recorded_status_states_its_operation(name: str) -> None:
    problems: list[str] = []
    assert parse_status(recording(name), problems) == EngineStatus(STATUS[name].operation, STATUS[name].version)
    assert not problems


@pytest.mark.parametrize("name", SLOTS)
def test_a_recorded_table_states_its_slots(name: str) -> None:
    problems: list[str] = []
    found = parse_partitions(recording(name), problems)
    assert [(one.label, one.priority, one.tries, one.successful) for one in found] == SLOTS[name]
    assert [one.number for one in found] == [3, 4]
    assert not problems


@pytest.mark.parametrize("name", LOCKS)
def test_a_recorded_lock_states_its_holders(name: str) -> None:
    problems: list[str] = []
    assert parse_locksmith(recording(name), problems) == LOCKS[name]
    assert not problems


def test_every_recording_has_a_row() -> None:
    names = {path.name for path in corpus("flatcar").iterdir()}
    assert names == {*STATUS, *SLOTS, *LOCKS, *NOT_READ}


def test_a_fresh_host_has_one_deployment() -> None:
    facts = host()
    (booted,) = facts.deployments
    assert (booted.id, booted.version, booted.booted, booted.stream) == ("USR-A", "4230.2.3", True, "stable")
    assert booted.origin == "https://a.example/v1/update/"
    assert booted.slot is not None
    assert (booted.slot.priority, booted.slot.successful) == (2, True)
    assert (facts.os.family, facts.os.stream, facts.update.manager) == ("flatcar", "stable", "update_engine")
    assert (facts.agent.name, facts.agent.state) == ("update_engine", "polling")
    assert not [one for one in facts.unread if one.section in ("update_engine", "usr_partitions", "usr_device")]


STAGED = {"update_engine": NEED_REBOOT, "usr_partitions": table(GOOD_B, "priority=2 tries=1 successful=0")}


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({}, ("reboot_pending", "agent_waits_for_reboot")),
        ({"update_conf": CONF + "/etc/flatcar/update.conf:REBOOT_STRATEGY=off\n"}, ("staged", "")),
        ({"flatcar_units": UNITS.format("inactive")}, ("staged", "")),
        (
            {"update_conf": CONF + "/etc/flatcar/update.conf:REBOOT_STRATEGY=etcd-lock\n"},
            ("deferred", "update_strategy"),
        ),
        (
            {"update_conf": CONF + '/etc/flatcar/update.conf:LOCKSMITHD_REBOOT_WINDOW_START="Thu 04:00"\n'},
            ("deferred", "update_strategy"),
        ),
        ({"usr_partitions": "", "usr_device": ""}, ("reboot_pending", "agent_waits_for_reboot")),
    ],
)
def test_an_update_that_waits_for_its_reboot(over: dict[str, str], expected: tuple[str, str]) -> None:
    facts = host(**{**STAGED, **over})
    staged, booted = facts.deployments
    assert (staged.version, staged.staged, staged.booted) == ("4230.2.4", True, False)
    assert (booted.version, booted.booted, booted.index) == ("4230.2.3", True, 1)
    assert state(facts) == expected


def test_a_confirmed_update_keeps_the_other_slot_for_going_back() -> None:
    facts = host(usr_partitions=table(GOOD_B, GOOD_A), usr_device="/dev/nvme0n1p4\n")
    booted, previous = facts.deployments
    assert (booted.id, booted.booted) == ("USR-B", True)
    assert (previous.id, previous.rollback, previous.version) == ("USR-A", True, None)


def test_a_rollback_that_waits_for_its_reboot() -> None:
    facts = host(usr_partitions=table(GOOD_A, GOOD_B), usr_device="/dev/sda4\n")
    assert [one.id for one in facts.deployments] == ["USR-A", "USR-B"]
    assert state(facts) == ("reboot_pending", "other_deployment_first")


def test_an_update_that_did_not_start() -> None:
    facts = host(usr_partitions=table(GOOD_B, "priority=2 tries=0 successful=0"))
    booted, failed = facts.deployments
    assert (booted.id, booted.booted, failed.boot_failed, failed.rollback) == ("USR-A", True, True, False)
    assert state(facts) == ("rolled_back", "boot_failed")


def test_a_slot_that_is_not_confirmed_yet_runs() -> None:
    facts = host(usr_partitions=table(GOOD_B, "priority=2 tries=0 successful=0"), usr_device="/dev/sda4\n")
    booted, previous = facts.deployments
    assert booted.id == "USR-B"
    assert booted.slot is not None
    assert booted.slot.successful is False
    assert previous.rollback


def test_the_kernel_arguments_name_the_slot_too() -> None:
    arguments = f"BOOT_IMAGE=/flatcar/vmlinuz-b mount.usr=/dev/mapper/usr verity.usr=PARTUUID={UUID_B} verity.usrhash={'ab' * 32}\n"
    facts = host(usr_device="/dev/mapper/usr\n", cmdline=arguments, usr_partitions=table(GOOD_B, GOOD_A))
    assert facts.booted is not None
    assert (facts.booted.id, facts.booted.checksum) == ("USR-B", "ab" * 32)


def test_a_user_whom_the_bus_refuses() -> None:
    denied = "LAST_CHECKED_TIME=0\nPROGRESS=0\nCURRENT_OP=(null)\nNEW_VERSION=(null)\nNEW_SIZE=0\n"
    facts = host(update_engine=denied)
    (unread,) = [one for one in facts.unread if one.section == "update_engine"]
    assert unread.reason == "permission"
    assert facts.booted is not None
    assert facts.booted.version == "4230.2.3"


def test_an_engine_that_does_not_answer_is_no_question_of_rights() -> None:
    null = "LAST_CHECKED_TIME=0\nPROGRESS=0\nCURRENT_OP=(null)\nNEW_VERSION=(null)\nNEW_SIZE=0\n"
    gone = (
        "I1 1 update_engine_client.cc:123] Error getting status: GError(2): The name was not provided by any .service\n"
    )
    facts = host(
        update_engine=gone + null,
        flatcar_units=UNITS.format("active").replace("ActiveState=active", "ActiveState=failed", 1),
    )
    (unread,) = [one for one in facts.unread if one.section == "update_engine"]
    assert unread.reason == "failed"
    assert facts.agent.state == "failed"
    refused = host(update_engine=recording("update-engine-status-other-user-denied.stderr+stdout.txt"))
    assert [one.reason for one in refused.unread if one.section == "update_engine"] == ["permission"]


@pytest.mark.parametrize(
    ("device", "arguments"),
    [
        ("/dev/disk/by-partlabel/USR-B", ""),
        (f"/dev/disk/by-partuuid/{UUID_B}", ""),
        ("/dev/dm-0", "mount.usr=PARTLABEL=USR-B"),
        ("/dev/mapper/usr", f"usr=PARTUUID={UUID_B.upper()}"),
        ("/dev/mmcblk0p4", ""),
        ("/dev/vda4", f"verity.usr=PARTUUID={UUID_A}"),
    ],
)
def test_the_slot_that_runs_is_found_however_it_is_named(device: str, arguments: str) -> None:
    facts = host(usr_device=device + "\n", cmdline=arguments + "\n", usr_partitions=table(GOOD_B, GOOD_A))
    assert facts.booted is not None
    assert facts.booted.id == "USR-B"


@pytest.mark.parametrize("group", ["lts-2024", "beta", "alpha", "5b810680-e36a-4879-b98a-4f989e80b899"])
@pytest.mark.parametrize("version", ["4081.3.6", "4459.0.0", "4500.0.0+nightly-20251101-2100"])
def test_streams_and_versions(group: str, version: str) -> None:
    release = OS_RELEASE.replace("4230.2.3", version)
    waits = NEED_REBOOT.replace("4230.2.4", version + "1" if "+" in version else "4600.1.0")
    facts = host(
        os_release=release,
        usr_os_release=release,
        update_engine=waits,
        update_conf=CONF + f'/etc/flatcar/update.conf:GROUP="{group}"\n',
        usr_partitions=STAGED["usr_partitions"],
    )
    assert facts.booted is not None
    assert (facts.booted.version, facts.os.stream, facts.booted.stream) == (version, group, group)
    assert facts.deployments[0].staged
    assert not [one for one in facts.unread if one.section == "update_engine"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("sudo: a password is required\n", "permission"),
        ("core is not in the sudoers file.\n", "permission"),
        ("ERROR: Can't open /dev/sda: Permission denied\n", "permission"),
        ("ERROR: cgpt: invalid GPT\n", "failed"),
    ],
)
def test_without_the_table_what_runs_is_known(said: str, reason: str) -> None:
    table_refused: Any = SectionOutput(1, b"", said.encode())
    facts = host(usr_partitions=table_refused)
    assert [one.reason for one in facts.unread if one.section == "usr_partitions"] == [reason]
    (booted,) = facts.deployments
    assert (booted.version, booted.booted, booted.slot) == ("4230.2.3", True, None)


def test_an_update_that_the_host_knows_of() -> None:
    facts = host(update_engine=IDLE.replace("IDLE", "DOWNLOADING").replace("0.0.0\n", "4230.2.4\n"))
    assert facts.update.transaction == "downloading"
    assert state(facts) == ("update_available", "cached_update")


def test_updates_that_are_switched_off_are_said() -> None:
    facts = host(update_conf=CONF + "/etc/flatcar/update.conf:SERVER=disabled\n")
    assert facts.agent.config["updates"]["enabled"] is False


@pytest.mark.parametrize("text", ["", "CURRENT_OP=UPDATE_STATUS_DANCING\n", "\0\xff", "NEW_VERSION=" + "9" * 5000])
def test_a_status_that_is_not_understood_is_kept(text: str) -> None:
    facts = host(update_engine=text)
    (unread,) = [one for one in facts.unread if one.section == "update_engine"]
    assert unread.reason == "not_understood"


@pytest.mark.parametrize(
    ("device", "number"),
    [("/dev/sda3", 3), ("/dev/nvme0n1p4", 4), ("/dev/nvme0n1", None), ("/dev/mapper/usr", None), ("", None)],
)
def test_part_numbers(device: str, number: int | None) -> None:
    assert part_number(device) == number


def test_the_file_in_etc_goes_first() -> None:
    text = CONF + "/etc/flatcar/update.conf:GROUP=beta # ours\n/elsewhere:GROUP=x\n/etc/flatcar/update.conf:#GROUP=y\n"
    assert parse_update_conf(text)["GROUP"] == "beta"


def test_a_reboot_window_without_quotes_is_read_whole() -> None:
    facts = host(update_conf=CONF + "/etc/flatcar/update.conf:LOCKSMITHD_REBOOT_WINDOW_START=Thu 23:00\n")
    assert facts.agent.config["locksmithd"]["LOCKSMITHD_REBOOT_WINDOW_START"] == "Thu 23:00"


def test_one_look_is_enough_for_a_host_of_unknown_family() -> None:
    asked = {section.name for section in drivers.undetected_sections()}
    for family in ("fcos", "flatcar", "unknown"):
        assert {section.name for section in drivers.get(family).probe()} <= asked


@pytest.mark.parametrize(
    ("kind", "params", "line"),
    [
        ("check", {}, "sudo -n update_engine_client -check_for_update"),
        ("rollback", {"device": "/dev/nvme0n1p4"}, "sudo -n cgpt prioritize /dev/nvme0n1p4"),
        ("cancel", {}, "sudo -n systemctl restart update-engine.service"),
        ("reboot", {}, "sudo -n systemctl reboot"),
        (
            "cleanup_pending",
            {},
            'sudo -n sh -c cgpt prioritize "$(rootdev -s /usr)" && update_engine_client -reset_status fleetui',
        ),
        ("keep_order", {}, 'sudo -n sh -c exec cgpt prioritize "$(rootdev -s /usr)" fleetui'),
    ],
)
def test_argument_lists(kind: str, params: dict[str, Any], line: str) -> None:
    assert " ".join(drivers.get("flatcar").command(kind, **params).argv) == line


@pytest.mark.parametrize(
    ("target", "words"),
    [({}, ()), ({"version": "4230.2.4"}, ()), ({"version": "4230.2.4", "is_asked": True}, ("4230.2.4",))],
)
def test_only_a_version_that_was_asked_for_is_fetched_past_the_update_server(
    target: dict[str, Any], words: tuple[str, ...]
) -> None:
    command = drivers.get("flatcar").staging(target)
    assert command.long
    script = command.argv[4]
    # update_engine ignores a request while something is staged, and the GPT would start that all the same.
    assert script.startswith('cgpt prioritize "$(rootdev -s /usr)" && update_engine_client -reset_status && exec ')
    assert script.endswith('flatcar-update --to-version "$1"' if words else "update_engine_client -update")
    assert command.argv[6:] == words


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("kargs_set", {"append": ["quiet"]}),
        ("deploy", {"version": "4230.2.4"}),
        ("upgrade", {"version": "4230.2.4; reboot"}),
        ("rollback", {}),
        ("rollback", {"device": "/dev/sda4; reboot"}),
        ("rollback", {"device": "sda4"}),
        ("reboot", {"now": True}),
        ("format", {}),
    ],
)
def test_commands_are_refused_with_the_reason(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(CommandRefused) as refused:
        drivers.get("flatcar").command(kind, **params)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("device", "other"), [("/dev/sda3", "/dev/sda4"), ("/dev/nvme0n1p3", "/dev/nvme0n1p4"), ("", None), ("dm-0", None)]
)
def test_the_device_of_the_other_slot_is_on_the_same_disk(device: str, other: str | None) -> None:
    runs, second = (Partition(number, name, "", 1, 0, True) for number, name in ((3, "USR-A"), (4, "USR-B")))
    assert device_of(second, runs, device) == other
