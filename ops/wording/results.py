"""How operations end: one sentence that says what happened, and where it helps, what is so now."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms
from ops.wording import backups, deployments, etcd, replacement, restoring
from ops.wording.certificates import CERTIFICATE_RESULTS
from ops.wording.containers import CONTAINER_RESULTS

RESULTS: dict[str, Forms] = {
    **backups.RESULTS,
    **replacement.RESULTS,
    **restoring.RESULTS,
    "done": (_("Done."),),
    "command_done": (_("Done. The host said: %(said)s"), _("Done.")),
    "updates_paused": (_("Automatic updates are paused on the host, also after a restart, until they are resumed."),),
    "updates_resumed": (_("What FleetUI paused is resumed: the host updates itself as its own settings say."),),
    "agent_restarted": (
        _("Zincati was restarted and looks for an update now. What it finds, the host does by its own settings."),
    ),
    "command_failed": (
        _("The command failed on the host (status %(status)s): %(said)s"),
        _("The command failed on the host (status %(status)s)."),
    ),
    "healthy": (
        _("Done: it runs %(version)s, and was healthy for %(seconds)s s after the restart."),
        _("Done; the host was healthy for %(seconds)s s after the restart."),
        _("Done: it runs %(version)s, and is healthy."),
        _("Done; the host is healthy."),
    ),
    "there_already": (_("Nothing to do: it runs %(version)s already."), _("Nothing to do.")),
    "refreshed": (
        ngettext_lazy("%(count)d change: %(what)s.", "%(count)d changes: %(what)s.", "count"),
        _("Read and stored; nothing has changed."),
    ),
    "update_there": (_("An update to %(version)s is available."), _("An update is available.")),
    "update_waits": (_("%(version)s is staged and waits for a restart."), _("An update is staged.")),
    "no_update": (_("No update: nothing newer than %(version)s is offered."), _("No update is offered.")),
    "check_failed": (
        _("The host could not look for an update (status %(status)s): %(said)s"),
        _("The host could not look for an update (status %(status)s)."),
        _("The host could not look for an update."),
    ),
    "check_unanswered": (
        _(
            "After %(minutes)s min the host was still looking for an update. Look at the journal of its update agent, and ask again."
        ),
    ),
    "unit_active": (_("%(unit)s was restarted and is active (%(state)s)."), _("%(unit)s was restarted and is active.")),
    "unit_ran": (_("%(unit)s was restarted, and ran to its end without failing."),),
    "unit_restarted": (_("The unit was restarted."),),
    "unit_failed": (
        _("%(unit)s is down: it failed after the restart (%(why)s, status %(status)s). Its last lines are in the log."),
        _("%(unit)s is down: it failed after the restart. Its last lines are in the log."),
    ),
    "unit_stuck": (
        _(
            "%(unit)s was restarted, and is still %(state)s after %(minutes)s min: it neither came up nor failed. "
            "Its last lines are in the log."
        ),
        _(
            "%(unit)s was restarted, and neither came up nor failed: it is still %(state)s. Its last lines are in the log."
        ),
    ),
    "unit_unstable": (
        _(
            "%(unit)s came up, and was started again within seconds: it does not stay up. Its last lines are in the log."
        ),
    ),
    "unit_not_restarted": (
        _("%(unit)s was not restarted, and runs as before: %(said)s"),
        _("%(unit)s was not restarted, and runs as before."),
    ),
    "unit_changed": (
        _(
            "%(unit)s was restarted by someone else, or by itself, since it was looked at, and nothing was done. "
            "Ask again if it is still wanted."
        ),
    ),
    "unit_restart_failed": (
        _("The unit was not restarted: systemd did not take the command (status %(status)s): %(said)s"),
        _("The unit was not restarted: systemd did not take the command."),
    ),
    **CONTAINER_RESULTS,
    **CERTIFICATE_RESULTS,
    **deployments.RESULTS,
    # One code, of a container on a host and of one in a cluster.
    "image_runs_already": (*deployments.RESULTS["image_runs_already"], *CONTAINER_RESULTS["image_runs_already"]),
    "node_drained": (
        ngettext_lazy(
            "Drained: %(count)d pod went. The node stays cordoned until it is uncordoned here.",
            "Drained: %(count)d pods went. The node stays cordoned until it is uncordoned here.",
            "count",
        ),
    ),
    "uncordoned": (_("%(name)s takes new pods again."),),
    "not_cordoned": (_("Nothing to do: %(name)s is not cordoned."),),
    "drain_late": (
        ngettext_lazy(
            "The drain's time limit of %(minutes)s min is over, and %(count)d pod is still there (budget %(budget)s): %(pods)s.",
            "The drain's time limit of %(minutes)s min is over, and %(count)d pods are still there (budget %(budget)s): %(pods)s.",
            "count",
        ),
        ngettext_lazy(
            "The drain's time limit of %(minutes)s min is over, and %(count)d pod is still there: %(pods)s.",
            "The drain's time limit of %(minutes)s min is over, and %(count)d pods are still there: %(pods)s.",
            "count",
        ),
        _("The drain's time limit is over."),
    ),
    "pods_came": (
        ngettext_lazy(
            "%(count)d pod came meanwhile that keeps data in an emptyDir volume, or has no controller: %(pods)s. "
            "Ask again, and say whether it may go (delete_emptydir, delete_unmanaged).",
            "%(count)d pods came meanwhile that keep data in emptyDir volumes, or have no controller: %(pods)s. "
            "Ask again, and say whether they may go (delete_emptydir, delete_unmanaged).",
            "count",
        ),
    ),
    "cluster_refused": (_("%(why)s %(mend)s"), _("The API of the cluster refused it.")),
    "not_uncordoned": (
        _(
            "The node is still cordoned: FleetUI could not uncordon it. %(why)s %(mend)s Then choose Go on, which tries it again."
        ),
        _("The node is still cordoned: FleetUI could not uncordon it. Go on tries it again."),
    ),
    "arguments_there": (_("Nothing to do: the kernel arguments are as asked for already."),),
    "arguments_unread": (
        _("The kernel arguments could not be read (status %(status)s): %(said)s"),
        _("The kernel arguments could not be read."),
    ),
    "arguments_fell_back": (
        _("The host did not boot with the new kernel arguments, and runs with the old ones: %(said)s"),
        _("The host did not boot with the new kernel arguments, and runs with the old ones."),
    ),
    "arguments_not_there": (
        _(
            "The host has restarted, but its kernel arguments are not as asked for: compare them on the page of the node."
        ),
    ),
    "cancelled": (_("Cancelled by %(by)s: %(reason)s."), _("Cancelled by %(by)s."), _("Cancelled.")),
    "threshold": (
        ngettext_lazy(
            "Not begun, and nothing was changed: %(count)d operation of its request ended badly, "
            "and the request was to stop after %(stop_after)s.",
            "Not begun, and nothing was changed: %(count)d operations of its request ended badly, "
            "and the request was to stop after %(stop_after)s.",
            "count",
        ),
    ),
    "rejected": (
        _("Rejected by %(by)s: %(reason)s. Nothing was changed."),
        _("Rejected by %(by)s. Nothing was changed."),
        _("Rejected. Nothing was changed."),
    ),
    "not_approved": (
        ngettext_lazy(
            "Nothing was changed: %(needed)d approval was needed, and it was not there in time.",
            "Nothing was changed: %(needed)d approvals were needed, and they were not there in time.",
            "needed",
        ),
        _("Nothing was changed: it was not approved in time."),
    ),
    "deadline": (_("The deadline has passed. Until then: %(why)s"), _("The deadline has passed.")),
    "deadline_untouched": (
        _("Nothing was changed: it could not start before its deadline. Until then: %(why)s"),
        _("Nothing was changed: it could not start before its deadline."),
    ),
    "void": (
        _(
            "Another machine has taken the place of this one since this was asked for (generation %(generation)s, now %(now)s), "
            "and nothing was done to the new one. Ask again."
        ),
        _(
            "The node was retired or deleted since this was asked for, and nothing more is done to it. This may still be "
            "on the host: %(what)s."
        ),
        _("The node was retired or deleted since this was asked for. Nothing more is done to it."),
    ),
    "preflight": (_("Nothing was changed. %(why)s"), _("Nothing was changed: a check before the start failed.")),
    "contact_refused": (
        _(
            "%(message)s %(mend)s This may still be on the host: %(what)s. Go on continues with the step at which it "
            "stopped; End as failed takes that back."
        ),
        _("%(message)s %(mend)s"),
        _("The contact with the host was refused."),
    ),
    "boot_changed": (
        _(
            "The host was restarted by someone else, or by itself, and what had been started on it ended with that "
            "restart: %(command)s. Ask again if it is still wanted."
        ),
        _(
            "The host was restarted by someone else, or by itself, since it was looked at, and nothing was started. "
            "Ask again if it is still wanted."
        ),
    ),
    "boot_id_unknown": (
        _(
            "The host does not give its boot id, so that a restart cannot be recognised: look there whether it has restarted."
        ),
    ),
    "start_failed": (
        _("The command could not be started on the host: %(said)s"),
        _("The command could not be started."),
    ),
    "stage_failed": (
        _("Staging failed, and the host was not restarted (status %(status)s): %(said)s"),
        _("Staging failed, and the host was not restarted (status %(status)s)."),
        _("Staging failed, and the host was not restarted."),
    ),
    "nothing_staged": (
        _("The host staged nothing, and was not restarted: %(said)s"),
        _("The host staged nothing, and was not restarted."),
    ),
    "other_staged": (
        _("The host staged %(version)s instead of %(wanted)s. It was dropped again, and the host was not restarted."),
        _("The host staged another version. It was dropped again, and the host was not restarted."),
    ),
    "held_staged": (
        _(
            "The host found %(version)s, which is held back from it. It was dropped again, and the host was not restarted."
        ),
    ),
    "hold_failed": (
        _(
            "The update agent of the host could not be kept still meanwhile, and the operation went no further: %(said)s"
        ),
        _("The update agent of the host could not be kept still meanwhile, and the operation went no further."),
    ),
    "no_rollback": (_("The host has no deployment to go back to."),),
    "rollback_refused": (
        _("The host refused to roll back, and runs what it ran: %(said)s"),
        _("The host refused to roll back, and runs what it ran."),
    ),
    "reboot_refused": (
        _("The host refused to restart, and runs what it ran: %(said)s"),
        _("The host refused to restart, and runs what it ran."),
    ),
    "did_not_restart": (
        _(
            "The host was asked to restart, and had not gone down after %(minutes)s min; it may still do so. "
            "Look there for what holds the shutdown up (systemctl list-jobs)."
        ),
    ),
    "did_not_return": (
        _("The host has not come back %(minutes)s min after the restart was asked for: %(message)s"),
        _("The host has not come back."),
    ),
    "restarted_again": (
        _("The host restarted once more while it was watched, and runs %(version)s: look for why (journalctl -b -1)."),
        _("The host restarted once more while it was watched: look for why (journalctl -b -1)."),
    ),
    "fell_back": (
        _("The host booted %(booted)s instead of %(wanted)s: %(said)s"),
        _("The host booted %(booted)s instead of %(wanted)s: %(slot)s was tried and did not start."),
        _(
            "The host booted %(booted)s instead of %(wanted)s. Where %(wanted)s still comes first in the boot order, take it "
            "away before the next restart: “Drop the pending deployment”."
        ),
        _("The host booted another version than was staged."),
    ),
    "not_finished": (
        _(
            "The host booted %(booted)s, and has no %(wanted)s any more: the update was not finished when it went down, "
            "as in a power cut. It never ran, and nothing of it is left. Ask again if it is still wanted."
        ),
        _("The host booted another version than was staged, and has nothing left of that one."),
    ),
    "not_confirmed": (
        _(
            "The host is up, but did not mark its boot as good within %(minutes)s min: its next restart goes to the "
            "other slot. Look at the journal of update-engine."
        ),
    ),
    "unhealthy": (
        _("The host is up but not healthy, and was left as it is. %(why)s"),
        _("The host is up, but these units failed, and it was left as it is: %(units)s."),
        _("The host is up but not healthy, and was left as it is."),
    ),
    "went_back": (
        _("%(version)s was not healthy, so the host went back to %(booted)s. %(why)s"),
        _("%(version)s was not healthy (%(units)s), so the host went back to %(booted)s."),
        _("The new version was not healthy, so the host went back to %(booted)s."),
        _("The new version was not healthy, so the host went back."),
    ),
    "back_failed": (
        _("%(version)s was not healthy, and going back failed: the host runs %(booted)s. %(why)s"),
        _("%(version)s was not healthy, and going back failed: the host runs %(booted)s."),
        _("The new version was not healthy, and going back failed."),
    ),
    "left_behind": (
        _(
            "The host does not answer, and this may still be on it: %(what)s. %(message)s "
            "When it answers, Go on takes it back."
        ),
        _(
            "The host does not answer, and something of this operation may still be on it. When it answers, Go on takes it back."
        ),
    ),
    "not_taken_back": (
        _("For %(minutes)s min this could not be taken back from the host: %(what)s. Go on tries it again."),
        _("Something of this operation could not be taken back from the host: %(what)s. Go on tries it again."),
        _("Something of this operation could not be taken back from the host. Go on tries it again."),
    ),
    "order_unclear": (
        _(
            "Another deployment than the booted one is first in the boot order, and which of three is right, FleetUI cannot "
            "say. Put it right on the host (rpm-ostree rollback), then choose Go on."
        ),
    ),
    "not_supported": (_("This host cannot do it: %(said)s"), _("This host cannot do it.")),
    "fault": (
        _(
            "FleetUI itself failed in this step (%(error)s), not the host. Look at the host before you ask again; "
            "the log of the worker has the details."
        ),
    ),
    "ended_by_person": (
        _("%(by)s ended it: %(reason)s. What it left on the host was taken back. Before that: %(why)s"),
        _("%(by)s ended it. What it left on the host was taken back. Before that: %(why)s"),
    ),
    "ended_with_rest": (
        _("%(by)s ended it: %(reason)s. This may still be on the host: %(what)s. Before that: %(why)s"),
        _("%(by)s ended it. This may still be on the host: %(what)s. Before that: %(why)s"),
    ),
}
#: What is asked of a person, as long as nobody has decided.
ASKED: dict[str, Promise] = {
    "did_not_return": _("Look at its console; then choose Go on, or End as failed."),
    "contact_refused": _("Its restart had been asked for: decide about the key, then choose Go on, or End as failed."),
}
#: What is so now on a host when the operation did not go to its end.
SO_NOW: dict[str, Promise] = {
    **deployments.SO_NOW,
    **etcd.SO_NOW,
    "untouched": _("Nothing was changed."),
    "runs": _("The host had restarted already, and runs %(version)s."),
    "runs_arguments": _("The host had restarted already with the new kernel arguments, and keeps them."),
    "taken_back": _("Taken back: %(what)s."),
    "asks": _("The node stays cordoned. Go on gives its pods as much time again; End as failed takes back the cordon."),
    "went_no_further": _(
        "Nothing further was done, and the cordon is taken back. See what keeps these pods, then ask again."
    ),
    "cordon_goes": _("FleetUI uncordons the node as soon as the API of the cluster answers."),
    "was_to_go_back": _("It was to go back to the version before, since %(version)s was not healthy. %(why)s"),
}
#: What to do about a check that stands in the way, where its sentence alone does not say so.
MENDS: dict[str, Promise] = {
    **replacement.MENDS,
    "agent_at_work": _("Let it end, then ask again."),
    "arguments_unknown": _("Refresh the host, then ask again."),
    "boot_id_unknown": _("Without that a restart cannot be recognised."),
    "boot_unconfirmed": _("Ask again in some minutes."),
    "held": _("Choose another version, or lift the hold under Held versions."),
    "other_manager": _(
        "Stop what else would restart it, or ask again with “Also beside another reboot manager” (ignore_managers)."
    ),
    "sessions": _("Let them sign out, or ask again with “Also when somebody is signed in” (ignore_sessions)."),
    "space_short": _("Make space there first."),
    "transaction": _("Let it end, or cancel it (Cancel the transaction on the host)."),
    "unit_on_the_way": _("Ask again when that is over."),
}
#: What an operation may leave on a host.
LEFTOVERS: dict[str, Promise] = {
    "cordon": _("the cordon of its node in the cluster"),
    **backups.LEFTOVERS,
    **replacement.LEFTOVERS,
    **restoring.LEFTOVERS,
    "staged": _("a staged deployment"),
    "order": _("the changed boot order"),
    "image": _("the changed image of a container"),
    "manifests": _("manifests of static pods outside of their folder"),
    "hold": _("the hold on the update agent"),
    "units": _("units that ran its commands"),
}
