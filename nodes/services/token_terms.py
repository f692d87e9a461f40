"""What tokens of a pool have in common, those by which machines enrol and those by which they fetch: terms and state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.access.services import latest_end
from fleetui.access.token_text import check_days, checked_networks, state_at
from fleetui.core.errors import InvalidInput
from fleetui.core.text import clean
from nodes.models import EnrolmentToken, Pool, PoolToken

#: Machines that one token may admit.
MAX_LIMIT = 100_000


@dataclass(frozen=True)
class Terms:
    """Checked terms, as columns of a token."""

    name: str
    networks: list[str]
    expires_at: datetime


def checked_terms(
    *,
    pool: Pool,
    name: str,
    days: int,
    max_uses: int | None,
    networks: Sequence[str],
    needed: Sequence[str],
    actor: Principal,
    now: datetime,
) -> Terms:
    """The terms of a new token, when its maker has all permissions that are needed. Raises Forbidden and InvalidInput.

    A token that makes one hands on no more than its own life time and networks.
    """
    for permission in needed:
        require(actor, permission, pool)
    name = clean(name).strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise InvalidInput(
            _("The name is empty, too long, or holds control characters."),
            field="name",
            value=name,
            mend=_("Give 1 to 100 characters."),
        )
    check_days(days)
    if max_uses is not None and not 1 <= max_uses <= MAX_LIMIT:
        raise InvalidInput(
            _("%(value)s machines is not a limit.") % {"value": max_uses},
            field="max_uses",
            value=max_uses,
            mend=_("Give 1 to %(limit)s, or none.") % {"limit": f"{MAX_LIMIT:,}"},
        )
    checked = checked_networks(networks)
    wanted = now + timedelta(days=days)
    expires_at = latest_end(actor=actor, scopes=needed, pools=[pool.pk], networks=checked, wanted=wanted)
    return Terms(name, checked, expires_at)


def token_state(token: EnrolmentToken | PoolToken, now: datetime) -> str:
    """active, used_up, expired or revoked."""
    is_used_up = token.max_uses is not None and token.uses >= token.max_uses
    return state_at(now, revoked_at=token.revoked_at, expires_at=token.expires_at, is_used_up=is_used_up)
