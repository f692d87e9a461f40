"""Backups that are asked for, and those that other jobs report."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, Value, When
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from fleetui.core.text import clean
from nodes.models import Node
from ops import wording
from ops.backups import installation
from ops.models import BackupPolicy, BackupRun
from ops.services.backups.watching import settle
from ops.services.elsewhere import Place, Planned, request_elsewhere
from ops.services.request import Answer, request_operations

#: So long may it take, from when it may start.
PATIENCE = timedelta(hours=12)
#: Clocks of jobs that report may be ahead of ours.
AHEAD = timedelta(minutes=10)
_SHA256 = re.compile("[0-9a-f]{64}")
MOST_BYTES = 2**62


def request_backup(
    *, policy: BackupPolicy, actor: Principal, now: datetime, reason: str = "", idempotency_key: str = ""
) -> Answer:
    """Back up now: one operation on FleetUI itself, on the node of the policy, or on one of its pool that answers. One at a time."""
    require(actor, "backups.run", policy.subject)
    if policy.kind == "reported":
        raise Conflict(
            _("This backup is made by another job, which reports it."),
            mend=_("Start that job; it posts to backups/%(policy)s/report/.") % {"policy": policy.pk},
        )
    ask = asker_of("backup", policy)
    settle(now, policy=policy)
    try:
        with transaction.atomic():
            answer = ask(reason=reason, idempotency_key=idempotency_key, actor=actor, now=now)
            for operation in () if answer.is_repeat else answer.operations:
                BackupRun.objects.create(
                    policy=policy,
                    operation=operation,
                    source=operation.node_name,
                    started_at=now,
                    target=policy.target,
                    target_name=policy.target.name if policy.target else "",
                )
    except IntegrityError as error:
        raise Conflict(
            _("A backup of %(name)s is under way.") % {"name": policy.name}, mend=_("Wait for it, or cancel it.")
        ) from error
    require_made(answer)
    return answer


def asker_of(kind: str, policy: BackupPolicy) -> Callable[..., Answer]:
    """What asks for an operation of this kind on what the policy backs up: a node, or FleetUI itself. Raises Conflict."""
    params = {"policy": str(policy.pk)}
    given: dict[str, Any] = {"kind": kind, "selector": {"backup_policy": str(policy.pk)}, "patience": PATIENCE}
    if policy.kind == "fleetui":
        document: dict[str, Any] = {"target": {}, "commands": [], "checks": []}
        itself = Place(installation.SUBJECT, installation.NAME)
        return partial(request_elsewhere, itself, asked=params, plan=lambda: Planned(params, document), **given)
    return partial(request_operations, nodes=[node_of(policy)], params=params, **given)


def require_made(answer: Answer) -> None:
    """Raises Conflict when the node of the policy takes no such operation."""
    if not answer.operations:
        why = " ".join(wording.refusal_sentence(one.code, one.params) for one in answer.refused)
        names = ", ".join(one.node for one in answer.refused)
        raise Conflict(why, mend=_("Look at the node %(node)s.") % {"node": names})


def node_of(policy: BackupPolicy) -> Node:
    """The node itself; of a pool the first by name that answers, and if none does the first at all."""
    nodes = Node.objects.select_related("pool__cluster").exclude(lifecycle="retired")
    if policy.node_id is not None:
        found: Node | None = nodes.filter(pk=policy.node_id).first()
    else:
        answers = Case(When(reachability="reachable", then=Value(0)), default=Value(1))
        found = nodes.filter(pool_id=policy.pool_id).order_by(answers, "name").first() if policy.pool_id else None
    if found is None:
        raise Conflict(
            _("The policy %(name)s has no node any more.") % {"name": policy.name},
            mend=_("Name another node or pool in it."),
        )
    return found


def report(
    *,
    policy: BackupPolicy,
    is_good: bool,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    size_bytes: int | None = None,
    sha256: str = "",
    location: str = "",
    said: str = "",
    source: str = "",
    actor: Principal,
    now: datetime,
) -> BackupRun:
    """What another job says of a backup that it made. The same report again, by the same end, is the same run."""
    require(actor, "backups.report", policy.subject)
    if policy.kind != "reported":
        raise Conflict(
            _("This backup is made by FleetUI itself."), mend=_("Add a policy of the kind reported for the other job.")
        )
    ended = ended_at or now
    began = started_at or ended
    if ended > now + AHEAD or began > ended:
        mend = _("Give times with their zone, the end not before the beginning, and check the clock of the job.")
        raise InvalidInput(_("These times cannot be."), field="ended_at", value=ended.isoformat(), mend=mend)
    if sha256 and not _SHA256.fullmatch(sha256):
        mend = _("Give its 64 hexadecimal digits, or leave it out.")
        raise InvalidInput(_("This is no SHA-256."), field="sha256", value=sha256[:80], mend=mend)
    if size_bytes is not None and not 0 <= size_bytes < MOST_BYTES:
        mend = _("Give the number of bytes, or leave it out.")
        raise InvalidInput(_("This is no size."), field="size_bytes", value=size_bytes, mend=mend)
    if ended_at is not None:
        earlier: BackupRun | None = BackupRun.objects.filter(
            policy=policy, ended_at=ended, reported_by=str(actor)
        ).first()
        if earlier is not None:
            return earlier
    params: dict[str, Any] = {"by": actor.name, "said": clean(said)[:300]}
    with transaction.atomic():
        run: BackupRun = BackupRun.objects.create(
            policy=policy,
            state="good" if is_good else "failed",
            source=clean(source)[:100],
            started_at=began,
            ended_at=ended,
            size_bytes=size_bytes,
            sha256=sha256,
            location=clean(location)[:1000],
            result="reported_good" if is_good else "reported_failed",
            result_params=params,
            reported_by=str(actor),
        )
        if is_good:
            # One that comes late says nothing new.
            newest = BackupPolicy.objects.filter(pk=policy.pk)
            newest.filter(last_good_at=None).update(last_good_at=ended)
            newest.filter(last_good_at__lt=ended).update(last_good_at=ended)
        append(
            [
                Entry(
                    actor=str(actor),
                    action="backups.report",
                    subject=f"backup-policy:{policy.name}",
                    after={"good": is_good, "size_bytes": size_bytes, "sha256": sha256, "location": run.location},
                    reason=params["said"],
                    outcome="done" if is_good else "failed",
                )
            ]
        )
    return run
