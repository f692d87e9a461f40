"""A real simulated fleet as nodes of the database, and the engine driven by hand: ticks without a broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetui.core import clock
from nodes.models import HostKey, Node
from nodes.services.demo import seed
from nodes.services.polling.batch import Contacts
from nodes.services.polling.claim import begin
from nodes.services.polling.claim import claim_due as claim_polls
from nodes.services.polling.store import store
from nodes.services.polling.targets import target_of
from ops.engine import claim_due, run_step, start_queued
from ops.models import Operation
from ops.states import FINAL, State
from simfleet.control import send


@dataclass
class World:
    """Nodes of a simulated fleet, polled once. `folder` is the fleet's, for faults."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def of(cls, fleet: tuple[Path, dict[str, Any]]) -> World:
        world = cls(*fleet)
        seed(world.manifest)
        world.poll()
        return world

    def poll(self) -> None:
        """Poll every node once."""
        now = clock.now()
        Node.objects.update(poll_due_at=now, poll_lease=None, poll_lease_until=None)
        for lane in ("live", "slow"):
            claimed = claim_polls(lane=lane, now=now)
            if claimed is None:
                continue
            lease = begin(lease=claimed, now=now)
            assert lease
            nodes = list(Node.objects.filter(poll_lease=lease).select_related("credential", "pool__credential"))
            keys = {key.node_id: key for key in HostKey.objects.filter(node__in=nodes, state="pinned")}
            contacts = Contacts([target_of(node, keys.get(node.pk)) for node in nodes], lane)
            for found in contacts.slices(0.5):
                if found:
                    store(found, lease=lease, now=clock.now())

    def node(self, name: str) -> Node:
        node: Node = Node.objects.select_related("pool__cluster").get(name=name)
        return node

    def fault(self, name: str, kind: str, *, on: bool = True) -> None:
        send(self.folder, {"action": "fault", "name": name, "kind": kind, "on": on})

    def work(self, until: Callable[[], bool], timeout_s: float = 60) -> None:
        """Run ticks and steps as the workers do, until it is so."""
        end = time.monotonic() + timeout_s
        while not until():
            stand = Operation.objects.values_list("node_name", "state", "step", "wait_reason", "wait_params")
            assert time.monotonic() < end, list(stand)
            now = clock.now()
            start_queued(now)
            claimed = claim_due(now)
            for operation, lease in claimed:
                run_step(operation, lease, clock.now())
            if not claimed:
                time.sleep(0.1)

    def finish(self, *operations: Operation, timeout_s: float = 60) -> list[Operation]:
        """Work until all of them have ended, or need attention."""
        ids = [one.pk for one in operations]
        over = sorted({*FINAL, State.NEEDS_ATTENTION})
        self.work(lambda: Operation.objects.filter(pk__in=ids, state__in=over).count() == len(ids), timeout_s)
        return list(Operation.objects.filter(pk__in=ids).select_related("request").order_by("number"))
