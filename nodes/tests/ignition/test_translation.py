"""What becomes of each kind of sugar, on small sources of our own."""

import gzip
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from nodes.ignition.butane import RESULT_INVALID, SOURCE_INVALID, convert
from nodes.ignition.files import FilesDirectory
from nodes.tests.ignition.sources import butane, findings, messages, output


def ignition(body: str, **more: Any) -> Any:
    return json.loads(output(body, **more))


@pytest.mark.parametrize(
    ("variant", "version", "spec"),
    [
        ("fcos", "1.0.0", "3.0.0"),
        ("fcos", "1.1.0", "3.1.0"),
        ("fcos", "1.2.0", "3.2.0"),
        ("fcos", "1.3.0", "3.2.0"),
        ("fcos", "1.4.0", "3.3.0"),
        ("fcos", "1.5.0", "3.4.0"),
        ("fcos", "1.6.0", "3.5.0"),
        ("fcos", "1.7.0", "3.6.0"),
        ("fcos", "1.8.0-experimental", "3.7.0-experimental"),
        ("flatcar", "1.0.0", "3.3.0"),
        ("flatcar", "1.1.0", "3.4.0"),
        ("flatcar", "1.2.0-experimental", "3.7.0-experimental"),
    ],
)
def test_versions(variant: str, version: str, spec: str) -> None:
    assert output("", variant=variant, version=version) == f'{{"ignition":{{"version":"{spec}"}}}}'


def test_field_order_and_names() -> None:
    assert output(
        """\
        storage:
          disks:
            - device: /dev/a
              partitions: [{number: 1, size_mib: 0, start_mib: 5, type_guid: "", label: x}]
          files:
            - {mode: 0644, contents: {inline: ""}, path: /f, group: {id: 0}}
        kernel_arguments: {should_not_exist: [b], should_exist: [a]}
        ignition:
          timeouts: {http_response_headers: 0}
          proxy: {no_proxy: [x]}
        """
    ) == (
        '{"ignition":{"proxy":{"noProxy":["x"]},"timeouts":{"httpResponseHeaders":0},"version":"3.4.0"},'
        '"kernelArguments":{"shouldExist":["a"],"shouldNotExist":["b"]},"storage":{"disks":[{"device":"/dev/a",'
        '"partitions":[{"label":"x","number":1,"sizeMiB":0,"startMiB":5,"typeGuid":""}]}],'
        '"files":[{"group":{"id":0},"path":"/f","contents":{"compression":"","source":"data:,"},"mode":420}]}}'
    )


def test_escapes() -> None:
    text = output('passwd: {users: [{name: a, gecos: "<&>\\b\\f\\n\\e\\x7f\\u2028é\\\\b"}]}\n')
    assert '"gecos":"\\u003c\\u0026\\u003e\\u0008\\u000c\\n\\u001b\x7f\\u2028é\\\\b"' in text


def test_pretty() -> None:
    assert convert(butane("passwd: {users: [{name: a, groups: [b]}]}"), pretty=True).output == (
        '{\n  "ignition": {\n    "version": "3.4.0"\n  },\n  "passwd": {\n    "users": [\n      {\n'
        '        "groups": [\n          "b"\n        ],\n        "name": "a"\n      }\n    ]\n  }\n}'
    )


def contents(inline: str, **more: Any) -> Any:
    body = f"storage: {{files: [{{path: /f, contents: {{inline: {json.dumps(inline)}}}}}]}}\n"
    return ignition(body, **more)["storage"]["files"][0]["contents"]


def test_the_shortest_encoding_is_taken() -> None:
    assert contents("a b!") == {"compression": "", "source": "data:,a%20b!"}
    assert contents("\u0e01" * 5)["source"].startswith("data:;base64,4LiB")
    packed = contents("hello " * 20)
    assert packed["compression"] == "gzip"
    assert gzip.decompress(b64decode(packed["source"].partition(",")[2])) == b"hello " * 20
    assert contents("hello " * 20, version="1.0.0") == {"source": "data:," + "hello%20" * 20}


def test_what_is_compressed_is_not_compressed_again() -> None:
    text = output(f"storage: {{files: [{{path: /f, contents: {{compression: gzip, inline: '{'a' * 200}'}}}}]}}\n")
    assert '"compression":"gzip","source":"data:,aaaa' in text


def test_one_source_at_most() -> None:
    assert messages("storage: {files: [{path: /f, contents: {inline: a, source: 'data:,', local: b}}]}\n") == [
        "$.storage.files.0.contents.source: only one of the following can be set: inline, local, source"
    ]


def test_local_files(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"ssh-ed25519 A x\r\n\n# note\nssh-ed25519 B\n")
    (tmp_path / "unit").write_text("[Unit]\nDescription=x\n")
    text = output(
        """\
        passwd:
          users:
            - name: core
              ssh_authorized_keys: [first]
              ssh_authorized_keys_local: [keys]
        storage:
          files:
            - {path: /f, contents: {local: /unit}, append: [{local: ./keys}]}
        systemd:
          units:
            - {name: a.service, contents_local: unit, dropins: [{name: b.conf, contents_local: unit}]}
        """,
        files=FilesDirectory(tmp_path),
    )
    assert '"sshAuthorizedKeys":["first","ssh-ed25519 A x","# note","ssh-ed25519 B"]' in text
    assert text.count('"contents":"[Unit]\\nDescription=x\\n"') == 2
    assert "data:,%5BUnit%5D" in text


def test_local_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    body = "storage: {{files: [{{path: /f, contents: {{local: {}}}}}]}}\n"

    def error(local: str, files: FilesDirectory | None) -> str:
        conversion = convert(butane(body.format(json.dumps(local))), files=files)
        assert conversion.error == SOURCE_INVALID
        return findings(conversion)[0][-1]

    files = FilesDirectory(tmp_path, shown_as="files")
    assert error("a", None).startswith("local file paths are relative to a files directory that must be specified")
    assert error("a", files) == "open files/a: no such file or directory"
    assert error("folder", files) == "read files/folder: is a directory"
    assert error("folder/../../x", files) == "local file path traverses outside the files directory"
    assert error("..", files) == "local file path traverses outside the files directory"
    assert error("a\0b", files) == "open files/a?b: invalid argument"
    assert error("x" * 300, files).endswith(": file name too long")


def test_trees(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "etc" / "b").mkdir(parents=True)
    (tree / "etc" / "b" / "c").write_text("1")
    (tree / "etc" / "B").write_text("2")
    (tree / "etc" / "run").write_text("3")
    (tree / "etc" / "run").chmod(0o700)
    (tree / "etc" / "link").symlink_to("/nowhere")
    storage = ignition(
        """\
        storage:
          files: [{path: /etc/b/c, mode: 0600}]
          trees: [{local: tree}, {local: tree/etc/b, path: /srv}]
        """,
        files=FilesDirectory(tmp_path),
    )["storage"]
    assert [(file["path"], file["mode"]) for file in storage["files"]] == [
        ("/etc/b/c", 0o600),
        ("/etc/B", 0o644),
        ("/etc/run", 0o755),
        ("/srv/c", 0o644),
    ]
    assert storage["links"] == [{"path": "/etc/link", "target": "/nowhere"}]
    assert "directories" not in storage


def test_owners_and_modes_of_trees(tmp_path: Path) -> None:
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "b").write_text("")
    storage = ignition(
        "storage: {trees: [{local: tree, path: /srv, user: {name: x}, file_mode: 0600, dir_mode: 0700}]}\n",
        version="1.7.0",
        files=FilesDirectory(tmp_path),
    )["storage"]
    owner = {"name": "x"}
    assert storage["directories"] == [
        {"path": "/srv", "user": owner, "mode": 0o700},
        {"path": "/srv/a", "user": owner, "mode": 0o700},
    ]
    assert storage["files"][0] | {"contents": None} == {
        "path": "/srv/a/b",
        "user": owner,
        "contents": None,
        "mode": 0o600,
    }


def test_trees_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("x")
    (tmp_path / "file").write_text("x")
    conversion = convert(
        butane(
            """\
            storage:
              directories: [{path: /a}]
              trees: [{local: tree}, {local: file}, {local: none}, {local: ../x}]
            """
        ),
        files=FilesDirectory(tmp_path, shown_as="files"),
    )
    assert [(row[1], row[-1]) for row in findings(conversion)] == [
        ("$.storage.trees.0", "matching filesystem node has existing contents or different type"),
        ("$.storage.trees.1", "root of tree must be a directory"),
        ("$.storage.trees.2", "stat files/none: no such file or directory"),
        ("$.storage.trees.3", "local file path traverses outside the files directory"),
    ]


def test_mount_units_precede_those_of_the_user_who_wins() -> None:
    units = ignition(
        """\
        storage:
          filesystems:
            - {path: /var/lib/my-app, device: /dev/x.y, format: xfs, with_mount_unit: true, mount_options: [ro, noexec]}
            - {device: /dev/disk/by-label/swap, format: swap, with_mount_unit: true}
        systemd:
          units:
            - {name: own.service, enabled: false}
            - {name: dev-disk-by\\x2dlabel-swap.swap, enabled: false}
        """
    )["systemd"]["units"]
    assert [(unit["name"], unit["enabled"]) for unit in units] == [
        ("var-lib-my\\x2dapp.mount", True),
        ("dev-disk-by\\x2dlabel-swap.swap", False),
        ("own.service", False),
    ]
    assert units[0]["contents"] == (
        "# Generated by Butane\n[Unit]\nRequires=systemd-fsck@dev-x.y.service\nAfter=systemd-fsck@dev-x.y.service\n\n"
        "[Mount]\nWhere=/var/lib/my-app\nWhat=/dev/x.y\nType=xfs\nOptions=ro,noexec\n\n"
        "[Install]\nRequiredBy=local-fs.target"
    )
    assert units[1]["contents"] == (
        "# Generated by Butane\n[Swap]\nWhat=/dev/disk/by-label/swap\n\n[Install]\nRequiredBy=swap.target"
    )


def test_a_mount_behind_a_tang_server_waits_for_the_network() -> None:
    contents = ignition(
        """\
        storage:
          luks:
            - {name: data, device: /dev/b, clevis: {tang: [{url: "http://t.example", thumbprint: x}]}}
          filesystems:
            - {path: /var/d, device: /dev/mapper/data, format: ext4, with_mount_unit: true}
        """
    )["systemd"]["units"][0]["contents"]
    assert "Options=_netdev\n" in contents
    assert contents.endswith("RequiredBy=remote-fs.target")


def test_mirrored_and_encrypted_boot_disk() -> None:
    storage = ignition(
        """\
        boot_device:
          layout: aarch64
          luks: {tpm2: true, threshold: 1, discard: true}
          mirror: {devices: [/dev/a, /dev/b]}
        storage:
          disks:
            - device: /dev/a
              partitions: [{label: root-1, size_mib: 10240}, {label: data-1}]
        """
    )["storage"]
    first = storage["disks"][0]
    assert [(part["label"], part.get("sizeMiB")) for part in first["partitions"]] == [
        ("reserved-1", 1),
        ("esp-1", 127),
        ("boot-1", 384),
        ("root-1", 10240),
        ("data-1", None),
    ]
    assert [raid["name"] for raid in storage["raid"]] == ["md-boot", "md-root"]
    assert storage["raid"][0]["options"] == ["--metadata=1.0"]
    assert storage["luks"] == [
        {
            "clevis": {"threshold": 1, "tpm2": True},
            "device": "/dev/md/md-root",
            "discard": True,
            "label": "luks-root",
            "name": "root",
            "wipeVolume": True,
        }
    ]
    assert [filesystem["device"] for filesystem in storage["filesystems"]] == [
        "/dev/disk/by-partlabel/esp-1",
        "/dev/disk/by-partlabel/esp-2",
        "/dev/md/md-boot",
        "/dev/mapper/root",
    ]


def test_mainframe_boot_disk() -> None:
    storage = ignition(
        "boot_device: {layout: s390x-zfcp, luks: {device: /dev/sda, cex: {enabled: true}}}\n", version="1.6.0"
    )["storage"]
    assert storage["luks"][0]["device"] == "/dev/sda4"
    assert storage["luks"][0]["cex"] == {"enabled": True}
    assert "disks" not in storage


def test_a_boot_disk_without_a_method_makes_nothing() -> None:
    assert output("boot_device: {luks: {threshold: 1, tpm2: false}}\n") == '{"ignition":{"version":"3.4.0"}}'


def test_grub_users_append_to_a_file_of_the_user() -> None:
    storage = ignition(
        """\
        grub: {users: [{name: root, password_hash: grub.pbkdf2.x}, {name: b, password_hash: y}]}
        storage:
          files: [{path: /boot/grub2/user.cfg, append: [{inline: own}]}]
        """
    )["storage"]
    assert storage["filesystems"] == [{"device": "/dev/disk/by-label/boot", "format": "ext4", "path": "/boot"}]
    appended = [resource["source"] for resource in storage["files"][0]["append"]]
    assert appended[1] == "data:,own"
    assert "superusers%3D%22root%20b%22%0Apassword_pbkdf2%20root%20grub.pbkdf2.x" in appended[0]


def test_quadlets(tmp_path: Path) -> None:
    (tmp_path / "web").write_text("[Container]\n")
    storage = ignition(
        """\
        systemd:
          quadlets:
            - {name: web@.container, contents_local: web, rootful: true, dropins: [{name: a.conf, contents: "[X]"}]}
            - {name: web@1.container, rootful: true}
            - {name: db.volume, contents: ""}
        """,
        version="1.8.0-experimental",
        files=FilesDirectory(tmp_path),
    )["storage"]
    assert [(file["path"], file["contents"]["source"]) for file in storage["files"]] == [
        ("/etc/containers/systemd/web@.container", "data:,%5BContainer%5D%0A"),
        ("/etc/containers/systemd/web@.container.d/a.conf", "data:,%5BX%5D"),
        ("/etc/containers/systemd/users/db.volume", "data:,"),
    ]
    assert storage["links"] == [{"path": "/etc/containers/systemd/web@1.container", "target": "web@.container"}]


def test_quadlets_that_do_not_fit() -> None:
    assert messages(
        """\
        systemd:
          quadlets:
            - {name: a.service}
            - {name: a@1.pod, contents: x, contents_local: y}
            - {name: b.pod, contents: x, contents_local: y}
        """,
        version="1.8.0-experimental",
    ) == [
        "$.systemd.quadlets.0.name: unsupported file extension for quadlet: must be one of "
        ".container, .volume, .network, .kube, .image, .build, .pod, or .artifact",
        "$.systemd.quadlets.1.contents: template instances cannot have contents or contents_local",
        "$.systemd.quadlets.1.contents_local: template instances cannot have contents or contents_local",
        "$.systemd.quadlets.2.contents_local: only one of the following can be set: contents, contents_local",
    ]


def test_merged_configs_are_checked() -> None:
    config = '{"ignition":{"version":"%s"},"passwd":{"users":[{"name":"a"},{"name":"a"}],"x":1}}'
    body = "ignition: {{config: {{merge: [{{inline: '{}'}}]}}}}\n"
    assert messages(body.format(config % "3.4.0")) == [
        "$.passwd.users.1: duplicate entry defined",
        "$.passwd.x: unused key x",
    ]
    assert messages(body.format(config % "3.3.0")) == [
        "$.ignition.config.merge.0.version: "
        "skipping validation for the merge/replace ignition config due to an unkown version"
    ]
    assert messages(body.format("[]"))[1] == "$.ignition.config.merge.0.inline: config is not valid"


def test_what_a_variant_forbids() -> None:
    body = "storage: {luks: [{name: a, device: /dev/a, clevis: {tpm2: true}}]}\n"
    conversion = convert(butane(body, variant="flatcar", version="1.1.0"))
    assert conversion.error == SOURCE_INVALID
    assert [(row[1], row[-1]) for row in findings(conversion)] == [
        ("$.storage.luks.0.clevis", "clevis is not supported in this spec version")
    ]
    assert convert(butane(body, variant="flatcar", version="1.2.0-experimental")).error is None
    assert messages("boot_device: {}\ngrub: {}\n", variant="flatcar", version="1.1.0") == [
        "$.boot_device: unused key boot_device",
        "$.grub: unused key grub",
    ]


def test_phases_hide_each_other() -> None:
    body = "storage: {files: [{path: a, contents: {inline: x, local: y}}]}\n"
    assert messages(body) == [
        "$.storage.files.0.contents.inline: only one of the following can be set: inline, local, source"
    ]
    assert convert(butane("storage: {files: [{path: a}]}\n")).error == RESULT_INVALID


def test_findings_of_the_result_are_told_of_the_source() -> None:
    conversion = convert(
        butane(
            """\
            storage:
              filesystems:
                - {path: /var/a, device: dev, format: ext4, with_mount_unit: true}
            boot_device:
              mirror: {devices: [/dev/a, dev/b]}
              layout: x86_64
            """
        )
    )
    assert [row[1:4] for row in findings(conversion)] == [
        ("$.boot_device.mirror.devices.1", 7, 30),
        ("$.storage.filesystems.0.device", 5, 30),
    ]


def test_where_parts_came_from() -> None:
    conversion = convert(butane("storage: {files: [{path: /f, contents: {inline: x}}]}\n"))
    assert conversion.source_of(("storage", "files", 0, "contents", "source")) == (
        *("storage", "files", 0, "contents", "inline"),
    )
    assert conversion.source_of(("passwd", "users", 0, "homeDir")) == ("passwd", "users", 0, "home_dir")


def test_warnings_of_partitions() -> None:
    body = """\
        storage:
          disks:
            - device: /dev/disk/by-id/coreos-boot-disk
              partitions:
                - {label: root, number: 5, size_mib: 100}
                - {label: var}
            - device: /dev/b
              partitions:
                - {label: root}
                - {label: x, start_mib: 0}
        """
    assert messages(body, version="1.2.0") == [
        "$.storage.disks.0.partitions.0.label: "
        "incorrect partition number; a new partition will be created using reserved label",
        "$.storage.disks.1.partitions.0.label: "
        "incorrect partition number; a new partition will be created using reserved label",
    ]
    told = messages(body, version="1.6.0")
    assert [line.partition(":")[0] for line in told] == [
        "$.storage.disks.1.partitions.0.number",
        "$.storage.disks.1.partitions.1.number",
        "$.storage.disks.0.partitions.0.size_mib",
        "$.storage.disks.0.partitions.0.label",
        "$.storage.disks.1.partitions.0.label",
        "$.storage.disks.1.partitions.0.label",
    ]
