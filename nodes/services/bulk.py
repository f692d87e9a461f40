"""One change on many nodes: in batches, each a transaction with an audit event per node, and never past one's rights."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import SYSTEM, Principal
from fleetui.audit.log import Entry, append
from fleetui.core.errors import InvalidInput
from fleetui.core.words import any_of
from nodes.models import Credential, JumpHost, Node, Pool, TimelineEvent
from nodes.services import changes as rows
from nodes.services.lifecycle import checked_until, lifecycle_columns, shown_time
from nodes.services.nodes import checked_labels, request_poll, require_on
from nodes.services.provisioning.ending import end_moved
from nodes.services.search import search_text
from nodes.services.silence import HEARD
from nodes.services.whereabouts import WHEREABOUTS, until_it_may_go, until_its_end, worked_on

NODES_AT_ONCE = 500
MOST_NODES = 50_000
ACTIONS = ("labels", "pool", "credential", "jump_host", "maintenance", "activate", "retire", "delete", "poll")
LIFECYCLE_OF = {"maintenance": "maintenance", "activate": "active", "retire": "retired"}


@dataclass
class BulkOutcome:
    """How many nodes were changed, were so already, may not be changed by this person, or were deleted meanwhile.

    Named are those that changed meanwhile, and those that cannot take the change, with the reason of the first.
    """

    changed: int = 0
    unchanged: int = 0
    not_allowed: int = 0
    gone: int = 0
    stale: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    why_refused: str = ""

    @property
    def complete(self) -> bool:
        return not (self.not_allowed or self.gone or self.stale or self.refused)


@dataclass(frozen=True)
class Change:
    """What is done to each node: `columns` gives what changes on it, or nothing when it is so already."""

    action: str
    audit: str
    columns: Callable[[Node], dict[str, Any]]
    reason: str = ""


def change_many(
    *, ids: Sequence[uuid.UUID], action: str, params: Mapping[str, Any], actor: Principal, now: datetime
) -> BulkOutcome:
    """Carry out one action on the nodes. `ids` are frozen by the caller: what was counted is what is changed.

    params: labels {set: {key: value}, remove: [key]}, pool {pool: Pool | None}, credential {credential}, jump_host
    {jump_host}, maintenance {until: datetime | None, reason}, activate, retire and delete {reason}, poll {}.
    """
    if len(ids) > MOST_NODES:
        mend = _("Select at most %(limit)s.") % {"limit": f"{MOST_NODES:,}"}
        raise InvalidInput(_("%(count)s nodes are too many at once.") % {"count": len(ids)}, field="nodes", mend=mend)
    outcome = BulkOutcome()
    ids = list(dict.fromkeys(ids))
    if action == "poll":
        for some in _slices(ids):
            _poll(some, actor, now, outcome)
        return outcome
    change = None if action == "delete" else _change(action, params, actor, now)
    reason = str(params.get("reason", ""))
    for some in _slices(ids):
        if change is None:
            _delete(some, reason, actor, outcome)
        else:
            _store(some, change, actor, now, outcome)
    return outcome


def _slices(ids: Sequence[uuid.UUID]) -> Iterator[list[uuid.UUID]]:
    for begin in range(0, len(ids), NODES_AT_ONCE):
        yield list(ids[begin : begin + NODES_AT_ONCE])


def _poll(ids: list[uuid.UUID], actor: Principal, now: datetime, outcome: BulkOutcome) -> None:
    nodes = Node.objects.filter(pk__in=ids)
    places = list(nodes.values_list("lifecycle", "pool_id"))
    where = actor.where("nodes.poll")
    outcome.gone += len(ids) - len(places)
    outcome.not_allowed += sum(not where.covers(pool) for _lifecycle, pool in places)
    # Retired nodes are not polled.
    outcome.unchanged += sum(where.covers(pool) for lifecycle, pool in places if lifecycle == "retired")
    outcome.changed += request_poll(nodes=nodes, actor=actor, now=now)


def _change(action: str, params: Mapping[str, Any], actor: Principal, now: datetime) -> Change:
    reason = str(params.get("reason", ""))
    if action == "labels":
        added, removed = checked_labels(params.get("set")), set(params.get("remove") or ())
        if not added and not removed:
            raise InvalidInput(
                _("No label is named."), field="labels", mend=_("Name labels to set as key=value, or keys to remove.")
            )
        return Change(action, "nodes.edit", lambda node: _labels(node, added, removed))
    if action == "pool":
        pool: Pool | None = params.get("pool")
        require_on(actor, "nodes.write", pool)
        poll = {"poll_due_at": now, "poll_requested_at": now, **HEARD}
        return Change(action, "nodes.edit", lambda node: {} if node.pool == pool else {"pool": pool, **poll})
    if action in ("credential", "jump_host"):
        # Null: what the pool says.
        way: Credential | JumpHost | None = params.get(action)
        poll = {"poll_due_at": now, "poll_requested_at": now, **HEARD}
        return Change(action, "nodes.edit", lambda node: {} if getattr(node, action) == way else {action: way, **poll})
    if action in LIFECYCLE_OF:
        until = checked_until(params.get("until"), now) if action == "maintenance" else None
        wanted = LIFECYCLE_OF[action]
        if params.get("if_over"):
            return Change(
                action,
                "nodes.set_lifecycle",
                lambda node: lifecycle_columns(node, wanted, None, reason, now) if _is_over(node, now) else {},
                reason,
            )
        return Change(
            action, "nodes.set_lifecycle", lambda node: lifecycle_columns(node, wanted, until, reason, now), reason
        )
    mend = _("Use %(known)s.") % {"known": any_of(ACTIONS)}
    raise InvalidInput(_("%(value)r is not an action.") % {"value": action}, field="action", value=action, mend=mend)


def _is_over(node: Node, now: datetime) -> bool:
    """Whether its maintenance has ended: somebody may have prolonged it since it was found."""
    until = node.maintenance_until
    return node.lifecycle == "maintenance" and until is not None and until <= now


def _labels(node: Node, added: Mapping[str, str], removed: set[str]) -> dict[str, Any]:
    labels = {key: value for key, value in {**node.labels, **added}.items() if key not in removed}
    return {} if labels == node.labels else {"labels": checked_labels(labels)}


_TOLD = ("labels", "pool", "credential", "jump_host", "lifecycle", "maintenance_until")


def _store(ids: list[uuid.UUID], change: Change, actor: Principal, now: datetime, outcome: BulkOutcome) -> None:
    where = actor.where("nodes.write")
    entries, events, moved = [], [], []
    with transaction.atomic():
        found = Node.objects.filter(pk__in=ids).held()
        nodes = list(found.select_related("pool__cluster", "credential", "jump_host").order_by("name"))
        busy = worked_on([node.pk for node in nodes]) if change.action in WHEREABOUTS else {}
        outcome.gone += len(ids) - len(nodes)
        for node in nodes:
            if not where.covers(node.pool_id):
                outcome.not_allowed += 1
                continue
            try:
                columns = change.columns(node)
            except InvalidInput as error:
                outcome.refused.append(node.name)
                outcome.why_refused = outcome.why_refused or error.message
                continue
            if not columns:
                outcome.unchanged += 1
                continue
            if node.pk in busy:
                outcome.refused.append(node.name)
                outcome.why_refused = outcome.why_refused or f"{busy[node.pk]} {until_its_end()}"
                continue
            before = {name: _plain(getattr(node, name)) for name in _TOLD if name in columns}
            for name, value in columns.items():
                setattr(node, name, value)
            same = Node.objects.filter(pk=node.pk, revision=node.revision)
            if not same.update(**columns, search_text=search_text(node), revision=node.revision + 1):
                outcome.stale.append(node.name)
                continue
            after = {name: _plain(columns[name]) for name in before}
            subject = f"node:{node.name}"
            entries.append(Entry(str(actor), change.audit, subject, before=before, after=after, reason=change.reason))
            events.append(_event(node, change, before, actor, now))
            if "pool" in before:
                moved.append(node.pk)
            outcome.changed += 1
        TimelineEvent.objects.bulk_create(events)
        if moved:
            end_moved(moved, now, actor=str(actor))
        append(entries)


def _event(node: Node, change: Change, before: Mapping[str, Any], actor: Principal, now: datetime) -> TimelineEvent:
    kind = "node_edited"
    params: dict[str, Any] = {"fields": list(before)}
    if change.audit == "nodes.set_lifecycle":
        kind = "lifecycle_changed"
        params = {"before": before.get("lifecycle"), "after": node.lifecycle, "reason": change.reason}
    return TimelineEvent(node=node, at=now, kind=kind, params=params, actor=str(actor), generation=node.generation)


def _plain(value: Any) -> Any:
    return rows.shown(shown_time(value))


def _delete(ids: list[uuid.UUID], reason: str, actor: Principal, outcome: BulkOutcome) -> None:
    where = actor.where("nodes.write")
    with transaction.atomic():
        # Locked, so that what is audited is what is deleted, where it stands at this moment.
        rows_now = Node.objects.select_for_update(of=("self",)).filter(pk__in=ids)
        # By id, as polls take them: by another order the two would wait crosswise.
        nodes = sorted(rows_now.select_related("pool", "credential").order_by("pk"), key=lambda node: node.name)
        allowed = [node for node in nodes if where.covers(node.pool_id)]
        busy = worked_on([node.pk for node in allowed])
        mine = [node for node in allowed if node.pk not in busy]
        for node in allowed:
            if node.pk in busy:
                outcome.refused.append(node.name)
                outcome.why_refused = outcome.why_refused or f"{busy[node.pk]} {until_it_may_go()}"
        entries = [
            Entry(
                str(actor),
                "nodes.delete",
                f"node:{node.name}",
                before={name: rows.shown(getattr(node, name)) for name in ("address", "port", "pool", "labels")},
                reason=reason,
            )
            for node in mine
        ]
        Node.objects.filter(pk__in=[node.pk for node in mine]).delete()
        append(entries)
    outcome.changed += len(mine)
    outcome.not_allowed += len(nodes) - len(allowed)
    outcome.gone += len(ids) - len(nodes)


def end_maintenance(now: datetime) -> int:
    """Put nodes whose maintenance has ended back into service. Two workers at once do it once."""
    due = Node.objects.filter(lifecycle="maintenance", maintenance_until__lte=now)
    params = {"reason": "The time of the maintenance is over.", "if_over": True}
    ended = 0
    while ids := list(due.order_by("pk").values_list("pk", flat=True)[:NODES_AT_ONCE]):
        changed = change_many(ids=ids, action="activate", params=params, actor=SYSTEM, now=now).changed
        ended += changed
        if not changed:
            # Another worker is at them.
            break
    return ended
