"""Where data lies, and whether it is mounted."""

import re
from collections.abc import Iterator

from nodes.ignition.lint.model import Found, Rule, Severity, Subject, example, unit_example
from nodes.ignition.options import read_options
from nodes.ignition.sections.units import container_runtime
from nodes.ignition.unitfile import escape_path

_UNSTABLE = re.compile(r"/dev/(sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|hd[a-z]+)(p?\d+)?\Z")
_STORES = {
    "podman": ("/var/lib/containers", "/var/lib", "/var"),
    "docker": ("/var/lib/docker", "/var/lib", "/var"),
    "nerdctl": ("/var/lib/containerd", "/var/lib", "/var"),
}
_MOUNTED_BY_OS = ("/", "/boot", "/boot/efi", "/usr", "/sysroot", "/oem", "/usr/share/oem")


def _no_data_disk(subject: Subject) -> Iterator[Found]:
    """Containers fill the disk that the system lives on."""
    if not subject.is_whole:
        return
    runtimes = _runtimes(subject)
    mounted = {filesystem.mount_path for filesystem in subject.sections.filesystems}
    mounted |= {read_options(unit.contents).value("Mount", "Where") for unit in subject.sections.units if unit.contents}
    for runtime, at in runtimes.items():
        if not mounted.intersection(_STORES[runtime]):
            yield Found(at, {"path": _STORES[runtime][0], "runtime": runtime})


def _runtimes(subject: Subject) -> dict[str, tuple[str | int, ...]]:
    """The programs that run containers, with where the first one is used."""
    found: dict[str, tuple[str | int, ...]] = {}
    for unit in subject.sections.units:
        for command in read_options(unit.contents or "").find("Service", "ExecStart"):
            runtime = container_runtime(command.value)
            if runtime:
                found.setdefault(runtime, unit.at)
    for node in subject.sections.files:
        if node.purpose == "quadlet" and node.path.endswith((".container", ".kube", ".pod")):
            found.setdefault("podman", node.at)
    return found


def _unstable_device(subject: Subject) -> Iterator[Found]:
    sections = subject.sections
    devices = [
        *((disk.device, (*disk.at, "device")) for disk in sections.disks),
        *((one.device, (*one.at, "device")) for one in sections.filesystems),
        *((volume.device, (*volume.at, "device")) for volume in sections.luks),
        *((device, (*raid.at, "devices", n)) for raid in sections.raids for n, device in enumerate(raid.devices)),
    ]
    for device, at in devices:
        if _UNSTABLE.match(device):
            yield Found(at, {"device": device})


def _not_mounted(subject: Subject) -> Iterator[Found]:
    """Ignition makes a filesystem and mounts it for itself only."""
    units = {unit.name for unit in subject.sections.units}
    written = {node.path.rpartition("/")[2] for node in subject.sections.files if node.purpose == "systemd_unit"}
    has_fstab = subject.sections.file("/etc/fstab") is not None
    for filesystem in subject.sections.filesystems:
        path = filesystem.mount_path
        if path is None or path in _MOUNTED_BY_OS or has_fstab or filesystem.format in ("none", "swap"):
            continue
        if f"{escape_path(path)}.mount" not in units | written:
            yield Found((*filesystem.at, "path"), {"path": path, "unit": f"{escape_path(path)}.mount"})


def _wiped_without_label(subject: Subject) -> Iterator[Found]:
    """Erasing without a condition happens again when the machine is provisioned again."""
    for disk in subject.sections.disks:
        if disk.is_wiped and not disk.partitions and not _is_used_whole(subject, disk.device):
            yield Found((*disk.at, "wipeTable"), {"device": disk.device})


def _is_used_whole(subject: Subject, device: str) -> bool:
    sections = subject.sections
    used = {one.device for one in sections.filesystems} | {volume.device for volume in sections.luks}
    return device in used | {member for raid in sections.raids for member in raid.devices}


def _filesystem(*lines: str) -> str:
    return example(
        "storage:\n  filesystems:\n" + "".join(f"      {line}\n" for line in lines).replace("      ", "    - ", 1)
    )


_DATA_DISK = (
    "storage:\n  filesystems:\n    - device: /dev/disk/by-partlabel/containers\n      format: xfs\n"
    "      path: /var/lib/containers\n      with_mount_unit: true\n"
)
_RUNS = unit_example(
    "app.service",
    "[Service]\nExecStart=/usr/bin/podman run --rm quay.io/example/app:1.0\n\n[Install]\nWantedBy=multi-user.target",
)
RULES = (
    Rule("no-data-disk", Severity.ADVICE, _no_data_disk, _RUNS + _DATA_DISK, _RUNS),
    Rule(
        "unstable-device",
        Severity.WARNING,
        _unstable_device,
        _filesystem("device: /dev/disk/by-id/virtio-data", "format: xfs", "path: /var/data", "with_mount_unit: true"),
        _filesystem("device: /dev/sdb", "format: xfs", "path: /var/data", "with_mount_unit: true"),
    ),
    Rule(
        "filesystem-not-mounted",
        Severity.ERROR,
        _not_mounted,
        _filesystem("device: /dev/disk/by-id/virtio-data", "format: xfs", "path: /var/data", "with_mount_unit: true"),
        _filesystem("device: /dev/disk/by-id/virtio-data", "format: xfs", "path: /var/data"),
    ),
    Rule(
        "disk-wiped-for-nothing",
        Severity.WARNING,
        _wiped_without_label,
        example(
            "storage:\n  disks:\n    - device: /dev/disk/by-id/virtio-data\n      wipe_table: true\n"
            "      partitions:\n        - number: 1\n          label: data\n"
        ),
        example("storage:\n  disks:\n    - device: /dev/disk/by-id/virtio-data\n      wipe_table: true\n"),
    ),
)
