"""How long nothing has answered at a node's address, counted by contacts: what nobody tried, nobody missed.

Between two contacts that failed at most the wait counts that was planned between them, so that a time in which FleetUI or
its workers stood still counts for one contact. It begins anew when anything answers there, also what cannot be signed in
to, and when a person changes where the node is or takes it into service.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from nodes.hosts.errors import NO_ANSWER
from nodes.models import Node

#: The columns of a node whose silence begins anew.
HEARD: Final[dict[str, Any]] = {"silent_s": 0, "silent_at": None}


def count_silence(node: Node, kind: str, *, planned_s: float, now: datetime) -> None:
    """Take in one failed contact; before `failures` counts it. `planned_s` is the longest wait that was planned before it."""
    if kind not in NO_ANSWER or not node.failures or node.silent_at is None:
        node.silent_s = 0
    else:
        node.silent_s += max(int(min((now - node.silent_at).total_seconds(), planned_s)), 0)
    node.silent_at = now if kind in NO_ANSWER else None
