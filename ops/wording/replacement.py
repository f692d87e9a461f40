"""Replacement in words: provisioners, what stands against asking them, what is waited for, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording import axis_sentence
from nodes.wording.git import BY_ITSELF, mend_of, sentence_of
from nodes.wording.sentences import Forms, fill
from ops.wording import etcd, in_place

KINDS: dict[str, Promise] = {
    "manual": _("By hand"),
    "hook": _("Command of this installation"),
    "webhook": _("Webhook"),
    "terraform": _("Terraform or OpenTofu"),
    "in_place": _("In place, by the installer"),
}
#: code -> (why a provisioner cannot be asked, the mend).
NOT_READY: dict[str, tuple[Forms, Promise | str]] = {
    **in_place.NOT_READY,
    "no_folder": (
        (_("FleetUI was not told where commands of provisioners are."),),
        _("Set FLEETUI_PROVISIONERS_DIR where its workers run, and start them again."),
    ),
    "outside_folder": (
        (_("%(path)s leads out of %(folder)s."),),
        _("Put the command itself into the folder that FLEETUI_PROVISIONERS_DIR names."),
    ),
    "hook_absent": (
        (_("%(path)s is not there, or may not be run."),),
        _("Put it there, and make it executable for the user of FleetUI."),
    ),
    "webhook_silent": (
        (_("%(url)s does not answer as it should: %(said)s"),),
        _("See whether the service runs, knows the secret, and answers “ping” with a status of 200."),
    ),
    "secret_sealed": (
        (_("The secret of %(name)s cannot be opened: %(said)s"),),
        _("Give FleetUI back the encryption key that sealed it, or give the provisioner another secret."),
    ),
    "tf_folder_absent": (
        (_("There is no directory %(path)s."),),
        _("Put the configuration there, and initialise it as the user of FleetUI."),
    ),
    "tf_absent": (
        (_("%(program)s is not installed where the workers run."),),
        _("Install it there, where the PATH of the workers finds it."),
    ),
    # What it says is put in by `worded`.
    "git_refused": (("%(git)s",), ""),
    "git_busy": (
        (_("Others have been at work on the copy of %(url)s for too long."),),
        _("Try it again in a minute."),
    ),
    "git_not_permitted": (
        (_("Provisioners may not take directories out of %(url)s any more."),),
        _("Have the operator name it in FLEETUI_PROVISIONERS_GIT, where the workers and the web process run."),
    ),
    "tf_no_code": (
        (_("%(directory)s has no configuration of Terraform at commit %(commit)s."),),
        _("Name the directory in which the .tf files are."),
    ),
    "tf_no_backend": (
        (
            _(
                "The configuration in %(directory)s at commit %(commit)s declares no backend: its state would be lost with "
                "the files of the operation."
            ),
        ),
        _("Declare one in the code, such as s3, pg, http or remote, or local with an absolute path, and push it."),
    ),
    "tf_state_committed": (
        (_("A state is not read out of Git: %(directory)s has a %(path)s at commit %(commit)s."),),
        _("Move the state to the backend that the code declares, and take the file out of the repository."),
    ),
    "tf_state_in_tree": (
        (
            _(
                "The backend of %(directory)s at commit %(commit)s would keep the state in %(path)s, which goes with the files "
                "of the operation."
            ),
        ),
        _("Give the backend local an absolute path outside of FleetUI's data folder, or use another one, and push it."),
    ),
    "source_changed": (
        (
            _("The provisioner %(name)s takes its directory out of another place by now."),
            _("The provisioner takes its directory out of another place by now."),
        ),
        _("Ask again: the plan says what it is made for then."),
    ),
    "provisioner_gone": (
        (_("The provisioner %(name)s was deleted."), _("The provisioner was deleted.")),
        _("Give the pool a provisioner, and ask again."),
    ),
    "nothing_to_fetch": (
        (_("The config of the new machine cannot be fetched any more."),),
        _("End this operation, and ask again."),
    ),
    "token_sealed": (
        (_("The address of the config cannot be opened: %(said)s"), _("The address of the config cannot be opened.")),
        _("Give FleetUI back the encryption key that sealed it."),
    ),
}
STEPS: dict[str, Promise] = {
    **etcd.STEPS,
    "offer": _("Make the config of the new machine ready"),
    "prepare": _("Make everything ready that comes before the deletion"),
    "provision": _("Delete the machine and make the new one"),
    "leave_cluster": _("Delete the node of the old machine in its cluster"),
    "await_fetch": _("Wait until it has fetched its config"),
    "await_machine": _("Wait for its host key"),
    "read_machine": _("Read the new machine and store what it says"),
    "verify_machine": _("Compare the version of its config"),
}
WAITS: dict[str, Forms] = {
    **in_place.WAITS,
    **etcd.WAITS,
    "offers": (_("The config of the new machine is being made ready."),),
    "provisioner_starts": (_("%(name)s is about to be asked."), _("The provisioner is about to be asked.")),
    "provisioner_works": (_("%(name)s is at work."), _("The provisioner is at work.")),
    "hook_runs": (_("The command of %(name)s runs."), _("The command runs.")),
    "hook_works": (
        _("%(name)s is still at work, and is asked again. It says: %(said)s"),
        _("%(name)s is still at work, and is asked again."),
    ),
    "webhook_is_silent": (
        _("%(name)s did not answer as it should, and is asked again: %(said)s"),
        _("The webhook did not answer as it should, and is asked again."),
    ),
    "asked_again": (_("The command of %(name)s was cut off; it is asked again under the same id."),),
    "tf_inits": (_("%(name)s initialises its directory."), _("The directory is initialised.")),
    "tf_plans": (_("%(name)s makes the plan."), _("The plan is made.")),
    "tf_agreed": (_("The plan of %(name)s replaces this machine only; it is applied."),),
    "tf_applies": (_("%(name)s applies the plan."), _("The plan is applied.")),
    "runs_elsewhere": (
        _(
            "Waits for the worker that started the command: it has another data folder, and it alone can see how the "
            "command ends."
        ),
    ),
    "person_deletes": (
        _("Waits for a person: delete the machine of %(node)s, then confirm it here."),
        _("Waits for a person to delete the machine and to confirm it here."),
    ),
    "person_readies": (
        _(
            "Waits for a person: say here that you are about to delete the machine of %(node)s. Its etcd member is removed "
            "then, before the machine is gone."
        ),
        _("Waits for a person to say that the machine is about to be deleted."),
    ),
    "person_creates": (
        _(
            "Waits for a person: make the new machine of %(node)s with the config whose address is here, then confirm it."
        ),
        _("Waits for a person to make the new machine and to confirm it here."),
    ),
    "node_leaves": (
        _("The node %(name)s of the old machine is deleted in its cluster."),
        _("The node of the old machine is deleted in its cluster."),
    ),
    "machine_fetches": (
        _("Waits until the new machine has fetched its config, at most until %(until)s."),
        _("Waits until the new machine has fetched its config."),
    ),
    "machine_boots": (
        _("The new machine does not answer yet; it has until %(until)s. %(message)s"),
        _("The new machine does not answer yet; it has until %(until)s."),
        _("The new machine does not answer yet."),
    ),
    "other_key_shown": (
        _(
            "What answers at its address shows the host key %(fingerprint)s, and not the one that was made for the new machine. "
            "It is not trusted; the right one has until %(until)s."
        ),
        _("What answers at its address shows another host key than the one that was made for the new machine."),
    ),
    "old_still_answers": (
        _("The old machine still answers with its host key; the new one has until %(until)s."),
        _("The old machine still answers with its host key."),
    ),
}
#: What an operation works from: decided by the step that looks, and again before each attempt that follows a failed one.
_DECIDED: Forms = (
    _("It is made from commit %(commit)s of %(url)s (%(what)s), signed by %(signer)s: %(message)s"),
    _("It is made from commit %(commit)s of %(url)s (%(what)s), by %(author)s: %(message)s"),
    _("It is made from commit %(commit)s of %(url)s."),
)
NOTES: dict[str, Forms] = {
    "source_decided": _DECIDED,
    **etcd.NOTES,
    "offered": (_("%(version)s was rendered for it, with a host key of its own."),),
    "offer_taken_back": (_("The config of the new machine was taken back: its address leads nowhere any more."),),
    "provisioner_asked": (_("The provisioner is asked: %(command)s"),),
    "provisioner_said": (_("The provisioner says: %(said)s"),),
    "node_left": (_("The node %(name)s of the old machine was deleted in its cluster."),),
    "machine_met": (
        _("The new machine of %(name)s showed the host key that was made for it."),
        _("The new machine showed the host key that was made for it."),
    ),
}
CHECKS: dict[str, Forms] = {
    **etcd.CHECKS,
    **{code: forms for code, (forms, _mend) in NOT_READY.items()},
    "by_manual": (_("A person deletes and makes the machine, and confirms it (%(name)s)."),),
    "by_terraform": (
        _("%(name)s replaces its resource. A plan that changes anything else is not applied."),
        _("Its resource is replaced. A plan that changes anything else is not applied."),
    ),
    "by_in_place": (_("The host starts an installer, which writes the new system to its disk (%(name)s)."),),
    "source_chosen": (
        _("Its directory %(directory)s comes from %(url)s: %(what)s. The commit is decided when the operation begins."),
    ),
    "source_fixed": (_("Its directory %(directory)s comes from %(url)s, commit %(ref)s."),),
    "source_decided": _DECIDED,
    "by_hook": (_("A command of this installation deletes and makes the machine (%(name)s)."),),
    "by_webhook": (_("A webhook deletes and makes the machine (%(name)s)."),),
    "node_stays": (
        _(
            "FleetUI may not delete the node of the old machine in its cluster: it stays there. docs/kubernetes.md has the manifest."
        ),
    ),
    "machine_deleted": (
        _("The machine of %(name)s will be deleted with everything on its disks. There is no way back from that."),
    ),
    "not_replaceable": ("%(why)s",),
    "intended_changed": (
        _("The plan was made for %(before)s, and the pool intends %(now)s now. Ask again."),
        _("The pool intends another version now. Ask again."),
    ),
    "provisioner_changed": (
        _("The plan was made for the provisioner %(before)s, and the pool has %(now)s now. Ask again."),
        _("The pool has another provisioner now. Ask again."),
    ),
    "answers_again": (_("It is to be replaced only while nothing answers at its address (only_unreachable)."),),
    "pool_alone": (_("It is the only node of its pool: nothing takes its place meanwhile."),),
    "pool_none_left": (
        ngettext_lazy(
            "The %(others)d other node of its pool does not work either: nothing would take its place. %(ill)s",
            "None of the %(others)d other nodes of its pool works: nothing would take its place. %(ill)s",
            "others",
        ),
        ngettext_lazy(
            "The %(others)d other node of its pool does not work either: nothing would take its place.",
            "None of the %(others)d other nodes of its pool works: nothing would take its place.",
            "others",
        ),
    ),
    "pool_short": (
        _("%(good)s of %(others)s other nodes of its pool work. %(ill)s"),
        _("%(good)s of %(others)s other nodes of its pool work."),
        _("Not all other nodes of its pool work."),
    ),
    "pool_whole": (
        ngettext_lazy(
            "The %(good)d other node of its pool works.", "The %(good)d other nodes of its pool work.", "good"
        ),
    ),
}
#: What to do about it, where the sentence alone does not say so.
MENDS: dict[str, Promise] = {
    **{code: mend for code, (_forms, mend) in NOT_READY.items() if not isinstance(mend, str)},
    "pool_none_left": _(
        "Mend the others first, or ask again with “Also when no other node of its pool works” (ignore_pool)."
    ),
}
#: What to do about a result.
RESULT_MENDS: dict[str, Promise] = {
    **in_place.RESULT_MENDS,
    **etcd.RESULT_MENDS,
    **{code: mend for code, (_forms, mend) in NOT_READY.items() if not isinstance(mend, str)},
    "not_fetched": _("Look at its console, and whether it reaches FleetUI. Go on gives it as much time again."),
    "not_arrived": _("Look at its console. Go on gives it as much time again."),
    "note_unread": _("Go on asks it again."),
    "webhook_late": _("See there what became of it. Go on asks again under the same id."),
    "other_version": _("End this operation, and ask again."),
    "old_answers": _("Delete it, then choose Go on, which gives the new one as much time again."),
}
#: Why the new machine cannot fetch its config any more, by where its offer stands.
ENDINGS: dict[str, Promise] = {
    "revoked": _("somebody took it back"),
    "replaced": _("another one was made ready for this node"),
    "moved": _("the node is in another pool now"),
    "absent": _("it is not there any more"),
    "expired": _("its time is over"),
}
RESULTS: dict[str, Forms] = {
    **in_place.RESULTS,
    **etcd.RESULTS,
    "replaced": (
        _(
            "Replaced: generation %(generation)s was made with %(version)s, showed its host key, runs %(booted)s, and was "
            "healthy for %(seconds)s s."
        ),
        _("Replaced: generation %(generation)s was made with %(version)s, showed its host key, and is healthy."),
        _("Replaced."),
    ),
    "answers_again": (
        _("Nothing was deleted, since it is not certain that nothing answers: %(said)s"),
        _("Nothing was deleted: the machine answers again."),
    ),
    "not_offered": (_("Nothing was deleted, since the config of the new machine could not be made ready: %(said)s"),),
    "offer_over": (_("The new machine cannot fetch its config any more: %(ending)s."),),
    "hook_failed": (
        _("The command of %(name)s failed (status %(status)s): %(said)s"),
        _("The command of %(name)s failed (status %(status)s)."),
        _("The command failed."),
    ),
    "hook_no_json": (_("%(name)s answered no JSON: %(said)s"), _("%(name)s answered no JSON.")),
    "hook_no_state": (
        _("%(name)s answered without a state of replaced, working or failed: %(said)s"),
        _("%(name)s answered without a state of replaced, working or failed."),
    ),
    "hook_handle": (_("The handle that %(name)s answered is no JSON object, or is too large."),),
    "hook_address": (_("%(name)s gave an address that cannot be used: %(said)s"),),
    "webhook_refused": (_("%(name)s refused the question: %(said)s"),),
    "webhook_late": (_("%(name)s did not come to an end within %(minutes)s min. The machine may be gone."),),
    "hook_says_failed": (_("%(name)s says that it failed: %(said)s"), _("%(name)s says that it failed.")),
    "tf_init_failed": (
        _("Nothing was changed, since %(name)s could not initialise its directory: %(said)s"),
        _("Nothing was changed, since the directory could not be initialised."),
    ),
    "tf_plan_failed": (
        _("Nothing was changed, since %(name)s could not make the plan: %(said)s"),
        _("Nothing was changed, since the plan could not be made."),
    ),
    "tf_plan_unread": (
        _("Nothing was changed, since the plan of %(name)s could not be read: %(said)s"),
        _("Nothing was changed, since the plan could not be read."),
    ),
    "tf_other_changes": (
        _(
            "The plan of %(name)s would change other resources as well: %(said)s. Nothing was changed. Apply those first."
        ),
        _("The plan would change other resources as well. Nothing was changed."),
    ),
    "tf_not_planned": (
        _(
            "The plan of %(name)s does not replace %(said)s. Nothing was changed. See whether the state has this address."
        ),
        _("The plan does not replace the resource. Nothing was changed."),
    ),
    "tf_no_variable": (
        _(
            "The configuration of %(name)s has no variable “fleetui”, by which the new machine gets its config. Nothing was changed."
        ),
        _(
            "The configuration has no variable “fleetui”, by which the new machine gets its config. Nothing was changed."
        ),
    ),
    "tf_apply_failed": (
        _("%(name)s could not apply the plan: %(said)s"),
        _("The plan could not be applied."),
    ),
    "tf_cut_off": (
        _(
            "%(name)s was cut off while it applied the plan. Compare its state with what is there, then choose Go on: "
            "it plans anew."
        ),
        _("It was cut off while it applied the plan."),
    ),
    "bad_address": (_("%(name)s gave an address that cannot be used: %(address)s"),),
    "not_fetched": (
        _("Nothing has fetched the config of the new machine within %(minutes)s min."),
        _("Nothing has fetched the config of the new machine."),
    ),
    "not_arrived": (
        _("The new machine fetched its config and did not answer within %(minutes)s min: %(message)s"),
        _("The new machine fetched its config and did not answer."),
    ),
    "other_key": (
        _(
            "What answers at its address shows the host key %(fingerprint)s, and not the one that was made for the new machine. "
            "It is not trusted. See whether another machine has its address."
        ),
        _("What answers at its address shows another host key than the one that was made for the new machine."),
    ),
    "old_answers": (
        _("After %(minutes)s min the old machine still answers with its host key: it was not deleted."),
        _("The old machine still answers: it was not deleted."),
    ),
    "note_unread": (
        _("The new machine did not say in time with which config it was made: %(message)s"),
        _("The new machine did not say in time with which config it was made."),
    ),
    "other_version": (
        _("The new machine was to be made with %(version)s, and says that it was made with %(said)s."),
        _("The new machine was to be made with %(version)s, and does not say with what it was made."),
        _("The new machine was made with another version."),
    ),
    **{code: forms for code, (forms, _mend) in NOT_READY.items()},
}
#: What is there now, when it could not go on.
THERE: dict[str, Promise] = {
    "old": _("The old machine still answers with its host key."),
    "nothing": _("Nothing answers at its address."),
    "other_key": _("Something answers at its address, with another host key than the trusted one."),
    "new": _("The new machine answers."),
}
#: Results that say themselves what is there.
SAY_SO = frozenset({("old_answers", "old"), ("other_key", "other_key"), ("not_arrived", "nothing")})
REFUSALS: dict[str, Forms] = {
    "needs_planes": (
        _(
            "It is a control plane, and there are others of its cluster on which you may not ask for operations: one of "
            "them would remove its etcd member, and all would bear the loss."
        ),
    ),
    "needs_permissions": (
        _("You may not have it replaced: that needs %(permissions)s as well."),
        _("You may not have it replaced."),
    ),
    "nothing_there": (
        _("No machine was ever seen behind it: offer it a config instead (Provision the next machine)."),
    ),
    "no_pool": (_("It is in no pool, so that nothing says what it should be made with."),),
    "no_provisioner": (
        _("The pool %(pool)s has no provisioner, which makes its machines: an admin gives it one under Settings."),
        _("Its pool has no provisioner, which makes its machines."),
    ),
    "nothing_intended": (
        _("The pool %(pool)s intends no Ignition version: choose an approved one first."),
        _("Its pool intends no Ignition version."),
    ),
    "intended_not_approved": (
        _("%(version)s, which the pool %(pool)s intends, is not approved."),
        _("The version that its pool intends is not approved."),
    ),
}
LEFTOVERS: dict[str, Promise] = {"offer": _("the config that was made ready for the new machine")}


#: What of a repository is used, in a few words.
REF_KINDS: dict[str, Promise] = {
    "branch": _("branch %(ref)s"),
    "tag": _("tag %(ref)s"),
    "commit": _("that commit"),
}
#: What to do about a repository, where that is another thing than for a config that follows one.
_GIT_MENDS: dict[str, Promise] = {
    "no_branch.gone": _("Push it, or name another one."),
    "refused.key": _("Copy its public key into the deploy keys of the repository, for reading."),
    "refused.not_allowed": _("Use a repository over https or ssh."),
}


def not_ready(code: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """Why a provisioner cannot be asked, and the mend."""
    if code == "git_refused":
        return _repository(params["git"])
    forms, mend = NOT_READY[code]
    return fill(forms, worded(params)), str(mend)


#: What of a node that does not count is worded.
_OF_AXIS = ("axis", "value", "reason", "params")


def worded(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with what only words can say: what is wrong with a repository, and what of it is used."""
    found = dict(params)
    if isinstance(found.get("git"), dict):
        found["git"] = " ".join(filter(None, _repository(found["git"])))
    if found.get("ref_kind") in REF_KINDS:
        found["what"] = str(REF_KINDS[found["ref_kind"]]) % {"ref": found.get("ref", "")}
    if isinstance(found.get("ill"), list):
        found["ill"] = "; ".join(
            f"{one['name']}: {axis_sentence(*map(one.get, _OF_AXIS)).rstrip('.')}" for one in found["ill"]
        )
    return found


def _repository(detail: dict[str, object]) -> tuple[str, str]:
    """What is wrong with it, and the mend. Nothing is looked at again by itself here."""
    kind, reason = str(detail.get("kind", "")), str(detail.get("reason", ""))
    own = _GIT_MENDS.get(f"{kind}.{reason}")
    mend = mend_of(kind, reason, detail) if own is None else str(own)
    return sentence_of(kind, reason, detail), "" if mend == str(BY_ITSELF) else mend
