"""The policy of a pool: machines that do not answer are asked to be replaced. Who may ask for that sets it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import InvalidInput
from fleetui.core.text import clean
from nodes.models import Pool
from ops import actions
from ops.models import ReplacePolicy
from ops.services.reasons import checked_reason
from ops.services.replacing.planes import planes_of, require_all
from ops.services.request import checked_params

KIND = "replace"
#: Every request of a policy has it: what answers by the time of its turn is left alone.
ONLY = {"only_unreachable": True}
#: A restart with a slow firmware takes that long.
LEAST_MINUTES, MOST_MINUTES = 10, 7 * 24 * 60
MOST_PER_DAY = 50
LONGEST_REASON = 150


def permissions() -> tuple[str, ...]:
    """A setting of the pool, and all that it takes to ask for a replacement oneself."""
    action = actions.get(KIND)
    return ("pools.write", action.permission, *action.needs)


def may_set(principal: Principal, pool: Pool) -> bool:
    return all(principal.may(one, pool) for one in permissions())


def set_policy(
    *,
    pool: Pool,
    after_minutes: int | None,
    most_per_day: int = 1,
    params: Mapping[str, Any] | None = None,
    reason: str = "",
    actor: Principal,
    now: datetime,
) -> ReplacePolicy | None:
    """Turn it on or change it; without `after_minutes` it is off. The time of silence counts from now at the earliest."""
    for permission in permissions():
        require(actor, permission, pool)
    if after_minutes is not None and (plane := planes_of(pool).first()) is not None:
        # Its requests are made by FleetUI itself, which may all.
        require_all(actor, plane)
    reason = clean(reason).strip()
    columns = None if after_minutes is None else _checked(after_minutes, most_per_day, params or {}, reason)
    with transaction.atomic():
        # Whoever sets something of a pool takes turns on it: the log says what each found.
        Pool.objects.select_for_update().only("pk").get(pk=pool.pk)
        found = ReplacePolicy.objects.filter(pool=pool).first()
        before = told(found)
        if before == columns:
            return found
        if columns is None:
            ReplacePolicy.objects.filter(pool=pool).delete()
            policy = None
        else:
            values = {**columns, "set_by": str(actor), "set_at": now}
            policy, _is_new = ReplacePolicy.objects.update_or_create(pool=pool, defaults=values)
        entry = Entry(
            actor=str(actor),
            action="pools.set_replace_policy",
            subject=f"pool:{pool.name}",
            before=before,
            after=columns,
            reason=reason,
        )
        append([entry])
    return policy


def told(policy: ReplacePolicy | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    return {name: getattr(policy, name) for name in ("after_minutes", "most_per_day", "params", "reason")}


def _checked(after_minutes: int, most_per_day: int, params: Mapping[str, Any], reason: str) -> dict[str, Any]:
    for field, value, least, most in (
        ("after_minutes", after_minutes, LEAST_MINUTES, MOST_MINUTES),
        ("most_per_day", most_per_day, 1, MOST_PER_DAY),
    ):
        if not least <= value <= most:
            raise InvalidInput(
                _("%(field)s cannot be %(value)s.") % {"field": field, "value": value},
                field=field,
                value=value,
                mend=_("Give %(least)s to %(most)s.") % {"least": least, "most": most},
            )
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(
            _("The reason has %(n)s characters.") % {"n": len(reason)},
            field="reason",
            value=reason,
            mend=_("Give at most %(most)s.") % {"most": LONGEST_REASON},
        )
    # Its requests need a reason as those of people do.
    checked_reason(reason)
    checked = {name: value for name, value in checked_params(KIND, params).items() if name not in ONLY}
    return {"after_minutes": after_minutes, "most_per_day": most_per_day, "params": checked, "reason": reason}
