"""What changes between two configs, and what is erased by it."""

from typing import Any

import pytest

from nodes.ignition.butane import convert
from nodes.ignition.effect import Effect, Weight, effect
from nodes.tests.ignition.sources import butane

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Zr1bXn0nJ2bXo0E5v0l6mJx0P3m9cQh6m0aYzY1Xq"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK1v7v7bq3mJx0P3m9cQh6m0aYzY1XqJ8Zr1bXn0nJ2b"


def ignition(body: str) -> str:
    output = convert(butane(body)).output
    assert output
    return output


def found(before: str, after: str) -> list[Effect]:
    return effect(ignition(before), ignition(after))


def told(before: str, after: str) -> list[tuple[str, str]]:
    return [(str(one.weight), one.what.code) for one in found(before, after)]


def user(keys: str = f"[{KEY} a@x]", more: str = "") -> str:
    return f"passwd: {{users: [{{name: deploy, ssh_authorized_keys: {keys}{more}}}]}}\n"


def storage(text: str) -> str:
    return f"storage: {{{text}}}\n"


def unit(text: str) -> str:
    return f"systemd: {{units: [{{name: app.service, {text}}}]}}\n"


def keyfile(address: str) -> str:
    path = "/etc/NetworkManager/system-connections/e.nmconnection"
    text = f"[connection]\\nid=e\\n[ipv4]\\nmethod=manual\\naddress1={address}"
    return storage(f'files: [{{path: {path}, mode: 0600, contents: {{inline: "{text}"}}}}]')


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (user(), user(), []),
        ("", user(), [("notable", "user_added")]),
        ("", user(more=", groups: [wheel]"), [("notable", "user_added_admin")]),
        (user(), "", [("disruptive", "nobody_signs_in"), ("notable", "user_left_out")]),
        (user(), user("[]"), [("disruptive", "nobody_signs_in"), ("notable", "key_left_out")]),
        (user(), user(f"[{KEY} renamed@x]"), []),
        (user(), user(f"[{OTHER} b@x]"), [("notable", "key_added"), ("notable", "key_left_out")]),
        (user(), user(more=", password_hash: x"), [("notable", "password_set")]),
        (user(), user(more=", groups: [sudo, audio]"), [("notable", "user_joins"), ("plain", "user_joins")]),
        (user(), user(more=", uid: 1001"), [("notable", "user_changed")]),
        ("", "passwd: {groups: [{name: g}]}\n", [("plain", "group_added")]),
        ("", storage("disks: [{device: /dev/sdb, wipe_table: true}]"), [("disruptive", "disk_wiped")]),
        (
            storage("disks: [{device: /dev/sdb, partitions: [{number: 1, size_mib: 5}]}]"),
            storage("disks: [{device: /dev/sdb, partitions: [{number: 1, size_mib: 6}]}]"),
            [("disruptive", "partition_changed")],
        ),
        (
            storage("disks: [{device: /dev/sdb}]"),
            storage("disks: [{device: /dev/sdb, partitions: [{number: 1, should_exist: false}]}]"),
            [("disruptive", "partition_deleted")],
        ),
        (
            storage("filesystems: [{device: /dev/sdb, format: xfs}]"),
            storage("filesystems: [{device: /dev/sdb, format: xfs, wipe_filesystem: true}]"),
            [("disruptive", "filesystem_reformatted")],
        ),
        (
            storage("filesystems: [{device: /dev/sdb, format: xfs, path: /var/a}]"),
            storage("filesystems: [{device: /dev/sdb, format: ext4, path: /var/b}]"),
            [("disruptive", "filesystem_format"), ("notable", "filesystem_moved")],
        ),
        (
            storage("raid: [{name: r, level: raid1, devices: [/dev/a, /dev/b]}]"),
            storage("raid: [{name: r, level: raid0, devices: [/dev/a, /dev/b]}]"),
            [("disruptive", "raid_changed")],
        ),
        ("", storage("luks: [{name: l, device: /dev/a}]"), [("disruptive", "luks_added")]),
        (
            storage("luks: [{name: l, device: /dev/a, clevis: {tpm2: true}}]"),
            storage("luks: [{name: l, device: /dev/a}]"),
            [("notable", "luks_opened_otherwise")],
        ),
        ("", storage("files: [{path: /etc/hostname, contents: {inline: a}}]"), [("notable", "file_added")]),
        (
            storage("files: [{path: /a, contents: {inline: a}}]"),
            storage("files: [{path: /a, mode: 04755, contents: {inline: b}}]").replace("04755", "0666"),
            [("notable", "mode_changed"), ("plain", "file_changed")],
        ),
        (storage("files: [{path: /a}]"), storage("links: [{path: /a, target: /b}]"), [("notable", "node_kind")]),
        (
            storage("links: [{path: /a, target: /b}]"),
            storage("links: [{path: /a, target: /c}]"),
            [("plain", "link_changed")],
        ),
        ("", unit("enabled: true"), [("notable", "unit_enabled")]),
        ("", unit("mask: true"), [("notable", "unit_masked")]),
        (unit('contents: "[Unit]\\na=1"'), unit('contents: "[Unit]\\na=2"'), [("notable", "unit_changed")]),
        (unit("enabled: true"), unit("enabled: false"), [("notable", "unit_now_disabled")]),
        (unit("enabled: true"), unit("enabled: true, dropins: [{name: a.conf}]"), [("notable", "dropin_added")]),
        (
            keyfile("192.0.2.5/24"),
            keyfile("192.0.2.6/24"),
            [("notable", "address_added"), ("notable", "address_left_out"), ("notable", "file_changed")],
        ),
        (
            "kernel_arguments: {should_exist: [a, b]}\n",
            "kernel_arguments: {should_exist: [b, c]}\n",
            [("notable", "argument_added"), ("notable", "argument_left_out")],
        ),
        (
            "",
            'ignition: {config: {replace: {source: "https://a.test/b"}}}\n',
            [("disruptive", "replace_added")],
        ),
        ("", "ignition: {timeouts: {http_total: 3}}\n", [("plain", "fetching_changed")]),
    ],
)
def test_effects(before: str, after: str, expected: list[tuple[str, str]]) -> None:
    assert told(before, after) == expected


def test_disruptive_first_and_where() -> None:
    after = user() + storage("filesystems: [{device: /dev/sdb, format: xfs, path: /var/x, wipe_filesystem: true}]")
    first, second = found("", after)
    assert (first.weight, first.section, first.before, first.after) == (
        *(Weight.DISRUPTIVE, "disks", None),
        ("storage", "filesystems", 0),
    )
    assert first.what.params == {"device": "/dev/sdb", "format": "xfs", "path": "/var/x"}
    assert second.what.params == {"user": "deploy"}


def test_contents_are_never_told() -> None:
    def secret(value: str) -> str:
        return user(more=f", password_hash: {value}") + (
            f"storage: {{files: [{{path: /etc/secret, contents: {{inline: {value}}}}}]}}\n"
            f'systemd: {{units: [{{name: a.service, contents: "[Service]\\nEnvironment=A={value}"}}]}}\n'
        )

    assert len(found(secret("first-secret"), secret("second-secret"))) == 2
    assert "secret-" not in repr(found(secret("one-secret-"), secret("two-secret-"))).replace("/etc/secret", "")


def test_sections_are_taken_too() -> None:
    conversion: Any = convert(butane(user()))
    assert effect(conversion.ignition, conversion.output) == []
