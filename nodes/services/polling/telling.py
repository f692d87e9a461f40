"""What polls tell of in the words of the notifications: nodes that are lost, in trouble, or well again."""

from __future__ import annotations

from urllib.parse import quote

from django.utils.translation import gettext as _

from fleetui.notify.outbox import Told
from nodes.axes import StoredAxis
from nodes.models import Node

#: What counts as not answering: a host with another key is not the one that we know.
_LOST = frozenset({"unreachable", "key_mismatch"})


def told_of(node: Node, axis: str, before: str, new: StoredAxis) -> Told | None:
    """None for what is no news: a node that was lost in another way before, one in maintenance, one that is new."""
    if node.lifecycle != "active":
        return None
    if axis == "reachability" and (new.value in _LOST) != (before in _LOST):
        if new.value in _LOST:
            return _told(node, "node.unreachable", "warning", _("%(node)s does not answer any more"), new)
        return _told(node, "node.recovered", "info", _("%(node)s answers again"), new)
    if axis == "health" and new.value == "degraded":
        return _told(node, "node.degraded", "warning", _("%(node)s is degraded"), new)
    if axis == "health" and (before, new.value) == ("degraded", "healthy"):
        return _told(node, "node.healthy", "info", _("%(node)s is healthy again"), new)
    return None


def _told(node: Node, event: str, severity: str, text: str, new: StoredAxis) -> Told:
    return Told(
        event=event,
        severity=severity,
        text=text % {"node": node.name},
        path=f"/nodes/{quote(node.name)}/",
        subject=f"node:{node.name}",
        pool_id=node.pool_id,
        pool=node.pool.name if node.pool else "",
        details={"reason": new.reason},
    )
