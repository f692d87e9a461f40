"""The kinds of events that can be told of. Names and severities never change their meaning; docs/notifications.md lists them."""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

#: From the least to the most severe.
SEVERITIES: Final = ("info", "warning", "critical")
#: kind -> what it says, in a sentence.
EVENTS: Final[dict[str, Promise]] = {
    "operation.finished": _("An operation succeeded, or was cancelled"),
    "operation.failed": _("An operation failed or timed out"),
    "operation.needs_attention": _("An operation waits for a person to decide"),
    "request.approval_wanted": _("A request waits for approval"),
    "request.finished": _("A request with several operations has reached its end"),
    "node.unreachable": _("A node does not answer any more"),
    "node.recovered": _("A node answers again"),
    "node.degraded": _("A node is degraded"),
    "node.healthy": _("A node in trouble is healthy again"),
    "node.drifted": _("A node is no longer as its Ignition version says"),
    "node.in_step": _("A node that had drifted is as its Ignition version says"),
    "release.available": _("A stream has a newer release"),
    "schedule.missed": _("A schedule was not started in time"),
    "schedule.failed": _("A schedule could not start its work"),
    "backup.overdue": _("There is no recent good backup of a policy"),
    "backup.recovered": _("There is a recent good backup again"),
    "backup.drill_failed": _("A restore drill of a backup failed"),
    "backup.unproven": _("Backups of a policy were not proven by a restore drill for too long"),
    "backup.proven": _("Backups of a policy are proven again"),
    "certificate.expiring": _("A certificate ends soon"),
    "certificate.expired": _("A certificate has expired"),
    "runbook.overdue": _("A Day-2 task of a pool is overdue"),
    "runbook.in_time": _("A Day-2 task of a pool is not overdue any more"),
    "fleetui.unhealthy": _("Something is wrong with FleetUI itself"),
    "fleetui.healthy": _("What was wrong with FleetUI is well again"),
    "test": _("Somebody pressed the test button"),
}
#: Told of together: those of a channel that fall within the time become one message.
GATHERED: Final = frozenset(
    {
        "node.unreachable",
        "node.recovered",
        "node.degraded",
        "node.healthy",
        "node.drifted",
        "node.in_step",
        "operation.finished",
        "operation.failed",
        "request.approval_wanted",
        "request.finished",
        "certificate.expiring",
        "certificate.expired",
        "runbook.overdue",
        "runbook.in_time",
    }
)
GATHER_S: Final = 30.0


def at_least(severity: str) -> tuple[str, ...]:
    """This severity and those above it."""
    return SEVERITIES[SEVERITIES.index(severity) :]
