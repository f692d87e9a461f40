"""What tokens of every kind share: their text, their lifetime and their networks.

The text is made once, taken apart when it is presented, and kept as an HMAC under a numbered pepper only.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from fleetui.core.keys import demand

MAX_DAYS = 366
#: They are read and compared at every request of the token.
MAX_NETWORKS = 100


@dataclass(frozen=True)
class NewText:
    """`text` is shown once; the rest is what is stored. `prefix` is the public part that finds the row."""

    text: str
    prefix: str
    digest: str
    pepper: str


def new_text(start: str) -> NewText:
    """A new secret; its text begins with `start`."""
    demand("FLEETUI_TOKEN_PEPPERS", settings.MISSING_KEYS)
    secret, prefix = secrets.token_urlsafe(32), secrets.token_hex(6)
    pepper = settings.TOKEN_PEPPERS[0]
    return NewText(f"{start}{prefix}_{secret}", prefix, digest_of(secret, pepper), pepper_name(pepper))


def taken_apart(presented: str, start: str) -> tuple[str, str] | None:
    """Prefix and secret of a presented text; None when it cannot be a token that begins with `start`."""
    clean = presented.isascii() and presented.isprintable() and len(presented) <= 200
    prefix, _sep, secret = presented.removeprefix(start).partition("_")
    return (prefix, secret) if clean and presented.startswith(start) and secret else None


def matches(secret: str, *, digest: str, pepper: str) -> bool:
    """Whether the secret is the one that was stored, in a time that does not tell how nearly."""
    peppers = {pepper_name(known): known for known in settings.TOKEN_PEPPERS}
    found = peppers.get(pepper)
    return found is not None and hmac.compare_digest(digest_of(secret, found), digest)


def pepper_name(pepper: str) -> str:
    return hashlib.sha256(b"fleetui pepper\0" + bytes.fromhex(pepper)).hexdigest()[:8]


def digest_of(secret: str, pepper: str) -> str:
    return hmac.new(bytes.fromhex(pepper), secret.encode(), hashlib.sha256).hexdigest()


def state_at(now: datetime, *, revoked_at: datetime | None, expires_at: datetime, is_used_up: bool = False) -> str:
    """revoked, expired, used_up or active."""
    if revoked_at:
        return "revoked"
    if expires_at <= now:
        return "expired"
    return "used_up" if is_used_up else "active"


def check_days(days: int) -> None:
    """A lifetime is 1 to MAX_DAYS days. Raises InvalidInput."""
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(
            _("%(value)s days is not a lifetime.") % {"value": days},
            field="days",
            value=days,
            mend=_("Give 1 to %(limit)s.") % {"limit": MAX_DAYS},
        )


def checked_networks(networks: Sequence[str]) -> list[str]:
    """Networks as people write them, each once. Raises InvalidInput."""
    found = list(dict.fromkeys(networks))
    if len(found) > MAX_NETWORKS:
        raise InvalidInput(
            _("%(count)s networks are too many.") % {"count": len(found)},
            field="networks",
            mend=_("Give at most %(limit)s.") % {"limit": MAX_NETWORKS},
        )
    for network in found:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise InvalidInput(
                _("%(value)r is not a network.") % {"value": network},
                field="networks",
                value=network,
                mend=_("Write it like 10.0.0.0/8."),
            ) from error
    return found


def within(address: str, networks: Sequence[str]) -> bool:
    """Whether an address lies in one of the networks; an address that cannot be read lies in none."""
    try:
        candidate = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(candidate in ipaddress.ip_network(network, strict=False) for network in networks)
