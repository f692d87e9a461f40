"""Enrolment tokens of a pool: made and revoked by people, presented by machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.access.token_text import matches, new_text, taken_apart, within
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict
from nodes.models import EnrolmentToken, Pool
from nodes.services.enrolment import refusals
from nodes.services.token_terms import checked_terms

ENROLMENT_START = "fleetui-enrol_"
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
    """
    terms = checked_terms(
        pool=pool,
        name=name,
        days=days,
        max_uses=max_uses,
        networks=networks,
        needed=NEEDED,
        actor=actor,
        now=now,
    )
    given = {
        "name": terms.name,
        "max_uses": max_uses,
        "networks": terms.networks,
        "expires_at": terms.expires_at,
    }
    made = new_text(ENROLMENT_START)
    try:
        with transaction.atomic():
            token = EnrolmentToken.objects.create(
                pool=pool,
                prefix=made.prefix,
                digest=made.digest,
                pepper=made.pepper,
                created_at=now,
                created_by=str(actor)[:200],
                **given,
            )
            append([Entry(str(actor), "pools.add_enrolment_token", f"pool:{pool.name}", after=given)])
    except IntegrityError as error:
        raise Conflict(
            _("The pool %(pool)s has an enrolment token named %(name)s.") % {"pool": pool.name, "name": terms.name},
            field="name",
            value=terms.name,
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
