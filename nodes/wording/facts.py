"""The words of facts: their sections, and why a part of them could not be read."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

SECTIONS: dict[str, Promise] = {
    "os": _("Operating system"),
    "deployments": _("Deployments"),
    "boot": _("Boot"),
    "update": _("Updates"),
    "agent": _("Update agent"),
    "health": _("Health"),
    "hardware": _("Hardware"),
    "network": _("Network"),
    "storage": _("Storage"),
    "containers": _("Containers"),
    "kubernetes": _("Kubernetes"),
    "ignition": _("Ignition"),
    "security": _("Security"),
    "time": _("Time"),
    "sessions": _("Sessions"),
    "unread": _("Not read"),
}

#: Unread.reason of nodes.hosts.facts.
UNREAD: dict[str, Promise] = {
    "missing": _("The command is not there"),
    "permission": _("Not permitted"),
    "timeout": _("Took too long"),
    "not_understood": _("Not understood"),
    "cut": _("Cut off"),
    "failed": _("Failed"),
    "absent": _("Nothing was printed"),
}

#: What a part of the probe asks, as a person would type it.
COMMANDS: dict[str, str] = {
    "rpm_ostree_status": "rpm-ostree status",
    "bootc_status": "bootc status",
    "update_engine": "update_engine_client --status",
}
