"""The checks that a pool defines for its hosts after a restart."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from fleetui.core.words import any_of
from nodes.models import Pool
from ops import health_checks, wording
from ops.health_checks import CheckRefused
from ops.models import PoolCheck

PERMISSION = "pools.write"
MOST_CHECKS = 20
LONGEST_NAME = 60


def check_at(pool: Pool, check_id: uuid.UUID) -> PoolCheck:
    """A check of a pool; NotFound when it is not there."""
    found = PoolCheck.objects.filter(pool=pool, pk=check_id).first()
    if found is None:
        raise NotFound(_("The pool has no such check."), mend=_("Read the checks of the pool."))
    return found


def may_change(principal: Principal, kind: str, pool: Pool) -> bool:
    """Admins of a pool define its checks; a command runs whatever it says, so that it takes an admin of everything."""
    return principal.may(PERMISSION) if kind == "command" else principal.may(PERMISSION, pool)


def set_check(
    *,
    pool: Pool,
    name: str,
    kind: str,
    params: Mapping[str, Any],
    timeout_s: int = 5,
    check: PoolCheck | None = None,
    expected_revision: int | None = None,
    actor: Principal,
    now: datetime,
) -> PoolCheck:
    """Add a check, or (with `check`) change it. Holds for operations that watch a host from now on."""
    require(actor, PERMISSION, pool)
    _may(actor, kind, pool)
    if check is not None:
        _may(actor, check.kind, pool)
    columns = {
        "name": _name(name),
        "kind": _kind(kind),
        "params": _params(kind, params),
        "timeout_s": _timeout(timeout_s),
        "set_by": str(actor),
        "set_at": now,
    }
    if check is None and PoolCheck.objects.filter(pool=pool).count() >= MOST_CHECKS:
        raise Conflict(
            _("A pool has %(most)s checks at most.") % {"most": MOST_CHECKS}, mend=_("Delete one, or join some.")
        )
    before = _told(check) if check else None
    try:
        with transaction.atomic():
            if check is None:
                found = PoolCheck.objects.create(pool=pool, **columns)
            else:
                mine = PoolCheck.objects.filter(pk=check.pk, revision=expected_revision or check.revision)
                if not mine.update(**columns, revision=F("revision") + 1):
                    raise Conflict(_("Someone else changed this check meanwhile."), mend=_("Read it again."))
                found = PoolCheck.objects.get(pk=check.pk)
            append([_entry("pools.set_check", pool, actor, before=before, after=_told(found))])
    except IntegrityError as error:
        raise Conflict(
            _("The pool has a check %(name)s already.") % {"name": columns["name"]},
            field="name",
            value=columns["name"],
            mend=_("Choose another name, or change that one."),
        ) from error
    return found


def delete_check(*, check: PoolCheck, reason: str = "", actor: Principal) -> None:
    """Operations that watch a host do without it from their next look on."""
    require(actor, PERMISSION, check.pool)
    _may(actor, check.kind, check.pool)
    with transaction.atomic():
        if not PoolCheck.objects.filter(pk=check.pk).delete()[0]:
            raise Conflict(_("Someone else deleted this check meanwhile."), mend=_("Read the checks of the pool."))
        append([_entry("pools.delete_check", check.pool, actor, before=_told(check), reason=reason[:300])])


def _may(actor: Principal, kind: str, pool: Pool) -> None:
    if not may_change(actor, kind, pool):
        raise NotAllowed(
            _("A check that runs a command takes an admin of everything."),
            field="kind",
            value=kind,
            mend=_("Ask one, or check a unit, a port or a web address."),
        )


def _name(name: str) -> str:
    kept = " ".join(name.split())
    if kept and len(kept) <= LONGEST_NAME and kept.isprintable():
        return kept
    raise InvalidInput(
        _("%(value)s is not a name for a check.") % {"value": name[:60] or "–"},
        field="name",
        value=name[:100],
        mend=_("Give 1 to %(most)s characters.") % {"most": LONGEST_NAME},
    )


def _kind(kind: str) -> str:
    if kind in PoolCheck.KINDS:
        return kind
    raise InvalidInput(
        _("%(value)s is no kind of check.") % {"value": kind[:40] or "–"},
        field="kind",
        value=kind[:100],
        mend=_("Use %(known)s.") % {"known": any_of(PoolCheck.KINDS)},
    )


def _params(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return health_checks.checked(_kind(kind), params)
    except CheckRefused as error:
        message, mend = wording.check_problem(error.field, error.code, error.value)
        raise InvalidInput(message, field=error.field, value=error.value, mend=mend) from error


def _timeout(timeout_s: int) -> int:
    least, most = health_checks.LEAST_TIMEOUT_S, health_checks.MOST_TIMEOUT_S
    if least <= timeout_s <= most:
        return timeout_s
    raise InvalidInput(
        _("%(value)s s is not a time for a check.") % {"value": timeout_s},
        field="timeout_s",
        value=timeout_s,
        mend=_("Give %(least)s to %(most)s seconds.") % {"least": least, "most": most},
    )


def _told(check: PoolCheck) -> dict[str, Any]:
    return {"name": check.name, "kind": check.kind, "params": check.params, "timeout_s": check.timeout_s}


def _entry(
    action: str,
    pool: Pool,
    actor: Principal,
    *,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Entry:
    return Entry(
        actor=str(actor), action=action, subject=f"pool:{pool.name}", before=before, after=after, reason=reason
    )
