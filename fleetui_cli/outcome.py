"""Waiting for operations, following their logs, and the code that they end with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fleetui_cli.api import TIMEOUT_S, Api
from fleetui_cli.codes import Code, Problem
from fleetui_cli.show import as_json, clean, local, out, tell

WAIT_S = 60
LOG_EVERY_S = 1.0
NEWS_EVERY_S = 10
BULK_EVERY_S = 2.0
#: A server that restarts or is upgraded is away for minutes, and what is watched goes on meanwhile.
PATIENCE_S = 600.0
AWAY_EVERY_S = 5.0
Show = Callable[[Mapping[str, Any]], None]


class Clock:
    """The time that may still be waited; None is for ever."""

    def __init__(self, timeout_s: float | None) -> None:
        self._end = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        return float("inf") if self._end is None else self._end - time.monotonic()

    def pause(self, seconds: float) -> None:
        """Raises Problem when the time is over."""
        if self.left_s <= 0:
            raise Problem(Code.TIMEOUT, "The time to wait is over; what was asked for goes on.")
        time.sleep(max(min(seconds, self.left_s), 0.0))


def is_over(operation: Mapping[str, Any]) -> bool:
    """Ended, or in need of a person: nothing more happens by itself."""
    return bool(operation["is_final"]) or operation["state"] == "needs_attention"


def code_of(states: Mapping[str, int] | Sequence[str]) -> Code:
    """What needs a person first, then what did not succeed."""
    found = set(states)
    if "needs_attention" in found:
        return Code.ATTENTION
    return Code.FAILED if found - {"succeeded"} else Code.DONE


class News:
    """What an operation waits for, said whenever that is another thing than before."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._said, self._is_quiet = "", is_quiet

    def say(self, operation: Mapping[str, Any]) -> None:
        waits_for = str(operation.get("waits_for") or "")
        if waits_for and waits_for != self._said and not self._is_quiet:
            tell(sentence(operation))
        self._said = waits_for or self._said


def _patient(api: Api, clock: Clock, path: str, query: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Any:
    """An answer about what is watched. A server that is away is asked again for so long, and that is said once."""
    away_since: float | None = None
    while True:
        try:
            found = api.get(path, query, timeout_s=timeout_s)
        except Problem as problem:
            if problem.code is not Code.UNREACHABLE:
                raise
            now = time.monotonic()
            if away_since is None:
                away_since = now
                minutes = int(PATIENCE_S // 60)
                tell(f"{clean(problem)} It is asked again for {minutes} minutes; what was asked for goes on.")
            if now - away_since >= PATIENCE_S:
                raise
            clock.pause(AWAY_EVERY_S)
        else:
            if away_since is not None:
                tell("It answers again.")
            return found


def wait_for_one(api: Api, operation_id: str, clock: Clock, *, is_json: bool = False) -> dict[str, Any]:
    """The operation when it is over. The server holds the answer, so that its end is known at once."""
    news = News(is_quiet=is_json)
    while True:
        seconds = int(max(min(WAIT_S if is_json else NEWS_EVERY_S, clock.left_s), 0))
        began = time.monotonic()
        found: dict[str, Any] = _patient(
            api, clock, f"operations/{operation_id}/", {"wait": str(seconds)}, timeout_s=seconds + TIMEOUT_S
        )
        if is_over(found):
            return found
        news.say(found)
        # The server answers at once when all its places to wait are taken.
        clock.pause(BULK_EVERY_S if time.monotonic() - began < seconds / 2 or seconds == 0 else 0.0)


def wait_for_bulk(api: Api, request_id: str, clock: Clock, *, is_quiet: bool = False) -> dict[str, Any]:
    """The request when all of its operations are over; says how far it is whenever that changes."""
    last = ""
    while True:
        found: dict[str, Any] = _patient(api, clock, f"operations/bulk/{request_id}/", {})
        said = progress(found["states"])
        if said != last and not is_quiet:
            tell(said)
        last = said
        going = sum(count for state, count in found["states"].items() if state not in _OVER)
        if not going:
            return found
        clock.pause(BULK_EVERY_S)


_OVER = {"succeeded", "failed", "cancelled", "timed_out", "void", "needs_attention"}


def progress(states: Mapping[str, int]) -> str:
    """ "12 of 50 over: 11 succeeded, 1 failed; 3 running, 35 queued"."""
    total, over = sum(states.values()), sum(count for state, count in states.items() if state in _OVER)
    words = [f"{count} {state.replace('_', ' ')}" for state, count in sorted(states.items(), key=lambda one: -one[1])]
    return f"{over} of {total} over: {', '.join(words)}"


def follow(api: Api, operation_id: str, clock: Clock, *, is_json: bool, after: int = 0) -> dict[str, Any]:
    """Print the log as it is written, and while it is silent what is waited for; gives the operation when it is over."""
    shown: Show = _json_line if is_json else _text_line
    news, asked_at = News(is_quiet=is_json), time.monotonic()
    while True:
        found = _patient(api, clock, f"operations/{operation_id}/log/", {"after": str(after)})
        for line in found["lines"]:
            shown(line)
        after = found["after"]
        if not found["lines"] and (found["is_final"] or found["state"] == "needs_attention"):
            return dict(_patient(api, clock, f"operations/{operation_id}/", {}))
        if found["lines"]:
            asked_at = time.monotonic()
        else:
            if not is_json and time.monotonic() - asked_at >= NEWS_EVERY_S:
                news.say(_patient(api, clock, f"operations/{operation_id}/", {}))
                asked_at = time.monotonic()
            clock.pause(LOG_EVERY_S)


def _json_line(line: Mapping[str, Any]) -> None:
    as_json(line, is_line=True)


def _text_line(line: Mapping[str, Any]) -> None:
    mark = {"note": "*", "err": "!"}.get(line["stream"], " ")
    for each in str(line["text"]).rstrip("\n").split("\n"):
        out(f"{local(line['at'], '%H:%M:%S')} {mark} {clean(each)}")


def sentence(operation: Mapping[str, Any]) -> str:
    """Node, state, and how it ended or what it waits for."""
    told = operation.get("result_sentence") or operation.get("waits_for") or ""
    state = str(operation["state"]).replace("_", " ")
    asked = " Cancelling was asked for." if operation.get("cancel_requested_at") and not operation["is_final"] else ""
    return f"{clean(operation['node'])}: {state}{'. ' + clean(told) if told else ''}{asked}"
