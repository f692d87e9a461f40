"""Drift in words: states, what differs, what it asks for, and why something was not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l

from nodes.wording import error_mend, error_sentence
from nodes.wording.ignition import IGNITION_STATE_WORDS

STATE_LEVELS = {"in_step": "ok", "behind": "info", "drifted": "warn", "needs_replacement": "bad", "unknown": "none"}
STATE_SENTENCES: dict[str, Promise] = {
    "in_step": _l("It is as it was born, and its pool intends nothing else."),
    "behind": _l("Its pool intends another version than the one that it was born with."),
    "drifted": _l("Something on it was changed since it was born. It can be put back in place."),
    "needs_replacement": _l("It differs in what only the first boot of a machine does: replace it."),
    "unknown": _l("It is not known with which version it was born, or it was not compared yet."),
}
CLASS_WORDS: dict[str, Promise] = {
    "os": _l("Made by the OS"),
    "in_place": _l("Can be put back"),
    "replacement": _l("Needs replacement"),
}
CLASS_LEVELS = {"os": "none", "in_place": "warn", "replacement": "bad"}
CLASS_MENDS: dict[str, Promise] = {
    "os": _l("Nothing to do: it does not count."),
    "in_place": _l("Put it back on the host, or write a version that says so."),
    "replacement": _l("Only the first boot of a machine does this: provision another one."),
}
WHAT_WORDS: dict[str, Promise] = {
    "missing": _l("is missing"),
    "present": _l("should not be there"),
    "kind": _l("is of another kind"),
    "contents": _l("other contents"),
    "lines": _l("lines are missing"),
    "mode": _l("other mode"),
    "owner": _l("other owner"),
    "target": _l("leads elsewhere"),
    "enablement": _l("switched otherwise"),
    "key_missing": _l("key is missing"),
    "key_added": _l("key was added"),
    "key_options": _l("key has other options"),
    "number": _l("other number"),
    "home": _l("other home"),
    "shell": _l("other shell"),
    "membership": _l("not in the group"),
    "format": _l("other format"),
    "label": _l("other label"),
}
REASONS: dict[str, Promise] = {
    "hostname_of_the_platform": _l("The platform or hostnamectl sets the name of the host."),
    "made_at_first_boot": _l("systemd writes it on the first boot."),
    "host_key": _l("sshd-keygen makes the host keys."),
    "name_servers": _l("NetworkManager or systemd-resolved writes it."),
    "update_stamp": _l("systemd notes here that the OS was updated."),
    "written_by_services": _l("Services of the OS write it while they run."),
    "merged_users": _l("The users of packages are merged into it at boot and at updates."),
    "merged_policy": _l("The policy of the OS is merged into it at updates."),
    "collected_certificates": _l("It is collected from all certificate authorities."),
    "gone_at_boot": _l("What is there is gone after every boot."),
    "platform_keys": _l("The platform gave this key to the machine."),
}
UNLOOKED: dict[str, Promise] = {
    "too_many": _l("There are more files than are looked at."),
    "too_large": _l("It is too large to read at every comparison."),
    "not_readable": _l("The host could not read it."),
    "password": _l("Passwords are not compared."),
    "raid": _l("Software RAID is not looked at."),
    "fetched_config": _l("It is fetched at the first boot: what it holds is not known here."),
    "fetched_contents": _l("It is fetched at the first boot, and the config names no hash of it."),
    "unreadable": _l("What the config holds for it cannot be unpacked."),
    "secret_lines": _l("A secret that is appended to a file of the OS is not looked for."),
    "hard_link": _l("Hard links are not looked at."),
    "unreadable_key": _l("A key of the config cannot be read."),
    "arguments_unknown": _l("The arguments of the running kernel are not known: no poll has read them yet."),
    "disks_unknown": _l("The host does not say what is on its disks."),
    "no_label": _l("It has no label by which it could be found again."),
}
_QUESTIONS: dict[str, Promise] = {
    "stat": _l("files"),
    "read": _l("contents of files"),
    "readlink": _l("links"),
    "systemctl": _l("units"),
    "passwd": _l("users"),
    "group": _l("groups"),
    "lsblk": _l("disks"),
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
