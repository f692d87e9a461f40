"""Ignition configs in words: review states, and how it is known with which version a node was provisioned."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

STATE_WORDS: dict[str, Promise] = {
    "draft": _("Draft"),
    "in_review": _("In review"),
    "approved": _("Approved"),
    "superseded": _("Superseded"),
    "withdrawn": _("Withdrawn"),
}
#: Why something else cannot be done with a version now.
STATE_SAID: dict[str, Promise] = {
    "draft": _("Version %(number)s is a draft."),
    "in_review": _("Version %(number)s is in review."),
    "approved": _("Version %(number)s is approved."),
    "superseded": _("Version %(number)s is superseded."),
    "withdrawn": _("Version %(number)s is withdrawn."),
}
STATE_SENTENCES: dict[str, Promise] = {
    "draft": _("Written, and seen by nobody else yet."),
    "in_review": _("Waits for somebody other than its author."),
    "approved": _("May be chosen for a pool."),
    "superseded": _("Was approved, and a newer approved version took its place. It can be approved again."),
    "withdrawn": _("Taken out of use for good."),
}
STATE_LEVELS: dict[str, str] = {
    "draft": "none",
    "in_review": "info",
    "approved": "ok",
    "superseded": "none",
    "withdrawn": "none",
}
APPLIED_WORDS: dict[str, Promise] = {
    "fetch": _("fetched at its first boot"),
    "marker": _("read from the marker on the host"),
    "by_hand": _("noted by hand"),
}
#: Where a node stands between what it was born with, what its pool intends, and what is on it.
IGNITION_STATE_WORDS: dict[str, Promise] = {
    "in_step": _("In step"),
    "behind": _("Behind"),
    "drifted": _("Drifted"),
    "needs_replacement": _("Needs replacement"),
    "unknown": _("Not known"),
}
#: What the note on the host says, beside what counts; by how that is known where they differ.
MARKER_SENTENCES: dict[str, Promise] = {
    "agrees": _("The marker on the host says the same."),
    "fetch": _("The marker on the host says %(said)s. What was fetched counts: the host key of that config answered."),
    "by_hand": _("The marker on the host says %(said)s. What was noted by hand counts."),
    "unset": _("The marker on the host says %(said)s. It is taken over with the next facts."),
    "unknown": _("The marker on the host says %(said)s, which is no version of this FleetUI."),
    "unread": _("The marker on the host could not be understood."),
}
#: The parts of a config, by the words of nodes.ignition.effect.
SECTION_WORDS: dict[str, Promise] = {
    "users": _("Users and keys"),
    "files": _("Files"),
    "disks": _("Disks and filesystems"),
    "units": _("Units"),
    "network": _("Network"),
    "kernel": _("Kernel arguments"),
    "rest": _("Everything else"),
}
WEIGHT_LEVELS: dict[str, str] = {"disruptive": "bad", "notable": "warn", "plain": "none"}
