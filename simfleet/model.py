"""A simulated host: what was planned for it, what changes on it, and its faults."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from simfleet import seeds


class Fault(StrEnum):
    """What can be made to go wrong on one host."""

    UNREACHABLE = "unreachable"
    SLOW = "slow"
    BLACKHOLE = "blackhole"
    WRONG_KEY = "wrong_key"
    AUTH_REFUSED = "auth_refused"
    GARBAGE = "garbage"
    TRUNCATED = "truncated"
    FULL_DISK = "full_disk"
    FAILED_UNIT = "failed_unit"
    STUCK_TRANSACTION = "stuck_transaction"
    FALLBACK = "fallback"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a deployment came from: an OSTree branch or a container image."""

    ref: str = ""
    image: str = ""

    @property
    def text(self) -> str:
        """As the status text shows it."""
        return self.image or self.ref


@dataclass(slots=True)
class Deployment:
    """One deployment on one host."""

    version: str
    checksum: str
    stream: str
    origin: Origin
    serial: int = 0
    staged: bool = False
    locked: bool = False
    pinned: bool = False
    base_checksum: str = ""
    layered: tuple[str, ...] = ()
    kargs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The id that is unique on a host."""
        return f"fedora-coreos-{self.checksum}.{self.serial}"

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Deployment:
        """Read back what the state file keeps."""
        row = dict(row)
        origin = Origin(**row.pop("origin"))
        layered, kargs = tuple(row.pop("layered")), tuple(row.pop("kargs"))
        return cls(origin=origin, layered=layered, kargs=kargs, **row)


@dataclass(slots=True)
class HostPlan:
    """What a host is from the start. All of it follows from the seed and the plan of the fleet."""

    name: str
    pool: str
    stream: str = "stable"
    versions_behind: int = 0
    container_native: bool = False
    role: str = "web"
    labels: dict[str, str] = field(default_factory=dict)
    story: str = ""
    faults: dict[str, float] = field(default_factory=dict)
    staged: bool = False
    by_hand: bool = False
    rolled_back: bool = False
    layered: tuple[str, ...] = ()
    pinned: bool = False
    strategy: str = "immediate"
    uptime_days: float | None = None
    os: str = "fcos"
    fell_back: bool = False
    #: What somebody changed by hand of what Ignition made: names of simfleet.answers.born.TAMPERINGS.
    tampered: tuple[str, ...] = ()


@dataclass(slots=True)
class Transaction:
    """An rpm-ostree transaction that is running."""

    title: str
    method: str
    cancelled: asyncio.Event


@dataclass(slots=True)
class TransientUnit:
    """A unit started with systemd-run."""

    name: str
    description: str
    started_at: float
    active: str = "active"
    sub: str = "running"
    result: str = "success"
    exit_status: int | None = None
    remain: bool = False
    output: list[str] = field(default_factory=list)


def _after_stop(row: TransientUnit) -> TransientUnit:
    # What ran when the fleet was stopped did not end well.
    if row.sub == "running":
        row.active, row.sub, row.result, row.exit_status = "failed", "failed", "signal", 15
    return row


@dataclass(slots=True)
class Host:
    """One host: its plan, its address, and the state that commands change."""

    seed: int
    plan: HostPlan
    address: str
    port: int
    deployments: list[Deployment]
    booted_key: str
    booted_at: float
    boot_count: int
    faults: dict[str, float] = field(default_factory=dict)
    agent_version: str = ""
    agent_running: bool = True
    finalize_error: str = ""
    fell_back_from: str = ""
    order_at: float = 0.0
    written: dict[str, str] = field(default_factory=dict)
    stuck_cleared: bool = False
    down_until: float = 0.0
    rebooting: bool = False
    touched: bool = False
    transaction: Transaction | None = None
    #: How often another machine took its place, and the host key that came with the config of the last one.
    generation: int = 0
    key_text: str = ""
    #: How often each unit was started in this boot, and the state of those that were changed in it.
    starts: dict[str, int] = field(default_factory=dict)
    #: Flatcar: this boot is the first of its slot, and is marked as good some time after it.
    first_boot_of_slot: bool = False
    unit_states: dict[str, str] = field(default_factory=dict)
    #: Names of images that were pulled, tagged or removed, with their digests; and what containers were started with.
    images: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    #: Digests of images that lost their last name, and are there still.
    kept: list[str] = field(default_factory=list)
    units: dict[str, TransientUnit] = field(default_factory=dict)
    #: How often each name was started with systemd-run since the fleet runs, over all boots.
    unit_starts: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The host's name."""
        return self.plan.name

    @property
    def hostname(self) -> str:
        """The name the host itself reports."""
        return f"{self.plan.name}.sim.example"

    @property
    def booted(self) -> Deployment:
        """The deployment that runs."""
        return next(row for row in self.deployments if row.key == self.booted_key)

    @property
    def pending(self) -> Deployment | None:
        """What the next boot would start, when that is not what runs."""
        first = self.deployments[0]
        return None if first.key == self.booted_key else first

    @property
    def rollback(self) -> Deployment | None:
        """The deployment after the booted one."""
        index = self.deployments.index(self.booted)
        return self.deployments[index + 1] if index + 1 < len(self.deployments) else None

    @property
    def boot_id(self) -> str:
        """A new one for every boot."""
        return seeds.uuid4(self.seed, self.name, "boot", self.boot_count)

    @property
    def machine_id(self) -> str:
        """As in /etc/machine-id."""
        return seeds.machine_hex(self.seed, self.name, "machine", *([self.generation] if self.generation else []))

    @property
    def agent_enabled(self) -> bool:
        """Whether a settings file switched automatic updates off."""
        return not any(
            "/zincati/config.d/" in path and "enabled = false" in text for path, text in self.written.items()
        )

    def has(self, fault: Fault) -> bool:
        """Whether the fault is on."""
        return fault.value in self.faults

    def uptime_s(self, now: float) -> float:
        """Seconds since the boot."""
        return max(0.0, now - self.booted_at)

    def saved(self) -> dict[str, Any]:
        """What the state file keeps."""
        return {
            "deployments": [asdict(row) for row in self.deployments],
            "booted_key": self.booted_key,
            "booted_at": self.booted_at,
            "boot_count": self.boot_count,
            "order_at": self.order_at,
            "faults": self.faults,
            "agent_version": self.agent_version,
            "agent_running": self.agent_running,
            "finalize_error": self.finalize_error,
            "fell_back_from": self.fell_back_from,
            "written": self.written,
            "first_boot_of_slot": self.first_boot_of_slot,
            "starts": self.starts,
            "unit_states": self.unit_states,
            "images": self.images,
            "runs": self.runs,
            "kept": self.kept,
            "generation": self.generation,
            "key_text": self.key_text,
            "units": [asdict(row) for row in self.units.values()],
        }

    def restore(self, row: dict[str, Any]) -> None:
        """Take over what the state file kept."""
        self.deployments = [Deployment.from_json(item) for item in row["deployments"]]
        self.booted_key = row["booted_key"]
        self.booted_at = row["booted_at"]
        self.boot_count = row["boot_count"]
        self.order_at = row.get("order_at", 0.0)
        self.faults = dict(row["faults"])
        self.agent_version = row["agent_version"]
        self.agent_running = row["agent_running"]
        self.finalize_error = row["finalize_error"]
        self.fell_back_from = row.get("fell_back_from", "")
        self.written = dict(row["written"])
        self.first_boot_of_slot = bool(row.get("first_boot_of_slot"))
        self.starts = dict(row.get("starts", {}))
        self.unit_states = dict(row.get("unit_states", {}))
        self.images = dict(row.get("images", {}))
        self.runs = dict(row.get("runs", {}))
        self.kept = list(row.get("kept", []))
        self.generation = int(row.get("generation", 0))
        self.key_text = str(row.get("key_text", ""))
        self.units = {item["name"]: _after_stop(TransientUnit(**item)) for item in row["units"]}
        self.touched = True
