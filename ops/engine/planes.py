"""The control planes beside the node of one step, over SSH. What changes anything there is recorded first, as on its own host."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property

from nodes.hosts import drivers
from nodes.hosts.drivers.base import Driver
from nodes.models import Node
from ops.actions.base import Host
from ops.engine import host as own_host
from ops.engine.effects import AuditedHost
from ops.engine.host import Meanwhile
from ops.models import Operation
from ops.replacement.etcd import Identity
from ops.services.replacing.planes import Beside


class StepPlanes:
    """Implements ops.actions.members.Planes. Nothing is read before something is asked."""

    def __init__(
        self, row: Operation, node: Node, lease: uuid.UUID, step: str, meanwhile: Meanwhile, span: timedelta
    ) -> None:
        self._row, self._node, self._lease, self._step = row, node, lease, step
        self._meanwhile, self._span = meanwhile, span

    @cached_property
    def _beside(self) -> Beside:
        return Beside.of(self._node)

    @property
    def mine(self) -> Identity:
        return self._beside.mine

    @property
    def others(self) -> Mapping[str, Identity]:
        return self._beside.others

    def driver(self, name: str) -> Driver:
        return drivers.get(self._beside.family(name))

    @contextmanager
    def opened(self, name: str) -> Iterator[Host]:
        target = self._beside.target(name)
        with own_host.SshHost(target, self._meanwhile, until=self._row.deadline) as host:
            yield AuditedHost(host, self._row, self._lease, self._step, self._span, on=name)
