"""What codes say to people: axis values and reasons, host errors and timeline kinds, in the active language.

No function raises. A code without wording is shown as it is, with what is known around it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from nodes.wording.axes import AXIS_NAMES, REASONS, SENTENCES, WORDS
from nodes.wording.errors import CERTIFICATES, ERRORS, LOST, MENDS, PHASES
from nodes.wording.facts import COMMANDS, SECTIONS, UNREAD
from nodes.wording.ignition import IGNITION_STATE_WORDS
from nodes.wording.sentences import Forms, fill
from nodes.wording.timeline import FIELDS, TIMELINE

__all__ = [
    "axis_name",
    "axis_sentence",
    "axis_sentences",
    "axis_word",
    "error_mend",
    "error_sentence",
    "section_word",
    "timeline_kind",
    "timeline_kinds",
    "timeline_sentence",
    "unread_word",
    "value_sentence",
    "word_params",
]

_PARAMS_IN_WORDS: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {}


def axis_name(axis: str) -> str:
    """The heading of an axis."""
    return str(AXIS_NAMES.get(axis, axis))


def axis_word(axis: str, value: str) -> str:
    """The value of an axis in one or two words."""
    return str(WORDS.get(axis, {}).get(value, value))


def value_sentence(axis: str, value: str) -> str:
    """What a value means, whatever its reason."""
    return str(SENTENCES.get(axis, {}).get(value, value))


def axis_sentence(axis: str, value: str, reason: str = "", params: Mapping[str, Any] | None = None) -> str:
    """Why the axis has this value; without a worded reason, what the value means."""
    known = params or {}
    if axis == "reachability" and reason in ERRORS:
        return error_sentence(reason, known)
    if reason == "status_not_read":
        section, why = str(known.get("section") or ""), str(known.get("why") or "")
        known = {**known, "section": COMMANDS.get(section, section), "why": unread_word(why).lower()}
    forms = REASONS.get(axis, {}).get((value, reason))
    return fill(forms, known) if forms else value_sentence(axis, value)


def axis_sentences(axis: str, value: str, reason: str = "", params: Mapping[str, Any] | None = None) -> list[str]:
    """The sentence of the worst reason, then one for each further reason in `params["also"]`."""
    known = params or {}
    sentences = [axis_sentence(axis, value, reason, known)]
    also = known.get("also")
    for other in also if isinstance(also, list | tuple) else ():
        code, detail = (other.get("reason"), other.get("params")) if isinstance(other, Mapping) else ("", None)
        if isinstance(code, str) and code:
            sentences.append(axis_sentence(axis, value, code, detail if isinstance(detail, Mapping) else {}))
    return sentences


def section_word(name: str) -> str:
    """A section of facts as a heading."""
    return str(SECTIONS.get(name, name))


def unread_word(reason: str) -> str:
    """Why a part of what a host prints could not be read, in two or three words."""
    return str(UNREAD.get(reason, reason.replace("_", " ").capitalize()))


def error_sentence(kind: str, params: Mapping[str, Any] | None = None) -> str:
    """What failed, from the kind and the params of a host error."""
    known = dict(params or {})
    if kind == "jump_failed":
        known["inner"] = _inner_sentence(known)
    if kind == "command_failed":
        known["stderr"] = _last_line(known.get("stderr"))
    if kind == "timed_out" and (phase := PHASES.get(str(known.get("phase")))):
        return fill(phase[0], known)
    if kind == "bad_host_certificate" and (why := CERTIFICATES.get(str(known.get("reason")))):
        return fill(why[0], known)
    if kind not in ERRORS:
        return fill((_("The contact failed (%(kind)s)."),), {"kind": kind or "-"})
    return fill(ERRORS[kind], known)


def error_mend(kind: str, params: Mapping[str, Any] | None = None) -> str:
    """What to do about a host error."""
    known = params or {}
    inner = str(known.get("inner_kind"))
    if kind == "jump_failed" and inner in MENDS and inner != kind:
        return fill(MENDS[inner], {})
    if kind == "timed_out" and (phase := PHASES.get(str(known.get("phase")))):
        return fill(phase[1], known)
    if kind == "bad_host_certificate" and (why := CERTIFICATES.get(str(known.get("reason")))):
        return fill(why[1], known)
    if kind == "connection_lost" and (mend := LOST.get(str(known.get("cause")))):
        return fill(mend, known)
    return fill(MENDS.get(kind, MENDS["host_error"]), known)


def timeline_sentence(kind: str, params: Mapping[str, Any] | None = None) -> str:
    """What happened to a node. Axis values in `before` and `after` are put into words."""
    known = dict(params or {})
    axis = kind.removesuffix("_changed")
    for name in ("before", "after"):
        if axis in WORDS and isinstance(known.get(name), str):
            known[name] = axis_word(axis, known[name])
        elif axis == "ignition_state" and isinstance(known.get(name), str) and known[name] in IGNITION_STATE_WORDS:
            known[name] = str(IGNITION_STATE_WORDS[known[name]])
    if kind == "became_unreachable" and "message" not in known:
        reason = known.get("error") or known.get("reason") or known.get("kind")
        known["message"] = error_sentence(reason, known) if isinstance(reason, str) and reason in ERRORS else ""
    if kind == "os_detected" and str(known.get("version") or "") in str(known.get("name") or ""):
        # A pretty name often ends with the version.
        known["version"] = ""
    if isinstance(known.get("actor"), str):
        known["actor"] = known["actor"].partition(":")[2] or known["actor"]
    if isinstance(known.get("fields"), list):
        known["fields"] = [str(FIELDS.get(str(name), name)) for name in known["fields"]]
    if isinstance(known.get("sections"), list):
        known["sections"] = [section_word(str(name)).lower() for name in known["sections"]]
    if isinstance(known.get("units"), list) and "count" not in known:
        known["count"] = len(known["units"])
    if put := _PARAMS_IN_WORDS.get(kind):
        known |= put(known)
    if kind not in TIMELINE:
        return fill((_("Recorded: %(kind)s"),), {"kind": kind or "-"})
    return fill(TIMELINE[kind], known)


def word_params(kind: str, put: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """`put` says params of this kind in words, for those whose words stand above us."""
    _PARAMS_IN_WORDS[kind] = put


def timeline_kinds() -> list[str]:
    """Every kind that has words, in the order of a node's life."""
    return list(TIMELINE)


def timeline_kinds_saying(word: str) -> list[str]:
    """The kinds in whose sentences this word stands, in the language of the reader."""
    return [kind for kind, forms in TIMELINE.items() if _says(forms, word)]


def errors_saying(word: str) -> list[str]:
    """The kinds of errors in whose sentences it stands."""
    return [kind for kind, forms in ERRORS.items() if _says(forms, word)]


class _Blanks(dict[str, int]):
    """Stands for the parameters of a sentence; a number, since some forms count."""

    NUMBER = 10**15

    def __missing__(self, _name: str) -> int:
        return self.NUMBER


def _says(forms: Forms, word: str) -> bool:
    texts = (str(form % _Blanks()).replace(str(_Blanks.NUMBER), "") for form in forms)
    return any(word.casefold() in text.casefold() for text in texts)


def timeline_kind(kind: str) -> str:
    """A kind in two or three words, without what happened in the single case."""
    forms = TIMELINE.get(kind)
    return str(forms[-1]) if forms else kind.replace("_", " ").capitalize()


def _inner_sentence(params: Mapping[str, Any]) -> str:
    """The failure of the jump host itself; its own message is English, so a known kind goes first."""
    kind, message = params.get("inner_kind"), params.get("inner_message")
    if isinstance(kind, str) and kind in ERRORS:
        return fill(ERRORS[kind], {})
    return message if isinstance(message, str) else ""


def _last_line(stderr: object) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] if isinstance(stderr, str) else []
    return lines[-1] if lines else ""
