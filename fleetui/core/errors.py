"""The errors that a person can act on. Every one says what failed and what to do; none shows a stack trace."""

from __future__ import annotations


class FleetError(Exception):
    """Base of what services raise. `status` is the HTTP status that page and API answer with."""

    status = 400
    code = "error"

    def __init__(self, message: str, *, mend: str = "", field: str = "", value: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.field = field
        self.value = value


class InvalidInput(FleetError):
    """A field has a value that cannot be used; names the field, the value and the mend."""

    status = 400
    code = "invalid"


class NotAllowed(FleetError):
    """The principal may see the subject but may not do this to it."""

    status = 403
    code = "not_allowed"


class NotFound(FleetError):
    """No such subject, or the principal may not see it: both read the same from outside."""

    status = 404
    code = "not_found"


class Conflict(FleetError):
    """The state does not allow this now."""

    status = 409
    code = "conflict"


class StaleEdit(FleetError):
    """Someone changed the subject since it was read (If-Match did not match)."""

    status = 412
    code = "stale"


class StartError(FleetError):
    """FleetUI cannot start; the sentence says why and what to do."""

    code = "start"


class SealBroken(FleetError):
    """A sealed secret cannot be opened: its key is gone, or the value was moved or changed."""

    status = 500
    code = "seal_broken"
