"""Where the webhook of a provisioner tells how far it is. Its signature is its right to do so."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from fleetui.access.guards import public
from fleetui.access.hooks import hook_body, plain
from fleetui.core import clock
from ops.replacement.webhook import MOST_BYTES, SIGNATURE
from ops.services.replacing.hearing import Heard, hear

_SAID: Final[dict[Heard, tuple[int, str]]] = {
    "heard": (202, "The operation looks at it now.\n"),
    "refused": (403, "Refused.\n"),
    "unreadable": (
        400,
        "This is no answer of a provisioner: a JSON object with a state of replaced, working or failed.\n",
    ),
    "over": (409, "The operation does not wait for this now.\n"),
}


@public
@csrf_exempt
@require_POST
def provisioner_told(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """An answer that comes by itself."""
    body = hook_body(request, MOST_BYTES)
    if isinstance(body, HttpResponse):
        return body
    if body is None:
        return plain(413, f"At most {MOST_BYTES // 1024} KiB are read.\n")
    signed = request.headers.get(SIGNATURE, "")
    return plain(*_SAID[hear(operation_id=operation_id, signed=signed, body=body, now=clock.now())])
