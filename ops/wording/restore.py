"""The steps by which a backup is brought back, as sentences."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

STEPS: dict[str, Promise] = {
    "restore_fetch_local": _("On the machine of the worker for the queue stream, copy the backup from its directory."),
    "restore_fetch_s3": _("Fetch the backup with the AWS command line and keys that may read the bucket."),
    "restore_compare": _("Compare it with the ledger. It has to say OK; anything else is not this backup."),
    "restore_open": _("Open it with the secret key of a recipient."),
    "restore_send": _("Send it to the home directory there. Keep one shell on each host for all that follows."),
    "restore_list": _("Look at what it holds: files of the same name are overwritten, all others stay."),
    "restore_unpack": _("Halt what uses these files, and unpack them."),
    "restore_see": _("See that it is there, with its owners and rights."),
    "restore_look_database": _(
        "See that neither the new name nor the one for the old database is taken. It has to say free; otherwise look at what is left of "
        "an earlier restore, and drop or rename it."
    ),
    "restore_volume_users": _(
        "See which pods use the claims, and scale what made them to 0. Write down how many there were."
    ),
    "restore_volume_unpack": _("When those pods are gone, unpack the volumes where they lay."),
    "restore_volume_start": _("Scale it to what it was, and see that its pods are ready."),
    "restore_load": _("Load it into a new database beside the old one, which stays as it is. Look at the new one."),
    "restore_swap": _(
        "Stop what writes to the old one, and let the new one take its name. The old one is kept under another."
    ),
    "restore_keys": _(
        "Stop FleetUI, and put the key files in place that were kept apart. Without them nothing sealed can be opened."
    ),
    "restore_own": _(
        "On the machine that is to be FleetUI, restore it; where FleetUI runs in containers, docs/deploy.md has the command. "
        "A damaged file, missing keys and a database that has rows are refused; with --replace those rows go. Then start FleetUI."
    ),
    "restore_members": _(
        "While etcd still answers, compare its members with the names and peer addresses in the commands below, which are "
        "made from the nodes here. Stop if they are others, or more: every member has to be restored."
    ),
    "restore_look_pods": _(
        "Before anything stands still, see where the data lies and that the image has the program. All four words have to be "
        "printed; with an etcd older than 3.5.10 the last is missing. Where there is no Podman, use docker."
    ),
    "restore_look_unit": _(
        "Say where the data of etcd lies, and see that it is there and which program restores. It has to say found."
    ),
    "restore_look_container": _(
        "Say where the data of etcd lies on the host, and see that it is there and which program restores. It has to say found."
    ),
    "restore_halt_pods": _(
        "Halt the control plane on every member: without their files the kubelet ends these pods. It goes on when none runs any more."
    ),
    "restore_halt_unit": _("Stop everything that writes to this etcd, and etcd on every member."),
    "restore_halt_container": _("Stop everything that writes to this etcd, and its container on every member."),
    "restore_aside": _("Put what it had aside. It is your way back until you delete it."),
    "restore_member": _("Make the member anew from the snapshot; all of them from the same one."),
    "restore_start": _("Give it to its user, and start every member."),
    "restore_well_pods": _(
        "See that all members are healthy and the nodes are there. Then back up again: the revisions are other ones now."
    ),
    "restore_well": _("See that all members are healthy, start what writes to them, and back up again."),
    "restore_rid": _("When all is well, delete what was sent."),
    "restore_rid_here": _("Delete it here too: it holds what the backup was to protect."),
}
