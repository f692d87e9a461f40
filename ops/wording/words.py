"""Kinds and states of operations in a word or two."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms
from ops.wording import deployments, restoring

KINDS: dict[str, Promise] = {
    **deployments.KINDS,
    **restoring.KINDS,
    "refresh": _("Refresh"),
    "check": _("Check for an update"),
    "upgrade": _("Upgrade"),
    "rollback": _("Roll back"),
    "reboot": _("Reboot"),
    "unit_restart": _("Restart a unit"),
    "kargs": _("Change kernel arguments"),
    "container_update": _("Update a container"),
    "container_rollback": _("Roll back a container"),
    "container_restart": _("Restart a container"),
    "container_start": _("Start a container"),
    "container_stop": _("Stop a container"),
    "container_logs": _("Follow the log of a container"),
    "image_pull": _("Pull an image"),
    "image_prune": _("Remove unused images"),
    "auto_update_check": _("Ask what podman auto-update would do"),
    "auto_update": _("Run podman auto-update"),
    "certbot_renew": _("Renew a certificate by Certbot"),
    "kubeadm_renew": _("Renew certificates by kubeadm"),
    "cert_manager_renew": _("Renew a certificate by cert-manager"),
    "drain": _("Drain"),
    "uncordon": _("Uncordon"),
    "replace": _("Replace the machine"),
    "backup": _("Back up"),
    "restore_drill": _("Restore drill"),
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
#: Why a version is held back.
HOLDS: dict[str, Promise] = {
    "by_hand": _("Held by hand"),
    "rolled_back": _("Rolled back from"),
    "went_back": _("Was not healthy, and went back by itself"),
    "fell_back": _("Did not boot, and fell back"),
}
#: What is kept of a host with an operation.
ATTACHMENTS: dict[str, Forms] = {
    **restoring.ATTACHMENTS,
    "unit_status": (_("Status of %(title)s"),),
    "unit_journal": (_("Journal of %(title)s"),),
    "boot_journal": (_("Boot journal"),),
    "finalize_journal": (_("Journal of the shutdown that should have finished the update"),),
    "packages": (_("Packages that differ"),),
}
CHANGES: dict[str, Promise] = {
    "upgraded": _("upgraded"),
    "downgraded": _("downgraded"),
    "removed": _("removed"),
    "added": _("added"),
}
#: Facts of a host that are compared before and after.
FACTS: dict[str, Promise] = {
    "version": _("Booted version"),
    "checksum": _("Checksum"),
    "kernel": _("Kernel"),
    "booted_at": _("Booted at"),
    "system_state": _("System"),
    "failed_units": _("Failed units"),
    "deployments": _("Deployments in boot order"),
    "agent": _("Update agent"),
    "disk": _("%(mount)s full"),
}
