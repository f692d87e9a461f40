"""A guided restore as people see it, and what they say to it: go on, it is done, go back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from fleetui.core.words import any_of
from ops.actions.restore import BACK, GO_BACK, PERMISSION, RESTORE, RESTORE_KINDS, asks
from ops.actions.tidy import TIDY
from ops.backups.guide import BY_HAND, Guide
from ops.models import Attachment, Operation, Restore
from ops.states import ACTIVE, FINAL, State

WHAT: Final = ("go_on", "done", GO_BACK)


@dataclass(frozen=True)
class OnHost:
    """A task on one host: what is typed there, whether it was, and what it printed."""

    host: str
    commands: tuple[str, ...]
    is_done: bool
    printed: str = ""


@dataclass(frozen=True)
class Task:
    """`state` is done, now or to_come; `asks` what a person says before it: go_on, done, or nothing."""

    code: str
    state: str
    asks: str
    on: tuple[OnHost, ...]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """`asks` is what it waits for now. `stand` is what is on each host, as it was last looked at."""

    restore: Restore
    guide: Guide
    tasks: tuple[Task, ...]
    step: str
    asks: str
    may_go_back: bool
    is_changed: bool
    folders: Mapping[str, str]
    stand: Mapping[str, Mapping[str, Any]]


def restore_at(operation: Operation) -> Restore:
    """The restore of an operation; of one that only keeps a host, the restore that it does so for."""
    found = Restore.objects.filter(operation__request=operation.request_id).select_related("policy", "run", "operation")
    row: Restore | None = found.first() if operation.kind in RESTORE_KINDS else None
    if row is None:
        raise NotFound(_("This operation restores nothing."), mend=_("Look at its kind."))
    return row


def guide_of(restore: Restore) -> Shown:
    """Two queries."""
    row = restore.operation
    memory: Mapping[str, Any] = row.memory
    guide = Guide.of(row.plan["restore"], memory.get("members"))
    printed = dict(Attachment.objects.filter(operation=row, kind="restore_said").values_list("title", "text"))
    did: Mapping[str, Any] = memory.get("did") or {}
    order = [step.name for step in RESTORE.steps_of(row.plan)]
    order += [BACK] if row.step == BACK or BACK in did else []
    here = _place(row, order, did)
    tasks = []
    for number, code in enumerate(order):
        on = tuple(_on_host(guide, code, name, did, printed) for name in guide.places(code))
        # Who went back has left out what came between.
        is_passed = number < here and (BACK not in order or set(guide.places(code)) <= set(did.get(code, ())))
        state = "done" if is_passed else "now" if number == here else "to_come"
        lines = () if on else tuple(line for one in guide.tasks().get(code, ()) for line in one.lines)
        tasks.append(Task(code, state, "" if code == BACK else asks(guide, code), on, lines))
    return Shown(
        restore=restore,
        guide=guide,
        tasks=tuple(tasks),
        step=order[here] if here < len(order) else "",
        asks=_asked_now(row),
        may_go_back=_may_go_back(row, guide, restore),
        is_changed=bool(memory.get("changed")),
        folders={one.name: guide.folder(row.pk.hex, one.name) for one in guide.hosts},
        stand=memory.get("stand") or {},
    )


def _place(row: Operation, order: list[str], did: Mapping[str, Any]) -> int:
    """How many tasks are behind it."""
    if row.step in order:
        return order.index(row.step) + (row.state == State.SUCCEEDED)
    if row.state == State.SUCCEEDED or (row.memory.get("ending") or {}).get("state") == State.SUCCEEDED:
        return len(order)
    return max((order.index(code) + 1 for code in did if code in order), default=0)


def _on_host(guide: Guide, code: str, name: str, did: Mapping[str, Any], printed: Mapping[str, str]) -> OnHost:
    step = guide.step(code, name)
    return OnHost(name, step.lines if step else (), name in did.get(code, ()), printed.get(f"{name}: {code}", ""))


def _asked_now(row: Operation) -> str:
    if row.state == State.NEEDS_ATTENTION:
        return "go_on"
    found = {"restore_asks_go_on": "go_on", "restore_asks_done": "done", "restore_not_opened": "done"}
    return found.get(row.wait_reason, "") if row.state == State.WAITING else ""


def _may_go_back(row: Operation, guide: Guide, restore: Restore) -> bool:
    is_open = row.state in ACTIVE and row.step not in (BACK, TIDY) and GO_BACK not in restore.confirmed
    return is_open and guide.back is not None and bool(row.memory.get("changed"))


def tell(
    *, operation: Operation, what: str, step: str = "", actor: Principal, now: datetime, reason: str = ""
) -> Restore:
    """What a person says; the operation looks at once. `step` is what they saw: another one by now is a conflict."""
    restore = restore_at(operation)
    row = restore.operation
    require(actor, PERMISSION, row)
    if what not in WHAT:
        mend = _("Use %(known)s.") % {"known": any_of(WHAT)}
        raise InvalidInput(_("This is nothing to say to a restore."), field="what", value=what, mend=mend)
    with transaction.atomic():
        row = Operation.objects.select_for_update(of=("self",)).select_related("request").get(pk=row.pk)
        restore = Restore.objects.select_related("policy", "run", "operation").get(pk=restore.pk)
        if row.state in FINAL or (step and step != row.step) or not _fits(row, restore, what):
            raise Conflict(
                _("The restore does not wait for this now."), mend=_("Read it again: it says what it waits for.")
            )
        key = GO_BACK if what == GO_BACK else row.step
        restore.confirmed = {**restore.confirmed, key: {"by": str(actor), "at": now.isoformat()}}
        restore.save(update_fields=["confirmed"])
        if row.due_at is not None:
            # A step at work looks again by itself; what rests is due now.
            Operation.objects.filter(pk=row.pk, lease_id=None).update(due_at=now)
        stopped = Operation.objects.filter(pk=row.pk, state=State.NEEDS_ATTENTION)
        stopped.update(state=State.RUNNING, state_since=now, due_at=now, result="", result_params={})
        after = {"what": what, "step": row.step, "kind": row.kind, "node": row.node_name}
        append([Entry(str(actor), "operations.confirm", f"operation:{row.pk}", after=after, reason=reason)])
    return Restore.objects.select_related("policy", "run", "operation").get(pk=restore.pk)


def _fits(row: Operation, restore: Restore, what: str) -> bool:
    guide = Guide.of(row.plan["restore"], row.memory.get("members"))
    if what == GO_BACK:
        return _may_go_back(row, guide, restore)
    if row.state == State.NEEDS_ATTENTION:
        return what == "go_on"
    asked = "" if row.step in (BACK, TIDY) else asks(guide, row.step)
    is_heard = row.step in restore.confirmed and row.step not in BY_HAND
    return row.state == State.WAITING and asked == what and not is_heard
