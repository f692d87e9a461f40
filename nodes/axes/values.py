"""The values of the axes of a node, and the record of one axis at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Axis(StrEnum):
    """A `StrEnum` whose values carry a sentence."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> "Axis":
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member


class Reachability(Axis):
    """Whether FleetUI can talk to the node."""

    REACHABLE = "reachable", "The last contact succeeded."
    UNREACHABLE = "unreachable", "The last contact failed."
    NEVER_SEEN = "never_seen", "No contact has succeeded yet."
    KEY_MISMATCH = "key_mismatch", "The host shows another key than the trusted one, so all contact has stopped."


class Health(Axis):
    """Whether the node works as it should."""

    HEALTHY = "healthy", "Nothing that was read points to a problem."
    DEGRADED = "degraded", "At least one part of the node does not work as it should."
    UNKNOWN = "unknown", "Too little is known to tell the health of the node."


class UpdateState(Axis):
    """Where the node stands between the OS that it runs and the newest one."""

    UP_TO_DATE = "up_to_date", "The node runs the newest release of its stream."
    UPDATE_AVAILABLE = "update_available", "A newer release exists and is not on the node yet."
    STAGED = "staged", "A newer deployment is ready and is applied at the next reboot."
    REBOOT_PENDING = "reboot_pending", "Another deployment is first in the boot order and waits for a reboot."
    DEFERRED = "deferred", "An update is ready, and the host itself holds the reboot back."
    ROLLED_BACK = "rolled_back", "The node runs an older deployment than the one it had before."
    UNKNOWN = "unknown", "Too little is known to tell what the node should run."


class Lifecycle(Axis):
    """What people decided about the node."""

    ACTIVE = "active", "The node is in service."
    MAINTENANCE = "maintenance", "People work on the node, so it raises no alarm."
    RETIRED = "retired", "The node is out of service and is not contacted."


@dataclass(frozen=True)
class AxisValue:
    """One axis: its value, why it is so (a code, empty when there is nothing to say) and the details.

    When several reasons hold, `reason` is the worst, and `params["also"]` lists the others as
    `{"reason": code, "params": {...}}`, worst first.
    """

    value: str
    reason: str = ""
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredAxis:
    """An axis as it is kept, with the time since when value and reason are as they are."""

    value: str
    reason: str
    params: dict[str, Any]
    since: datetime


@dataclass(frozen=True)
class Axes:
    """The three axes that follow from what was read and from what exists."""

    reachability: AxisValue
    health: AxisValue
    update_state: AxisValue


@dataclass(frozen=True)
class Contact:
    """What the contacts so far came to. The last one failed when an error kind and a failure are there.

    `is_on_its_way`: its first machine has fetched a config, and may take a while to boot.
    """

    last_ok_at: datetime | None = None
    last_error_kind: str | None = None
    failing_since: datetime | None = None
    failures: int = 0
    ever_reached: bool = False
    error_params: Mapping[str, Any] = field(default_factory=dict)
    is_on_its_way: bool = False

    @property
    def reached(self) -> bool:
        """Whether any contact has succeeded."""
        return self.ever_reached or self.last_ok_at is not None

    @property
    def failing(self) -> bool:
        """Whether the last contact failed; an error kept from before a success does not count."""
        return bool(self.last_error_kind) and (self.failures > 0 or self.failing_since is not None)
