"""What steps do, what they wait for, and what they write into the log."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

STEPS: dict[str, Promise] = {
    "preflight": _("Look before anything changes"),
    "hold": _("Hold the update agent"),
    "hold_again": _("Hold the update agent after the restart"),
    "stage": _("Stage what boots next"),
    "order": _("Put the previous deployment first"),
    "reboot": _("Restart"),
    "await_boot": _("Wait for the next boot"),
    "verify": _("Compare what booted"),
    "soak": _("Watch its health"),
    "run": _("Run the command"),
    "restart_unit": _("Restart the unit"),
    "watch_unit": _("See whether it stays up"),
    "read": _("Read the host and store what it says"),
    "check": _("Ask whether an update is there"),
    "tidy": _("Leave nothing behind"),
}
WAITS: dict[str, Forms] = {
    "turn": (_("Waits for its turn: the limits of its pool let no more run now."),),
    "approval": (_("Waits for approval."),),
    "unreachable": (_("The host does not answer: %(message)s"), _("The host does not answer.")),
    "again": (
        _("%(why)s. Attempt %(attempt)s of %(of)s; it is tried again."),
        _("It is tried again."),
    ),
    "holds": (_("The update agent of the host is about to be held."),),
    "stages": (_("The host fetches and stages the new version."),),
    "order": (_("The previous deployment is about to be put first."),),
    "restarts": (_("The host is restarting."),),
    "goes_down": (_("The restart was asked for; the host is still in its old boot."),),
    "settles": (_("The host is up, and its services are starting (%(state)s)."), _("Its services are starting.")),
    "reads": (_("The host is about to be read."),),
    "poll_ends": (_("A poll of the host is under way; it is read again after that."),),
    "checks": (_("The host looks for an update."),),
    "stages_arguments": (_("The host stages a deployment with the new kernel arguments."),),
    "unit_restarts": (_("The unit is being restarted."),),
    "unit_starts": (_("%(unit)s is starting (%(state)s)."), _("The unit is starting.")),
    "unit_stays": (_("%(unit)s is up; it is looked at once more."), _("The unit is up; it is looked at once more.")),
    "not_healthy_yet": (_("Not healthy yet: %(why)s It may still come right."), _("It is not healthy yet.")),
    "checks_go_on": (
        ngettext_lazy(
            "%(count)d check of its pool is still to be made.",
            "%(count)d checks of its pool are still to be made.",
            "count",
        ),
    ),
    "soaks": (_("Healthy so far; it is watched until %(until)s."), _("Healthy so far; it is watched on.")),
    "confirms": (_("Healthy; the host has yet to mark this boot as good, without which it would go back."),),
    "tidies": (_("Takes back what it left on the host."),),
    "transaction_ends": (_("Waits for the host to end its transaction (%(transaction)s)."),),
    "hold_removal": (
        _("The hold on the update agent could not be removed yet: %(said)s"),
        _("The hold is not removed yet."),
    ),
}
NOTES: dict[str, Forms] = {
    "started": (_("Started. The first step begins as soon as a worker is free."),),
    "step_started": (_("%(step)s"),),
    "command_started": (_("Started on the host: %(command)s"),),
    "log_full": (_("The log is full at %(limit_bytes)s bytes; what the host prints from here on is not kept."),),
    "reboot_asked": (_("Asked the host to restart."),),
    "booted": (_("Back in %(version)s, systemd says %(state)s."), _("Back in %(version)s."), _("Back.")),
    "held": (_("The update agent is held by a file in /run."),),
    "hold_removed": (_("The hold on the update agent was removed."),),
    "hold_not_removed": (
        _("The hold could not be removed (status %(status)s): %(said)s"),
        _("The hold was not removed."),
    ),
    "order_changed": (_("%(version)s boots next."), _("The previous deployment boots next.")),
    "order_restored": (_("The booted deployment stays the one that boots next."),),
    "order_not_restored": (
        _("The boot order could not be put back (status %(status)s): %(said)s"),
        _("The boot order could not be put back."),
    ),
    "staged_dropped": (_("The staged %(version)s was dropped."), _("The staged deployment was dropped.")),
    "transaction_cancelled": (
        _("The transaction on the host was cancelled: %(said)s"),
        _("The transaction was cancelled."),
    ),
    "packages_differ": (
        ngettext_lazy(
            "%(count)d package differs: %(upgraded)s upgraded, %(downgraded)s downgraded, %(removed)s removed, %(added)s added.",
            "%(count)d packages differ: %(upgraded)s upgraded, %(downgraded)s downgraded, %(removed)s removed, %(added)s added.",
            "count",
        ),
    ),
    "kept": (_("Kept with the operation: %(what)s."),),
    "not_kept": (_("Could not be kept with the operation: %(what)s. %(message)s"),),
    "unit_journal": (_("The journal of %(unit)s:"),),
}
