"""The kinds of events that can be told of. Names and severities never change their meaning; docs/notifications.md lists them."""

from __future__ import annotations

from typing import Final

#: From the least to the most severe.
SEVERITIES: Final = ("info", "warning", "critical")
#: kind -> what it says, in a sentence.
EVENTS: Final[dict[str, str]] = {
    "operation.finished": "An operation succeeded, or was cancelled",
    "operation.failed": "An operation failed or timed out",
    "operation.needs_attention": "An operation waits for a person to decide",
    "request.approval_wanted": "A request waits for approval",
    "node.unreachable": "A node does not answer any more",
    "node.recovered": "A node answers again",
    "schedule.missed": "A schedule was not started in time",
    "schedule.failed": "A schedule could not start its work",
    "test": "Somebody pressed the test button",
}
#: Told of together: those of a channel that fall within the time become one message.
GATHERED: Final = frozenset(
    {"node.unreachable", "node.recovered", "operation.finished", "operation.failed", "request.approval_wanted"}
)
GATHER_S: Final = 30.0


def at_least(severity: str) -> tuple[str, ...]:
    """This severity and those above it."""
    return SEVERITIES[SEVERITIES.index(severity) :]
