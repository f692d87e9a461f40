"""Where a provisioning stands, from its row alone."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, Protocol

Standing = Literal["waiting", "fetched", "arrived", "revoked", "replaced", "moved", "absent", "expired"]
STANDINGS: Final = ("waiting", "fetched", "arrived", "revoked", "replaced", "moved", "absent", "expired")


class Offer(Protocol):
    """What is asked of a row, or of its columns."""

    ending: str
    fetches: int
    deadline: datetime


def standing(row: Offer, now: datetime) -> Standing:
    """waiting (nobody fetched it), fetched (the machine is on its way), arrived, revoked, replaced, moved (to
    another pool), absent (its machine never came) or expired.

    A machine that fetched in time may still arrive after the deadline.
    """
    if row.ending:
        return row.ending  # type: ignore[return-value]
    if row.fetches:
        return "fetched"
    return "expired" if row.deadline <= now else "waiting"
