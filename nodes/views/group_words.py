"""One short line for a group of nodes that have the same trouble, as the overview and the filter chips say it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

#: Reasons of all axes, without what differs from node to node.
_PHRASES = {
    "name_not_resolved": gettext_lazy("name does not resolve"),
    "refused": gettext_lazy("connection refused"),
    "no_route": gettext_lazy("no network route"),
    "timed_out": gettext_lazy("no answer in time"),
    "key_mismatch": gettext_lazy("host key changed, contact stopped"),
    "key_unknown": gettext_lazy("host key waits to be accepted"),
    "authentication": gettext_lazy("login not accepted"),
    "no_common_algorithm": gettext_lazy("no common SSH algorithm"),
    "channel_refused": gettext_lazy("session refused after login"),
    "command_failed": gettext_lazy("command on the host failed"),
    "output_too_large": gettext_lazy("host prints too much"),
    "connection_lost": gettext_lazy("connection lost"),
    "bad_host_certificate": gettext_lazy("host certificate not trusted"),
    "jump_failed": gettext_lazy("jump host failed"),
    "bad_identity": gettext_lazy("credential cannot be used"),
    "not_contacted": gettext_lazy("not contacted yet"),
    "provisioning": gettext_lazy("provisioning"),
    "maintenance_mode": gettext_lazy("system in rescue or emergency mode"),
    "finalize_failed": gettext_lazy("last update could not be written"),
    "disk_full": gettext_lazy("disk above 90 %"),
    "inodes_full": gettext_lazy("inodes above 90 %"),
    "units_failed": gettext_lazy("failed units"),
    "system_degraded": gettext_lazy("system degraded"),
    "start_hangs": gettext_lazy("start takes over 10 minutes"),
    "memory_low": gettext_lazy("memory below 5 %"),
    "clock_not_synchronized": gettext_lazy("clock not synchronised"),
    "containers_restarting": gettext_lazy("containers restart again and again"),
    "no_facts": gettext_lazy("nothing read yet"),
    "facts_too_old": gettext_lazy("facts too old"),
    "starting": gettext_lazy("system is starting"),
    "stopping": gettext_lazy("system is stopping"),
    "system_state_not_read": gettext_lazy("system state not read"),
    "not_measured": gettext_lazy("not measured yet"),
    "status_not_read": gettext_lazy("deployment status not read"),
    "booted_from_none": gettext_lazy("runs none of its deployments"),
    "not_image_based": gettext_lazy("not an image-based OS"),
    "no_deployments": gettext_lazy("lists no deployments"),
    "agent_waits_for_reboot": gettext_lazy("update agent waits for the reboot"),
    "boot_failed": gettext_lazy("its update did not start"),
    "booted_is_not_default": gettext_lazy("runs an older version than the first in its boot order"),
    "newer_in_rollback": gettext_lazy("runs an older version than before"),
    "rollback_queued": gettext_lazy("rollback waits for a reboot"),
    "other_deployment_first": gettext_lazy("another deployment is first"),
    "user_session": gettext_lazy("waits for signed-in people"),
    "update_strategy": gettext_lazy("waits for the update strategy"),
    "finalization_locked": gettext_lazy("staged update is locked"),
    "host_asks_for_reboot": gettext_lazy("host asks for a reboot"),
    "dead_end": gettext_lazy("on a dead-end release"),
    "staging_fails": gettext_lazy("staging fails"),
    "agent_off": gettext_lazy("update agent does not run"),
    "agent_disabled": gettext_lazy("update agent is disabled"),
    "barrier": gettext_lazy("must pass a barrier release first"),
    "newer_release": gettext_lazy("newer release exists"),
    "ahead_of_releases": gettext_lazy("newer than every known release"),
    "cached_update": gettext_lazy("host knows of an update"),
    "pulled": gettext_lazy("host has pulled an update"),
    "agent_found_update": gettext_lazy("update agent found an update"),
    "host_says": gettext_lazy("host found nothing newer"),
    "no_version": gettext_lazy("version not known"),
    "no_stream": gettext_lazy("stream not known"),
    "no_releases": gettext_lazy("no releases imported"),
}

REASONS = tuple(_PHRASES)


def phrase(reason: str, mounts: Sequence[str] = ()) -> str:
    """The line for a reason; one without a line is shown as its code reads."""
    if mounts and reason in ("disk_full", "inodes_full"):
        where = ", ".join(mounts)
        if reason == "disk_full":
            return _("%(mounts)s above 90 %%") % {"mounts": where}
        return _("inodes of %(mounts)s above 90 %%") % {"mounts": where}
    known = _PHRASES.get(reason)
    return str(known) if known else reason.replace("_", " ")
