"""The words of the axes: values, their sentences and the sentences of their reasons."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

AXIS_NAMES = {
    "reachability": _("Reachability"),
    "health": _("Health"),
    "update_state": _("Update state"),
    "lifecycle": _("Lifecycle"),
}

WORDS = {
    "reachability": {
        "reachable": _("Reachable"),
        "unreachable": _("Unreachable"),
        "never_seen": _("Never seen"),
        "key_mismatch": _("Host key mismatch"),
    },
    "health": {"healthy": _("Healthy"), "degraded": _("Degraded"), "unknown": _("Unknown")},
    "update_state": {
        "up_to_date": _("Up to date"),
        "update_available": _("Update available"),
        "staged": _("Staged"),
        "reboot_pending": _("Reboot pending"),
        "deferred": _("Deferred"),
        "rolled_back": _("Rolled back"),
        "unknown": _("Unknown"),
    },
    "lifecycle": {"active": _("Active"), "maintenance": _("Maintenance"), "retired": _("Retired")},
}

SENTENCES = {
    "reachability": {
        "reachable": _("The last contact succeeded."),
        "unreachable": _("The last contact failed."),
        "never_seen": _("No contact has succeeded yet."),
        "key_mismatch": _("The host shows another key than the trusted one, so all contact has stopped."),
    },
    "health": {
        "healthy": _("Nothing that was read points to a problem."),
        "degraded": _("At least one part of the node does not work as it should."),
        "unknown": _("Too little is known to tell the health of the node."),
    },
    "update_state": {
        "up_to_date": _("The node runs the newest release of its stream."),
        "update_available": _("A newer release exists and is not on the node yet."),
        "staged": _("A newer deployment is ready and is applied at the next reboot."),
        "reboot_pending": _("Another deployment is first in the boot order and waits for a reboot."),
        "deferred": _("An update is ready, and the host itself holds the reboot back."),
        "rolled_back": _("The node runs an older deployment than the one it had before."),
        "unknown": _("Too little is known to tell what the node should run."),
    },
    "lifecycle": {
        "active": _("The node is in service."),
        "maintenance": _("People work on the node, so it raises no alarm."),
        "retired": _("The node is out of service and is not contacted."),
    },
}

_REACHABILITY: dict[tuple[str, str], Forms] = {
    ("never_seen", "not_contacted"): (_("The node has not been contacted yet."),),
    ("never_seen", "provisioning"): (_("Its machine has fetched the config, and has not answered yet."),),
}

_HEALTH: dict[tuple[str, str], Forms] = {
    ("degraded", "maintenance_mode"): (_("The host is in rescue or emergency mode."),),
    ("degraded", "finalize_failed"): (
        _("The last staged update could not be written at shutdown: %(detail)s"),
        _("The last staged update could not be written at shutdown."),
    ),
    ("degraded", "disk_full"): (
        _("%(mount)s is %(used_percent)s %% full"),
        _("A file system is more than 90 %% full"),
    ),
    ("degraded", "inodes_full"): (
        _("%(mount)s has used %(used_percent)s %% of its inodes"),
        _("A file system has used more than 90 %% of its inodes"),
    ),
    ("degraded", "units_failed"): (
        ngettext_lazy(
            "%(count)d unit has failed: %(units)s",
            "%(count)d units have failed: %(units)s",
            "count",
        ),
        _("Units have failed"),
    ),
    ("degraded", "system_degraded"): (_("systemd reports a degraded system, and no failed unit could be named."),),
    ("degraded", "start_hangs"): (
        ngettext_lazy(
            "The system is still starting, %(minutes)d minute after boot.",
            "The system is still starting, %(minutes)d minutes after boot.",
            "minutes",
        ),
        _("The system is still starting, long after boot."),
    ),
    ("degraded", "memory_low"): (
        _("Only %(available_percent)s %% of the memory is available"),
        _("Less than 5 %% of the memory is available"),
    ),
    ("degraded", "clock_not_synchronized"): (_("The clock is not synchronised."),),
    ("degraded", "containers_restarting"): (
        ngettext_lazy(
            "%(count)d container restarts again and again: %(containers)s",
            "%(count)d containers restart again and again: %(containers)s",
            "count",
        ),
        _("Containers restart again and again"),
    ),
    ("unknown", "no_facts"): (_("Nothing has been read from the node yet."),),
    ("unknown", "facts_too_old"): (
        ngettext_lazy(
            "The last successful contact was %(minutes)d minute ago.",
            "The last successful contact was %(minutes)d minutes ago.",
            "minutes",
        ),
        _("The last successful contact is too long ago to tell."),
    ),
    ("unknown", "starting"): (_("The system is starting."),),
    ("unknown", "stopping"): (_("The system is shutting down."),),
    ("unknown", "system_state_not_read"): (_("The host did not say whether its units run."),),
    ("unknown", "not_measured"): (_("The space of the file systems could not be read."),),
}

_UPDATE_AVAILABLE: dict[str, Forms] = {
    "newer_release": (
        ngettext_lazy(
            "%(version)s is available, %(releases)d release newer than %(booted)s.",
            "%(version)s is available, %(releases)d releases newer than %(booted)s.",
            "releases",
        ),
        _("A newer release is available."),
    ),
    "barrier": (
        _("%(newest)s is available; the node must first pass through the barrier %(version)s."),
        _("A newer release is available; the node must first pass through a barrier."),
    ),
    "dead_end": (
        _("%(booted)s is a dead end: no update leads from it to %(version)s. The reason: %(detail)s"),
        _("%(booted)s is a dead end: no update leads from it to %(version)s."),
        _("The booted release is a dead end: no update leads on from it."),
    ),
    "staging_fails": (
        ngettext_lazy(
            "%(agent)s tries to stage %(version)s: %(attempts)d attempt has failed.",
            "%(agent)s tries to stage %(version)s: %(attempts)d attempts have failed.",
            "attempts",
        ),
        _("The update agent tries to stage an update and fails."),
    ),
    "agent_off": (
        _("%(version)s is available; %(agent)s does not run on the host (%(unit_state)s)."),
        _("An update is available; the update agent does not run on the host."),
    ),
    "agent_disabled": (
        _("%(version)s is available; %(agent)s is disabled by its settings on the host."),
        _("An update is available; the update agent is disabled by its settings on the host."),
    ),
    "cached_update": (
        _("The host knows of an update to %(version)s."),
        _("The host knows of an update."),
    ),
    "pulled": (
        _("The host has downloaded %(version)s and has not deployed it."),
        _("The host has downloaded something newer and has not deployed it."),
    ),
    "agent_found_update": (
        _("The update agent of the host has found %(version)s."),
        _("The update agent of the host has found an update."),
    ),
}

_UPDATE_STATE: dict[tuple[str, str], Forms] = {
    ("up_to_date", ""): (
        _("%(version)s is the newest release of %(stream)s."),
        _("The node runs the newest release of its stream."),
    ),
    ("up_to_date", "ahead_of_releases"): (
        _("%(version)s is newer than %(newest)s, the newest release on offer in %(stream)s."),
        _("The node runs a newer release than any on offer in its stream."),
    ),
    ("up_to_date", "host_says"): (_("The host has checked and knows of no update."),),
    **{("update_available", reason): forms for reason, forms in _UPDATE_AVAILABLE.items()},
    ("staged", ""): (
        _("%(version)s is staged and is applied at the next reboot."),
        _("A newer deployment is ready and is applied at the next reboot."),
    ),
    ("reboot_pending", "agent_waits_for_reboot"): (
        _("%(agent)s has finalized %(version)s and waits for the reboot."),
        _("The update agent has finalized an update and waits for the reboot."),
    ),
    ("reboot_pending", "rollback_queued"): (
        _("A rollback from %(booted)s to %(version)s is queued and waits for a reboot."),
        _("A rollback is queued and waits for a reboot."),
    ),
    ("reboot_pending", "other_deployment_first"): (
        _("%(version)s is first in the boot order and waits for a reboot."),
        _("Another deployment is first in the boot order and waits for a reboot."),
    ),
    ("reboot_pending", "host_asks_for_reboot"): (_("The host asks for a reboot."),),
    ("deferred", "update_strategy"): (
        _("%(version)s is staged; %(agent)s holds the reboot back by its update strategy (%(strategy)s)."),
        _("%(version)s is staged; %(agent)s holds the reboot back by its update strategy."),
        _("The update agent holds the reboot back by its update strategy."),
    ),
    ("deferred", "user_session"): (
        ngettext_lazy(
            "%(agent)s holds the reboot back: a user is signed in on %(ttys)s",
            "%(agent)s holds the reboot back: %(count)d users are signed in on %(ttys)s",
            "count",
        ),
        _("%(agent)s holds the reboot back: a user is signed in"),
        _("The update agent holds the reboot back: a user is signed in"),
    ),
    ("deferred", "finalization_locked"): (
        _("%(version)s is staged and locked: a plain reboot does not apply it."),
        _("The staged deployment is locked: a plain reboot does not apply it."),
    ),
    ("rolled_back", "boot_failed"): (
        _("The update to %(version)s did not start, and the host fell back to %(booted)s."),
        _("An update did not start, and the host fell back to %(booted)s."),
        _("An update did not start, and the host fell back."),
    ),
    ("rolled_back", "newer_in_rollback"): (
        _("The node was rolled back from %(version)s to %(booted)s."),
        _("The node was rolled back to an older deployment."),
    ),
    ("rolled_back", "booted_is_not_default"): (
        _(
            "The node runs %(booted)s although %(version)s is first in the boot order:"
            " that did not start, or %(booted)s was chosen in the boot menu."
        ),
        _(
            "The node runs an older deployment than the first in its boot order:"
            " that did not start, or the older one was chosen in the boot menu."
        ),
    ),
    ("unknown", "no_facts"): (_("Nothing has been read from the node yet."),),
    ("unknown", "status_not_read"): (
        _("The status of the deployments could not be read (%(section)s: %(why)s)."),
        _("The status of the deployments could not be read."),
    ),
    ("unknown", "booted_from_none"): (_("The host runs from none of its deployments, as a live system does."),),
    ("unknown", "not_image_based"): (_("This host is not image-based, so its updates are not known here."),),
    ("unknown", "no_deployments"): (_("The host lists no deployment."),),
    ("unknown", "no_version"): (
        _("The booted deployment has no version to compare with the releases of %(stream)s."),
        _("The booted deployment has no version to compare."),
    ),
    ("unknown", "no_stream"): (_("The host names no stream, so there is nothing to compare with."),),
    ("unknown", "no_releases"): (
        _("No release of %(stream)s is known. Import its releases to see what is available."),
        _("No release of its stream is known. Import releases to see what is available."),
    ),
    ("unknown", "dead_end"): (
        _("%(booted)s is a dead end, and no newer release is known. The reason: %(detail)s"),
        _("%(booted)s is a dead end, and no newer release is known."),
        _("The booted release is a dead end, and no newer release is known."),
    ),
}

REASONS: dict[str, dict[tuple[str, str], Forms]] = {
    "reachability": _REACHABILITY,
    "health": _HEALTH,
    "update_state": _UPDATE_STATE,
}
