"""What becomes of files: how contents are encoded, local files, and trees."""

import gzip
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from nodes.ignition.butane import SOURCE_INVALID, convert
from nodes.ignition.files import FilesDirectory
from nodes.tests.ignition.sources import butane, findings, ignition, messages, output


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
