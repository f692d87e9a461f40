"""Comparisons as rows: made for nodes whose version is known, due by the clock or when somebody asks, leased while at work."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import uniform
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict
from fleetui.core.text import clean
from nodes.drift import Comparison
from nodes.models import Drift, Node
from nodes.services.drift.states import settle

#: Longer than a comparison may take: a worker that dies gives its nodes back by this.
LEASE = timedelta(seconds=120)
#: Where it failed it is tried again by itself, however long the interval.
AGAIN_AFTER = timedelta(minutes=15)
#: Part of the interval by which due times are spread.
SPREAD = 0.1
ROWS_AT_ONCE = 1000
#: More than anybody reads; the counts are of all.
MOST_KEPT = 400
MOST_RAW = 16_384
_IN_USE = ("active", "maintenance")


@dataclass(frozen=True)
class Failure:
    """Why a node could not be compared: the kind of a HostError, or no_config, not_understood, not_supported."""

    kind: str
    params: dict[str, Any]
    raw: str = ""


def prepare(now: datetime) -> int:
    """Give nodes their rows, begin anew where the version or the machine is another, forget what is not known any more."""
    made = _make_rows(now)
    other = ~Q(node__applied_version=F("version")) | ~Q(node__generation=F("generation"))
    stale = Drift.objects.filter(other, node__applied_version__isnull=False).order_by("pk")
    while ids := list(stale.values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        _begin_anew(ids, now)
        made += len(ids)
    made += Drift.objects.filter(node__applied_version=None).delete()[0]
    return made


def _make_rows(now: datetime) -> int:
    made = 0
    missing = Node.objects.filter(applied_version__isnull=False, drift=None, lifecycle__in=_IN_USE).order_by("pk")
    while True:
        some = list(missing.values_list("pk", "applied_version_id", "generation")[:ROWS_AT_ONCE])
        Drift.objects.bulk_create(
            [Drift(node_id=pk, version_id=version, generation=number, due_at=now) for pk, version, number in some],
            batch_size=100,
            ignore_conflicts=True,
        )
        made += len(some)
        if len(some) < ROWS_AT_ONCE:
            return made


def _begin_anew(ids: Sequence[uuid.UUID], now: datetime) -> None:
    """What was found was about another version or another machine."""
    node = Node.objects.filter(pk=OuterRef("pk"))
    Drift.objects.filter(pk__in=ids).update(
        version=Subquery(node.values("applied_version")[:1]),
        generation=Subquery(node.values("generation")[:1]),
        verdict="",
        checked_at=None,
        differences=[],
        unlooked=[],
        os_count=0,
        in_place_count=0,
        replacement_count=0,
        failed_at=None,
        error_kind="",
        error_params={},
        raw="",
        due_at=now,
        lease=None,
        lease_until=None,
    )


def request_check(*, node: Node, actor: Principal, now: datetime) -> Drift:
    """Compare the node as soon as a worker is free."""
    require(actor, "nodes.poll", node)
    if node.applied_version_id is None:
        raise Conflict(
            _("It is not known with which Ignition version %(name)s was provisioned.") % {"name": node.name},
            mend=_("Note the version on the page Ignition of the node, or provision it through FleetUI."),
        )
    if node.lifecycle == "retired":
        raise Conflict(_("%(name)s is retired.") % {"name": node.name}, mend=_("Take it back into service first."))
    if node.reachability != "reachable":
        raise Conflict(
            _("%(name)s does not answer, so there is nothing to compare with.") % {"name": node.name},
            mend=_("Mend that first: it is compared by itself when it answers."),
        )
    with transaction.atomic():
        prepare_one(node, now)
        Drift.objects.filter(pk=node.pk).update(due_at=now, requested_at=now)
        append([Entry(str(actor), "ignition.check_drift", f"node:{node.name}")])
    return Drift.objects.get(pk=node.pk)


def prepare_one(node: Node, now: datetime) -> None:
    """The row of a node, about the version that it has now."""
    if node.applied_version_id is None:
        return
    made = Drift.objects.filter(pk=node.pk)
    if not made.exists():
        row = Drift(node=node, version_id=node.applied_version_id, generation=node.generation, due_at=now)
        Drift.objects.bulk_create([row], ignore_conflicts=True)
    elif not made.filter(version=node.applied_version_id, generation=node.generation).exists():
        _begin_anew([node.pk], now)


def is_due(now: datetime) -> bool:
    """Whether a comparison waits for a worker."""
    return wanted(now).exists()


def wanted(now: datetime) -> QuerySet[Drift]:
    """What is due; without an interval only what somebody asked for."""
    due: QuerySet[Drift] = Drift.objects.due(now)
    return due if settings.DRIFT_INTERVAL_S else due.filter(requested_at__isnull=False)


def claim(now: datetime) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """Lease due comparisons, so many that no more are under way than the settings allow; returns the lease and the nodes."""
    lease = uuid.uuid4()
    room = settings.DRIFT_THREADS - Drift.objects.filter(lease_until__gt=now).count()
    if room <= 0:
        return lease, []
    # What somebody waits for goes first. Each by an index of its own: one order over both would sort all that is due.
    asked = wanted(now).filter(requested_at__isnull=False).order_by("requested_at")
    ids = list(asked.values_list("pk", flat=True)[:room])
    if len(ids) < room:
        others = wanted(now).exclude(pk__in=ids).order_by("due_at")
        ids += others.values_list("pk", flat=True)[: room - len(ids)]
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    # Another worker may have read the same rows: each goes to the one whose update finds it free.
    Drift.objects.filter(free, pk__in=ids).update(lease=lease, lease_until=now + LEASE)
    # And it may have counted the same room: whoever sees then that there are too many gives as many of its own back.
    if (beyond := Drift.objects.filter(lease_until__gt=now).count() - settings.DRIFT_THREADS) > 0:
        mine = list(Drift.objects.filter(pk__in=ids, lease=lease).order_by("-due_at").values_list("pk", flat=True))
        Drift.objects.filter(pk__in=mine[:beyond], lease=lease).update(lease=None, lease_until=None)
    return lease, list(Drift.objects.filter(pk__in=ids, lease=lease).values_list("pk", flat=True))


def next_due(now: datetime, *, failed: bool) -> datetime:
    interval_s = float(settings.DRIFT_INTERVAL_S)
    if failed and (not interval_s or interval_s > AGAIN_AFTER.total_seconds()):
        interval_s = AGAIN_AFTER.total_seconds()
    return now + timedelta(seconds=(interval_s or 86_400) * uniform(1 - SPREAD, 1 + SPREAD))  # noqa: S311  (no secret)


def store(
    *,
    node: Node,
    lease: uuid.UUID,
    result: Comparison | Failure,
    secrets: Sequence[tuple[str, str]],
    asked_at: datetime | None,
    now: datetime,
) -> bool:
    """Write what was found, if the lease still holds and the node is still what it was: version, machine, and how it is
    reached. What was dropped is done again when its lease has run out.

    `secrets` are (text, name): no text of theirs is kept, wherever it was found. Whoever asked after `asked_at` waits for
    another comparison: this one may have looked before what they changed.
    """
    failed = isinstance(result, Failure)
    is_answered = Q(requested_at=None) if asked_at is None else Q(requested_at=None) | Q(requested_at=asked_at)
    columns: dict[str, Any] = {
        "lease": None,
        "lease_until": None,
        "requested_at": Case(When(is_answered, then=None), default=F("requested_at")),
        "due_at": Case(When(is_answered, then=Value(next_due(now, failed=failed))), default=F("due_at")),
    }
    columns |= _failed(result, secrets, now) if isinstance(result, Failure) else _compared(result, secrets, now)
    same = {"version": node.applied_version_id, "generation": node.generation, "node__revision": node.revision}
    mine = Drift.objects.filter(pk=node.pk, lease=lease, **same)
    with transaction.atomic():
        # The node first, as everywhere.
        Node.objects.filter(pk=node.pk).keeping()
        if not mine.update(**columns):
            return False
        settle(now, [node.pk])
    return True


def _failed(failure: Failure, secrets: Sequence[tuple[str, str]], now: datetime) -> dict[str, Any]:
    found = without(failure.params, secrets)
    params = {name: value[:500] if isinstance(value, str) else value for name, value in found.items()}
    # Cut last: half of a secret would not be found.
    raw = without(failure.raw, secrets)[:MOST_RAW]
    return {"failed_at": now, "error_kind": failure.kind[:30], "error_params": params, "raw": raw}


def _compared(found: Comparison, secrets: Sequence[tuple[str, str]], now: datetime) -> dict[str, Any]:
    counts = found.counts
    return {
        "verdict": found.verdict,
        "checked_at": now,
        "differences": without([one.as_json() for one in found.differences[:MOST_KEPT]], secrets),
        "unlooked": without([one.as_json() for one in found.unlooked[:MOST_KEPT]], secrets),
        "os_count": counts["os"],
        "in_place_count": counts["in_place"],
        "replacement_count": counts["replacement"],
        "failed_at": None,
        "error_kind": "",
        "error_params": {},
        "raw": "",
    }


def without(value: Any, secrets: Sequence[tuple[str, str]]) -> Any:
    """The same with `[secret NAME]` wherever the text of a secret stands, and without what a database cannot keep."""
    if isinstance(value, dict):
        return {key: without(one, secrets) for key, one in value.items()}
    if isinstance(value, list):
        return [without(one, secrets) for one in value]
    if not isinstance(value, str):
        return value
    for text, name in secrets:
        if text in value:
            # A short one would tell itself by what it left of the words around it.
            value = value.replace(text, f"[secret {name}]") if len(text) > 3 else f"[secret {name}]"
    return clean(value)
