"""Kinds and states of operations in a word or two."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

KINDS: dict[str, Promise] = {
    "refresh": _("Refresh"),
    "check": _("Check for an update"),
    "upgrade": _("Upgrade"),
    "rollback": _("Roll back"),
    "reboot": _("Reboot"),
    "unit_restart": _("Restart a unit"),
    "kargs": _("Change kernel arguments"),
    "pin": _("Pin a deployment"),
    "unpin": _("Unpin a deployment"),
    "cleanup_pending": _("Drop the pending deployment"),
    "cleanup_rollback": _("Drop the rollback deployment"),
    "cleanup_old": _("Drop cached data"),
    "cancel_transaction": _("Cancel the transaction on the host"),
    "zincati_pause": _("Pause automatic updates"),
    "zincati_resume": _("Resume automatic updates"),
    "zincati_check": _("Let Zincati check now"),
}
STATES: dict[str, Promise] = {
    "requested": _("Requested"),
    "awaiting_approval": _("Awaiting approval"),
    "queued": _("Queued"),
    "running": _("Running"),
    "waiting": _("Waiting"),
    "cancelling": _("Cancelling"),
    "succeeded": _("Succeeded"),
    "failed": _("Failed"),
    "cancelled": _("Cancelled"),
    "timed_out": _("Timed out"),
    "needs_attention": _("Needs attention"),
    "void": _("Void"),
}
