"""Rights on a config: those on every pool that it is for. One that is for no pool is for those who may do it everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

from fleetui.access.principals import PoolId, Principal, mend_without
from fleetui.core.errors import NotAllowed
from nodes.models import IgnitionConfig


def may_on(principal: Principal, permission: str, pools: Iterable[PoolId]) -> bool:
    """Whether the permission reaches all of these pools; without any, whether it reaches everything."""
    where, wanted = principal.where(permission), set(pools)
    return where.everywhere or (bool(wanted) and wanted <= where.pools)


def require_on(principal: Principal, permission: str, pools: Iterable[PoolId]) -> None:
    if not may_on(principal, permission, pools):
        raise NotAllowed(
            _("%(name)s may not do this: it needs the permission %(permission)s on every pool that the config is for.")
            % {"name": principal.name, "permission": permission},
            mend=mend_without(principal, permission),
        )


def pools_of(config: IgnitionConfig) -> list[PoolId]:
    return list(config.pools.through._default_manager.filter(ignitionconfig=config).values_list("pool_id", flat=True))


def may(principal: Principal, permission: str, config: IgnitionConfig) -> bool:
    return may_on(principal, permission, pools_of(config))


def require(principal: Principal, permission: str, config: IgnitionConfig) -> None:
    require_on(principal, permission, pools_of(config))
