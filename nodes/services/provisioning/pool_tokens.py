"""Tokens by which new machines of a pool fetch its intended config: made and revoked by people, presented by machines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.access.services import latest_end
from fleetui.access.token_text import check_days, checked_networks, matches, new_text, state_at, taken_apart
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from fleetui.core.text import clean
from nodes.models import Node, Pool, PoolToken, Provisioning
from nodes.services.provisioning.ending import trust_no_more
from nodes.services.provisioning.offer import NEEDED

POOL_START = "fleetui-pool_"
MAX_LIMIT = 100_000
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

    `max_uses` is how many nodes it makes (None: any number), `networks` where a fetch may come from. A token that makes one
    hands on no more than its own life time and networks.
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
    if not LEAST_MINUTES <= arrive_within_minutes <= MOST_MINUTES:
        raise InvalidInput(
            _("%(value)s minutes is not a time in which machines boot.") % {"value": arrive_within_minutes},
            field="arrive_within_minutes",
            value=arrive_within_minutes,
            mend=_("Give %(least)s to %(most)s.") % {"least": LEAST_MINUTES, "most": f"{MOST_MINUTES:,}"},
        )
    checked = checked_networks(networks)
    wanted = now + timedelta(days=days)
    expires_at = latest_end(actor=actor, scopes=NEEDED, pools=[pool.pk], networks=checked, wanted=wanted)
    made = new_text(POOL_START)
    given = {
        "name": name,
        "name_pattern": checked_pattern(name_pattern),
        "needs_id": needs_id,
        "arrive_within_s": arrive_within_minutes * 60,
        "max_uses": max_uses,
        "networks": checked,
        "expires_at": expires_at,
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
            _("The pool %(pool)s has a provisioning token named %(name)s.") % {"pool": pool.name, "name": name},
            field="name",
            value=name,
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


def pool_token_state(token: PoolToken, now: datetime) -> str:
    """active, used_up, expired or revoked."""
    is_used_up = token.max_uses is not None and token.uses >= token.max_uses
    return state_at(now, revoked_at=token.revoked_at, expires_at=token.expires_at, is_used_up=is_used_up)


def presented_pool_token(text: str) -> PoolToken | None:
    """The row of a presented text, whatever its state. Unknown ones and wrong secrets read the same."""
    parts = taken_apart(text, POOL_START)
    if parts is None:
        return None
    row = PoolToken.objects.select_related("pool__intended_version__config", "pool__cluster").filter(prefix=parts[0])
    token: PoolToken | None = row.first()
    return token if token is not None and matches(parts[1], digest=token.digest, pepper=token.pepper) else None
