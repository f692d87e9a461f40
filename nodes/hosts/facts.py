"""What is known of a host after one look: facts that stay the same between looks, and measurements that do not."""

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import orjson

Json = dict[str, Any]


_SCALARS = frozenset((str, int, float, bool, type(None)))


_names_of: dict[type, tuple[str, ...]] = {}


def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass, none for other types."""
    if kind not in _names_of:
        _names_of[kind] = tuple(one.name for one in fields(kind)) if is_dataclass(kind) else ()
    return _names_of[kind]


def _as_json(value: object) -> Json:
    """Done at every poll of every node, hence by way of the text: that takes half as long as to walk through it."""
    try:
        plain: Json = orjson.loads(orjson.dumps(value))
    except TypeError:
        # A number beyond 64 bits, half a surrogate pair, a key that is no text.
        plain = _jsonable(value)
    return plain


def _jsonable(value: object) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if names := _names(kind):
        return {name: _jsonable(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value


@dataclass(frozen=True)
class Os:
    """What runs there. `machine_id` is derived from the host's own one (nodes.hosts.machine_id), which is never kept."""

    family: str = "unknown"
    name: str = ""
    variant: str | None = None
    version: str | None = None
    stream: str | None = None
    id: str | None = None
    version_id: str | None = None
    pretty_name: str | None = None
    arch: str | None = None
    machine_id: str | None = None


@dataclass(frozen=True)
class Slot:
    """The partition of a deployment, on systems with two of them, and what the boot loader goes by."""

    name: str
    priority: int | None = None
    tries: int | None = None
    successful: bool | None = None
    device: str | None = None


@dataclass(frozen=True)
class Deployment:
    """One bootable state of the host. `id` is unique on the host, `index` is its place in the boot order.

    `boot_failed`: the boot loader tried it, and the host runs another one.
    """

    index: int
    id: str
    osname: str | None = None
    version: str | None = None
    checksum: str | None = None
    base_checksum: str | None = None
    base_version: str | None = None
    origin: str | None = None
    image: str | None = None
    image_digest: str | None = None
    custom_origin: tuple[str, ...] | None = None
    stream: str | None = None
    booted: bool = False
    staged: bool = False
    rollback: bool = False
    pinned: bool = False
    locked: bool = False
    unlocked: str | None = None
    timestamp: str | None = None
    layered: tuple[str, ...] = ()
    local_packages: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    end_of_life: str | None = None
    signature: str | None = None
    boot_failed: bool = False
    slot: Slot | None = None


@dataclass(frozen=True)
class Update:
    """What the host itself says of updates. `cached_update` holds version and checksum; `order_changed`: the boot order
    was written after the host had started, so what comes first was not tried yet."""

    manager: str | None = None
    transaction: str | None = None
    cached_update: dict[str, str | None] | None = None
    driver: dict[str, str | None] | None = None
    pending_commit: dict[str, str | None] | None = None
    finalize_failed: str | None = None
    reboot_pending: bool = False
    order_changed: bool | None = None


@dataclass(frozen=True)
class Unit:
    load: str | None = None
    active: str | None = None
    sub: str | None = None
    enabled: str | None = None
    result: str | None = None


@dataclass(frozen=True)
class IgnoredFile:
    path: str
    reason: str


@dataclass(frozen=True)
class Agent:
    """The update agent on the host: Zincati on Fedora CoreOS, update_engine with locksmithd on Flatcar."""

    name: str | None = None
    unit: Unit = field(default_factory=Unit)
    status_text: str | None = None
    state: str | None = None
    detail: dict[str, str] = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    files_read: tuple[str, ...] = ()
    files_ignored: tuple[IgnoredFile, ...] = ()
    node_uuid: str | None = None


@dataclass(frozen=True)
class FailedUnit:
    name: str
    description: str = ""
    result: str | None = None


@dataclass(frozen=True)
class Health:
    system_state: str | None = None
    failed_units: tuple[FailedUnit, ...] = ()


@dataclass(frozen=True)
class Boot:
    boot_id: str | None = None
    booted_at: str | None = None
    boot_count: int | None = None
    kernel: str | None = None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hardware:
    model: str | None = None
    vendor: str | None = None
    cpu_model: str | None = None
    cpus: int | None = None
    memory_total_bytes: int | None = None
    virtualization: str | None = None
    arch: str | None = None


@dataclass(frozen=True)
class Security:
    selinux: str | None = None


@dataclass(frozen=True)
class Time:
    synchronized: bool | None = None
    zone: str | None = None
    ntp: bool | None = None


@dataclass(frozen=True)
class Session:
    user: str
    tty: str
    since: str | None = None


@dataclass(frozen=True)
class Address:
    address: str
    prefix: int | None = None
    family: str | None = None


@dataclass(frozen=True)
class Interface:
    name: str
    mac: str | None = None
    state: str | None = None
    mtu: int | None = None
    driver: str | None = None
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Route:
    destination: str
    gateway: str | None = None
    interface: str | None = None


@dataclass(frozen=True)
class Network:
    hostname: str | None = None
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Filesystem:
    mount: str
    device: str | None = None
    type: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class Disk:
    name: str
    type: str | None = None
    size_bytes: int | None = None
    model: str | None = None
    rotational: bool | None = None


@dataclass(frozen=True)
class Storage:
    filesystems: tuple[Filesystem, ...] = ()
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True)
class Container:
    """`image_id` names one of the runtime's images. `unit` is the systemd unit that the container says it belongs to.

    `ports` are as they are written: HOST:PORT->PORT/PROTOCOL.
    """

    id: str
    name: str
    image: str | None = None
    image_id: str | None = None
    state: str | None = None
    health: str | None = None
    unit: str | None = None
    ports: tuple[str, ...] = ()
    started_at: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    """`digests` are REPOSITORY@DIGEST, as registries know it."""

    id: str
    names: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int | None = None


@dataclass(frozen=True)
class Runtime:
    name: str
    version: str | None = None
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()


@dataclass(frozen=True)
class ContainerUnit:
    """A systemd unit that runs a container of Podman. `kind` is quadlet or unit, `source` the file that a person wrote.

    `image` is as the unit names it, where it does. `dropins` are files that change it.
    """

    name: str
    kind: str
    source: str
    container: str
    image: str | None = None
    dropins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Containers:
    runtimes: tuple[Runtime, ...] = ()
    units: tuple[ContainerUnit, ...] = ()


@dataclass(frozen=True)
class Kubernetes:
    role: str | None = None
    kubelet_version: str | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ignition:
    """What the note says that our rendered configs write: with which version the machine was born. `verbatim`: its text,
    where it could not be understood."""

    config: str | None = None
    version: int | None = None
    version_id: str | None = None
    source_sha256: str | None = None
    verbatim: str | None = None


@dataclass(frozen=True)
class Unread:
    """A part of the look that gave nothing, and why.

    `reason` is one of missing, permission, timeout, not_understood, cut, failed, absent. `kept_from`: when that was read
    which stands in its place (nodes.facts.keeping).
    """

    section: str
    reason: str
    message: str
    exit_status: int | None = None
    stderr: str = ""
    raw: str = ""
    kept_from: str | None = None


@dataclass(frozen=True)
class Facts:
    """Everything that stays the same until something happens on the host, so that its hash is stable."""

    os: Os = field(default_factory=Os)
    deployments: tuple[Deployment, ...] = ()
    update: Update = field(default_factory=Update)
    agent: Agent = field(default_factory=Agent)
    health: Health = field(default_factory=Health)
    boot: Boot = field(default_factory=Boot)
    hardware: Hardware = field(default_factory=Hardware)
    security: Security = field(default_factory=Security)
    time: Time = field(default_factory=Time)
    sessions: tuple[Session, ...] = ()
    network: Network = field(default_factory=Network)
    storage: Storage = field(default_factory=Storage)
    containers: Containers = field(default_factory=Containers)
    kubernetes: Kubernetes = field(default_factory=Kubernetes)
    ignition: Ignition = field(default_factory=Ignition)
    unread: tuple[Unread, ...] = ()

    def as_json(self) -> Json:
        """Plain dicts and lists in the order of the fields."""
        return _as_json(self)

    @property
    def booted(self) -> Deployment | None:
        return next((one for one in self.deployments if one.booted), None)

    @property
    def staged(self) -> Deployment | None:
        return next((one for one in self.deployments if one.staged), None)

    @property
    def rollback(self) -> Deployment | None:
        return next((one for one in self.deployments if one.rollback), None)


@dataclass(frozen=True)
class FilesystemUse:
    mount: str
    size_bytes: int | None = None
    used_bytes: int | None = None
    available_bytes: int | None = None
    used_percent: float | None = None
    inodes_used_percent: float | None = None


@dataclass(frozen=True)
class Measurement:
    """What differs at every look."""

    load_1: float | None = None
    load_5: float | None = None
    load_15: float | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    filesystems: tuple[FilesystemUse, ...] = ()

    def as_json(self) -> Json:
        """Plain dicts and lists in the order of the fields."""
        return _as_json(self)
