"""What a node that is lost, or answers again, tells of in the words of the notifications."""

from __future__ import annotations

from urllib.parse import quote

from django.utils.translation import gettext as _

from fleetui.notify.outbox import Told
from nodes.axes import StoredAxis
from nodes.models import Node

#: What counts as not answering: a host with another key is not the one that we know.
_LOST = frozenset({"unreachable", "key_mismatch"})


def told_of(node: Node, before: str, new: StoredAxis) -> Told | None:
    """None for what is no news: a node that was lost in another way before, one in maintenance, one that is new."""
    if (new.value in _LOST) == (before in _LOST) or node.lifecycle != "active":
        return None
    is_lost = new.value in _LOST
    text = _("%(node)s does not answer any more") if is_lost else _("%(node)s answers again")
    return Told(
        event="node.unreachable" if is_lost else "node.recovered",
        severity="warning" if is_lost else "info",
        text=text % {"node": node.name},
        path=f"/nodes/{quote(node.name)}/",
        subject=f"node:{node.name}",
        pool_id=node.pool_id,
        pool=node.pool.name if node.pool else "",
        details={"reason": new.reason},
    )
