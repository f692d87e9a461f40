"""What the checks before a change found."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms
from ops.wording import deployments, replacement
from ops.wording.certificates import CERTIFICATE_CHECKS
from ops.wording.containers import CONTAINER_CHECKS

CHECKS: dict[str, Forms] = {
    **deployments.CHECKS,
    **replacement.CHECKS,
    "booted_known": (_("It runs %(version)s."), _("What it runs is known.")),
    "booted_unknown": (_("What the host runs could not be read."),),
    "boot_id_unknown": (_("The host does not give its boot id."),),
    "as_planned": (_("What it runs is what was planned for."),),
    "changed_since_plan": (
        _("The plan was made while it ran %(before)s, and now it runs %(now)s. Ask again."),
        _("What it runs has changed since the plan was made. Ask again."),
    ),
    "no_transaction": (_("No other transaction is under way."),),
    "transaction": (_("Another transaction is under way on the host: %(transaction)s."),),
    "space": (_("%(mount)s is %(percent)s %% full."),),
    "space_short": (_("%(mount)s is %(percent)s %% full, which leaves too little space for an update."),),
    "space_unknown": (_("How full its disks are is not known."),),
    "agent_idle": (_("%(agent)s is idle (%(state)s)."), _("%(agent)s is idle."), _("No update agent is at work.")),
    "lock_not_asked": (
        _("By itself %(agent)s restarts the host only with the lock of %(lock)s. This restart does not ask for it."),
        _("By itself %(agent)s restarts the host only with a lock. This restart does not ask for it."),
    ),
    "agent_at_work": (
        _("%(agent)s is itself updating the host now (%(state)s)."),
        _("The update agent is itself updating the host now."),
    ),
    "backup_proven": (_("Backup %(policy)s is fresh, and was proven by a restore drill %(hours)s h ago."),),
    "gate_no_backup": (
        _("Backup %(policy)s is set as a gate, and there is no good one. Back up and run its restore drill first."),
    ),
    "gate_backup_old": (
        _("Backup %(policy)s is set as a gate, and the last good one is %(hours)s h old: overdue. Back up first."),
    ),
    "gate_never_proven": (
        _("Backup %(policy)s is set as a gate, and no restore drill has proven it. Run its restore drill first."),
    ),
    "gate_proof_old": (
        _(
            "Backup %(policy)s is set as a gate, and its proof is %(hours)s h old: too old. Run its restore drill first."
        ),
    ),
    "no_layers": (_("No layered or overridden packages."),),
    "layers": (
        ngettext_lazy(
            "%(count)d layered or overridden package, which may conflict: %(packages)s.",
            "%(count)d layered or overridden packages, which may conflict: %(packages)s.",
            "count",
        ),
    ),
    "no_sessions": (_("Nobody is signed in at a terminal."),),
    "sessions": (_("Signed in at a terminal: %(sessions)s."),),
    "nothing_pruned": (_("No deployment goes away."),),
    "pruned": (
        _("The staged deployment %(staged)s and the rollback deployment %(version)s go away."),
        _("The staged deployment %(staged)s goes away."),
        _("The rollback deployment %(version)s goes away."),
        _("What it could go back to now goes away."),
    ),
    "boot_confirmed": (_("Its boot is marked as good."),),
    "boot_unconfirmed": (
        _(
            "Its boot is not yet marked as good, which takes some minutes: a restart now would go back to the other slot."
        ),
    ),
    "changes_here": (_("On this system a check also fetches and stages what it finds."),),
    "nothing_waits": (_("No other deployment waits for a restart."),),
    "another_waits": (
        _("%(version)s waits for a restart, and the change would be made on top of it. Restart or drop it first."),
        _("Another deployment boots next. Restart or drop it first."),
    ),
    "boots_same": (_("The restart goes to what runs now."),),
    "boots_other": (
        _("The restart goes to %(version)s, which comes first in the boot order, and not to what runs now."),
        _("The restart does not go to what runs now: another deployment comes first in the boot order."),
    ),
    "unit_is_failed": (_("%(unit)s was failed when the host was last read."),),
    "unit_not_failed": (_("%(unit)s was not failed when the host was last read."),),
    "unit_there": (_("%(unit)s is there (%(state)s)."), _("%(unit)s is there.")),
    "unit_absent": (
        _("The host has no unit %(unit)s (%(load)s)."),
        _("The host has no unit %(unit)s."),
    ),
    "unit_refuses": (_("%(unit)s refuses to be started or stopped by hand."),),
    "unit_on_the_way": (_("%(unit)s is just starting or stopping (%(state)s)."),),
    "unit_cuts_off": (_("%(value)s carries the way to the host: after a failed restart nobody gets in."),),
    "unit_stops_host": (_("%(value)s takes the host down, or may do so."),),
    "unit_kind": (_("%(value)s is no service, socket, timer or path."),),
    "unit_ours": (_("%(value)s runs a command of FleetUI."),),
    "cluster_may": (_("FleetUI may do in its cluster what is needed."),),
    "cluster_rights": (_("FleetUI lacks rights in its cluster: %(rights)s. docs/kubernetes.md has the manifest."),),
    "cluster_looked_at": (_("In %(cluster)s it is %(name)s. It is looked at there before anything changes."),),
    "is_drained": (_("It is drained first, and uncordoned afterwards: in %(cluster)s it is %(name)s."),),
    "not_drained": (_("It is not drained first, as asked for: its pods in %(cluster)s stop when it restarts."),),
    "no_cluster": (_("It is in no cluster, so it is not drained."),),
    "no_cluster_access": (
        _("FleetUI has no access to the API of %(cluster)s, so it is not drained."),
        _("FleetUI has no access to the API of its cluster, so it is not drained."),
    ),
    "not_in_cluster": (
        _("No node of %(cluster)s is this one, so it is not drained: its pods, if any, stop when it restarts."),
        _("Its cluster does not know it, so it is not drained."),
    ),
    "cordoned_before": (_("%(name)s is cordoned already, by somebody else, and stays so."),),
    "cordoned_by_others": (_("%(name)s was cordoned by somebody else; it is uncordoned, as asked for."),),
    "pods_to_go": (
        ngettext_lazy(
            "%(count)d pod goes, %(left)d stay (of DaemonSets, and static ones).",
            "%(count)d pods go, %(left)d stay (of DaemonSets, and static ones).",
            "count",
        ),
    ),
    "pods_local": (
        ngettext_lazy(
            "%(count)d pod keeps data in an emptyDir volume, which would be lost: %(pods)s. "
            "Allow it (delete_emptydir), or move it first.",
            "%(count)d pods keep data in emptyDir volumes, which would be lost: %(pods)s. "
            "Allow it (delete_emptydir), or move them first.",
            "count",
        ),
    ),
    "pods_unmanaged": (
        ngettext_lazy(
            "%(count)d pod has no controller that would start it elsewhere: %(pods)s. "
            "Allow it to go (delete_unmanaged), or move it first.",
            "%(count)d pods have no controller that would start them elsewhere: %(pods)s. "
            "Allow them to go (delete_unmanaged), or move them first.",
            "count",
        ),
    ),
    "pods_doubled": (
        ngettext_lazy(
            "%(count)d pod has more than one disruption budget, so that the API never evicts it: %(pods)s. Leave it one.",
            "%(count)d pods have more than one disruption budget, so that the API never evicts them: %(pods)s. Leave them one.",
            "count",
        ),
    ),
    "budget_holds": (
        _(
            "The disruption budget %(budget)s holds %(pod)s now (%(has)s well, %(needs)s needed): the drain waits for it."
        ),
        _(
            "The disruption budget %(budget)s held %(pod)s when the cluster was last looked at: the drain would wait for it."
        ),
    ),
    "budget_never": (
        _(
            "The disruption budget %(budget)s never lets %(pod)s go: it needs %(needs)s pods well, which is all of them. "
            "Change it, or start more pods."
        ),
        _("The disruption budget %(budget)s never lets %(pod)s go. Change it, or start more pods."),
    ),
    "cluster_silent": (
        _("The API of the cluster could not be asked. %(why)s"),
        _("The API of the cluster could not be asked."),
    ),
    "cluster_old_boot": (_("The cluster still speaks of %(node)s as it was before the restart."),),
    "argument_absent": (_("%(argument)s is not among the kernel arguments, so it cannot be deleted."),),
    "argument_unclear": (_("%(argument)s is not there exactly once, so it cannot be replaced."),),
    "arguments_unknown": (_("The kernel arguments of the host are not known yet."),),
    "arguments_long": (_("The line would be %(size)s characters long; the kernel reads %(most)s."),),
    "arguments_there": (_("The kernel arguments are as asked for already."),),
    "arguments_change": (_("The kernel arguments can be changed as asked for."),),
    "rollback_there": (_("It goes back to %(version)s."), _("There is a deployment to go back to.")),
    "no_rollback": (_("The host has no deployment to go back to."),),
    "no_pending": (_("The host has no deployment that waits for a restart."),),
    "only_staged": (_("%(version)s is only staged: it can be pinned and unpinned after the restart into it."),),
    "not_pinned_now": (_("It is %(version)s, which is not pinned now."),),
    "pinned_now": (_("It is %(version)s, which is pinned now."),),
    "nothing_pending": (_("No deployment waits for a restart, so nothing is dropped."),),
    "nothing_rollback": (_("There is no deployment to go back to, so nothing is dropped."),),
    "pinned_stays": (_("%(version)s is pinned, and stays: unpin it first."),),
    "is_dropped": (_("%(version)s goes away."),),
    "agent_is_started": (
        _("Zincati does not run on it, and is started by this: it may then update and restart the host."),
    ),
    "agent_is_paused": (
        _("Automatic updates are switched off on it: Zincati looks for nothing until they are resumed."),
    ),
    "facts_fresh": (
        ngettext_lazy("It answered %(minutes)d minute ago.", "It answered %(minutes)d minutes ago.", "minutes"),
        _("It answered less than a minute ago."),
    ),
    "facts_old": (
        ngettext_lazy(
            "What is known of it is %(minutes)d minute old; it is read anew before anything changes.",
            "What is known of it is %(minutes)d minutes old; it is read anew before anything changes.",
            "minutes",
        ),
    ),
    "never_seen": (_("It has never answered yet."),),
    "unreachable": (
        ngettext_lazy(
            "It does not answer now, and last did %(minutes)d minute ago: its operation waits for it.",
            "It does not answer now, and last did %(minutes)d minutes ago: its operation waits for it.",
            "minutes",
        ),
    ),
    "read_now": (_("It answers, and was read just now."),),
    "path_allowed": (
        _("%(version)s is a release of %(stream)s, and an update leads there from %(here)s."),
        _("%(version)s is a release of %(stream)s, and an update leads there."),
    ),
    "path_unknown": (
        _("No release of %(stream)s is known, so whether an update leads there is left to the host."),
        _("No release of its stream is known, so whether an update leads there is left to the host."),
    ),
    "not_held": (_("%(version)s is not held back from it."), _("No version is held back from it.")),
    "held": (_("%(version)s is held back from it."),),
    "holds": (
        _("Held back from it: %(versions)s. If the host finds one of these, it is dropped again, and nothing changes."),
    ),
    "system_up": (_("The system is up (%(state)s)."), _("The system is up.")),
    "system_not_up": (_("The system is not up: systemd says %(state)s."), _("The system is not up.")),
    "no_unit_failed_anew": (_("No unit failed that had not failed before."),),
    "units_failed_anew": (
        ngettext_lazy("%(units)s failed since the restart.", "%(units)s failed since the restart.", "count"),
        _("Units failed since the restart."),
    ),
    "kubelet_ready": (_("The cluster counts %(node)s as ready."), _("The cluster counts its node as ready.")),
    "kubelet_not_ready": (
        _("The cluster does not count %(node)s as ready."),
        _("The cluster does not count its node as ready."),
    ),
    "kubelet_well": (
        _("The kubelet says that it is well; whether the cluster counts its node as ready could not be asked."),
    ),
    "kubelet_silent": (_("The kubelet does not say that it is well: %(said)s"), _("The kubelet does not answer.")),
    "unit_is_active": (_("%(unit)s is active (%(state)s)."), _("%(unit)s is active.")),
    "unit_is_not_active": (
        _("%(unit)s is not active: %(state)s (%(why)s)."),
        _("%(unit)s is not active: %(state)s."),
        _("%(unit)s is not active."),
    ),
    "unit_is_absent": (_("There is no unit %(unit)s on the host."),),
    "port_answers": (_("TCP port %(port)s of %(host)s answers."),),
    "port_silent": (
        _("TCP port %(port)s of %(host)s does not answer: %(said)s"),
        _("TCP port %(port)s of %(host)s does not answer."),
    ),
    "port_late": (_("TCP port %(port)s of %(host)s did not answer in time."),),
    "http_as_wanted": (_("%(url)s answers with %(status)s."),),
    "http_other": (_("%(url)s answers with %(status)s, not with %(wanted)s."),),
    "http_silent": (_("%(url)s does not answer: %(said)s"), _("%(url)s does not answer.")),
    "command_good": (_("%(command)s ended well."),),
    "command_bad": (
        _("%(command)s ended with status %(status)s: %(said)s"),
        _("%(command)s ended with status %(status)s."),
    ),
    "command_late": (_("%(command)s did not end in time."),),
    **CONTAINER_CHECKS,
    **CERTIFICATE_CHECKS,
    "no_other_manager": (_("No other reboot manager is active on it."),),
    "other_manager": (
        ngettext_lazy(
            "Another reboot manager is active on it, and may restart it at the same time: %(managers)s.",
            "Other reboot managers are active on it, and may restart it at the same time: %(managers)s.",
            "count",
        ),
    ),
}
