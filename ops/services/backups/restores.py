"""Guided restores that are asked for: one operation that carries it out, and one that keeps each other host from other work."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.chain import canonical
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from nodes.models import Node
from ops import actions, wording
from ops.actions.restore import PERMISSION, RESTORE, RESTORE_BESIDE
from ops.backups.guide import KINDS, Guide
from ops.models import BackupPolicy, BackupRun, Operation, OperationRequest, Restore
from ops.services.approve import Needed, needed_for
from ops.services.backups.restoring import restore_of
from ops.services.reasons import checked_reason
from ops.services.request import Answer, earlier_answer, first_state
from ops.services.telling import tell_approval_wanted

#: So long it may wait for people, from when it may start, until it has changed something.
PATIENCE = timedelta(hours=24)


@dataclass(frozen=True)
class RestorePlan:
    """What would be done. `busy` says of a node what stands against it."""

    policy: BackupPolicy
    run: BackupRun
    guide: Guide
    nodes: Sequence[Node]
    busy: Sequence[tuple[str, str]]
    needed: Needed


def may_restore(principal: Principal, policy: BackupPolicy) -> bool:
    return policy.kind in KINDS and principal.may(PERMISSION, policy.subject)


def plan_restore(*, policy: BackupPolicy, run_id: uuid.UUID | None, actor: Principal, now: datetime) -> RestorePlan:
    """Writes nothing, and asks no host. Raises NotFound without such a backup, and Conflict where FleetUI restores none."""
    require(actor, PERMISSION, policy.subject)
    if policy.kind not in KINDS:
        why = {
            "fleetui": _("FleetUI does not restore itself: it would write over what it works with."),
            "reported": _("This backup is made by another job: FleetUI cannot read it."),
        }
        mend = {
            "fleetui": _("Follow the steps of backups/%(policy)s/restore/ on the machine.") % {"policy": policy.pk},
            "reported": _("Restore it as that job does."),
        }
        raise Conflict(why[policy.kind], mend=mend[policy.kind])
    found = restore_of(policy, run_id)
    ids = {node.name: (str(node.pk), node.generation) for node in found.nodes}
    guide = Guide(found.lies, found.run.size_bytes or 0, tuple(found.hosts), ids)
    pools = [node.pool.name if node.pool else "" for node in found.nodes]
    needed = needed_for(kind=RESTORE.kind, pools=pools, now=now)
    return RestorePlan(policy, found.run, guide, found.nodes, _against(found.nodes), needed)


def _against(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    """Why a node cannot be restored now: nothing else may change it, and its host has to be the one that is known."""
    found = []
    active = Operation.objects.active().filter(node__in=[node.pk for node in nodes], changes=True)
    busy = {row.node_id: row for row in active.only("pk", "node", "kind", "state")}
    for node in nodes:
        if node.lifecycle == "retired":
            found.append((node.name, wording.refusal_sentence("retired")))
        elif node.pk in busy:
            row = busy[node.pk]
            told = {"operation": str(row.pk), "kind": row.kind, "state": row.state}
            found.append((node.name, wording.refusal_sentence("busy", told)))
        elif node.reachability == "key_mismatch":
            found.append((node.name, wording.refusal_sentence("key_mismatch")))
    return found


def request_restore(
    *,
    policy: BackupPolicy,
    run_id: uuid.UUID | None,
    confirm: str,
    reason: str = "",
    idempotency_key: str = "",
    actor: Principal,
    now: datetime,
) -> Answer:
    """Ask for it. `confirm` is the name of the policy, typed by whoever means it. All hosts are kept, or none."""
    require(actor, PERMISSION, policy.subject)
    if confirm.strip() != policy.name:
        raise InvalidInput(
            _("The name of the policy was not typed."),
            field="confirm",
            value=confirm[:100],
            mend=_("Type %(name)s: what runs there now is replaced by a backup.") % {"name": policy.name},
        )
    reason = checked_reason(reason)
    asked = {"kind": RESTORE.kind, "reason": reason, "policy": str(policy.pk), "run": str(run_id or "")}
    print_of = hashlib.sha256(canonical(asked).encode()).hexdigest()
    if (earlier := earlier_answer(actor, idempotency_key, print_of)) is not None:
        return earlier
    plan = plan_restore(policy=policy, run_id=run_id, actor=actor, now=now)
    if plan.busy:
        raise _busy(plan.busy)
    params = {"policy": str(policy.pk), "run": str(plan.run.pk)}
    try:
        with transaction.atomic():
            request = OperationRequest.objects.create(
                kind=RESTORE.kind,
                params=params,
                selector={"backup_policy": str(policy.pk)},
                reason=reason,
                requester=str(actor),
                requested_at=now,
                idempotency_key=idempotency_key[:200],
                fingerprint=print_of,
                max_attempts=RESTORE.max_attempts,
                approvals_needed=plan.needed.approvals,
                approve_by=plan.needed.until,
                answer={"refused": []},
            )
            until = (plan.needed.until or now) + PATIENCE
            rows = [_operation(request, number, node, plan, until, now) for number, node in enumerate(plan.nodes)]
            # In one order for all: two requests of the same nodes wait for each other at the same node, not crosswise.
            for row in sorted(rows, key=lambda one: str(one.node_id)):
                row.save(force_insert=True)
            Restore.objects.create(operation=rows[0], policy=policy, run=plan.run, created_at=now)
            if plan.needed.approvals:
                tell_approval_wanted(request, rows, now=now)
            append([_entry(request, row, plan, actor) for row in rows])
    except IntegrityError as error:
        if (earlier := earlier_answer(actor, idempotency_key, print_of)) is not None:
            return earlier
        raise _busy(_against(plan.nodes)) from error
    return Answer(request, rows)


def _busy(against: Sequence[tuple[str, str]]) -> Conflict:
    names = ", ".join(name for name, _why in against)
    return Conflict(
        _("It cannot be restored now. %(why)s") % {"why": " ".join(f"{name}: {why}" for name, why in against)},
        mend=_("Look at the node %(node)s.") % {"node": names},
    )


def _operation(
    request: OperationRequest, number: int, node: Node, plan: RestorePlan, until: datetime, now: datetime
) -> Operation:
    """The first carries it out for all."""
    action = RESTORE_BESIDE if number else RESTORE
    cluster = node.pool.cluster if node.pool else None
    document: dict[str, Any] = {
        "restore": plan.guide.as_json(),
        "tasks": plan.guide.order,
        "frozen": {"generation": node.generation},
        "target": {"policy": plan.policy.name, "location": plan.run.location},
        "commands": [],
        "checks": [],
    }
    return Operation(
        request=request,
        number=number,
        kind=action.kind,
        params=request.params,
        plan=document,
        subject=f"node:{node.pk}",
        node=node,
        node_name=node.name,
        generation=node.generation,
        pool=node.pool,
        pool_name=node.pool.name if node.pool else "",
        cluster_name=cluster.name if cluster else "",
        changes=True,
        **{**first_state(request, until, now), "step": actions.get(action.kind).steps_of(document)[0].name},
    )


def _entry(request: OperationRequest, row: Operation, plan: RestorePlan, actor: Principal) -> Entry:
    told = {"policy": plan.policy.name, "location": plan.run.location, "sha256": plan.run.sha256}
    return Entry(
        actor=str(actor),
        action="operations.request",
        subject=f"operation:{row.pk}",
        after={"kind": row.kind, "node": row.node_name, **told, "request": str(request.pk)},
        reason=request.reason,
    )
