"""Rules of Ignition, and how they differ between versions."""

import json
from typing import Any

import pytest

from nodes.ignition.ignition import validate_document


def told(version: str, **sections: Any) -> list[str]:
    validation = validate_document(json.dumps({"ignition": {"version": version}, **sections}))
    assert validation.error is None
    return [line.split(" at ", 1)[1] for line in validation.report.as_text().splitlines()]


def messages(version: str, **sections: Any) -> list[str]:
    return [line.split(": ", 1)[1] for line in told(version, **sections)]


def file(**fields: Any) -> dict[str, Any]:
    return {"storage": {"files": [{"path": "/f", **fields}]}}


@pytest.mark.parametrize(
    ("source", "version", "problem"),
    [
        ("https://x.example/a?b#c", "3.0.0", None),
        ("HTTP://x.example", "3.0.0", None),
        ("tftp://x/y", "3.0.0", None),
        ("gs://b/o", "3.1.0", "invalid url scheme"),
        ("gs://b/o", "3.2.0", None),
        ("ftp://x", "3.5.0", "invalid url scheme"),
        ("", "3.5.0", None),
        ("x", "3.5.0", "invalid url scheme"),
        ("http://[::1", "3.5.0", "unable to parse url"),
        ("http://[::1]:80/", "3.5.0", None),
        ("http://[1.2.3.4]/", "3.5.0", "unable to parse url"),
        ("http://a:b/", "3.5.0", "unable to parse url"),
        ("http://a b/", "3.5.0", "unable to parse url"),
        ("http://a/%zz", "3.5.0", "unable to parse url"),
        ("http://u:p@a/", "3.5.0", None),
        (":x", "3.5.0", "unable to parse url"),
        ("a:b/c", "3.5.0", "invalid url scheme"),
        ("1a:b", "3.5.0", "unable to parse url"),
        ("s3://b/o?versionId=", "3.0.0", "invalid S3 object VersionId"),
        ("s3://b/o?versionId&a", "3.3.0", "invalid S3 object VersionId"),
        ("s3://b/o?versionId=&versionId=1", "3.4.0", "invalid S3 object VersionId"),
        ("s3://b/o?versionId=1", "3.4.0", None),
        ("arn:aws:s3:::b/o", "3.3.0", "invalid url scheme"),
        ("arn:aws:s3:::b/o", "3.4.0", None),
        ("arn:aws:s3:::b", "3.4.0", "invalid S3 ARN format"),
        ("arn:aws:ec2:::b/o", "3.4.0", "invalid S3 ARN format"),
        ("arn:aws:s3:r:a:accesspoint/x", "3.4.0", "invalid S3 ARN format"),
        ("arn:aws:s3:r:a:accesspoint/x/y", "3.4.0", None),
        ("data:,a%20b", "3.5.0", None),
        ("data:,a b", "3.5.0", "invalid data character"),
        ("data:text", "3.5.0", "missing media type slash"),
    ],
)
def test_sources(source: str, version: str, problem: str | None) -> None:
    assert messages(version, **file(contents={"source": source})) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("hash_", "version", "problem"),
    [
        ("sha512-" + "g" * 128, "3.0.0", None),
        ("sha256-" + "0" * 64, "3.0.0", "unrecognized hash function"),
        ("sha256-" + "0" * 64, "3.1.0", None),
        ("sha256-0", "3.1.0", "incorrect size for hash sum"),
        ("sha256", "3.1.0", "malformed hash specifier"),
        ("md5-0", "3.1.0", "unrecognized hash function"),
    ],
)
def test_hashes(hash_: str, version: str, problem: str | None) -> None:
    found = messages(version, **file(contents={"source": "data:,", "verification": {"hash": hash_}}))
    assert found == ([problem] if problem else [])


def test_modes() -> None:
    assert messages("3.5.0", **file(mode=0o4755)) == [
        "setuid/setgid/sticky bits are not supported or functional in spec versions older than 3.6.0"
    ]
    assert messages("3.6.0", **file(mode=0o4755)) == []
    assert messages("3.6.0", **file(mode=-1)) == ["illegal file mode"]
    assert messages("3.6.0", **file(mode=0o10000)) == ["illegal file mode"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "path not specified"),
        ("a", "path not absolute"),
        ("/a/", "path is not fully simplified"),
        ("//a", "path is not fully simplified"),
        ("/a/../b", "path is not fully simplified"),
        ("/", None),
        ("/..a", None),
    ],
)
def test_paths(path: str, problem: str | None) -> None:
    assert messages("3.5.0", storage={"directories": [{"path": path}]}) == ([problem] if problem else [])


def test_nodes_share_their_paths() -> None:
    nodes = [{"path": "/a"}, {"path": "/l/b"}]
    assert told("3.4.0", storage={"directories": nodes, "files": nodes, "links": [{"path": "/l", "target": "x"}]}) == [
        "$.storage.directories.1, line 1 col 81: directory path includes link in config",
        "$.storage.files.1, line 1 col 126: file path includes link in config",
        "$.storage.files.0, line 1 col 110: duplicate entry defined",
        "$.storage.files.1, line 1 col 126: duplicate entry defined",
    ]


def test_links() -> None:
    links = [
        {"path": "/a", "hard": True, "target": "/d/", "user": {"id": 1}, "group": {"name": ""}},
        {"path": "/b", "hard": True, "target": "../d"},
        {"path": "/c"},
    ]
    directories = [{"path": "/d"}]
    assert messages("3.4.0", storage={"links": links, "directories": directories}) == [
        "hard link target is a directory",
        "user/group ignored for hard link",
        "user/group ignored for hard link",
        "hard link target is a directory",
        "link target is required",
    ]
    assert "link target is required" not in messages("3.2.0", storage={"links": [{"path": "/c"}]})


def test_overwrite_and_owners() -> None:
    assert messages("3.4.0", **file(overwrite=True, user={"id": 1, "name": "x"})) == [
        "overwrite must be false if source is unspecified",
        "cannot set both id and name",
    ]


def test_partitions() -> None:
    def problems(*partitions: dict[str, Any]) -> list[str]:
        return messages("3.4.0", storage={"disks": [{"device": "/dev/a", "partitions": list(partitions)}]})

    one, two = {"number": 1, "startMiB": 1, "sizeMiB": 10}, {"number": 2, "startMiB": 11, "sizeMiB": 5}
    assert problems(one, two) == []
    assert problems(one, two | {"startMiB": 10}) == ["partitions overlap"]
    assert problems(one, two | {"startMiB": 5, "sizeMiB": 0}) == ["partitions overlap"]
    assert problems(one, two | {"startMiB": 0}) == []
    assert problems({"label": "a"}, {"label": "a"}) == [
        "cannot use the same partition label twice",
        "duplicate entry defined",
    ]
    assert problems({"number": 1}, {"number": 1}) == ["partition numbers collide", "duplicate entry defined"]
    assert problems({"number": 1, "shouldExist": False}, {"label": "a"}) == [
        "shouldExist is false for a partition and other partition(s) has start or size 0"
    ]
    assert problems({"number": 1, "shouldExist": False, "guid": ""}) == []
    assert problems({"number": 1, "shouldExist": False, "sizeMiB": 0}) == [
        "shouldExist specified false with other options also specified"
    ]
    assert problems({}) == ["a partition number >= 1 or a label must be specified"]
    assert problems({"label": "a:b"}) == ["partition label will be truncated to text before the colon"]
    assert problems({"label": "é" * 19}) == ["partition labels may not exceed 36 characters"]
    assert problems({"number": 1, "typeGuid": "x"})[0].startswith("doesn't match the form")


def test_many_partitions_are_no_burden() -> None:
    apart = [{"number": at, "startMiB": at * 10, "sizeMiB": 10} for at in range(1, 5000)]
    disks = [{"device": "/dev/a", "partitions": apart}]
    assert messages("3.4.0", storage={"disks": disks}) == []
    apart[4000] = {**apart[4000], "sizeMiB": 11}
    assert messages("3.4.0", storage={"disks": disks}) == ["partitions overlap"]


def test_filesystems() -> None:
    def problems(version: str = "3.4.0", **fields: Any) -> list[str]:
        return messages(version, storage={"filesystems": [{"device": "/dev/a", **fields}]})

    assert problems(format="ext4", label="x" * 16) == []
    assert problems(format="vfat", label="x" * 12) == [
        "filesystem labels cannot be longer than 11 characters when using vfat"
    ]
    assert problems(format="none") == []
    assert problems("3.2.0", format="none") == ["invalid filesystem format"]
    assert problems(wipeFilesystem=False) == []
    assert problems(label="x")[1] == "filesystem must specify format if label is specified"
    assert problems(format="ext4", options=["a", "a"], mountOptions=["b", "b"]) == []


def test_filesystems_on_disks() -> None:
    disks = [{"device": "/dev/a", "wipeTable": True}, {"device": "/dev/b", "partitions": [{"number": 1}]}]
    filesystems = [{"device": "/dev/a", "format": "xfs"}, {"device": "/dev/b", "format": "xfs"}]
    assert messages("3.4.0", storage={"disks": disks, "filesystems": filesystems}) == [
        "device matches disk with wipeTable enabled; filesystem will be wiped",
        "filesystem overwrites partitioned device",
    ]


def test_raid() -> None:
    raid = {"name": "a", "level": "raid0", "spares": 1, "devices": ["/dev/a", "dev"]}
    assert messages("3.4.0", storage={"raid": [raid]}) == [
        "spares unsupported for linear and raid0 arrays",
        "path not absolute",
    ]
    assert messages("3.2.0", storage={"raid": [{"name": "a"}]}) == ["unrecognized raid level", "raid devices required"]
    assert messages("3.3.0", storage={"raid": [{"name": "a"}]}) == ["raid level is required", "raid devices required"]


def test_luks() -> None:
    def problems(version: str, **fields: Any) -> list[str]:
        return messages(version, storage={"luks": [{"name": "a", "device": "/dev/a", **fields}]})

    tang = {"url": "http://t", "thumbprint": "x", "advertisement": "{"}
    assert problems("3.4.0", clevis={"tang": [tang]}) == ["advertisement is not valid JSON"]
    assert problems("3.4.0", clevis={"tang": [{"url": "ftp://t"}]}) == ["invalid url scheme", "thumbprint is required"]
    custom = {"pin": "x", "config": "y"}
    assert problems("3.5.0", clevis={"custom": custom}) == ["unsupported clevis pin"]
    assert problems("3.6.0", clevis={"custom": custom}) == []
    assert problems("3.6.0", clevis={"custom": custom, "tpm2": True}) == [
        "cannot use custom clevis config with tpm2, tang, or threshold"
    ]
    assert problems("3.2.0", clevis={"custom": {"pin": "x", "config": ""}}) == [
        "unsupported clevis pin",
        "missing required custom clevis config",
    ]
    assert problems("3.4.0", clevis={"custom": {"needsNetwork": True}}) == [
        "missing required custom clevis pin",
        "missing required custom clevis config",
    ]
    assert problems("3.5.0", cex={"enabled": True}, clevis={"tpm2": True}, keyFile={"source": "data:,"}) == [
        "cannot use cex with clevis",
        "cannot use key file with cex",
    ]
    assert problems("3.4.0", label="x" * 48, keyFile={"source": "x"}) == [
        "luks device labels cannot be longer than 47 characters",
        "invalid key-file source",
        "invalid url scheme",
    ]
    assert problems("3.4.0", openOptions=["a", "a"], options=["b", "b"]) == ["duplicate entry defined"]


def test_proxies_and_headers() -> None:
    ignition = {
        "version": "3.4.0",
        "proxy": {"httpProxy": "http://p", "httpsProxy": "http://p"},
        "config": {
            "merge": [
                {},
                {"source": "data:,", "httpHeaders": [{"name": "", "value": ""}, {"name": "a"}, {"name": "a"}]},
            ]
        },
    }
    assert messages("3.4.0", ignition=ignition) == [
        "source is required",
        "cannot use HTTP headers with this source scheme",
        "HTTP header name can't be empty",
        "unable to parse HTTP header",
        "insecure plaintext HTTP proxy specified for HTTPS resources",
        "duplicate entry defined",
    ]


def test_kernel_arguments_share_their_keys() -> None:
    assert messages("3.3.0", kernelArguments={"shouldExist": ["a"], "shouldNotExist": ["a"]}) == [
        "duplicate entry defined"
    ]


def test_units() -> None:
    def problems(*units: dict[str, Any]) -> list[str]:
        return messages("3.4.0", systemd={"units": list(units)})

    plain = "[Unit]\nDescription=x\n"
    assert problems({"name": "a.service", "enabled": True, "contents": plain}) == [
        'unit "a.service" is enabled, but has no install section so enable does nothing'
    ]
    assert problems({"name": "a.service", "enabled": True, "contents": "[Install]\n"}) != []
    assert problems({"name": "a.service", "enabled": True, "contents": "[Install]\nAlias=b.service\n"}) == []
    assert problems({"name": "a.service", "enabled": True}) == []
    assert problems({"name": "a@.service", "contents": plain}, {"name": "a@b.service", "enabled": True}) == [
        'template unit "a@.service" for "a@b.service" doesn\'t have Install section'
    ]
    assert problems({"name": "a", "dropins": [{"name": "b.txt", "contents": "[x"}]}) == [
        "invalid systemd unit extension",
        "invalid unit content: unable to find end of section",
        "invalid systemd drop-in extension",
    ]


def test_units_and_files_at_one_path() -> None:
    unit = {"name": "a.service", "contents": "[X]\n", "dropins": [{"name": "b.conf", "contents": "[X]\n"}]}
    paths = ("/etc/systemd/system/a.service", "/etc/systemd/system/a.service.d/b.conf", "/etc/systemd/system/a.timer")
    assert messages("3.4.0", systemd={"units": [unit]}, storage={"files": [{"path": path} for path in paths]}) == [
        "path conflicts with systemd unit or dropin",
        "path conflicts with systemd unit or dropin",
    ]
