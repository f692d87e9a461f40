"""What a person does by hand in a replacement: says that it begins, that the old machine is gone, that the new one was made.

And reads the address of the new one's config.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.crypto import unseal
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from fleetui.core.words import any_of
from nodes.services.provisioning.offer import NEEDED
from ops.actions.members import is_plane
from ops.actions.replace import PREPARE
from ops.models import Operation, Replacement
from ops.services.replacing import planes
from ops.services.replacing.provisioners import under_way
from ops.states import FINAL, State

WHAT: Final = ("ready", "deleted", "created")
#: The step in which a provisioner is at work.
STEP: Final = "provision"
#: The steps in which there is something to confirm: before those of a control plane it is not made ready yet.
_STEPS: Final = (PREPARE, "leave_etcd", STEP)


def require_all(actor: Principal, operation: Operation) -> None:
    """Whoever replaces a machine, or sees the address of its config, needs what an offer of a config needs."""
    for permission in ("operations.request", *NEEDED):
        require(actor, permission, operation)
    require_planes(actor, operation)


def require_planes(actor: Principal, operation: Operation) -> None:
    """Raises NotAllowed where the other control planes that it deals with are out of reach."""
    if is_plane(operation.plan) and operation.node is not None:
        planes.require_all(actor, operation.node)


def may_all(actor: Principal, operation: Operation) -> bool:
    may = all(actor.may(permission, operation) for permission in ("operations.request", *NEEDED))
    return may and may_see_planes(actor, operation)


def may_see_planes(actor: Principal, operation: Operation) -> bool:
    """Whether the other control planes that it deals with, if any, are in reach of who looks at it."""
    return not is_plane(operation.plan) or operation.node is None or planes.may_all(actor, operation.node)


def is_open(operation: Operation) -> bool:
    """Whether people have something to confirm now."""
    return operation.step in _STEPS and operation.state not in FINAL


def asks_ready(operation: Operation, held: Replacement) -> bool:
    """Whether its etcd member goes as soon as a person says that the machine is about to be deleted."""
    kind = held.provisioner.kind if held.provisioner else ""
    return kind == "manual" and operation.step == PREPARE and is_open(operation) and not held.confirmed


def going_on(now: datetime) -> dict[str, Any]:
    """The columns of an operation that waited for a person and goes on."""
    return {"state": State.RUNNING, "due_at": now, "result": "", "result_params": {}, "state_since": now}


def confirm(*, operation: Operation, what: str, actor: Principal, now: datetime) -> Replacement:
    """Say that it was done; the operation looks at once. A second time changes nothing.

    Who made the machine that a provisioner did not make lets an operation that needs attention go on with that.
    """
    require_all(actor, operation)
    if what not in WHAT:
        mend = _("Use %(known)s.") % {"known": any_of(WHAT)}
        raise InvalidInput(_("This is nothing to confirm."), field="what", value=what, mend=mend)
    with transaction.atomic():
        row = Operation.objects.select_for_update().get(pk=operation.pk)
        held = Replacement.objects.filter(operation=row).first()
        is_known = held is not None and what in held.confirmed
        if held is None or not is_open(row) or (what == "ready" and not is_known and not asks_ready(row, held)):
            raise Conflict(
                _("The operation does not wait for this now."),
                mend=_("Read it again: it says what it waits for."),
            )
        if is_known:
            return held
        held.confirmed = {**held.confirmed, what: {"by": str(actor), "at": now.isoformat()}}
        held.save(update_fields=["confirmed"])
        after = {"what": what, "node": row.node_name}
        if what == "created" and row.step == STEP and row.state == State.NEEDS_ATTENTION:
            Operation.objects.filter(pk=row.pk).update(**going_on(now))
            after["state"] = State.RUNNING.value
        elif row.due_at is not None:
            # A step at work looks again by itself; what rests is due now.
            Operation.objects.filter(pk=row.pk, lease_id=None).update(due_at=now)
        append([Entry(str(actor), "operations.confirm", f"operation:{row.pk}", after=after)])
    return held


def token_of(*, operation: Operation, actor: Principal) -> tuple[Replacement, str]:
    """The token that leads to the new machine's config, as long as it waits for one; that it was shown is recorded."""
    require_all(actor, operation)
    found = under_way(operation)
    if found is None or not found.sealed_token or found.provisioning is None or found.provisioning.ended_at:
        raise NotFound(
            _("There is no config to fetch any more, or not yet."),
            mend=_("It is there from the step in which it is made ready until the machine has come."),
        )
    text = unseal(found.sealed_token, place=found.seal_place)
    after = {"node": operation.node_name, "version": str(found.provisioning.version)}
    with transaction.atomic():
        append([Entry(str(actor), "operations.reveal_config", f"operation:{operation.pk}", after=after)])
    return found, text
