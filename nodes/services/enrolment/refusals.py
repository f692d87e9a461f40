"""Why an announcement is refused: one code each, for the machine that reads it, and a record that a flood cannot fill."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.core.cache import cache

from fleetui.audit.log import Entry, record_alone
from fleetui.core.errors import FleetError

if TYPE_CHECKING:
    from nodes.models import EnrolmentToken

#: One refusal is recorded once in this time for each token (or address, without one) and reason.
RECORD_EVERY_S = 600
#: More in an hour are counted by nobody: whoever sends them changes their address each time.
MOST_RECORDS_AN_HOUR = 100


class EnrolmentRefused(FleetError):
    """An announcement that is not taken; `code` is its reason for machines."""

    def __init__(
        self, status: int, code: str, message: str, mend: str, *, field: str = "", value: object = None
    ) -> None:
        super().__init__(message, mend=mend, field=field, value=value)
        self.status, self.code = status, code


def unknown_token() -> EnrolmentRefused:
    return EnrolmentRefused(
        401,
        "enrolment_token_unknown",
        "The enrolment token is missing or not valid.",
        "Send `Authorization: Bearer fleetui-enrol_...` with a token of the pool's page.",
    )


def revoked(token: EnrolmentToken) -> EnrolmentRefused:
    return EnrolmentRefused(
        403,
        "enrolment_token_revoked",
        f"The enrolment token {token.name} was revoked.",
        "Make a new one on the page of the pool.",
    )


def expired(token: EnrolmentToken) -> EnrolmentRefused:
    message = f"The enrolment token {token.name} expired at {token.expires_at:%Y-%m-%dT%H:%M:%SZ}."
    return EnrolmentRefused(403, "enrolment_token_expired", message, "Make a new one on the page of the pool.")


def wrong_network(token: EnrolmentToken, address: str) -> EnrolmentRefused:
    return EnrolmentRefused(
        403,
        "enrolment_network",
        f"The enrolment token {token.name} may not be used from {address or 'an unknown address'}.",
        "Announce from one of its networks. Behind a proxy, TRUSTED_PROXIES has to name it.",
    )


def used_up(token: EnrolmentToken) -> EnrolmentRefused:
    return EnrolmentRefused(
        403,
        "enrolment_limit",
        f"The enrolment token {token.name} has admitted {token.max_uses} machines, which is its limit.",
        "Make a new one with a higher limit on the page of the pool.",
    )


def name_taken(name: str) -> EnrolmentRefused:
    return EnrolmentRefused(
        409,
        "enrolment_name_taken",
        f"The name {name} belongs to a node that did not enrol in this pool.",
        "Give the machine another host name, or delete or rename that node.",
        field="name",
        value=name,
    )


def other_key(name: str) -> EnrolmentRefused:
    return EnrolmentRefused(
        409,
        "enrolment_other_key",
        f"{name} is known by another host key.",
        f"If the machine was replaced, delete {name}, or announce again once it was retired for absence."
        " Otherwise somebody else uses its name.",
        field="host_key",
    )


def other_machine(name: str) -> EnrolmentRefused:
    return EnrolmentRefused(
        409,
        "enrolment_other_machine",
        f"{name} is known by another machine id.",
        "Two machines of one host name, or a copied disk: give each its own host name, machine id and host key.",
        field="machine_id",
    )


def retired_by_people(name: str) -> EnrolmentRefused:
    return EnrolmentRefused(
        409,
        "enrolment_retired",
        f"{name} was retired by a person.",
        "Restore it in FleetUI if it should come back.",
        field="name",
        value=name,
    )


def busy(name: str) -> EnrolmentRefused:
    message = f"{name} is being changed by others at this moment."
    return EnrolmentRefused(503, "enrolment_busy", message, "Announce again in a few seconds.")


def record_refusal(error: FleetError, *, token: EnrolmentToken | None, name: str, address: str) -> bool:
    """Keep a refused announcement in the audit log, at most once in ten minutes for each token and reason."""
    who = str(token.pk) if token else f"address:{address}"
    what = hashlib.sha256(f"{who} {error.code} {name if token else ''}".encode()).hexdigest()
    if not cache.add(f"enrolment-refused:{what}", 1, RECORD_EVERY_S):
        return False
    cache.add("enrolment-refused:count", 0, 3600)
    if cache.incr("enrolment-refused:count") > MOST_RECORDS_AN_HOUR:
        return False
    subject = f"node:{name}" if name else f"pool:{token.pool}" if token else "enrolment"
    after = {"code": error.code, "address": address}
    record_alone(Entry(actor_of(token), "nodes.enrol", subject, after=after, reason=error.message, outcome="refused"))
    return True


def actor_of(token: EnrolmentToken | None) -> str:
    """Who an announcement is recorded as: not a user, but whoever holds the token."""
    return f"enrolment:{token.pool.name}/{token.name}" if token else "anonymous:enrolment"
