"""Why the policy of a pool does not have a machine replaced that does not answer, or that it does."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

STANDINGS: Mapping[str, Forms] = {
    "due": (_("Its replacement is asked for within half a minute."),),
    "waits": (
        ngettext_lazy(
            "Its replacement is asked for when it has been silent for %(minutes)d more minute.",
            "Its replacement is asked for when it has been silent for %(minutes)d more minutes.",
            "minutes",
        ),
    ),
    "looked_at": (_("It is looked at once more first."),),
    "asked": (_("Asked for already: the policy has each machine replaced once. What comes next is for a person."),),
    "maintenance": (_("In maintenance, so it is left alone."),),
    "answers": (_("Left alone, since it is not certain that nothing answers: %(why)s"),),
    "stopped": (_("All operations are stopped, so nothing is asked for."),),
    "held_half": (
        ngettext_lazy(
            "Held: %(failing)s of %(nodes)d node of the pool does not answer, which is more than half. The network is the likely cause.",
            "Held: %(failing)s of %(nodes)d nodes of the pool do not answer, which is more than half. The network is the likely cause.",
            "nodes",
        ),
    ),
    "held_nothing_answers": (_("Held: no node of the fleet answers. FleetUI's own network is the likely cause."),),
    "most_per_day": (
        ngettext_lazy(
            "%(n)d was asked for within 24 hours, the most that the policy allows. The next one is asked for from %(until)s on.",
            "%(n)d were asked for within 24 hours, the most that the policy allows. The next one is asked for from %(until)s on.",
            "n",
        ),
    ),
    "reason": (_("Not asked for: %(said)s"),),
    "refused": (_("It cannot be replaced: %(why)s"),),
    "blocked": (_("Not asked for, since its first check would stop it: %(why)s"),),
}
