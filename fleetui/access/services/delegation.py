"""A token that makes a token hands on no more than it holds: scopes, pools, networks and life time."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from fleetui.access.models import Token
from fleetui.access.principals import Principal
from fleetui.access.roles import SCOPES
from fleetui.core.errors import NotAllowed


def latest_end(
    *, actor: Principal, scopes: Sequence[str], pools: Sequence[uuid.UUID], networks: Sequence[str], wanted: datetime
) -> datetime:
    """When a new token ends: as wanted, but no later than the token that makes it.

    Raises NotAllowed when that token would make one that may do more than itself. People are cut by their roles alone.
    """
    if actor.token_id is None:
        return wanted
    own = Token.objects.get(pk=actor.token_id)
    asked = {permission for scope in scopes for permission in SCOPES.get(scope, {scope})}
    held = {permission for scope in own.scopes for permission in SCOPES.get(scope, {scope})}
    if not asked <= held:
        raise _wider("scopes", _("Choose narrower scopes."))
    if own.limited_to_pools:
        allowed = set(own.pools.values_list("pk", flat=True))
        if not pools or not set(pools) <= allowed:
            raise _wider("pools", _("Name only pools that this token is limited to."))
    if own.networks and not (networks and all(_inside(network, own.networks) for network in networks)):
        raise _wider("networks", _("Name networks inside %(networks)s.") % {"networks": ", ".join(own.networks)})
    return min(wanted, own.expires_at)


def _wider(field: str, mend: str) -> NotAllowed:
    return NotAllowed(_("A token cannot make a token with more rights than its own."), field=field, mend=mend)


def _inside(network: str, allowed: Sequence[str]) -> bool:
    inner = ipaddress.ip_network(network, strict=False)
    for text in allowed:
        outer = ipaddress.ip_network(text, strict=False)
        if inner.version == outer.version and inner.subnet_of(outer):  # type: ignore[arg-type]
            return True
    return False
