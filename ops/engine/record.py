"""What a step said becomes the row's next state. One transaction, by compare-and-swap on the lease."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from fleetui.audit.log import Entry, append
from nodes.models import Node, TimelineEvent
from ops.actions.base import Action
from ops.actions.members import lost
from ops.actions.tidy import TIDY, leftovers, serious
from ops.models import Operation, StepRun
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.services.holds import hold_after
from ops.services.telling import tell_end
from ops.services.threshold import Threshold
from ops.states import FINAL, State, may_move

AGAIN_AFTER = timedelta(seconds=10)
_AUDITED_END = "operations.end"


class WrongTransition(RuntimeError):
    """The engine asked for a transition that the table does not have: a fault of ours."""


def record(row: Operation, lease: uuid.UUID, outcome: Outcome, action: Action, now: datetime) -> bool:
    """Write what follows from an outcome; False when the lease was lost meanwhile, and nothing was written."""
    memory = {**row.memory, **outcome.memory}
    if not isinstance(outcome, Wait) or outcome.reason not in ("unreachable", "cluster_silent"):
        memory.pop("missed", None)
    if isinstance(outcome, Wait):
        columns = _waits(row, outcome, memory)
    elif isinstance(outcome, Done):
        columns = _goes_on(row, outcome, action, memory, now)
    else:
        columns = _failed(row, outcome, memory, now)
    return _write(row, lease, {**columns, "memory": memory}, outcome, now)


def _waits(row: Operation, outcome: Wait, memory: dict[str, Any]) -> dict[str, Any]:
    same = row.wait_reason == outcome.reason
    # Where the deadline ends it, it does so then, and not at the next look, which may be a minute later.
    is_bound = row.step != TIDY and not memory.get("busy")
    state = row.state if row.state == State.CANCELLING else State.WAITING
    return {
        "state": state,
        "due_at": min(outcome.until, row.deadline) if is_bound else outcome.until,
        "wait_reason": outcome.reason,
        "wait_params": dict(outcome.params),
        **({} if same else {"wait_since": None}),
    }


_NOT_WAITING: dict[str, Any] = {"wait_reason": "", "wait_params": {}, "wait_since": None}


def _goes_on(row: Operation, outcome: Done, action: Action, memory: dict[str, Any], now: datetime) -> dict[str, Any]:
    if row.step == TIDY:
        return _end(memory)
    if outcome.skip_to == TIDY:
        turned = memory["ending"]["state"] in (State.CANCELLED, State.TIMED_OUT)
        return _to_tidy(row, memory, now, cancelling=turned)
    following = "" if outcome.finish else outcome.skip_to or action.after(row.step, row.plan)
    if following:
        return _to_step(row, following, now)
    memory["ending"] = {
        "state": State.SUCCEEDED.value,
        "result": outcome.reason or "done",
        "params": dict(outcome.params),
    }
    return _to_tidy(row, memory, now, cancelling=False)


def _to_step(row: Operation, step: str, now: datetime) -> dict[str, Any]:
    state = row.state if row.state == State.CANCELLING else State.RUNNING
    return {
        "state": state,
        "step": step,
        "step_number": row.step_number + 1,
        "attempt": 1,
        "due_at": now,
        **_NOT_WAITING,
    }


def _to_tidy(row: Operation, memory: dict[str, Any], now: datetime, *, cancelling: bool) -> dict[str, Any]:
    # Where it restarted the host is read once more, so that the inventory shows what runs.
    if not leftovers(memory) and not memory.get("after"):
        return {**_end(memory), "step": row.step}
    columns = _to_step(row, TIDY, now)
    return {**columns, "state": State.CANCELLING} if cancelling else columns


def _failed(row: Operation, outcome: Fail, memory: dict[str, Any], now: datetime) -> dict[str, Any]:
    attempt, most = max(row.attempt, 1), row.request.max_attempts
    if outcome.again and attempt < most and row.step != TIDY:
        wait = {"reason": outcome.reason, "attempt": attempt, "of": most, **outcome.params}
        return {
            "state": row.state if row.state == State.CANCELLING else State.WAITING,
            "attempt": attempt + 1,
            "due_at": now + AGAIN_AFTER * attempt,
            "wait_reason": "again",
            "wait_params": wait,
            "wait_since": None,
        }
    if memory.get("given_up") and row.step == TIDY:
        # A person has ended it already: what could not be taken back is said, and nobody is asked again.
        memory["ending"]["params"] = {**memory["ending"]["params"], "left": leftovers(memory)}
        return _end(memory)
    if outcome.attention or row.step == TIDY:
        return {
            "state": State.NEEDS_ATTENTION,
            "due_at": None,
            "result": outcome.reason,
            "result_params": {**outcome.params, **lost(memory)},
            **_NOT_WAITING,
        }
    params = {**outcome.params, **lost(memory)}
    if (memory.get("failure") or {}).get("checks") and outcome.reason != "went_back":
        # It failed on the way back: without this the sentence would not say from what.
        params["failure"] = memory["failure"]
    memory["ending"] = {"state": State.FAILED.value, "result": outcome.reason, "params": params}
    memory.pop("busy", None)
    return _to_tidy(row, memory, now, cancelling=False)


def _end(memory: dict[str, Any]) -> dict[str, Any]:
    ending = memory["ending"]
    return {
        "state": State(ending["state"]),
        "due_at": None,
        "result": ending["result"],
        "result_params": ending["params"],
        **_NOT_WAITING,
    }


def void(row: Operation, lease: uuid.UUID, now: datetime) -> bool:
    """The machine that this was decided for is not there any more: nothing further is done to the one in its place."""
    was_replaced = row.node is not None and row.node.generation != row.generation
    params: dict[str, Any] = (
        {"generation": row.generation, "now": row.node.generation} if row.node and was_replaced else {}
    )
    if not was_replaced and (left := [name for name in serious(row.memory) if name != "units"]):
        params["left"] = left
    if not was_replaced:
        params |= lost(row.memory)
    columns = {"state": State.VOID, "due_at": None, "result": "void", "result_params": params, **_NOT_WAITING}
    return _write(row, lease, columns, Done("void", params), now)


def _write(row: Operation, lease: uuid.UUID, columns: dict[str, Any], outcome: Outcome, now: datetime) -> bool:
    before, after = row.state, columns["state"]
    if after == State.CANCELLED and before in (State.RUNNING, State.WAITING):
        before = State.CANCELLING  # nothing was left on the host, so that it passed through at once
    if after != before and not may_move(before, after):
        raise WrongTransition(f"{before} -> {after}")
    if columns.get("wait_reason") and columns.get("wait_since", 0) is None:
        columns["wait_since"] = now
    if after != row.state:
        columns["state_since"] = now
    ended = after in FINAL or after == State.NEEDS_ATTENTION
    if after in FINAL:
        columns["ended_at"] = now
    threshold = Threshold(row, after)
    with transaction.atomic():
        threshold.hold_request()
        if ended and row.node_id:
            # The node before its operation, as everybody takes them: a merge or a deletion of the node has it first.
            Node.objects.filter(pk=row.node_id).keeping()
        threshold.hold_operations()
        mine = Operation.objects.filter(pk=row.pk, lease_id=lease)
        if not mine.update(**columns, lease_id=None, lease_until=None):
            return False
        _close_run(row, outcome, now)
        if ended and row.node_id:
            if row.changes:
                # Read again at once, so that no page shows what was before.
                Node.objects.filter(pk=row.node_id).update(poll_due_at=now, poll_requested_at=now)
            TimelineEvent.objects.create(
                node_id=row.node_id,
                at=now,
                kind="operation_ended",
                params={"operation": str(row.pk), "kind": row.kind, "state": str(after), "result": columns["result"]},
                actor=row.request.requester,
                generation=row.generation,
            )
        if ended:
            tell_end(row, str(after), columns["result"], now=now)
            append([_entry(row, columns), *hold_after(row, columns, now), *threshold.stop(now)])
    return True


def _close_run(row: Operation, outcome: Outcome, now: datetime) -> None:
    run = StepRun.objects.filter(operation=row, number=row.step_number, attempt=max(row.attempt, 1))
    if isinstance(outcome, Wait):
        run.update(outcome="waits", reason=outcome.reason, params=dict(outcome.params))
        return
    word = "failed" if isinstance(outcome, Fail) else "done"
    run.update(outcome=word, reason=outcome.reason, params=dict(outcome.params), ended_at=now)


def _entry(row: Operation, columns: dict[str, Any]) -> Entry:
    state = str(columns["state"])
    outcome = "done" if state == State.SUCCEEDED else "failed"
    return Entry(
        actor=row.request.requester,
        # It goes on when a person says so, and ends later.
        action="operations.ask_person" if state == State.NEEDS_ATTENTION else _AUDITED_END,
        subject=f"operation:{row.pk}",
        before={"state": str(row.state)},
        after={"state": state, "kind": row.kind, "node": row.node_name, "result": columns["result"]},
        reason=row.request.reason,
        outcome=outcome,
    )
