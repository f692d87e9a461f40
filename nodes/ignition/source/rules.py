"""What a Butane source has to keep to before it is translated."""

import re
from collections.abc import Callable

from nodes.ignition.dialects import Dialect
from nodes.ignition.document.inner import validate_inner
from nodes.ignition.limits import Limits
from nodes.ignition.modes import decimal_mode_problem
from nodes.ignition.paths import ROOT, Path
from nodes.ignition.quadlets import has_quadlet_extension, template_of
from nodes.ignition.record import Record
from nodes.ignition.report import Report

_SOURCES = ("local", "inline", "source")
_NO_MOUNT_PATH = "path is required if with_mount_unit is true and format is not swap"
_BOOT_DISK = "/dev/disk/by-id/coreos-boot-disk"
_MOUNT_POINTS = re.compile(r"/(etc|var)(/|\Z)")
_DASD = re.compile(r"/dev/dasd[a-z]\Z")
_SD = re.compile(r"/dev/sd[a-z]\Z")
_S390X_DEVICES = {"s390x-eckd": _DASD, "s390x-zfcp": _SD}
_LAYOUTS = ("aarch64", "ppc64le", "x86_64")
_CEX_MISMATCH = "when using cex the targeted architecture must match s390x"


class SourceRules:
    """The rules of one dialect."""

    def __init__(self, dialect: Dialect, limits: Limits) -> None:
        self._dialect = dialect
        self._base = dialect.base
        self._fcos = dialect.fcos if dialect.fcos is not None else -1
        self._limits = limits
        self._report = Report()
        self._rules: dict[str, Callable[[Record, Path], None]] = {
            "Resource": self._resource,
            "FileContents": self._file_contents,
            "Filesystem": self._filesystem,
            "Directory": self._directory,
            "File": self._file,
            "Tree": self._tree,
            "Unit": self._unit,
            "Dropin": self._unit,
            "Quadlet": self._quadlet,
            "Config": self._config,
            "BootDevice": self._boot_device,
            "BootDeviceLuks": self._boot_device_luks,
            "BootDeviceMirror": self._boot_device_mirror,
            "GrubUser": self._grub_user,
        }

    def validate(self, config: Record) -> Report:
        """Check each record before its fields, fields in their order."""
        self._walk(config, ROOT)
        return self._report

    def _walk(self, record: Record, path: Path) -> None:
        rule = self._rules.get(record.type.name)
        if rule is not None:
            rule(record, path)
        for field in record.type.fields:
            value = record.values.get(field.key)
            if isinstance(value, Record):
                self._walk(value, (*path, field.key))
            elif isinstance(value, list) and field.target.element and field.target.element.record:
                for index, item in enumerate(value):
                    if isinstance(item, Record):
                        self._walk(item, (*path, field.key, index))

    def _file_contents(self, record: Record, path: Path) -> None:
        """The resource of 1.0."""
        if record.text("inline") is not None and record.text("source") is not None:
            self._report.error((*path, "inline"), "only one of the following can be set: inline, local, source")

    def _resource(self, record: Record, path: Path) -> None:
        given = [key for key in _SOURCES if record.text(key) is not None]
        if len(given) > 1:
            self._report.error((*path, given[-1]), "only one of the following can be set: inline, local, source")
        elif given == ["inline"] and path[:2] == ("ignition", "config"):
            found, problem = validate_inner(record.string("inline"), path, self._dialect.target, self._limits)
            self._report.extend(found.entries)
            self._report.error((*path, "inline"), problem)

    def _filesystem(self, record: Record, path: Path) -> None:
        if not record.flag("with_mount_unit"):
            return
        if self._base < 4 and not record.text("path"):
            self._report.error((*path, "path"), _NO_MOUNT_PATH)
        if not record.text("format"):
            self._report.error((*path, "format"), "format is required if with_mount_unit is true")
        elif self._base >= 4 and record.text("format") != "swap" and not record.text("path"):
            self._report.error((*path, "path"), _NO_MOUNT_PATH)

    def _check_mode(self, record: Record, path: Path, *, is_directory: bool) -> None:
        mode = record.number("mode")
        if mode is not None:
            self._report.warning((*path, "mode"), decimal_mode_problem(mode, is_directory=is_directory))

    def _directory(self, record: Record, path: Path) -> None:
        self._check_mode(record, path, is_directory=True)

    def _file(self, record: Record, path: Path) -> None:
        self._check_mode(record, path, is_directory=False)

    def _tree(self, record: Record, path: Path) -> None:
        if not record.string("local"):
            self._report.error(path, "local is required")

    def _unit(self, record: Record, path: Path) -> None:
        if record.text("contents_local") is not None and record.text("contents") is not None:
            self._report.error(
                (*path, "contents_local"), "only one of the following can be set: contents, contents_local"
            )

    def _quadlet(self, record: Record, path: Path) -> None:
        name = record.string("name")
        if not has_quadlet_extension(name):
            self._report.error(
                (*path, "name"),
                "unsupported file extension for quadlet: must be one of "
                ".container, .volume, .network, .kube, .image, .build, .pod, or .artifact",
            )
            return
        if template_of(name) is None:
            self._unit(record, path)
            return
        for key in ("contents", "contents_local"):
            if record.text(key) is not None:
                self._report.error((*path, key), "template instances cannot have contents or contents_local")

    def _config(self, record: Record, path: Path) -> None:
        if self._fcos < 6:
            return
        storage = record.record("storage")
        mirrored = set(record.record("boot_device").record("mirror").texts("devices"))
        for index, disk in enumerate(storage.records("disks")):
            device = disk.string("device")
            if device == _BOOT_DISK or disk.flag("wipe_table") or device in mirrored:
                continue
            for number, partition in enumerate(disk.records("partitions")):
                if not partition.number("number") and partition.text("label") is not None:
                    self._report.warning(
                        (*path, "storage", "disks", index, "partitions", number, "number"),
                        "partitions cannot be reused by label; number must be specified except on boot disk "
                        "(/dev/disk/by-id/coreos-boot-disk) or when wipe_table is true",
                    )
        for index, filesystem in enumerate(storage.records("filesystems")):
            where = filesystem.text("path")
            if where is not None and filesystem.flag("with_mount_unit") and not _MOUNT_POINTS.match(where):
                self._report.error(
                    (*path, "storage", "filesystems", index, "path"),
                    "path must be under /etc or /var if with_mount_unit is true",
                )

    def _boot_device(self, record: Record, path: Path) -> None:
        mirror, layout = record.record("mirror"), record.text("layout")
        if mirror.items("devices") and layout is None:
            add = self._report.error if self._fcos >= 7 else self._report.warning
            add(
                (*path, "mirror"),
                "boot_device.layout should be specified when boot_device.mirror is specified",
            )
        if layout is not None:
            self._check_layout(layout, record, path)
        if self._fcos >= 6:
            self._check_cex(layout, record, path)
        self._boot_device_mirror(mirror, (*path, "mirror"))

    def _check_layout(self, layout: str, record: Record, path: Path) -> None:
        here: Path = (*path, "layout")
        if self._fcos < 6:
            if layout not in _LAYOUTS:
                self._report.error(here, "layout must be one of: aarch64, ppc64le, x86_64")
            return
        device = record.record("luks").text("device")
        if layout in _S390X_DEVICES:
            if not device:
                self._report.error(here, "device is required for layouts: s390x-eckd, s390x-zfcp")
            elif not _S390X_DEVICES[layout].search(device):
                self._report.error(
                    here,
                    "device name must start with /dev/dasd on s390x-eckd layout or /dev/sd on s390x-zfcp layout",
                )
        elif layout not in (*_LAYOUTS, "s390x-virt"):
            self._report.error(
                here, "layout must be one of: aarch64, ppc64le, s390x-eckd, s390x-virt, s390x-zfcp, x86_64"
            )
        if layout.startswith("s390x") and record.record("mirror").items("devices"):
            self._report.error(here, "mirroring not supported on layouts: s390x-eckd, s390x-zfcp, s390x-virt")

    def _check_cex(self, layout: str | None, record: Record, path: Path) -> None:
        luks = record.record("luks")
        if not luks.record("cex").flag("enabled"):
            return
        if layout is None:
            self._report.error((*path, "luks", "cex"), _CEX_MISMATCH)
        elif not layout.startswith("s390x"):
            self._report.error((*path, "layout"), _CEX_MISMATCH)
        if luks.items("tang") or luks.flag("tpm2"):
            self._report.error((*path, "luks"), "cannot use cex with clevis")

    def _boot_device_luks(self, record: Record, path: Path) -> None:
        if self._fcos < 7 or not record.text("device"):
            return
        has_method = (
            any(not tang.is_zero for tang in record.records("tang"))
            or record.flag("tpm2")
            or record.record("cex").flag("enabled")
        )
        if not has_method:
            self._report.error((*path, "luks"), "no method specified for luks")

    def _boot_device_mirror(self, record: Record, path: Path) -> None:
        if len(record.items("devices")) == 1:
            self._report.error((*path, "devices"), "mirroring requires at least two devices")

    def _grub_user(self, record: Record, path: Path) -> None:
        for key in ("name", "password_hash"):
            if not record.text(key):
                self._report.error((*path, key), f'field "{key}" is required')
