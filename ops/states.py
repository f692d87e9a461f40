"""The states of an operation and the one table of how it may move between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where an operation stands. The value is what API and filters use; it never changes its meaning."""

    REQUESTED = "requested"
    AWAITING_APPROVAL = "awaiting_approval"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    NEEDS_ATTENTION = "needs_attention"
    VOID = "void"


_S = State
#: From each state, where it may go. docs/operations.md draws this table, and a test compares the two.
TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    _S.REQUESTED: frozenset({_S.AWAITING_APPROVAL, _S.QUEUED, _S.CANCELLED, _S.VOID}),
    _S.AWAITING_APPROVAL: frozenset({_S.QUEUED, _S.CANCELLED, _S.TIMED_OUT, _S.VOID}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.CANCELLED, _S.TIMED_OUT, _S.VOID}),
    _S.RUNNING: frozenset(
        {_S.WAITING, _S.CANCELLING, _S.SUCCEEDED, _S.FAILED, _S.TIMED_OUT, _S.NEEDS_ATTENTION, _S.VOID}
    ),
    _S.WAITING: frozenset(
        {_S.RUNNING, _S.CANCELLING, _S.SUCCEEDED, _S.FAILED, _S.TIMED_OUT, _S.NEEDS_ATTENTION, _S.VOID}
    ),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.SUCCEEDED, _S.FAILED, _S.TIMED_OUT, _S.NEEDS_ATTENTION, _S.VOID}),
    _S.NEEDS_ATTENTION: frozenset({_S.RUNNING, _S.CANCELLING, _S.FAILED, _S.VOID}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.TIMED_OUT: frozenset(),
    _S.VOID: frozenset(),
}

FINAL: Final = frozenset(state for state, onward in TRANSITIONS.items() if not onward)
#: These keep the exclusive place of a change on its subject. `needs_attention` does until a person resolves it.
ACTIVE: Final = frozenset(State) - FINAL
#: These are worked on by the engine when they are due.
WORKED: Final = frozenset({_S.RUNNING, _S.WAITING, _S.CANCELLING})
#: These wait for a decision or for their turn, and have touched nothing.
UNTOUCHED: Final = frozenset({_S.REQUESTED, _S.AWAITING_APPROVAL, _S.QUEUED})
#: These have begun and not ended.
STARTED: Final = ACTIVE - UNTOUCHED


def may_move(before: str, after: str) -> bool:
    """Whether the table has this transition."""
    return State(after) in TRANSITIONS[State(before)]
