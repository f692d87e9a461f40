"""Why a machine gets no config. Ignition asks again after a status of 5xx and gives up after the others."""

from __future__ import annotations

from enum import Enum


class Refusal(Enum):
    """Each with its own words in the answer (nodes.views.provisioning)."""

    UNKNOWN = "unknown"
    GONE = "gone"
    USED_UP = "used_up"
    NO_ID = "no_id"
    WRONG_NETWORK = "wrong_network"
    NOT_READY = "not_ready"

    @property
    def status(self) -> int:
        return _STATUS[self]


_STATUS = {
    Refusal.UNKNOWN: 404,
    Refusal.GONE: 410,
    Refusal.USED_UP: 410,
    Refusal.NO_ID: 400,
    Refusal.WRONG_NETWORK: 403,
    Refusal.NOT_READY: 503,
}
