"""What a change of lifecycle writes, for one node and for many."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from nodes.models import Node
from nodes.services.silence import HEARD

#: How the reason of a retirement for absence begins: such a node comes back when it announces itself again.
ABSENT = "Retired for absence"


def retired_for_absence(node: Node) -> bool:
    """Whether FleetUI retired it, and not a person."""
    return node.lifecycle == "retired" and node.enrolled_at is not None and node.lifecycle_reason.startswith(ABSENT)


def checked_until(until: datetime | None, now: datetime) -> datetime | None:
    """The end of a maintenance lies ahead."""
    if until is not None and until <= now:
        raise InvalidInput(
            _("The end of the maintenance has passed."),
            field="maintenance_until",
            value=until.isoformat(),
            mend=_("Give a time that is still to come, or none."),
        )
    return until


def lifecycle_columns(node: Node, wanted: str, until: datetime | None, reason: str, now: datetime) -> dict[str, Any]:
    """What a change of lifecycle writes; a new end of a maintenance is a change too.

    A node that comes back is looked at once even where a changed key had stopped all contact.
    """
    if node.lifecycle == wanted and node.maintenance_until == until:
        return {}
    back = {"poll_requested_at": now} if node.lifecycle == "retired" else {}
    return {
        **back,
        **HEARD,
        "lifecycle": wanted,
        "lifecycle_reason": reason[:300],
        "lifecycle_since": node.lifecycle_since if node.lifecycle == wanted else now,
        "maintenance_until": until,
        "poll_due_at": now,
        "poll_lease": None,
        "poll_lease_until": None,
    }


def shown_time(value: Any) -> Any:
    """A value as the audit log shows it: times as ISO 8601."""
    return value.isoformat() if isinstance(value, datetime) else value
