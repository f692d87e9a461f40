"""Configs in the parts that a person thinks of."""

import base64
import gzip
import json
from typing import Any

import pytest

from nodes.ignition.butane import convert
from nodes.ignition.contents import Contents, shown_url
from nodes.ignition.ignition import validate_document
from nodes.ignition.limits import Limits
from nodes.ignition.said import Said
from nodes.ignition.sections import Sections, UnreadableDocument, sections
from nodes.ignition.sections.purposes import purpose_of
from nodes.ignition.sections.secrets import secret_in
from nodes.ignition.sshkeys import read_key
from nodes.tests.ignition.sources import butane

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Zr1bXn0nJ2bXo0E5v0l6mJx0P3m9cQh6m0aYzY1Xq"


def of(body: str, **over: str) -> Sections:
    conversion = convert(butane(body, **over))
    assert conversion.output, conversion.report.as_text()
    return sections(conversion.output)


def document(**parts: Any) -> str:
    return json.dumps({"ignition": {"version": "3.4.0"}, **parts})


def codes(lines: tuple[Said, ...]) -> list[str]:
    return [line.code for line in lines]


def test_users() -> None:
    core, deploy = of(
        f"""
        passwd:
          users:
            - name: core
              ssh_authorized_keys: ["{ED25519} ops@example.com", "# a note"]
              password_hash: $y$j9T$x
            - {{name: deploy, groups: [wheel, audio], uid: 1001, shell: /bin/zsh}}
        """
    ).users
    assert [(key.key.fingerprint, key.key.comment, key.at) for key in core.keys] == [
        (
            "SHA256:WWMu1UGaDD+P/XnCnFeeLwGF8lseflSxspkrqW8PnnI",
            "ops@example.com",
            ("passwd", "users", 0, "sshAuthorizedKeys", 0),
        )
    ]
    assert codes(core.lines) == ["user_changed", "user_keys", "user_password"]
    assert "$y$" not in repr(core)
    assert codes(deploy.lines) == ["user_made", "user_no_way_in", "user_admin", "user_groups", "user_shell"]
    assert of("passwd: {users: [{name: a, should_exist: false}], groups: [{name: g}]}").users[0].is_removed


def test_paths_lead_back_to_the_source() -> None:
    conversion = convert(butane("boot_device: {mirror: {devices: [/dev/sda, /dev/sdb]}, layout: x86_64}\n"))
    found = sections(conversion.ignition or "")
    assert [conversion.source_of(disk.at) for disk in found.disks] == [
        ("boot_device", "mirror", "devices", 0),
        ("boot_device", "mirror", "devices", 1),
    ]


def test_files() -> None:
    found = of(
        """
        storage:
          files:
            - {path: /etc/hostname, contents: {inline: edge-01}}
            - {path: /opt/tool, mode: 0755, user: {name: core}, contents: {source: "https://u:p@host.test/tool?token=1"}}
            - {path: /etc/x, mode: 0666, append: [{inline: a}, {inline: b}]}
            - {path: /etc/key, contents: {inline: "-----BEGIN OPENSSH PRIVATE KEY-----"}}
          directories: [{path: /var/d}]
          links: [{path: /etc/localtime, target: ../usr/share/zoneinfo/UTC}]
        """
    )
    by_path = {node.path: node for node in found.files}
    assert list(by_path) == sorted(by_path)
    hostname = by_path["/etc/hostname"]
    assert hostname.content is not None
    assert (hostname.content.text, hostname.mode_text, hostname.purpose) == ("edge-01", "0644", "hostname")
    assert codes(hostname.lines) == ["file_written", "purpose_hostname"]
    tool = by_path["/opt/tool"]
    assert tool.lines[0] == Said("file_fetched_unverified", {"path": "/opt/tool", "url": "https://host.test/tool"})
    assert codes(tool.lines)[1:] == ["file_executable", "node_owner"]
    assert codes(by_path["/etc/x"].lines) == ["file_appended", "node_writable_by_all"]
    assert by_path["/etc/key"].is_secret
    assert codes(by_path["/var/d"].lines) == ["directory_made"]
    assert by_path["/etc/localtime"].purpose == "time_zone"


def test_disks() -> None:
    found = of(
        """
        storage:
          disks:
            - device: /dev/sdb
              wipe_table: true
              partitions: [{label: data, number: 1, size_mib: 100}, {label: rest, number: 2}]
          filesystems: [{device: /dev/sdb1, format: xfs, path: /var/d, wipe_filesystem: true}]
          raid: [{name: r, level: raid1, devices: [/dev/sdc, /dev/sdd]}]
          luks: [{name: l, device: /dev/md/r, clevis: {tpm2: true}}, {name: own, device: /dev/sde}]
        """
    )
    assert codes(found.disks[0].lines) == ["disk_wiped", "partition_sized", "partition_rest"]
    assert codes(found.filesystems[0].lines) == ["filesystem_wiped", "filesystem_path"]
    assert found.erased == ("/dev/sdb", "/dev/sdb1")
    assert found.raids[0].lines[0].params["devices"] == ("/dev/sdc", "/dev/sdd")
    assert [codes(volume.lines) for volume in found.luks] == [["luks_made", "luks_tpm2"], ["luks_made", "luks_own_key"]]


def test_units() -> None:
    units = of(
        r"""
        systemd:
          units:
            - name: app.service
              enabled: true
              contents: |
                [Unit]
                Description=The app
                [Service]
                ExecStart=/usr/bin/podman --log-level=info \
                  run --name app example.test/app
                [Install]
                WantedBy=multi-user.target
              dropins: [{name: 10.conf, contents: "[Service]\nNice=5"}]
            - {name: docker.service, mask: true}
            - {name: new.timer, contents: "[Timer]\nOnCalendar=daily"}
        """
    ).units
    assert [unit.state for unit in units] == ["enabled", "masked", "unset"]
    assert codes(units[0].lines) == [
        *("unit_written", "unit_description", "unit_runs_container", "unit_enabled", "unit_dropin"),
    ]
    assert units[2].lines[1].params["when"] == ("OnCalendar=daily",)


def test_kernel_and_rest() -> None:
    found = of(
        """
        kernel_arguments: {should_exist: [quiet], should_not_exist: [mitigations=auto]}
        ignition:
          config: {merge: [{source: "https://example.test/base.ign"}]}
          proxy: {https_proxy: "https://user:pass@proxy.test:3128", no_proxy: [a]}
          timeouts: {http_total: 30}
        """
    )
    assert codes(found.kernel.lines) == ["argument_added", "argument_removed", "arguments_reboot"]
    assert codes(found.rest.lines) == ["merge_fetched", "proxy", "no_proxy", "timeout_total"]
    assert found.rest.lines[1].params["url"] == "https://proxy.test:3128"
    assert not found.is_whole


def test_what_cannot_be_read() -> None:
    for text in ("", "[]", "{", '{"ignition":{"version":"2.2.0"}}'):
        with pytest.raises(UnreadableDocument):
            sections(text)
    # A document with errors is shown all the same.
    assert sections(document(storage={"files": [{"path": "relative"}]})).files[0].path == "relative"


def test_packed_contents_are_bounded() -> None:
    packed = base64.b64encode(gzip.compress(bytes(1_000_000))).decode()
    resource = {"source": f"data:;base64,{packed}", "compression": "gzip"}
    text = document(storage={"files": [{"path": f"/{n}", "contents": resource} for n in range(3)]})
    assert [node.content.size_bytes for node in sections(text).files if node.content] == [1_000_000] * 3
    bounded = sections(text, limits=Limits(local_total_bytes=2_500_000)).files
    assert [node.content.problem for node in bounded if node.content] == [None, None, "compression"]
    damaged = document(storage={"files": [{"path": "/a", "contents": {"source": "data:,x", "compression": "gzip"}}]})
    assert codes(sections(damaged).files[0].lines) == ["file_unreadable"]


def test_identity_tells_content_apart() -> None:
    config = validate_document(
        document(
            storage={
                "files": [
                    {"path": "/a", "contents": {"source": "data:,x"}},
                    {"path": "/b", "contents": {"source": "data:;base64,eA=="}},
                    {"path": "/c", "contents": {"source": "https://a.test/x"}},
                ]
            }
        )
    ).config
    assert config is not None
    contents = Contents()
    first, second, third = (
        contents.read(file.record("contents")) for file in config.record("storage").records("files")
    )
    assert first.identity == second.identity != third.identity


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@a.test/x?sig=1#f", "https://a.test/x"),
        ("s3://bucket/key?versionId=1", "s3://bucket/key"),
        ("arn:aws:s3:::bucket/key", "arn:aws:s3:::bucket/key"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'from="10.0.0.0/8",command="a ssh-rsa b" {ED25519} me', ("ssh-ed25519", 256, "me", None)),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Zr1b= me", ("ssh-ed25519", None, "me", "damaged")),
        (
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJ8Zr1bXn0nJ2bXo0E5v0l6mJx0P3m9cQh6m0aYzY1Xq",
            ("ssh-rsa", None, "", "damaged"),
        ),
        ("hello there", ("hello", None, "", "type")),
    ],
)
def test_keys(line: str, expected: tuple[Any, ...]) -> None:
    key = read_key(line)
    assert key is not None
    assert (key.type, key.bits, key.comment, key.problem) == expected
    assert read_key("  # comment") is read_key("") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a\n\n-----BEGIN RSA PRIVATE KEY-----\n", ("private_key", 3)),
        ("[Interface]\nPrivateKey = " + "A" * 43 + "=\n", ("private_key", 2)),
        ("[registry]\n  db_password: hunter2hunter2\n", ("password", 2)),
        ('{"auths": {"quay.io": {"auth": "dXNlcjpwYXNz"}}}', ("registry_login", 1)),
        ("password: ${DB_PASSWORD}\ntoken_file: /run/secrets/t\n", None),
        ("PasswordAuthentication no\n", None),
        ("psk=[secret wifi]\npassword=[secret db]\ntoken: ${fleetui:token}\n", None),
        ("TOKEN=$(cat /run/token)\n", None),
        ("-----BEGIN CERTIFICATE-----\n", None),
    ],
)
def test_secrets(text: str, found: Any) -> None:
    assert secret_in(text) == found


def test_long_texts_are_looked_through_quickly() -> None:
    for text in (
        "\n" * 200_000,
        "password" * 25_000,
        "a.b-" * 50_000,
        "password=\n" * 20_000,
        " " * 200_000,
        "-----BEGIN " * 9_000,
    ):
        assert secret_in(text) is None


def test_purposes() -> None:
    assert purpose_of("/etc/containers/systemd/app.container") == "quadlet"
    assert purpose_of("/etc/zincati/config.d/10-a.yaml") is None
    assert purpose_of("/var/lib/app.conf") is None
