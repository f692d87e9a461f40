"""`boot_device`: the root filesystem on an encrypted or mirrored disk.

The partitions replicate the image of Fedora CoreOS; their sizes and types must not change.
"""

from nodes.ignition.dialects import Dialect
from nodes.ignition.limits import Limits, Refused
from nodes.ignition.paths import Path
from nodes.ignition.record import Item, Record
from nodes.ignition.translate.merge import Translated
from nodes.ignition.translate.names import camel
from nodes.ignition.translate.sourcemap import SourceMap, add_from_one

_RESERVED = ("reserved", 1, "8DA63339-0007-60C0-C436-083AC8230908")
_BIOS = ("bios", 1, "21686148-6449-6E6F-744E-656564454649")
_PREP = ("prep", 4, "9E1A2D38-C612-4316-AA26-8B49521E5A8B")
_ESP = ("esp", 127, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
_BOOT_MIB = 384
_S390X_ROOT_PARTITION = {"s390x-eckd": "2", "s390x-zfcp": "4"}
_BOOT_DEVICE: Path = ("boot_device",)
_DEVICES: Path = ("boot_device", "mirror", "devices")
_LUKS: Path = ("boot_device", "luks")


def render_boot_device(config: Record, dialect: Dialect, limits: Limits) -> Translated | None:
    """A config of disks, RAID, encryption and filesystems alone; None when none is wanted."""
    boot_device = config.record("boot_device")
    luks = boot_device.record("luks")
    has_cex = bool(luks.record("cex").flag("enabled"))
    has_luks = bool(luks.flag("tpm2") or luks.items("tang") or has_cex)
    devices = boot_device.record("mirror").texts("devices")
    if not has_luks and not devices:
        return None
    if len(devices) > limits.mirror_devices:
        raise Refused(f"the mirror of the boot device has more than {limits.mirror_devices} devices")
    rendering = _Rendering(dialect, boot_device.text("layout"))
    if devices:
        rendering.add_mirror(devices)
    if has_luks:
        rendering.add_luks(luks, has_cex=has_cex, has_mirror=bool(devices))
    rendering.add_root("/dev/mapper/root" if has_luks else "/dev/md/md-root")
    return rendering.result()


class _Rendering:
    def __init__(self, dialect: Dialect, layout: str | None) -> None:
        self._dialect = dialect
        self._types = dialect.target.types
        self._layout = layout
        self._sources: SourceMap = {}
        self._disks: list[Item] = []
        self._filesystems: list[Item] = []
        self._storage = Record(self._types["Storage"])

    def result(self) -> Translated:
        if self._disks:
            self._storage.values["disks"] = self._disks
        self._storage.values["filesystems"] = self._filesystems
        config = Record(self._dialect.target.root, storage=self._storage)
        self._sources["storage",] = _BOOT_DEVICE
        return Translated(config, self._sources)

    def add_mirror(self, devices: list[str]) -> None:
        has_esp = self._layout in (None, "x86_64", "aarch64")
        for index, device in enumerate(devices):
            origin: Path = (*_DEVICES, index)
            disk = Record(
                self._types["Disk"], device=device, wipeTable=True, partitions=self._partitions(index + 1, has_esp)
            )
            add_from_one(self._sources, origin, ("storage", "disks", index), disk)
            self._disks.append(disk)
            if has_esp:
                label = f"esp-{index + 1}"
                self._add_filesystem(origin, f"/dev/disk/by-partlabel/{label}", "vfat", label)
        self._sources["storage", "disks"] = _DEVICES
        self._add_raid(len(devices))
        self._add_filesystem(("boot_device", "mirror"), "/dev/md/md-boot", "ext4", "boot")

    def _partitions(self, number: int, has_esp: bool) -> list[Item]:  # noqa: FBT001
        first = _RESERVED
        if self._layout in (None, "x86_64"):
            first = _BIOS
        elif self._layout == "ppc64le":
            first = _PREP
        partition = self._types["Partition"]
        return [
            *(
                Record(partition, label=f"{name}-{number}", sizeMiB=size, typeGuid=guid)
                for name, size, guid in (first, _ESP if has_esp else _RESERVED)
            ),
            Record(partition, label=f"boot-{number}", sizeMiB=_BOOT_MIB),
            Record(partition, label=f"root-{number}"),
        ]

    def _add_raid(self, count: int) -> None:
        raids: list[Item] = []
        for name in ("boot", "root"):
            members: list[Item] = [f"/dev/disk/by-partlabel/{name}-{number + 1}" for number in range(count)]
            raid = Record(self._types["Raid"], devices=members, level="raid1", name=f"md-{name}")
            if name == "boot":
                # The superblock at the end lets GRUB read the partition without knowing of RAID.
                raid.values["options"] = ["--metadata=1.0"]
            add_from_one(self._sources, ("boot_device", "mirror"), ("storage", "raid", len(raids)), raid)
            raids.append(raid)
        self._sources["storage", "raid"] = ("boot_device", "mirror")
        self._storage.values["raid"] = raids

    def add_luks(self, luks: Record, *, has_cex: bool, has_mirror: bool) -> None:
        place: Path = ("storage", "luks", 0)
        if self._layout in _S390X_ROOT_PARTITION:
            device = luks.string("device") + _S390X_ROOT_PARTITION[self._layout]
        else:
            device = "/dev/md/md-root" if has_mirror else "/dev/disk/by-partlabel/root"
        volume = Record(self._types["Luks"], device=device, label="luks-root", name="root", wipeVolume=True)
        if luks.flag("discard") is not None:
            volume.values["discard"] = luks.flag("discard")
        if has_cex:
            volume.values["cex"] = Record(self._types["Cex"], enabled=True)
            # The real tool translates the flag as if it stood one level higher.
            self._sources[(*place, "cex", "enabled")] = (*_LUKS, "enabled")
            self._sources[(*place, "cex")] = _LUKS
        else:
            volume.values["clevis"] = self._clevis(luks, (*place, "clevis"))
        if "discard" in self._types["Luks"].by_key:
            self._sources[(*place, "discard")] = (*_LUKS, "discard")
        for key in ("device", "label", "name", "wipeVolume"):
            self._sources[(*place, key)] = _LUKS
        self._sources[place] = _LUKS
        self._sources["storage", "luks"] = _LUKS
        self._storage.values["luks"] = [volume]

    def _clevis(self, luks: Record, place: Path) -> Record:
        clevis = Record(self._types["Clevis"])
        if "tang" in luks.values:
            tangs: list[Item] = []
            for index, tang in enumerate(luks.records("tang")):
                origin, to = (*_LUKS, "tang", index), (*place, "tang", index)
                copy = Record(self._types["Tang"])
                for key, value in tang.values.items():
                    copy.values[camel(key)] = value
                    self._sources[(*to, camel(key))] = (*origin, key)
                self._sources.setdefault((*to, "url"), (*origin, "url"))
                if not tang.is_zero:
                    self._sources[to] = origin
                tangs.append(copy)
            clevis.values["tang"] = tangs
            self._sources[(*place, "tang")] = (*_LUKS, "tang")
        for key in ("threshold", "tpm2"):
            if key in luks.values:
                clevis.values[key] = luks.values[key]
                self._sources[(*place, key)] = (*_LUKS, key)
        self._sources[place] = _LUKS
        return clevis

    def add_root(self, device: str) -> None:
        self._add_filesystem(_BOOT_DEVICE, device, "xfs", "root")
        self._sources["storage", "filesystems"] = _BOOT_DEVICE

    def _add_filesystem(self, origin: Path, device: str, format_: str, label: str) -> None:
        filesystem = Record(self._types["Filesystem"], device=device, format=format_, label=label, wipeFilesystem=True)
        add_from_one(self._sources, origin, ("storage", "filesystems", len(self._filesystems)), filesystem)
        self._filesystems.append(filesystem)
