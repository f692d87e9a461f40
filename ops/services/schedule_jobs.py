"""What schedules can start. A job checks what it is told when a schedule is set, and starts it once per key when it is due."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleetui.access.principals import Principal
from fleetui.core.errors import InvalidInput, NotFound
from fleetui.core.text import clean
from fleetui.core.words import any_of
from ops import wording
from ops.models import BackupPolicy, OperationRequest, Schedule
from ops.services.backups.drills import request_drill
from ops.services.backups.reading import policy_at
from ops.services.backups.runs import request_backup
from ops.services.chosen import nodes_of
from ops.services.reasons import checked_reason
from ops.services.request import Answer, checked_params, request_operations
from ops.services.threshold import checked_stop_after

_FIELDS = frozenset({"kind", "params", "selector", "reason", "stop_after"})


@dataclass(frozen=True)
class Started:
    """What came of a run: the request, how many operations it made, how many nodes were refused, and why the first was."""

    request: OperationRequest | None = None
    made: int = 0
    refused: int = 0
    why: str = ""


def came_of(request: OperationRequest, made: int, refused: Sequence[Mapping[str, Any]]) -> Started:
    """`refused` as the answer of a request holds them."""
    why = ""
    if refused:
        first = refused[0]
        why = f"{first['node']}: {wording.refusal_sentence(first['code'], first.get('params'))}"[:500]
    return Started(request, made, len(refused), why)


class Job(Protocol):
    """`permission` is asked of the owner, on the schedule, when it is set and at each run."""

    permission: str

    def checked(self, task: Mapping[str, Any], *, actor: Principal) -> dict[str, Any]: ...

    def start(
        self, schedule: Schedule, task: Mapping[str, Any], *, key: str, actor: Principal, now: datetime
    ) -> Started: ...

    def words(self, task: Mapping[str, Any]) -> str: ...


class OperationJob:
    """Asks for one kind of operation on the nodes that a selector finds at that time."""

    permission = "operations.request"

    def checked(self, task: Mapping[str, Any], *, actor: Principal) -> dict[str, Any]:
        unknown = sorted(set(task) - _FIELDS)
        if unknown:
            raise InvalidInput(
                _("%(field)s is not a part of a scheduled operation.") % {"field": unknown[0]},
                field="task",
                value=unknown[0],
                mend=_("Use %(known)s.") % {"known": any_of(sorted(_FIELDS))},
            )
        kind, reason = _part(task, "kind", str), clean(_part(task, "reason", str))
        selector, params = _part(task, "selector", dict), _part(task, "params", dict)
        no_text = next((name for name, value in selector.items() if not isinstance(value, str)), None)
        if no_text is not None:
            raise InvalidInput(
                _("The filter %(name)s is not text.") % {"name": no_text},
                field="selector",
                value=selector[no_text],
                mend=_("Write it as in a query: several values are one text with commas."),
            )
        if "pool" in selector:
            raise InvalidInput(
                _("The pool of a schedule is not a filter."),
                field="selector",
                value=selector["pool"],
                mend=_("Name it in pool; leave the filter out."),
            )
        nodes_of(actor, selector, mend=_("The filters are those of the list of nodes, such as update_state."))
        found = {
            "kind": kind,
            "params": checked_params(kind, params),
            "selector": selector,
            "reason": checked_reason(reason),
        }
        if task.get("stop_after") is None:
            return found
        return {**found, "stop_after": checked_stop_after(_part(task, "stop_after", int))}

    def start(
        self, schedule: Schedule, task: Mapping[str, Any], *, key: str, actor: Principal, now: datetime
    ) -> Started:
        selector = dict(task["selector"])
        if schedule.pool is not None:
            selector["pool"] = schedule.pool.name
        answer = request_operations(
            nodes=nodes_of(actor, selector),
            kind=task["kind"],
            params=task["params"],
            reason=task["reason"],
            selector=selector,
            idempotency_key=key,
            stop_after=task.get("stop_after"),
            may_be_empty=True,
            actor=actor,
            now=now,
        )
        return came_of(answer.request, len(answer.operations), [one.as_json() for one in answer.refused])

    def words(self, task: Mapping[str, Any]) -> str:
        return str(wording.kind_word(str(task.get("kind", ""))))


#: How a part is written, by what it is.
_FORMS = {
    str: gettext_lazy("Write it as text."),
    dict: gettext_lazy("Write it as an object, such as {}."),
    int: gettext_lazy("Write it as a whole number."),
}


def _part(task: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """A part of a task; what is left out is empty."""
    found = task.get(name)
    if found is None:
        return kind()
    if not isinstance(found, kind) or isinstance(found, bool):
        raise InvalidInput(
            _("%(field)s of a scheduled operation cannot be read.") % {"field": name},
            field="task",
            value=found,
            mend=str(_FORMS[kind]),
        )
    return found


class BackupJob:
    """Makes the backup of one policy, or tries its newest one."""

    permission = "backups.run"

    def __init__(self, kind: str, request: Callable[..., Answer]) -> None:
        self._kind, self._request = kind, request

    def checked(self, task: Mapping[str, Any], *, actor: Principal) -> dict[str, Any]:
        if set(task) != {"policy"}:
            mend = _("Give policy alone: the id of one.")
            raise InvalidInput(_("A scheduled backup names its policy."), field="task", value=list(task), mend=mend)
        return {"policy": str(self._policy(task, actor).pk)}

    def start(
        self, schedule: Schedule, task: Mapping[str, Any], *, key: str, actor: Principal, now: datetime
    ) -> Started:
        answer = self._request(policy=self._policy(task, actor), idempotency_key=key, actor=actor, now=now)
        return came_of(answer.request, len(answer.operations), [one.as_json() for one in answer.refused])

    def words(self, task: Mapping[str, Any]) -> str:
        return str(wording.kind_word(self._kind))

    def _policy(self, task: Mapping[str, Any], actor: Principal) -> BackupPolicy:
        try:
            return policy_at(actor, uuid.UUID(str(task["policy"])))
        except (ValueError, NotFound) as error:
            mend = _("Delete the schedule, or add the policy again.")
            raise InvalidInput(
                _("There is no such backup policy."), field="task", value=str(task["policy"])[:40], mend=mend
            ) from error


JOBS: dict[str, Job] = {
    "operation": OperationJob(),
    "backup": BackupJob("backup", request_backup),
    "restore_drill": BackupJob("restore_drill", request_drill),
}


def job_of(name: str) -> Job:
    if name not in JOBS:
        raise InvalidInput(
            _("%(value)r is nothing that can be scheduled.") % {"value": name},
            field="job",
            value=name,
            mend=_("Use %(known)s.") % {"known": any_of(sorted(JOBS))},
        )
    return JOBS[name]
