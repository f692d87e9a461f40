"""By hand: a person deletes the machine and makes the new one, and says so; of a control plane, also before it is deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.replacement.base import Order, Progress

LOOK_AGAIN_S = 60.0


class Manual:
    """Implements ops.replacement.base.Provisioner."""

    at_once = False

    def ready(self) -> None:
        return None

    def decide(self, decided: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def commands(self, node: str, address: str) -> list[list[str]]:
        return []

    def start(self, order: Order, attempt: int) -> Mapping[str, Any]:
        return {"attempt": attempt}

    def look(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        """What is confirmed wakes the operation up at once."""
        if "created" in order.confirmed:
            return Progress("replaced", "created_by_hand", handle=handle)
        gone = "deleted" in order.confirmed
        if order.leaves_first and not order.confirmed:
            return Progress("asks", "person_readies", {"node": order.node}, handle=handle, again_s=LOOK_AGAIN_S)
        code = "person_creates" if gone else "person_deletes"
        return Progress(
            "asks", code, {"node": order.node}, handle=handle, again_s=LOOK_AGAIN_S, begins=gone, is_ready=True
        )

    def forget(self, order: Order) -> None:
        return None
