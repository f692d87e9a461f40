"""The stored facts of the node of one step: reading it anew as a poll does, and what has changed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Q

from fleetui.core import clock
from nodes.hosts.look import Look
from nodes.models import Facts, Node
from nodes.services.differences import events
from nodes.services.polling.claim import lease_time, release
from nodes.services.polling.contact import Outcome
from nodes.services.polling.store import store


class StoredNode:
    """Implements ops.actions.base.Inventory."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def known(self) -> int:
        return Node.objects.values_list("facts_id", flat=True).get(pk=self._node.pk) or 0

    def take_in(self, read: Callable[[], Look]) -> bool:
        """Under the lease of a poll, so that a poll and this never write over each other.

        False also when the node was edited meanwhile: then what was read counts for nothing, as in a poll.
        """
        began, lease = clock.now(), uuid.uuid4()
        free = Node.objects.filter(Q(poll_lease=None) | Q(poll_lease_until__lte=began), pk=self._node.pk)
        if not free.update(poll_lease=lease, poll_lease_until=began + lease_time()):
            return False
        try:
            seen = read()
            outcome = Outcome(self._node.pk, look=seen, began_at=began, revision=self._node.revision)
            if not store([outcome], lease=lease, now=clock.now()):
                return False
            return Node.objects.filter(pk=self._node.pk, revision=self._node.revision).exists()
        finally:
            release(lease=lease, nodes=[self._node.pk])

    def changes(self, since: int) -> Sequence[tuple[str, Mapping[str, Any]]]:
        latest = self.known()
        if latest == since:
            return []
        documents = dict(Facts.objects.filter(pk__in=[since, latest]).values_list("pk", "document"))
        return events(documents.get(since), documents[latest])
