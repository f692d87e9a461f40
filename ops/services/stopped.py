"""What queued operations say that they wait for while all starts are stopped: who stopped them, not the limits."""

from __future__ import annotations

from typing import Any

from ops.models import Operation, Stop
from ops.states import State

TURN, STOPPED = "turn", "stopped"


def say_stopped(stop: Stop) -> None:
    """For those that waited for their turn; within the transaction that holds the row of Stop."""
    params = {"by": stop.stopped_by} | ({"reason": stop.reason} if stop.reason else {})
    _say(TURN, STOPPED, params)


def say_lifted() -> None:
    """They wait for their turn again; in the transaction that lifts it."""
    _say(STOPPED, TURN, {})


def _say(before: str, after: str, params: dict[str, Any]) -> None:
    Operation.objects.filter(state=State.QUEUED, wait_reason=before).held().update(
        wait_reason=after, wait_params=params
    )
