"""The reason of a request: whether one is required, and whether it has to name a ticket, is a setting."""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput

MOST_CHARS = 300
#: A pattern is looked for in so much of a reason.
_SEARCHED_CHARS = 300


def checked_reason(reason: str) -> str:
    """The reason as it is kept; raises InvalidInput when a setting asks for more."""
    kept = reason.strip()[:MOST_CHARS]
    if (settings.REQUIRE_REASON or settings.TICKET_PATTERN) and not kept:
        raise InvalidInput(
            _("A reason is required here."),
            field="reason",
            value="",
            mend=_ticket() if settings.TICKET_PATTERN else _("Say in a few words why this is done."),
        )
    if settings.TICKET_PATTERN and not re.search(settings.TICKET_PATTERN, kept[:_SEARCHED_CHARS]):
        raise InvalidInput(_("The reason names no ticket."), field="reason", value=kept, mend=_ticket())
    return kept


def reason_hint() -> str:
    """What forms say beside the field of the reason."""
    if settings.TICKET_PATTERN:
        return _ticket()
    return str(_("Kept in the audit log."))


def is_reason_required() -> bool:
    return bool(settings.REQUIRE_REASON or settings.TICKET_PATTERN)


def _ticket() -> str:
    return _("Name the ticket in it; it has to match %(pattern)s.") % {"pattern": settings.TICKET_PATTERN}
