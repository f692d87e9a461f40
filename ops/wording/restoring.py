"""A guided restore in words: its tasks in short, what it waits for, how it ends, and what it writes into the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms

KINDS: dict[str, Promise] = {
    "restore": _("Restore a backup"),
    "restore_beside": _("Keep the host while a backup is restored"),
}
STEPS: dict[str, Promise] = {
    "restore_check": _("Look at the hosts, and make a private folder on each"),
    "restore_members": _("See what etcd calls its members"),
    "restore_look_pods": _("See where the data lies, and what restores it"),
    "restore_look_unit": _("See where the data lies, and what restores it"),
    "restore_look_container": _("See where the data lies, and what restores it"),
    "restore_look_database": _("See that the names of new and old are free"),
    "restore_send": _("Bring the backup to the hosts"),
    "restore_open": _("Open it by hand"),
    "restore_volume_users": _("End the pods that use the volumes, by hand"),
    "restore_list": _("List what it holds"),
    "restore_unpack": _("Unpack it over what is there"),
    "restore_volume_unpack": _("Unpack the volumes where they lay"),
    "restore_load": _("Load it into a database beside the old one"),
    "restore_swap": _("Let the new database take the name"),
    "restore_halt_pods": _("Halt the control plane"),
    "restore_halt_unit": _("Halt etcd on every member"),
    "restore_halt_container": _("Halt etcd on every member"),
    "restore_aside": _("Put the old data aside"),
    "restore_member": _("Make every member anew from the snapshot"),
    "restore_start": _("Start the members"),
    "restore_well_pods": _("Wait until all is well, and compare"),
    "restore_well": _("Wait until all is well, and compare"),
    "restore_see": _("See what is there now"),
    "restore_volume_start": _("Start the pods again, by hand"),
    "restore_keep": _("Keep the host from other work"),
    "back_restore": _("Go back to what ran before"),
}
#: What FleetUI does beyond what a person types, for its guide.
SAYS: dict[str, Promise] = {
    "restore_check": _(
        "Is there room for the backup, and what it takes to bring it back? What etcd itself calls its members is read while it answers."
    ),
    "restore_send": _(
        "Straight from the target, past FleetUI's own disk. It is hashed on its way, and once more by the host."
    ),
    "restore_open": _(
        "FleetUI never holds a secret key of a recipient. Put the opened file into the private folder of each host, under the name in "
        "the command: with age there, or opened elsewhere and copied. FleetUI sees when it is there."
    ),
    "back_restore": _(
        "On one host after the other: halted, what lies aside put back in its place, and started. What was restored is deleted."
    ),
}
WAITS: dict[str, Forms] = {
    "restore_asks_go_on": (
        _("Waits for a person to let it go on: %(what)s."),
        _("Waits for a person to let it go on."),
    ),
    "restore_asks_done": (
        _("Waits for a person to say that it is done: %(what)s."),
        _("Waits for a person to say that it is done."),
    ),
    "restore_not_opened": (
        _("Waits for the opened file on %(host)s: %(path)s is not there yet."),
        _("Waits for the opened file."),
    ),
    "restore_goes_on": (_("%(what)s: done on %(host)s."), _("It goes on.")),
    "restore_begins": (_("The first change is about to be made."),),
    "restore_at_work": (
        _("What was begun on %(host)s is still at work there; it is looked at again."),
        _("What was begun is still at work."),
    ),
    "restore_gets_well": (
        _("Not well yet, as %(host)s says: %(said)s"),
        _("It is not well yet."),
    ),
    "restore_keeps": (_("Keeps this host from other work while a backup is restored."),),
}
RESULTS: dict[str, Forms] = {
    "restore_done": (_("Done."),),
    "restore_turns_back": (_("A person had it go back."),),
    "restored": (
        _(
            "Restored %(location)s on %(hosts)s: revision %(revision)s, %(live_keys)s keys alive. What was there before is kept until "
            "you delete it: %(before)s. Back up again now."
        ),
        _("Restored %(location)s on %(hosts)s. What was there before is kept until you delete it: %(before)s."),
        _("Restored %(location)s on %(hosts)s."),
        _("Restored."),
    ),
    "restore_kept": (_("The restore is over, and other work may begin here again."),),
    "restore_went_back": (
        _("It went back: on %(hosts)s runs what ran before, and nothing of the restore is left."),
        _("It went back to what ran before."),
    ),
    "restore_failed": (
        _("It failed on %(host)s: %(what)s (status %(status)s). %(said)s"),
        _("It failed on %(host)s: %(what)s (status %(status)s)."),
        _("It failed on a host."),
    ),
    "restore_not_now": (
        _("It cannot be done on %(host)s now: %(what)s. %(said)s"),
        _("It cannot be done on %(host)s now: %(what)s."),
        _("It cannot be done now."),
    ),
    "restore_left_alone": (
        _(
            "FleetUI itself was restored from a backup of %(time)s, when this was under way. Look at the hosts: it may have gone on "
            "since. Then let it go on, go back, or end it by hand."
        ),
        _("FleetUI itself was restored from a backup when this was under way. Look at the hosts first."),
    ),
    "restore_too_long": (
        _("It took too long on %(host)s, and was ended there: %(what)s. %(said)s"),
        _("It took too long on %(host)s, and was ended there: %(what)s."),
        _("It took too long, and was ended."),
    ),
    "restore_not_well": (
        _("It is not well after 10 min, as %(host)s says: %(said)s"),
        _("It is not well after 10 min."),
    ),
    "restore_differs": (
        _("What runs now differs from the backup in %(which)s (%(seen)s, not %(expected)s)."),
        _("What runs now differs from the backup."),
    ),
    "restore_other_bytes": (
        _(
            "Nothing was restored: what came from the target to %(host)s is not the backup of the ledger. Its size or its SHA-256 "
            "is another one. Choose another backup."
        ),
        _("Nothing was restored: what lies at the target is not the backup of the ledger. Choose another backup."),
    ),
    "restore_other_backup": (
        _("Nothing was restored: the ledger has another backup under this run by now. Ask again."),
    ),
    "restore_no_place": (
        _("Nothing was changed: another of its hosts is not kept from other work any more. Ask again."),
    ),
    "restore_other_machine": (
        _("%(host)s was replaced or retired since this was asked for, and nothing is done to the machine there now."),
        _("A host was replaced or retired since this was asked for."),
    ),
    "restore_no_member": (
        _("Nothing was changed: %(name)s has no member of etcd. Take it out of the pool of the policy, and ask again."),
        _("Nothing was changed: a host has no member of etcd."),
    ),
    "restore_member_elsewhere": (
        _(
            "Nothing was changed: the member %(member)s is on none of the hosts of the policy, and every member has to be restored. "
            "Add its node to the pool of the policy, or remove the member, and ask again."
        ),
        _("Nothing was changed: a member of etcd is on none of the hosts of the policy."),
    ),
}
#: In what that which runs may differ from its backup.
DIFFERENCES: dict[str, Promise] = {
    "members": _("the number of its members"),
    "revision": _("its revision"),
    "live_keys": _("the number of keys alive"),
}
NOTES: dict[str, Forms] = {
    "restore_member_known": (_("%(host)s is the member %(member)s at %(peer)s."),),
    "restore_sends": (_("Streams %(size)s from %(location)s to %(host)s."),),
    "restore_sent": (_("The backup lies in %(folder)s on %(host)s, SHA-256 %(sha256)s."),),
    "restore_runs": (_("On %(host)s: %(what)s."),),
    "restore_compared": (
        _("All %(members)s members answer: revision %(revision)s, %(live_keys)s keys alive."),
        _("All members answer."),
    ),
    "restore_folder_gone": (_("Removed %(folder)s on %(host)s."),),
    "restore_folder_stays": (
        _("%(folder)s on %(host)s could not be removed yet: %(said)s"),
        _("%(folder)s on %(host)s could not be removed yet."),
    ),
}
ATTACHMENTS: dict[str, Forms] = {"restore_said": (_("Printed on %(title)s"),)}
LEFTOVERS: dict[str, Promise] = {"folders": _("the private folder with the backup")}


def worded(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with the task in words, and in what a restored etcd differs."""
    found = dict(params)
    if found.get("task") in STEPS:
        found["what"] = str(STEPS[found["task"]])
    if found.get("which") in DIFFERENCES:
        found["which"] = str(DIFFERENCES[found["which"]])
    return found


def stand_words(one: Mapping[str, Any], halting: str) -> str:
    """What is on one host now. `halting` is the task after which nothing runs there until it is started."""
    if one.get("silent"):
        return gettext("The host does not answer.")
    did = one.get("did") or []
    told = []
    if halting in did:
        is_started = "restore_start" in did or "back_restore" in did
        told.append(gettext("Started again.") if is_started else gettext("Halted."))
    elif halting:
        told.append(gettext("Not halted."))
    if one.get("before"):
        told.append(gettext("The old data lies in %(path)s.") % {"path": one["before"]})
    elif one.get("data"):
        told.append(gettext("The data lies in %(path)s, as before.") % {"path": one["data"]})
    if "restore_member" in did and "back_restore" not in did:
        told.append(gettext("The member was made anew."))
    return " ".join(told)
