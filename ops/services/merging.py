"""Two nodes became one: what was done to the one that goes stays with the one that stays."""

from __future__ import annotations

from django.utils.translation import gettext as _

from fleetui.core.errors import Conflict
from nodes.models import Node
from ops.models import ClusterNode, Operation, VersionHold


def follow_merge(keep: Node, other: Node) -> None:
    """Move holds, finished operations and the place in a cluster.

    Refused while an operation is under way on either: its host would change under it.
    """
    busy = Operation.objects.active().filter(node__in=[keep, other]).first()
    if busy is not None:
        raise Conflict(
            _("An operation is under way on %(name)s.") % {"name": busy.node_name},
            mend=_("Wait for its end or cancel it, and merge then."),
        )
    held = VersionHold.objects.filter(node=keep).values_list("version", flat=True)
    VersionHold.objects.filter(node=other).exclude(version__in=list(held)).update(node=keep)
    Operation.objects.filter(node=other).held().update(node=keep)
    ClusterNode.objects.filter(node=other).update(node=keep)
