"""Drift in words: states, what differs, what it asks for, and why something was not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nodes.wording import error_mend, error_sentence
from nodes.wording.ignition import IGNITION_STATE_WORDS

STATE_LEVELS = {"in_step": "ok", "behind": "info", "drifted": "warn", "needs_replacement": "bad", "unknown": "none"}
STATE_SENTENCES: dict[str, Promise] = {
    "in_step": gettext_lazy("It is as it was born, and its pool intends nothing else."),
    "behind": gettext_lazy("Its pool intends another version than the one that it was born with."),
    "drifted": gettext_lazy("Something on it was changed since it was born. It can be put back in place."),
    "needs_replacement": gettext_lazy(
        "Only the first boot of a new machine makes disks as they should be: replace it."
    ),
    "unknown": gettext_lazy("It is not known with which version it was born, or it was not compared yet."),
}
CLASS_WORDS: dict[str, Promise] = {
    "os": gettext_lazy("Made by the OS"),
    "in_place": gettext_lazy("Can be put back"),
    "replacement": gettext_lazy("Needs replacement"),
}
CLASS_LEVELS = {"os": "none", "in_place": "warn", "replacement": "bad"}
CLASS_MENDS: dict[str, Promise] = {
    "os": gettext_lazy("Nothing to do: it does not count."),
    "in_place": gettext_lazy("Put it back on the host, or write a version that says so."),
    "replacement": gettext_lazy("Only the first boot of a machine does this: provision another one."),
}
WHAT_WORDS: dict[str, Promise] = {
    "missing": gettext_lazy("is missing"),
    "present": gettext_lazy("should not be there"),
    "kind": gettext_lazy("is of another kind"),
    "contents": gettext_lazy("other contents"),
    "lines": gettext_lazy("lines are missing"),
    "mode": gettext_lazy("other mode"),
    "owner": gettext_lazy("other owner"),
    "target": gettext_lazy("leads elsewhere"),
    "enablement": gettext_lazy("switched otherwise"),
    "key_missing": gettext_lazy("key is missing"),
    "key_added": gettext_lazy("key was added"),
    "key_options": gettext_lazy("key has other options"),
    "number": gettext_lazy("other number"),
    "home": gettext_lazy("other home"),
    "shell": gettext_lazy("other shell"),
    "membership": gettext_lazy("not in the group"),
    "format": gettext_lazy("other format"),
    "label": gettext_lazy("other label"),
}
REASONS: dict[str, Promise] = {
    "same_hostname": gettext_lazy("It is the same name: whoever sets it writes a line end behind it."),
    "made_at_first_boot": gettext_lazy("systemd writes it on the first boot."),
    "host_key": gettext_lazy("sshd-keygen makes the host keys."),
    "name_servers": gettext_lazy("NetworkManager or systemd-resolved writes it."),
    "update_stamp": gettext_lazy("systemd notes here that the OS was updated."),
    "written_by_services": gettext_lazy("Services of the OS write it while they run."),
    "merged_users": gettext_lazy("The users of packages are merged into it at boot and at updates."),
    "merged_policy": gettext_lazy("The policy of the OS is merged into it at updates."),
    "collected_certificates": gettext_lazy("It is collected from all certificate authorities."),
    "gone_at_boot": gettext_lazy("What is there is gone after every boot."),
    "platform_keys": gettext_lazy("The platform gave this key to the machine."),
}
UNLOOKED: dict[str, Promise] = {
    "too_many": gettext_lazy("There are more files than are looked at."),
    "too_large": gettext_lazy("It is too large to read at every comparison."),
    "not_readable": gettext_lazy("The host could not read it."),
    "password": gettext_lazy("Passwords are not compared."),
    "raid": gettext_lazy("Software RAID is not looked at."),
    "fetched_config": gettext_lazy("It is fetched at the first boot: what it holds is not known here."),
    "fetched_contents": gettext_lazy("It is fetched at the first boot, and the config names no hash of it."),
    "unreadable": gettext_lazy("What the config holds for it cannot be unpacked."),
    "secret_lines": gettext_lazy("A secret that is appended to a file of the OS is not looked for."),
    "hard_link": gettext_lazy("Hard links are not looked at."),
    "unreadable_key": gettext_lazy("A key of the config cannot be read."),
    "arguments_unknown": gettext_lazy("The arguments of the running kernel are not known: no poll has read them yet."),
    "disks_unknown": gettext_lazy("The host does not say what is on its disks."),
    "no_label": gettext_lazy("It has no label by which it could be found again."),
}
_QUESTIONS: dict[str, Promise] = {
    "stat": gettext_lazy("files"),
    "read": gettext_lazy("contents of files"),
    "readlink": gettext_lazy("links"),
    "systemctl": gettext_lazy("units"),
    "passwd": gettext_lazy("users"),
    "group": gettext_lazy("groups"),
    "lsblk": gettext_lazy("disks"),
}


def state_words(state: str) -> dict[str, str]:
    """{word, level, sentence} of a state."""
    return {
        "word": str(IGNITION_STATE_WORDS[state]),
        "level": STATE_LEVELS[state],
        "sentence": str(STATE_SENTENCES[state]),
    }


def failure_words(kind: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """Why a comparison failed, and what to do."""
    if kind == "no_config":
        return str(params.get("why", "")), str(params.get("mend", ""))
    if kind == "not_supported":
        sentence = _("%(family)s hosts are not made by Ignition, or not read for it.") % {
            "family": params.get("family", "–")
        }
        return sentence, _("Fedora CoreOS, its relatives and Flatcar are compared.")
    if kind == "not_understood":
        question = str(params.get("question", ""))
        about = _QUESTIONS.get(question, question)
        return (
            _("What the host said of its %(about)s was not understood.") % {"about": about},
            _("Look at what it said, below."),
        )
    return error_sentence(kind, dict(params)), error_mend(kind, dict(params))
