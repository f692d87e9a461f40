"""The hosts of a guided restore over SSH, and what people said of its steps. What changes a host is recorded first."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property

from nodes.models import HostKey, Node
from nodes.services.polling.targets import target_of
from ops.actions.base import Host
from ops.backups.guide import Guide
from ops.backups.job import NoJob
from ops.engine import host as own_host
from ops.engine.effects import AuditedHost
from ops.engine.host import Meanwhile
from ops.models import Operation, Restore
from ops.states import ACTIVE, FINAL


class StepRestore:
    """Implements ops.actions.base.Restoring. Nothing is read before something is asked."""

    def __init__(self, row: Operation, lease: uuid.UUID, step: str, meanwhile: Meanwhile, span: timedelta) -> None:
        self._row, self._lease, self._step = row, lease, step
        self._meanwhile, self._span = meanwhile, span

    @cached_property
    def guide(self) -> Guide:
        return Guide.of(self._row.plan["restore"], self._row.memory.get("members"))

    def confirmed(self) -> frozenset[str]:
        found = Restore.objects.filter(operation=self._row).values_list("confirmed", flat=True).first()
        return frozenset(found or ())

    @contextmanager
    def opened(self, name: str) -> Iterator[Host]:
        pk, generation = self.guide.nodes[name]
        rows = Node.objects.select_related("pool__credential", "credential").exclude(lifecycle="retired")
        node = rows.filter(pk=pk, generation=generation).first()
        if node is None:
            raise NoJob("restore_other_machine", host=name)
        pinned = HostKey.objects.filter(node=node, state="pinned").first()
        with own_host.SshHost(target_of(node, pinned), self._meanwhile, until=self._row.deadline) as host:
            yield AuditedHost(host, self._row, self._lease, self._step, self._span, on=name)

    def has_places(self) -> bool:
        held = Operation.objects.filter(request=self._row.request_id, state__in=sorted(ACTIVE), changes=True)
        subjects = set(held.values_list("subject", flat=True))
        return all(f"node:{pk}" in subjects for pk, _generation in self.guide.nodes.values())

    def is_over(self) -> bool:
        mine = Operation.objects.filter(request=self._row.request_id, kind="restore")
        return not mine.exclude(state__in=sorted(FINAL)).exists()
