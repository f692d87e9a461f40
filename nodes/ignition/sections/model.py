"""The parts of a config as a person thinks of them. `at` is the path in the Ignition document, `lines` what a part does."""

from dataclasses import dataclass, field

from nodes.ignition.contents import Content
from nodes.ignition.network.model import Network
from nodes.ignition.paths import ROOT, Path
from nodes.ignition.said import Said
from nodes.ignition.sshkeys import SshKey

ROOT_USER = "root"


@dataclass(frozen=True)
class Key:
    """A line of a user's authorized keys."""

    key: SshKey
    at: Path


@dataclass(frozen=True)
class User:
    """Of a password only that it is set."""

    name: str
    at: Path
    keys: tuple[Key, ...] = ()
    has_password: bool = False
    groups: tuple[str, ...] = ()
    uid: int | None = None
    shell: str | None = None
    home: str | None = None
    is_system: bool = False
    is_removed: bool = False
    lines: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Group:
    """A group of users."""

    name: str
    at: Path
    gid: int | None = None
    has_password: bool = False
    is_system: bool = False
    is_removed: bool = False
    lines: tuple[Said, ...] = ()


@dataclass(frozen=True)
class FileNode:
    """A file, directory or link. Without a mode in the config it has Ignition's default."""

    kind: str
    path: str
    at: Path
    mode: int
    owner: str = ROOT_USER
    group: str = ROOT_USER
    content: Content | None = None
    content_at: Path = ROOT
    appended: tuple[Content, ...] = ()
    target: str | None = None
    is_hard: bool = False
    overwrites: bool = False
    is_secret: bool = False
    purpose: str | None = None
    lines: tuple[Said, ...] = ()

    @property
    def mode_text(self) -> str:
        """`0644`; empty for links, which have none."""
        return "" if self.kind == "link" else f"{self.mode:04o}"

    @property
    def contents(self) -> tuple[Content, ...]:
        """What the file is set to, and what is appended."""
        return (*((self.content,) if self.content else ()), *self.appended)

    @property
    def is_complete(self) -> bool:
        """Whether the whole content stands in the config."""
        return self.content is not None and not self.appended and self.content.body is not None


@dataclass(frozen=True)
class Partition:
    """Sizes in MiB; None or 0 is what is left of the disk."""

    number: int
    label: str | None
    size_mib: int | None
    start_mib: int | None
    type_guid: str | None
    guid: str | None
    is_wiped: bool
    is_resized: bool
    is_removed: bool
    at: Path


@dataclass(frozen=True)
class Disk:
    """A disk with the partitions that the config cares for."""

    device: str
    at: Path
    is_wiped: bool = False
    partitions: tuple[Partition, ...] = ()
    lines: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Filesystem:
    """A filesystem. Without `is_wiped` an equal one that is there already is kept."""

    device: str
    at: Path
    format: str | None = None
    mount_path: str | None = None
    label: str | None = None
    uuid: str | None = None
    options: tuple[str, ...] = ()
    mount_options: tuple[str, ...] = ()
    is_wiped: bool = False
    lines: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Raid:
    """A software RAID."""

    name: str
    at: Path
    level: str
    devices: tuple[str, ...] = ()
    spares: int = 0
    lines: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Luks:
    """An encrypted volume and what opens it: tpm2, tang, custom pin, cex, key file, or a key that Ignition makes."""

    name: str
    at: Path
    device: str = ""
    label: str | None = None
    opened_by: tuple[str, ...] = ()
    threshold: int | None = None
    tang_urls: tuple[str, ...] = ()
    is_wiped: bool = False
    lines: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Dropin:
    """A drop-in of a unit."""

    name: str
    contents: str = field(repr=False)
    at: Path


@dataclass(frozen=True)
class Unit:
    """A unit. `is_enabled` is None where the config leaves it to the presets of the system."""

    name: str
    at: Path
    contents: str | None = field(default=None, repr=False)
    dropins: tuple[Dropin, ...] = ()
    is_enabled: bool | None = None
    is_masked: bool | None = None
    lines: tuple[Said, ...] = ()

    @property
    def state(self) -> str:
        """masked, enabled, disabled or unset."""
        if self.is_masked:
            return "masked"
        return {True: "enabled", False: "disabled", None: "unset"}[self.is_enabled]


@dataclass(frozen=True)
class Argument:
    """A kernel argument that must be there, or must not."""

    text: str
    at: Path
    is_wanted: bool = True


@dataclass(frozen=True)
class Kernel:
    """The kernel's command line."""

    arguments: tuple[Argument, ...] = ()
    lines: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """A config or certificate authority that Ignition fetches: `kind` is merge, replace or authority."""

    kind: str
    content: Content
    at: Path


@dataclass(frozen=True)
class Rest:
    """Everything else: other configs, certificate authorities, proxies, timeouts."""

    fetched: tuple[Fetched, ...] = ()
    lines: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Sections:
    """A config in parts."""

    version: str
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    files: tuple[FileNode, ...] = ()
    disks: tuple[Disk, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    raids: tuple[Raid, ...] = ()
    luks: tuple[Luks, ...] = ()
    units: tuple[Unit, ...] = ()
    network: Network = field(default_factory=Network)
    kernel: Kernel = field(default_factory=Kernel)
    rest: Rest = field(default_factory=Rest)

    def file(self, path: str) -> FileNode | None:
        """The file, directory or link of a path."""
        return next((node for node in self.files if node.path == path), None)

    def files_below(self, directory: str) -> tuple[FileNode, ...]:
        return tuple(node for node in self.files if node.path.startswith(directory.rstrip("/") + "/"))

    @property
    def erased(self) -> tuple[str, ...]:
        """The devices on which everything is lost, whatever is there."""
        devices = (
            *(disk.device for disk in self.disks if disk.is_wiped),
            *(one.device for one in self.filesystems if one.is_wiped or one.format == "none"),
            *(volume.device for volume in self.luks if volume.is_wiped),
        )
        return tuple(dict.fromkeys(devices))

    @property
    def is_whole(self) -> bool:
        """Whether no other config is merged in or takes its place at boot."""
        return not any(fetched.kind in ("merge", "replace") for fetched in self.rest.fetched)
