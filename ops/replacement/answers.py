"""What a command or a webhook answers: one JSON object that says how far it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

from fleetui.core.text import clean
from ops.replacement.base import SAID_CHARS, Broken, Progress, State

STATES: Final[Mapping[str, State]] = {"replaced": "replaced", "working": "works", "failed": "failed"}
LEAST_AGAIN_S, DEFAULT_AGAIN_S, MOST_AGAIN_S = 1.0, 10.0, 600.0
MOST_HANDLE_CHARS = 16_384
MOST_LINES = 500
MOST_ADDRESS_CHARS = 253


def read_answer(raw: bytes, lines: Sequence[str] = ()) -> Progress:
    """What `state` stands for; its `handle` is what the next question gives back. Raises Broken. `lines` go before its own."""
    try:
        answer = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Broken("hook_no_json", _text(raw.decode("utf-8", "replace")).strip()) from error
    state = answer.get("state") if isinstance(answer, dict) else None
    if not isinstance(state, str) or state not in STATES:
        raise Broken("hook_no_state", _text(raw.decode("utf-8", "replace")).strip())
    said = _text(str(answer.get("sentence") or ""))[:SAID_CHARS]
    kept = answer.get("handle") or {}
    if not isinstance(kept, dict) or not _is_kept(json.dumps(kept, ensure_ascii=False)):
        raise Broken("hook_handle", said)
    log = answer.get("log")
    told = [_text(str(line)) for line in (log if isinstance(log, list) else [])[:MOST_LINES]]
    found = Progress(STATES[state], "", said=said, handle=kept, lines=[*lines, *told])
    if found.state == "failed":
        return replace(found, code="hook_says_failed")
    if found.state == "replaced":
        return replace(found, code="replaced", address=_address(answer))
    return replace(found, code="hook_works", again_s=_again_s(answer.get("again_s")))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _text(given: str) -> str:
    """What a database can hold: an escape may stand for half a character, or for none."""
    return clean(given.encode("utf-8", "replace").decode())


def _is_kept(handle: str) -> bool:
    """Whether it comes back as it was given: PostgreSQL holds neither NUL nor half a character."""
    has_nul = "\\u0000" in handle.replace("\\\\", "")
    return len(handle) <= MOST_HANDLE_CHARS and not has_nul and handle.encode("utf-8", "replace").decode() == handle


def _again_s(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return DEFAULT_AGAIN_S
    return float(min(max(given, LEAST_AGAIN_S), MOST_AGAIN_S))


def _address(answer: Mapping[str, Any]) -> str:
    found = answer.get("address") or ""
    if not isinstance(found, str) or len(found) > MOST_ADDRESS_CHARS:
        raise Broken("hook_address", _text(str(found)))
    return _text(found).strip()
