"""What FleetUI left cordoned: uncordoned here when its operation is over and could not do it itself.

An operation uncordons its node as the last thing it does. This is for what came between: the API did not answer for so long
that a person ended the operation, the node was replaced or deleted meanwhile, or somebody uncordoned by hand.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import structlog
from django.db import transaction

from fleetui.audit.log import Entry, append
from fleetui.audit.models import AuditEvent
from fleetui.core.text import clean
from ops.kubernetes import Api, ClusterError, ClusterNode
from ops.models import ClusterAccess, Cordon, Operation
from ops.states import FINAL

log = structlog.get_logger(__name__)


def settle(access: ClusterAccess, api: Api, nodes: Iterable[ClusterNode]) -> int:
    """Uncordon what nobody needs cordoned, and forget what is not so any more; returns how many were uncordoned.

    `nodes` are all of the cluster: one may bear our mark without a row, set by a worker that was stopped past the end of
    its operation.
    """
    count = 0
    known = set(Cordon.objects.filter(access=access).values_list("name", flat=True))
    for node in nodes:
        if node.cordoned_by and node.name not in known and is_over(node.cordoned_by):
            row = Cordon(access=access, name=node.name, uid=clean(node.uid)[:64], by=node.cordoned_by)
            row.save(force_insert=True)
    for row in Cordon.objects.filter(access=access).select_related("operation", "access__cluster"):
        try:
            count += _settled(row, api)
        except ClusterError as error:
            # The next look tries again; one node that is in the way holds no other up.
            log.warning("cordon_not_settled", node=row.name, error=str(error))
            if error.is_passing:
                raise
    return count


def is_over(by: str) -> bool:
    """Whether the operation of a mark has ended. One that is not ours is never said to be: another FleetUI may have it."""
    try:
        operation = Operation.objects.filter(pk=uuid.UUID(hex=by)).first()
    except ValueError:
        return False
    return operation is not None and operation.state in FINAL


def _settled(row: Cordon, api: Api) -> bool:
    try:
        node = api.node(row.name)
    except ClusterError as error:
        if error.kind != "not_found":
            raise
        node = None
    ended = row.operation is None or row.operation.state in FINAL
    if node is None or node.uid != row.uid:
        return ended and _forget(row)
    if not ended:
        return False
    if node.cordoned_by != row.by:
        if not (node.cordoned or node.cordoned_by or row.is_kept) and not _was_told(row):
            # Our mark went with the cordon, and whoever did it died before it told.
            return _told(row)
        return _forget(row)
    if not node.cordoned:
        api.forget_mark(node)
        return _forget(row)
    if row.is_kept:
        return False
    # Told once it is done: what the API refuses is tried at every look.
    api.uncordon(node)
    return _told(row)


def _was_told(row: Cordon) -> bool:
    """Whether the audit log has the uncordon already: an operation records its own before it happens."""
    if row.operation_id is None:
        return False
    effects = AuditEvent.objects.filter(subject=f"operation:{row.operation_id}", action="operations.effect")
    return effects.filter(after__contains='"uncordon"').exists()


def _told(row: Cordon) -> bool:
    with transaction.atomic():
        _forget(row)
        append(
            [
                Entry(
                    actor="system:fleetui",
                    action="clusters.uncordon",
                    subject=f"cluster:{row.access.cluster.name}",
                    after={"node": row.name, "operation": row.by},
                )
            ]
        )
    return True


def _forget(row: Cordon) -> bool:
    """Nothing was uncordoned by that."""
    Cordon.objects.filter(pk=row.pk).delete()
    return False
