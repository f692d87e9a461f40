"""What the codes of operations say to people: states, kinds, steps, waits, results, checks, log notes and refusals."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from nodes.wording import error_mend, error_sentence, timeline_sentence
from nodes.wording.sentences import Sentence, fill
from ops.actions.base import ParamsRefused
from ops.wording import backups, kubernetes, pool_checks, replacement, restoring
from ops.wording.checks import CHECKS
from ops.wording.refusals import MISSING_PARAM, PARAM_PROBLEMS, REFUSALS
from ops.wording.replace_policy import STANDINGS
from ops.wording.results import ASKED, LEFTOVERS, MENDS, RESULTS, SO_NOW
from ops.wording.steps import NOTES, STEPS, TURNS, WAITS
from ops.wording.words import ATTACHMENTS, CHANGES, FACTS, HOLDS, KINDS, STATES

__all__ = [
    "attachment_word",
    "change_word",
    "check_problem",
    "check_sentence",
    "ended_in_words",
    "fact_word",
    "hold_sentence",
    "kind_word",
    "note_sentence",
    "param_problem",
    "policy_sentence",
    "pool_check_sentence",
    "pool_check_word",
    "refusal_sentence",
    "result_sentence",
    "state_word",
    "step_word",
    "wait_sentence",
]


def kind_word(kind: str) -> str:
    """What kind of operation it is, as a verb."""
    return str(KINDS.get(kind, kind))


def state_word(state: str) -> str:
    """A state in one or two words."""
    return str(STATES.get(state, state))


def ended_in_words(params: Mapping[str, Any]) -> dict[str, str]:
    """The params of the event of the timeline that an operation ended."""
    return {"kind": kind_word(str(params.get("kind") or "")), "state": state_word(str(params.get("state") or ""))}


def step_word(step: str) -> str:
    """What a step does."""
    known = step if step in STEPS else step.removeprefix("back_")
    return str(STEPS[known]) if known in STEPS else step


def wait_sentence(reason: str, params: Mapping[str, Any] | None = None) -> str:
    """What it waits for."""
    known = _contact_in_words(_worded(params or {}))
    if "until" in known:
        known["until"] = _moment(str(known["until"]))
    if reason == "stopped" and "by" in known:
        known["by"] = _who(known["by"])
    if reason == "turn" and known.get("scope") in TURNS:
        known["limit"] = str(TURNS[known["scope"]] % known)
        if not known.get("nodes"):
            known.pop("nodes", None)
    if reason == "cluster_silent":
        known["why"] = kubernetes.problem(str(known.get("kind", "")), known)[0]
    if reason == "not_healthy_yet":
        known["why"] = _sentences(known)
    if reason == "again":
        known["why"] = result_sentence(str(known.get("reason", "")), known).rstrip(".")
    return fill(WAITS[reason], known) if reason in WAITS else fill((_("Waits (%(code)s)."),), {"code": reason or "-"})


def _moment(text: str) -> str:
    """A time as pages show it: in the zone of whoever reads, to the second."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


def result_sentence(result: str, params: Mapping[str, Any] | None = None) -> str:
    """How it ended, and why."""
    known = _contact_in_words(_worded(params or {}))
    if result.startswith("target_") and (code := result.removeprefix("target_")) in backups.TARGETS:
        return " ".join(backups.target_problem(code, str(known.get("said", ""))))
    if result in ("preflight", "unhealthy", "went_back", "back_failed"):
        known["why"] = _sentences(known)
    if result in ("cancelled", "rejected"):
        known["reason"] = str(known.get("reason", "")).rstrip(".")
        known["by"] = _who(known.get("by"))
    if result == "healthy" and not known.get("seconds"):
        known.pop("seconds", None)  # it was looked at once
    if result == "refreshed":
        told = [timeline_sentence(one["kind"], one.get("params")) for one in known.get("changes") or []]
        known["what"] = "; ".join(told)
    if result == "ended_by_person":
        before = str(known.get("before", ""))
        # What was asked of a person then is not asked any more.
        then = {**(known.get("known") or {}), "asks": None, "is_over": True}
        # Its end says what is so now.
        known["why"] = Sentence(result_sentence(before, then)) if before else "–"
        known["by"] = _who(known.get("by"))
        known["reason"] = str(known.get("reason", "")).rstrip(".")
        left = known.get("left") or []
        known |= {"what": _leftovers(left), "cordon_goes": "cordon" in left}
        result = "ended_with_rest" if known["what"] else result
    if result == "void" and known.get("left"):
        known["what"] = _leftovers(known["left"])
    if result in ("left_behind", "not_taken_back", "contact_refused"):
        what = known.get("what") or []
        known["what"] = _leftovers(what.split(", ") if isinstance(what, str) else what)
    if result == "contact_refused" and known.get("is_over"):
        known.pop("what")  # it is told as what is left now
    if result in ("cluster_refused", "not_uncordoned"):
        known["why"], known["mend"] = kubernetes.problem(str(known.get("kind", "")), known)
    if result == "drill_differs":
        known["what"] = str(backups.DIFFERENCES.get(str(known.get("what", "")), known.get("what", "")))
    if result == "offer_over":
        known["ending"] = str(replacement.ENDINGS.get(str(known.get("ending", "")), known.get("ending", "")))
    if (result, known.get("there")) in replacement.SAY_SO:
        known.pop("there")
    if result == "deadline":
        known["why"] = wait_sentence(str(known.get("waited_for", "")), known)
        result = "deadline_untouched" if known.pop("untouched", False) else result
    if result in replacement.RESULT_MENDS:
        return _joined(fill(RESULTS[result], known), str(replacement.RESULT_MENDS[result]), *_so_now(known))
    if result not in RESULTS:
        return fill((_("Ended (%(code)s)."),), {"code": result or "-"})
    asked = [str(ASKED[result])] if result in ASKED and not known.get("is_over") else []
    if result == "contact_refused" and (known.get("what") or not known.get("restarts")):
        asked = []
    return _joined(fill(RESULTS[result], known), *asked, *_so_now(known))


def _worded(params: Mapping[str, Any]) -> dict[str, Any]:
    return restoring.worded(replacement.worded(backups.worded(params)))


def _contact_in_words(known: dict[str, Any]) -> dict[str, Any]:
    """What a contact failed with, in the language of whoever reads it. Older records hold it in English alone."""
    error = known.get("error")
    if "message" in known and isinstance(error, dict):
        known["message"] = error_sentence(str(known.get("kind", "")), error)
        if "mend" in known:
            known["mend"] = error_mend(str(known.get("kind", "")), error)
    return known


def _who(actor: Any) -> str:
    """Who acted, as pages name people: `anna`, `anna/ci` for a token of hers, and FleetUI itself."""
    kind, _colon, name = str(actor or "").partition(":")
    return "FleetUI" if kind == "system" else name or kind


def _joined(first: str, *others: str) -> str:
    """One after the other. What a host or a program said at the end of the first has not always a full stop."""
    if others and first and first[-1] not in ".!?:;":
        first = _("%(sentence)s.") % {"sentence": first}
    return " ".join([first, *others])


def _so_now(known: Mapping[str, Any]) -> list[str]:
    """What is so now on a host whose operation was ended before its end."""
    failure = known.get("failure") or {}
    found = {
        "untouched": {} if known.get("untouched") else None,
        "was_to_go_back": {**failure, "why": _sentences(failure)} if failure else None,
        "rolls_out": {"name": known["rolls_out"]} if known.get("rolls_out") else None,
        "runs": {"version": known["runs"]} if known.get("runs") and not known.get("runs_with") else None,
        "runs_arguments": {} if known.get("runs_with") == "kargs" else None,
        "taken_back": {"what": _leftovers(known["taken_back"])} if known.get("taken_back") else None,
        "asks": {} if known.get("asks") else None,
        "went_no_further": {} if known.get("asks") is False else None,
        "cordon_goes": {} if known.get("cordon_goes") else None,
        "machine_stays": {} if known.get("machine_stays") else None,
        "machine_new": {} if known.get("machine_new") else None,
    }
    told = [fill((SO_NOW[code],), params) for code, params in found.items() if params is not None]
    if known.get("there") in replacement.THERE:
        told.append(str(replacement.THERE[known["there"]]))
    return [*told, fill((SO_NOW["etcd_gone"],), known)] if known.get("etcd_gone") else told


def _sentences(params: Mapping[str, Any]) -> str:
    """What the checks found that stood against it, and what to do about that."""
    checks = params.get("checks")
    told = []
    for one in checks if isinstance(checks, list) else []:
        told.append(check_sentence(one["code"], one.get("params")))
        told.extend(str(mend) for mend in (MENDS.get(one["code"]),) if mend is not None)
    return " ".join(told)


def _leftovers(names: Sequence[str]) -> str:
    return ", ".join(str(LEFTOVERS.get(name, name)) for name in names)


def check_sentence(code: str, params: Mapping[str, Any] | None = None) -> str:
    """What a check found."""
    known = replacement.worded(params or {})
    if code == "cluster_silent":
        known["why"] = kubernetes.problem(str(known.get("kind", "")), known)[0]
    if code == "not_replaceable":
        known["why"] = refusal_sentence(str(known.get("refused", "")), known)
    return fill(CHECKS[code], known) if code in CHECKS else code


def refusal_sentence(code: str, params: Mapping[str, Any] | None = None) -> str:
    """Why nothing can be done to a node."""
    known = dict(params or {})
    if "since" in known:
        known["since"] = _moment(str(known["since"]))
    if code == "held" and known.get("held_why") in ("rolled_back", "went_back", "fell_back"):
        # What was given as the reason then is that of the operation, and says nothing of why it is held back.
        known["what"] = HOLDS[known["held_why"]]
    if code == "busy" and "kind" in known:
        known |= {"kind": kind_word(str(known["kind"])), "state": state_word(str(known.get("state", ""))).lower()}
    return fill(REFUSALS[code], known) if code in REFUSALS else code


def policy_sentence(code: str, params: Mapping[str, Any]) -> str:
    """Where a node that does not answer stands with the policy of its pool."""
    known = dict(params)
    if code == "answers":
        known["why"] = error_sentence(str(known["kind"]), known["error"])
    if code == "refused":
        known["why"] = refusal_sentence(str(known["code"]), known["params"])
    if code == "blocked":
        known["why"] = _sentences(known)
    if code == "most_per_day":
        known["until"] = _moment(known["at"].isoformat())
    return fill(STANDINGS[code], known)


def attachment_word(kind: str, title: str = "") -> str:
    """What was kept of a host."""
    if kind == "restore_said":
        host, _colon, task = title.partition(": ")
        title = f"{host}: {step_word(task)}"
    return fill(ATTACHMENTS[kind], {"title": title}) if kind in ATTACHMENTS else kind


def change_word(change: str) -> str:
    """How a package changed."""
    return str(CHANGES.get(change, change))


def fact_word(name: str) -> str:
    """A fact that is compared before and after: `version`, or `disk /boot`."""
    kind, _space, mount = name.partition(" ")
    return fill((FACTS[kind],), {"mount": mount}) if kind in FACTS else name


def hold_sentence(why: str) -> str:
    """Why a version is held back."""
    return str(HOLDS.get(why, why))


def note_sentence(code: str, params: Mapping[str, Any] | None = None) -> str:
    """A line of the log that FleetUI itself says."""
    known = _worded(params or {})
    if code.startswith("check_"):
        return check_sentence(str(known.get("check", "")), known)
    if code == "step_started":
        known["step"] = step_word(str(known.get("step", "")))
    if code in ("kept", "not_kept"):
        known["what"] = attachment_word(str(known.get("kind", "")), str(known.get("title", "")))
    if isinstance(known.get("command"), list):
        known["command"] = shlex.join(map(str, known["command"]))
    return fill(NOTES[code], known) if code in NOTES else code


def param_problem(error: ParamsRefused) -> tuple[str, str]:
    """What is wrong with a parameter, and the mend."""
    sentence, mend = PARAM_PROBLEMS.get(error.code, PARAM_PROBLEMS["unknown_param"])
    if error.params.get("value") in ("", "None"):
        sentence = MISSING_PARAM
    known = {"field": error.field, **error.params}
    return fill((sentence,), known), fill((mend,), known)


def pool_check_word(kind: str) -> str:
    """A kind of check in a word or two."""
    return str(pool_checks.KINDS.get(kind, kind))


def pool_check_sentence(kind: str, params: Mapping[str, Any]) -> str:
    """What a check of a pool asks for."""
    return fill(pool_checks.ASKS[kind], params) if kind in pool_checks.ASKS else kind


def check_problem(field: str, code: str, value: str) -> tuple[str, str]:
    """What is wrong with a check of a pool, and the mend."""
    sentence, mend = pool_checks.PROBLEMS[code]
    known = {"field": field, "value": value or "–"}
    return fill((sentence,), known), fill((mend,), known)
