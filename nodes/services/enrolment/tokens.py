"""Enrolment tokens of a pool: made and revoked by people, presented by machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.access.services import latest_end
from fleetui.access.token_text import check_days, checked_networks, matches, new_text, state_at, taken_apart, within
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from fleetui.core.text import clean
from nodes.models import EnrolmentToken, Pool
from nodes.services.enrolment import refusals

ENROLMENT_START = "fleetui-enrol_"
MAX_LIMIT = 100_000
#: Whoever holds the token adds nodes to the pool and says which keys are theirs: its maker must be allowed both.
NEEDED = ("nodes.write", "nodes.accept_key")


def add_enrolment_token(
    *,
    pool: Pool,
    name: str,
    days: int,
    actor: Principal,
    now: datetime,
    max_uses: int | None = None,
    networks: Sequence[str] = (),
) -> tuple[EnrolmentToken, str]:
    """Make a token by which machines enrol in the pool; returns the row and the text that is shown this once.

    `max_uses` is how many machines it admits (None: any number), `networks` where they may announce themselves from.
    A token that makes one hands on no more than its own life time and networks.
    """
    for permission in NEEDED:
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
    expires_at = latest_end(actor=actor, scopes=NEEDED, pools=[pool.pk], networks=checked, wanted=wanted)
    made = new_text(ENROLMENT_START)
    try:
        with transaction.atomic():
            token = EnrolmentToken.objects.create(
                pool=pool,
                name=name,
                prefix=made.prefix,
                digest=made.digest,
                pepper=made.pepper,
                networks=checked,
                max_uses=max_uses,
                created_at=now,
                created_by=str(actor)[:200],
                expires_at=expires_at,
            )
            after = {"name": name, "max_uses": max_uses, "networks": checked, "expires_at": expires_at}
            append([Entry(str(actor), "pools.add_enrolment_token", f"pool:{pool.name}", after=after)])
    except IntegrityError as error:
        raise Conflict(
            _("The pool %(pool)s has an enrolment token named %(name)s.") % {"pool": pool.name, "name": name},
            field="name",
            value=name,
            mend=_("Choose another name; that of a revoked token is kept for the record."),
        ) from error
    return token, made.text


def revoke_enrolment_token(*, token: EnrolmentToken, actor: Principal, now: datetime) -> None:
    """End a token at once; nodes that enrolled by it stay. A second time changes nothing."""
    require(actor, "nodes.write", token.pool)
    with transaction.atomic():
        if EnrolmentToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            before = {"name": token.name, "uses": token.uses}
            append([Entry(str(actor), "pools.revoke_enrolment_token", f"pool:{token.pool.name}", before=before)])


def token_state(token: EnrolmentToken, now: datetime) -> str:
    """active, used_up, expired or revoked."""
    is_used_up = token.max_uses is not None and token.uses >= token.max_uses
    return state_at(now, revoked_at=token.revoked_at, expires_at=token.expires_at, is_used_up=is_used_up)


def presented_token(presented: str) -> EnrolmentToken:
    """The row of a presented text, whatever its state. Unknown ones and wrong secrets read the same."""
    parts = taken_apart(presented, ENROLMENT_START)
    token = EnrolmentToken.objects.select_related("pool__cluster").filter(prefix=parts[0]).first() if parts else None
    if parts is None or token is None or not matches(parts[1], digest=token.digest, pepper=token.pepper):
        raise refusals.unknown_token()
    return token


def require_usable(token: EnrolmentToken, *, address: str, now: datetime) -> None:
    """Raise what forbids this token now. Its limit is asked only when a machine is admitted."""
    if token.revoked_at:
        raise refusals.revoked(token)
    if token.expires_at <= now:
        raise refusals.expired(token)
    if token.networks and not within(address, token.networks):
        raise refusals.wrong_network(token, address)
