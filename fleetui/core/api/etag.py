"""ETag and If-Match: an edit that names the revision it was based on never overwrites another edit."""

from __future__ import annotations

import re

from rest_framework.request import Request

from fleetui.core.errors import InvalidInput, StaleEdit

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def tag_of(revision: int) -> str:
    """The ETag of a revision."""
    return f'"r{revision}"'


def expected_revision(request: Request, current: int) -> int | None:
    """The revision that If-Match asks for; None without the header or with `*`. Raises StaleEdit when it is another."""
    header = request.headers.get("If-Match", "").strip()
    if not header or header == "*":
        return None
    tags = _TAG.findall(header)
    if not tags:
        raise InvalidInput(
            "The If-Match header holds no ETag.",
            field="If-Match",
            value=header,
            mend='Send the ETag as it was answered, like "r3".',
        )
    if f"r{current}" not in [value for weak, value in tags if not weak]:
        raise StaleEdit(
            "This was changed since you read it.",
            field="If-Match",
            value=header,
            mend="Read it again, and repeat the edit on that.",
        )
    return current
