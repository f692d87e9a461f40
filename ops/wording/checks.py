"""What the checks before a change found."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

CHECKS: dict[str, Forms] = {
    "booted_known": (_("It runs %(version)s."), _("What it runs is known.")),
    "booted_unknown": (_("What the host runs could not be read."),),
    "boot_id_unknown": (_("The host does not say in which boot it is."),),
    "as_planned": (_("What it runs is what was planned for."),),
    "changed_since_plan": (
        _("The plan was made while it ran %(before)s, and now it runs %(now)s. Ask again."),
        _("What it runs has changed since the plan was made. Ask again."),
    ),
    "no_transaction": (_("No other transaction is under way."),),
    "transaction": (_("Another transaction is under way on the host: %(transaction)s."),),
    "space": (_("%(mount)s is %(percent)s %% full."),),
    "space_short": (_("%(mount)s is %(percent)s %% full, which an update may not survive."),),
    "space_unknown": (_("How full its disks are is not known."),),
    "agent_idle": (_("%(agent)s is idle (%(state)s)."), _("%(agent)s is idle."), _("No update agent is at work.")),
    "agent_at_work": (_("%(agent)s is itself updating the host now (%(state)s)."), _("The update agent is at work.")),
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
    "pruned": (_("The rollback deployment %(version)s goes away."),),
    "rollback_there": (_("It goes back to %(version)s."), _("There is a deployment to go back to.")),
    "no_rollback": (_("The host has no deployment to go back to."),),
}
