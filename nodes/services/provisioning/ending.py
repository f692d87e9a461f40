"""How an offer ends without a machine: its token leads nowhere from then on, and the key in it is nobody's."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db.models import F, QuerySet

from nodes.models import HostKey, Node, Provisioning, TimelineEvent


def end_open(node: Node, ending: str, now: datetime) -> None:
    """What is open of the node ends, in the transaction of the caller."""
    _end(Provisioning.objects.filter(node=node, ended_at=None), ending, now)


def end_moved(node_ids: Collection[uuid.UUID], now: datetime, *, actor: str) -> None:
    """These nodes are in another pool now: what was offered to their machines is the config of the pool before.

    In the transaction in which they were moved. One query when nothing was offered, which is nearly always.
    """
    rows = list(
        Provisioning.objects.filter(node__in=node_ids, ended_at=None)
        .select_related("node", "version__config")
        .defer("sealed_config", "version__source", "version__rendered", "version__files", "version__report")
    )
    if not rows:
        return
    _end(Provisioning.objects.filter(pk__in=[row.pk for row in rows], ended_at=None), "moved", now)
    for row in rows:
        _unpin(row, now)
    TimelineEvent.objects.bulk_create(
        TimelineEvent(
            node=row.node,
            at=now,
            kind="provision_moved",
            params={"version": str(row.version)},
            actor=actor[:200],
            generation=row.node.generation,
        )
        for row in rows
    )


def end_refused(node: Node, fingerprint: str, now: datetime) -> bool:
    """Somebody said that the key which was made for an offer is not the node's: whoever has it, has fetched the config."""
    return bool(_end(Provisioning.objects.filter(node=node, fingerprint=fingerprint, ended_at=None), "revoked", now))


def trust_no_more(row: Provisioning, now: datetime) -> None:
    """The key of a new node was pinned with the offer: whoever fetched the config would be taken for the node by it."""
    if _unpin(row, now):
        # What a contact under way finds is of the host before; the next one asks for the key that the host shows.
        Node.objects.filter(pk=row.node_id).update(revision=F("revision") + 1, poll_due_at=now, poll_requested_at=now)


def _unpin(row: Provisioning, now: datetime) -> int:
    made = HostKey.objects.filter(node=row.node_id, state="pinned", fingerprint=row.fingerprint)
    return made.update(state="replaced", decided_at=now)


def _end(rows: QuerySet[Provisioning], ending: str, now: datetime) -> int:
    return rows.update(ended_at=now, ending=ending, sealed_config="")
