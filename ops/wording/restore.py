"""The steps by which a backup is brought back, as sentences."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

STEPS: dict[str, Promise] = {
    "restore_fetch_local": _("On the machine of the worker for the queue stream, copy the backup from its directory."),
    "restore_fetch_s3": _("Fetch the backup with the AWS command line and keys that may read the bucket."),
    "restore_compare": _("Compare it with the ledger. It has to say OK; anything else is not this backup."),
    "restore_open": _("Open it with the secret key of a recipient."),
    "restore_send": _("Send it to where it is restored."),
    "restore_list": _("Look at what it holds: files of the same name are overwritten, all others stay."),
    "restore_unpack": _("Halt what uses these files, and unpack them."),
    "restore_load": _(
        "Load it: what it holds is dropped first, and all of it comes back or nothing. The database has to be there."
    ),
    "restore_keys": _(
        "Stop FleetUI, and put the key files in place that were kept apart. Without them nothing sealed can be opened."
    ),
    "restore_own": _(
        "On the machine that is to be FleetUI, restore it. A damaged file, missing keys and a database that has rows are "
        "refused; with --replace those rows go. Then start FleetUI."
    ),
    "restore_members": _(
        "While etcd still answers, compare its members with the names and addresses in the commands below, which are those "
        "of the nodes here."
    ),
    "restore_halt_pods": _("Halt the control plane on every member: without their files the kubelet ends these pods."),
    "restore_halted_pods": _("Wait until none of them runs any more: nothing is listed."),
    "restore_halt_unit": _(
        "Stop everything that writes to this etcd, and etcd on every member. DATA_DIR is its data directory."
    ),
    "restore_halt_container": _(
        "Stop everything that writes to this etcd, and its container on every member. DATA_DIR is its data directory on the host."
    ),
    "restore_aside": _("Put what it had aside. It is your way back until you delete it."),
    "restore_member": _(
        "Make the member anew from the snapshot; all of them from the same one. With etcd 3.4 it is etcdctl in place of etcdutl."
    ),
    "restore_start_pods": _(
        "Start the control plane again, and the kubelet, so that nobody goes by what is no longer so."
    ),
    "restore_start": _("Give it to the user of etcd, and start every member."),
    "restore_well_pods": _(
        "See that the members answer and the nodes are there. Then back up again: the revisions are other ones now."
    ),
    "restore_well": _("See that the members answer, start what writes to them, and back up again."),
}
