"""What operations add to the page of a pool: the checks that its hosts have to pass, and the versions held back from it."""

from __future__ import annotations

from typing import Any

from fleetui.access.principals import Principal
from nodes.models import Pool
from ops.models import PoolCheck
from ops.services.holds import PERMISSION
from ops.views.holds import holds_shown
from ops.views.pool_checks import shown_check
from ops.views.replace_policy import policy_shown


def pool_operations(principal: Principal, pool: Pool) -> dict[str, Any]:
    if not principal.may("operations.read", pool):
        return {}
    checks = PoolCheck.objects.filter(pool=pool).select_related("pool").order_by("name")
    return {
        "health_checks": [shown_check(one, principal) for one in checks],
        "pool_holds": holds_shown(principal, pool=pool),
        "has_runbook": True,
        "replacing": policy_shown(principal, pool),
        "may_hold": principal.may(PERMISSION, pool),
    }
