"""What FleetUI left cordoned: uncordoned here when its operation is over and could not do it itself.

An operation uncordons its node as the last thing it does. This is for what came between: the API did not answer for so long
that a person ended the operation, the node was replaced or deleted meanwhile, or somebody uncordoned by hand.
"""

from __future__ import annotations

import structlog
from django.db import transaction

from fleetui.audit.log import Entry, append
from ops.kubernetes import Api, ClusterError
from ops.models import ClusterAccess, Cordon
from ops.states import FINAL

log = structlog.get_logger(__name__)


def settle(access: ClusterAccess, api: Api) -> int:
    """Uncordon what nobody needs cordoned, and forget what is not so any more; returns how many were uncordoned."""
    count = 0
    for row in Cordon.objects.filter(access=access).select_related("operation", "access__cluster"):
        try:
            count += _settled(row, api)
        except ClusterError as error:
            # The next look tries again; one node that is in the way holds no other up.
            log.warning("cordon_not_settled", node=row.name, error=str(error))
            if error.is_passing:
                raise
    return count


def _settled(row: Cordon, api: Api) -> bool:
    try:
        node = api.node(row.name)
    except ClusterError as error:
        if error.kind != "not_found":
            raise
        node = None
    is_over = row.operation is None or row.operation.state in FINAL
    if node is None or node.uid != row.uid:
        return is_over and _forget(row)
    if not is_over:
        return False
    if node.cordoned_by != row.by:
        return _forget(row)
    if not node.cordoned:
        api.forget_mark(node)
        return _forget(row)
    if row.is_kept:
        return False
    # Told once it is done: what the API refuses is tried at every look.
    api.uncordon(node)
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
