"""Backups in words: kinds, what stands against a target or a setting, and what becomes of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms, fill

KINDS: dict[str, Promise] = {
    "path": _("Files of a host"),
    "volume": _("Kubernetes volumes"),
    "postgresql": _("PostgreSQL database"),
    "etcd": _("etcd snapshot"),
    "fleetui": _("FleetUI itself"),
    "reported": _("Made by another job"),
}
RUNS_IN: dict[str, Promise] = {
    "host": _("On the host itself"),
    "kubeadm": _("In the static pod of kubeadm"),
    "podman": _("In a Podman container"),
    "docker": _("In a Docker container"),
}
PERIODS: dict[str, Promise] = {
    "hourly": _("Hourly"),
    "daily": _("Daily"),
    "weekly": _("Weekly"),
    "monthly": _("Monthly"),
    "yearly": _("Yearly"),
}
#: Why a backup stays.
REASONS: dict[str, Promise] = {
    "newest": _("the last good one"),
    "no_rule": _("nothing is deleted"),
    "hourly": _("hourly"),
    "daily": _("daily"),
    "weekly": _("weekly"),
    "monthly": _("monthly"),
    "yearly": _("yearly"),
}
#: code -> (what is wrong with a target, the mend).
TARGETS: dict[str, tuple[Promise, Promise]] = {
    "credentials": (_("The target does not accept the keys."), _("Check access key and secret key.")),
    "denied": (
        _("The target does not allow it."),
        _("Allow FleetUI, or the keys that it has, to write, read, list and delete there."),
    ),
    "region": (_("The bucket is in another region."), _("Give the region that the answer names.")),
    "no_bucket": (_("There is no such bucket."), _("Make the bucket first, or check its name.")),
    "not_there": (
        _("What is asked for is not there."),
        _("Look whether the directory is mounted, or the backup deleted."),
    ),
    "full": (_("The target is full."), _("Make room there, or keep fewer backups.")),
    "clock": (_("The clocks of FleetUI and of the target differ too much."), _("Set both clocks by NTP.")),
    "refused": (
        _("The target refuses this encryption or lock."),
        _("Check encryption and lock: a lock needs a bucket that was made with object lock."),
    ),
    "tls": (
        _("The certificate of the target is not trusted, or is for another name."),
        _("Give the name that it was made for, and let this machine trust the authority that signed it."),
    ),
    "no_contact": (_("The target does not answer."), _("Check the address, and whether this machine may reach it.")),
    "broken": (_("The connection to the target broke."), _("Check the network between FleetUI and the target.")),
    "too_large": (
        _("The backup is larger than 560 GiB, more than one object takes."),
        _("Split it into several policies."),
    ),
    "reads_differently": (
        _("What was read back is not what was written."),
        _("Do not use this target until its disks have been checked."),
    ),
    "does_not_list": (
        _("What was written is missing from the list of the target."),
        _("Allow these keys to list the bucket."),
    ),
    "bad_key": (_("The name of a backup cannot be used."), _("Give the policy another name.")),
    "failed": (_("The target failed."), _("Look at the log of the target.")),
    "sealed": (
        _("Its keys cannot be unsealed."),
        _("Put the secret keys of this installation back, or enter its keys again."),
    ),
}
#: code -> (what is wrong with a setting of a source, the mend).
SETTINGS: dict[str, tuple[Promise, Promise]] = {
    "unknown": (_("This kind of backup has no setting %(name)s."), _("Leave it out.")),
    "no_paths": (_("No path is named."), _("Give 1 to 50 absolute paths, such as /etc and /var/lib/app.")),
    "no_claims": (_("No claim is named."), _("Give 1 to 50 as NAMESPACE/CLAIM, such as shop/data-db-0 or shop/*.")),
    "no_claim": (
        _("%(value)s is no claim."),
        _("Give NAMESPACE/CLAIM, such as shop/data-db-0; * and ? stand for anything and for one character."),
    ),
    "no_path": (_("%(value)s is no absolute path."), _("Give one that begins with / and has no .. in it.")),
    "no_list": (_("%(name)s is not a list of texts."), _("Give at most 50 texts.")),
    "no_port": (_("%(value)s is not a port."), _("Give 1 to 65535.")),
    "no_choice": (_("%(value)s is not a choice."), _("Use host, kubeadm, podman or docker.")),
    "no_name": (
        _("%(name)s is missing, or has characters that such a name cannot have."),
        _("Give letters, digits, dots, hyphens and underscores."),
    ),
    "no_endpoint": (_("%(value)s is no endpoint of etcd."), _("Give one such as https://127.0.0.1:2379.")),
    "half_a_pair": (_("Certificate and key of the client belong together."), _("Give both, or neither.")),
}
RESULTS: dict[str, Forms] = {
    "copied": (_("%(size)s were copied."),),
    "verified": (_("Read back as it was written: %(size)s."),),
    "backed_up": (
        _("Backed up %(size)s to %(location)s, and read it back unchanged. Older backups deleted: %(deleted)s."),
        _("Backed up %(size)s to %(location)s, and read it back unchanged."),
        _("Backed up."),
    ),
    "drill_ready": (_("There is a backup to try, and the worker has the programs that it takes."),),
    "drill_restored": (
        _(
            "Restored from %(location)s into a temporary etcd: revision %(revision)s, %(live_keys)s keys alive, as in "
            "the snapshot."
        ),
        _("Restored from %(location)s into a temporary etcd, as in the snapshot."),
        _("Restored into a temporary etcd, as in the snapshot."),
    ),
    "drill_listed": (
        _("Read all of %(location)s: %(files)s files and directories, %(content)s. Nothing was restored."),
        _("Read all of the archive. Nothing was restored."),
    ),
    "drill_read_through": (
        _("Read all of %(location)s with pg_restore: %(content)s. Nothing was restored."),
        _("Read all of the dump with pg_restore. Nothing was restored."),
    ),
    "drill_opened": (
        _(
            "Opened %(location)s: the database is whole (%(content)s), audit event %(audit_seq)s included, and FleetUI's present "
            "keys open it. Nothing was restored."
        ),
        _("Opened it: the database is whole, and FleetUI's present keys open it. Nothing was restored."),
    ),
    "drill_no_keys": (
        _(
            "FleetUI does not have the keys any more that this backup needs: %(keys)s. Put them back into the key files."
        ),
        _("FleetUI does not have the keys any more that this backup needs."),
    ),
    "own_no_program": (
        _(
            "%(program)s is not on the machine of the worker for the queue stream. Install PostgreSQL's client programs there."
        ),
        _("A program is missing on the machine of the worker for the queue stream."),
    ),
    "own_no_folder": (
        _("FleetUI cannot write below %(path)s: %(said)s. Make it writable for its user."),
        _("FleetUI cannot write its copy of the database."),
    ),
    "own_no_room": (
        _("Only %(free)s are free below %(path)s, and a copy of the database needs %(needed)s. Make room there."),
        _("There is too little room for a copy of the database."),
    ),
    "own_failed": (
        _("FleetUI's database could not be copied: %(said)s"),
        _("FleetUI's database could not be copied."),
    ),
    "nothing_to_prove": (
        _("There is no good backup of %(policy)s to try. Back up first."),
        _("There is no good backup to try. Back up first."),
    ),
    "drill_no_program": (
        _(
            "%(program)s is missing where drills run: on the machine of the worker for the queue stream. Install it there."
        ),
        _("A program is missing where drills run: on the machine of the worker for the queue stream."),
    ),
    "drill_no_folder": (
        _("The drill cannot write below %(path)s: %(said)s. Make it writable for FleetUI's user."),
        _("The drill cannot write its files."),
    ),
    "drill_no_room": (
        _("Only %(free)s are free below %(path)s, and the drill needs %(needed)s. Make room there."),
        _("There is too little room for the drill."),
    ),
    "drill_other_bytes": (
        _(
            "Do not rely on this backup: what lies at the target is not what was written (%(size)s, SHA-256 %(sha256)s)."
        ),
        _("Do not rely on this backup: what lies at the target is not what was written."),
    ),
    "drill_no_identity": (
        _(
            "The backup is encrypted, and FleetUI has no identity that opens it. Give the target one for drills, or try it by hand."
        ),
    ),
    "drill_other_identity": (
        _(
            "The backup is encrypted to other recipients than the one whose identity the target has. The ledger names them."
        ),
    ),
    "drill_spoilt": (
        _("Do not rely on this backup: what lies there is encrypted, and was changed or cut since it was written."),
    ),
    "drill_unreadable": (
        _("Do not rely on this backup: it cannot be read to its end (%(said)s)."),
        _("Do not rely on this backup: it cannot be read to its end."),
    ),
    "drill_empty": (_("Do not rely on this backup: its archive is empty."),),
    "drill_not_restored": (
        _("etcd does not restore this snapshot: %(said)s"),
        _("etcd does not restore this snapshot."),
    ),
    "drill_silent": (
        _("The etcd that was restored does not answer: %(said)s"),
        _("The etcd that was restored does not answer."),
    ),
    "drill_differs": (
        _(
            "Do not rely on this backup: what was restored differs from the snapshot in %(what)s (%(seen)s, not "
            "%(expected)s)."
        ),
        _("Do not rely on this backup: what was restored differs from the snapshot."),
    ),
    "reported_good": (_("Reported as good by %(by)s."), _("Reported as good.")),
    "reported_failed": (_("Reported as failed: %(said)s"), _("Reported as failed.")),
    "policy_gone": (_("Nothing more was backed up: the backup policy was deleted meanwhile."),),
    "policy_changed": (
        _("The policy %(policy)s was changed: FleetUI does not make its backups any more."),
        _("The policy was changed: FleetUI does not make its backups any more."),
    ),
    "policy_elsewhere": (
        _("The policy %(policy)s does not back up this node."),
        _("The policy does not back up this node."),
    ),
    "target_sealed": (
        _("The keys of the target cannot be opened: %(said)s Give FleetUI back the encryption key that sealed them."),
        _("The keys of the target cannot be opened. Give FleetUI back the encryption key that sealed them."),
    ),
    "backup_runs": (
        _("Nothing was backed up: another backup of %(policy)s is under way. Look at its end."),
        _("Nothing was backed up: another backup is under way. Look at its end."),
    ),
    "no_volumes": (
        _(
            "Nothing was backed up: no volume of %(claims)s lies on a path of the node %(name)s. Look at "
            "`kubectl get pv`, and name what lies there in the policy."
        ),
    ),
    "volume_unreadable": (
        _("Nothing was backed up: the volume of %(claim)s is a block device, or %(path)s is no path. Leave it out."),
    ),
    "no_header": (
        _("The host did not give size and SHA-256 of its snapshot, so it was not kept: %(said)s"),
        _("The host did not give size and SHA-256 of its snapshot, so it was not kept."),
    ),
    "not_a_backup": (
        _("What the host printed is no backup: %(said)s"),
        _("What the host printed is no backup."),
    ),
    "source_failed": (
        _("The command on the host failed (status %(status)s): %(said)s"),
        _("The command on the host failed (status %(status)s)."),
        _("The command on the host failed."),
    ),
    "differs_from_host": (_("What arrived differs from the snapshot on the host, and was not kept. Back up again."),),
    "reads_differently": (
        _(
            "What was read back from the target is not what was written, so this backup does not count. Do not use the "
            "target until its disks have been checked."
        ),
    ),
    "operation_gone": (_("The operation was removed before it ended."),),
}
WAITS: dict[str, Forms] = {
    "copies": (
        _("It streams to the target; %(size)s have come so far."),
        _("It streams to the target."),
    ),
    "target_answers": (
        _("Waits for the target, to remove the unfinished copy there: %(why)s"),
        _("Waits for the target."),
    ),
    "target_silent": (_("Waits for the target. %(why)s"), _("Waits for the target.")),
}
NOTES: dict[str, Forms] = {
    "drill_begins": (_("Tries %(size)s from %(location)s."),),
    "backup_begins": (_("Streams to %(location)s."),),
    "backup_volume": (_("%(claim)s lies in %(path)s."),),
    "backup_changed": (
        _("Some files changed while they were read: %(said)s"),
        _("Some files changed while they were read."),
    ),
    "backup_copied": (
        _("Copied %(size)s, SHA-256 %(sha256)s. etcd: revision %(revision)s, %(keys)s keys, hash %(hash)s."),
        _("Copied %(size)s, SHA-256 %(sha256)s."),
    ),
    "backup_differs": (_("Read back %(size)s with SHA-256 %(sha256)s: not what was written."),),
    "backup_locked": (_("%(location)s is to be deleted, and the target does not allow it yet: %(said)s"),),
    "backup_deleted": (_("Deleted %(location)s: its policy does not keep it any longer."),),
    "backup_half_forgotten": (_("Removed the unfinished copy of an earlier attempt at %(location)s."),),
    "backup_not_tidied": (_("The target could not be tidied up now; the next run does it. %(why)s"),),
}
STEPS: dict[str, Promise] = {
    "copy": _("Stream to the target"),
    "read_back": _("Read back and compare"),
    "keep": _("Delete backups that are not kept any longer"),
    "drill_check": _("See what there is to try, and with what"),
    "drill_try": _("Fetch it, compare it, restore it"),
}
#: In what a restored etcd may differ from its snapshot.
DIFFERENCES: dict[str, Promise] = {"revision": _("its revision"), "live_keys": _("the number of keys alive")}
LEFTOVERS: dict[str, Promise] = {
    "upload": _("an unfinished copy at the backup target"),
    "on_host": _("a snapshot file"),
}


#: The word in a sentence -> the parameter that has its bytes.
_SIZES = {
    "size": "size_bytes",
    "free": "free_bytes",
    "needed": "needed_bytes",
    "content": "content_bytes",
    "limit": "limit_bytes",
}


def target_problem(code: str, said: str = "") -> tuple[str, str]:
    """What is wrong with a target, in its own words too, and the mend."""
    sentence, mend = TARGETS.get(code, TARGETS["failed"])
    return f"{sentence} ({said})" if said else str(sentence), str(mend)


def setting_problem(name: str, code: str, value: object) -> tuple[str, str]:
    sentence, mend = SETTINGS[code]
    known = {"name": name, "value": str(value)[:100] or "–"}
    return fill((sentence,), known), str(mend)


def worded(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with what only words can say: sizes, and what a target said."""
    found = dict(params)
    for name, bytes_in in _SIZES.items():
        if isinstance(found.get(bytes_in), int):
            found[name] = filesizeformat(found[bytes_in]).replace("\xa0", " ")
    if found.get("problem") in TARGETS:
        found["why"] = target_problem(str(found["problem"]), str(found.get("said", "")))[0]
    return found
