"""Tokens by which new machines of a pool fetch its intended config: made and revoked by people, presented by machines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.access.token_text import matches, new_text, taken_apart
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from nodes.models import Node, Pool, PoolToken, Provisioning
from nodes.services.provisioning.ending import trust_no_more
from nodes.services.provisioning.offer import NEEDED
from nodes.services.token_terms import checked_terms

POOL_START = "fleetui-pool_"
LEAST_MINUTES, MOST_MINUTES = 10, 7 * 24 * 60
DEFAULT_PATTERN = "{pool}-{id}"
#: What a name may be made of: the pool, the id or address of the machine, the number of the machine by this token.
_PLACES = re.compile(r"\{(pool|id|n)\}")
_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,60}")


def add_pool_token(
    *,
    pool: Pool,
    name: str,
    days: int,
    actor: Principal,
    now: datetime,
    max_uses: int | None = None,
    networks: Sequence[str] = (),
    name_pattern: str = DEFAULT_PATTERN,
    needs_id: bool = False,
    arrive_within_minutes: int = 60,
) -> tuple[PoolToken, str]:
    """Make a token by which new machines of the pool fetch its config; returns the row and the text that is shown this once.

    `max_uses` is how many nodes it makes (None: any number), `networks` where a fetch may come from.
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
    if not LEAST_MINUTES <= arrive_within_minutes <= MOST_MINUTES:
        raise InvalidInput(
            _("%(value)s minutes is not a time in which machines boot.") % {"value": arrive_within_minutes},
            field="arrive_within_minutes",
            value=arrive_within_minutes,
            mend=_("Give %(least)s to %(most)s.") % {"least": LEAST_MINUTES, "most": f"{MOST_MINUTES:,}"},
        )
    made = new_text(POOL_START)
    given = {
        "name": terms.name,
        "name_pattern": checked_pattern(name_pattern),
        "needs_id": needs_id,
        "arrive_within_s": arrive_within_minutes * 60,
        "max_uses": max_uses,
        "networks": terms.networks,
        "expires_at": terms.expires_at,
    }
    try:
        with transaction.atomic():
            token = PoolToken.objects.create(
                pool=pool,
                prefix=made.prefix,
                digest=made.digest,
                pepper=made.pepper,
                created_at=now,
                created_by=str(actor)[:200],
                **given,
            )
            append([Entry(str(actor), "pools.add_provisioning_token", f"pool:{pool.name}", after=given)])
    except IntegrityError as error:
        raise Conflict(
            _("The pool %(pool)s has a provisioning token named %(name)s.") % {"pool": pool.name, "name": terms.name},
            field="name",
            value=terms.name,
            mend=_("Choose another name; that of a revoked token is kept for the record."),
        ) from error
    return token, made.text


def checked_pattern(pattern: str) -> str:
    """A pattern that gives names of nodes, and not the same one to all. Raises InvalidInput."""
    found = pattern.strip()
    plain = _PLACES.sub("x", found)
    if not _PATTERN.fullmatch(plain) or not plain[0].isalnum() or not plain[-1].isalnum() or len(found) > 60:
        raise InvalidInput(
            _("%(value)r gives no names of nodes.") % {"value": pattern},
            field="name_pattern",
            value=pattern,
            mend=_("Use letters, digits, dots, hyphens and {pool}, {id} and {n}, such as {pool}-{id}."),
        )
    if "{id}" not in found and "{n}" not in found:
        raise InvalidInput(
            _("%(value)r gives every machine the same name.") % {"value": pattern},
            field="name_pattern",
            value=pattern,
            mend=_("Put {id} or {n} in it."),
        )
    return found


def revoke_pool_token(*, token: PoolToken, actor: Principal, now: datetime) -> None:
    """End a token at once, and what it offered to machines that were not seen yet. A second time changes nothing.

    Nodes that arrived stay. Those that did not are no longer trusted by the key that was made for them: whoever found the
    token may have fetched it.
    """
    require(actor, "nodes.write", token.pool)
    with transaction.atomic():
        coming = Provisioning.objects.filter(pool_token=token, ended_at=None)
        # The nodes first, as everywhere; then the token, so that nothing is admitted meanwhile.
        Node.objects.filter(pk__in=coming.order_by().values("node_id")).held()
        if not PoolToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            return
        rows = list(coming.defer("sealed_config"))
        Provisioning.objects.filter(pk__in=[row.pk for row in rows]).update(
            ended_at=now, ending="revoked", sealed_config=""
        )
        for row in rows:
            trust_no_more(row, now)
        before = {"name": token.name, "uses": token.uses, "on_their_way": len(rows)}
        append([Entry(str(actor), "pools.revoke_provisioning_token", f"pool:{token.pool.name}", before=before)])


def presented_pool_token(text: str) -> PoolToken | None:
    """The row of a presented text, whatever its state. Unknown ones and wrong secrets read the same."""
    parts = taken_apart(text, POOL_START)
    if parts is None:
        return None
    row = PoolToken.objects.select_related("pool__intended_version__config", "pool__cluster").filter(prefix=parts[0])
    token: PoolToken | None = row.first()
    return token if token is not None and matches(parts[1], digest=token.digest, pepper=token.pepper) else None
