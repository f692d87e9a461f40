"""What the webhook of a provisioner tells by itself: kept with the replacement, whose operation looks at it at once."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from django.db import transaction

from fleetui.audit.log import Entry, append
from fleetui.core.crypto import unseal
from fleetui.core.errors import SealBroken
from fleetui.core.posting import is_proven
from ops.models import Operation, Replacement
from ops.replacement import Broken
from ops.replacement.answers import read_answer
from ops.services.replacing.confirming import STEP
from ops.states import FINAL

#: over: its operation does not wait for it, or not any more.
Heard = Literal["heard", "refused", "unreadable", "over"]


def hear(*, operation_id: uuid.UUID, signed: str, body: bytes, now: datetime) -> Heard:
    """Keep an answer of the form of ops.replacement.answers. Whoever does not know the secret learns nothing."""
    known = Replacement.objects.filter(operation=operation_id).select_related("provisioner").first()
    provisioner = known.provisioner if known else None
    if provisioner is None or not provisioner.sealed_secret:
        return "refused"
    try:
        secret = unseal(provisioner.sealed_secret, place=provisioner.seal_place)
    except SealBroken:
        return "refused"
    if not is_proven(signed, secret, body, now.timestamp()):
        return "refused"
    try:
        state = read_answer(body).state
        text = body.decode()
    except (Broken, UnicodeDecodeError):
        return "unreadable"
    with transaction.atomic():
        row = Operation.objects.select_for_update().get(pk=operation_id)
        if row.step != STEP or row.state in FINAL:
            return "over"
        held = Replacement.objects.get(operation=row)
        held.told = {"number": int(held.told.get("number", 0)) + 1, "body": text}
        held.save(update_fields=["told"])
        if row.due_at is not None:
            # A step at work looks again by itself; what rests is due now.
            Operation.objects.filter(pk=row.pk, lease_id=None).update(due_at=now)
        after = {"node": row.node_name, "state": state}
        append([Entry(f"provisioner:{provisioner.name}", "operations.told", f"operation:{row.pk}", after=after)])
    return "heard"
