"""How many disruptive operations may run at once: what is set, what is in use now, and who may raise it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from nodes.models import Cluster, Pool
from ops.models import Limit, Operation
from ops.states import STARTED, State

#: Stands in addresses where a pool's name would: nodes that are in no pool.
NO_POOL = "-"
PERMISSION = "operations.configure"


@dataclass(frozen=True)
class LimitNow:
    """A limit with what it counts. `is_gone`: nothing of this name is there any more, only the limit."""

    scope: str
    name: str
    at_once: int
    default: int
    running: int
    queued: int
    set_by: str = ""
    set_at: datetime | None = None
    reason: str = ""
    is_gone: bool = False

    @property
    def is_set(self) -> bool:
        return self.set_at is not None

    @property
    def key(self) -> str:
        """The name as addresses have it."""
        return self.name or NO_POOL


def limits_seen_by(principal: Principal) -> list[LimitNow]:
    """Overall, then clusters, then pools that this principal sees. Five queries, whatever the fleet."""
    clusters = list(Cluster.objects.visible_to(principal).order_by("name").values_list("name", flat=True))
    pools = list(Pool.objects.visible_to(principal).order_by("name").values_list("name", flat=True))
    set_ones = {(row.scope, row.name): row for row in Limit.objects.all()}
    if principal.where("operations.read").everywhere:
        pools.append("")
    wanted = [("overall", ""), *(("cluster", name) for name in clusters), *(("pool", name) for name in pools)]
    running, queued = _counts()
    found = [_now(place, set_ones.get(place), running, queued) for place in wanted]
    if principal.may(PERMISSION):
        gone = sorted(set(set_ones) - set(wanted))
        found += [_now(place, set_ones[place], running, queued, is_gone=True) for place in gone]
    return found


def limit_at(principal: Principal, scope: str, key: str) -> LimitNow:
    """The limit of an address; NotFound for what is not there or may not be seen."""
    name = "" if key == NO_POOL else key
    for one in limits_seen_by(principal):
        if (one.scope, one.name) == (scope, name):
            return one
    raise NotFound(
        _("There is no limit of %(scope)s %(name)s that you may see.") % {"scope": scope, "name": key},
        mend=_("Read the list of limits."),
    )


def _counts() -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """How many disruptive operations run, and wait for their turn, in each place."""
    rows = (
        Operation.objects.open()
        .filter(is_disruptive=True, state__in=sorted({*STARTED, State.QUEUED}))
        .order_by()
        .values("pool_name", "cluster_name")
        .annotate(
            running=Count("pk", filter=Q(state__in=sorted(STARTED))), queued=Count("pk", filter=Q(state=State.QUEUED))
        )
    )
    running: Counter[tuple[str, str]] = Counter()
    queued: Counter[tuple[str, str]] = Counter()
    for row in rows:
        places = [("overall", ""), ("pool", row["pool_name"])]
        if row["cluster_name"]:
            places.append(("cluster", row["cluster_name"]))
        for place in places:
            running[place] += row["running"]
            queued[place] += row["queued"]
    return running, queued


def _now(
    place: tuple[str, str],
    row: Limit | None,
    running: Counter[tuple[str, str]],
    queued: Counter[tuple[str, str]],
    *,
    is_gone: bool = False,
) -> LimitNow:
    scope, name = place
    default = Limit.DEFAULTS[scope]
    counted: dict[str, Any] = {"default": default, "running": running[place], "queued": queued[place]}
    if row is None:
        return LimitNow(scope, name, default, **counted)
    told: dict[str, Any] = {"set_by": row.set_by, "set_at": row.set_at, "reason": row.reason, "is_gone": is_gone}
    return LimitNow(scope, name, row.at_once, **counted, **told)


def set_limit(*, scope: str, name: str, at_once: int | None, reason: str, actor: Principal, now: datetime) -> None:
    """Let so many run at once from the next start on; None: the default again. What runs already goes on.

    Raising needs a reason. Only an admin may: of everything, or of the pool whose limit it is.
    """
    require(actor, PERMISSION, _subject(scope, name))
    wanted = Limit.DEFAULTS[scope] if at_once is None else _checked(at_once)
    before = Limit.objects.filter(scope=scope, name=name).first()
    present = before.at_once if before else Limit.DEFAULTS[scope]
    reason = reason.strip()[:300]
    if wanted > present and not reason:
        raise InvalidInput(
            _("Raising a limit needs a reason."),
            field="reason",
            value="",
            mend=_("Say why more hosts may be disturbed at once, perhaps with a ticket."),
        )
    if (before is None) == (at_once is None) and wanted == present:
        return
    try:
        with transaction.atomic():
            _store(before, scope, name, at_once, reason, actor, now)
            append([_entry(scope, name, present, wanted, at_once is None, reason, actor)])
    except IntegrityError as error:
        raise _stale() from error


def _store(
    before: Limit | None, scope: str, name: str, at_once: int | None, reason: str, actor: Principal, now: datetime
) -> None:
    told = {"at_once": at_once, "set_by": str(actor), "set_at": now, "reason": reason}
    if before is None:
        Limit.objects.create(scope=scope, name=name, **told)
        return
    mine = Limit.objects.filter(pk=before.pk, at_once=before.at_once, set_at=before.set_at)
    if not (mine.delete()[0] if at_once is None else mine.update(**told)):
        raise _stale()


def _entry(scope: str, name: str, before: int, after: int, is_reset: bool, reason: str, actor: Principal) -> Entry:  # noqa: FBT001
    told: dict[str, Any] = {"at_once": after, **({"is_default": True} if is_reset else {})}
    subject = "limit:overall" if scope == "overall" else f"limit:{scope}/{name or NO_POOL}"
    return Entry(
        actor=str(actor),
        action="operations.set_limit",
        subject=subject,
        before={"at_once": before},
        after=told,
        reason=reason,
    )


def _subject(scope: str, name: str) -> Pool | None:
    """What the right is asked on: the pool for its own limit, everything otherwise."""
    if scope != "pool" or not name:
        return None
    found: Pool | None = Pool.objects.filter(name=name).first()
    return found


def _checked(at_once: int) -> int:
    if 1 <= at_once <= Limit.MOST:
        return at_once
    raise InvalidInput(
        _("%(value)s cannot be a limit.") % {"value": at_once},
        field="at_once",
        value=at_once,
        mend=_("Give 1 to %(most)s. To let nothing start, stop all.") % {"most": f"{Limit.MOST:,}"},
    )


def _stale() -> Conflict:
    return Conflict(_("Someone else changed this limit meanwhile."), mend=_("Read it again."))
