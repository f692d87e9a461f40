"""A machine shows up with the host key that was made for it: from then on it is the node, and its token is over."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, append
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import HostKey, Node, Provisioning, TimelineEvent
from nodes.services.generations import forget_machine, next_generation
from nodes.services.search import search_text

ACTOR = str(SYSTEM)


def arrived(*, node: Node, key: SshHostKey, now: datetime) -> bool:
    """Whether this is the key of a provisioning of the node whose config was fetched; then the next generation begins.

    False when nobody was offered that key, it was never fetched, or it was revoked: then a person decides, as ever. What a
    person decided stands: a key that was refused is trusted by no offer.
    """
    row = _expected(node, key)
    if row is None:
        return False
    with transaction.atomic():
        held = Node.objects.select_for_update().filter(pk=node.pk, revision=node.revision).first()
        if held is None or _is_refused(held, key) or not _end(row, now):
            return False
        columns = {
            **next_generation(held, now),
            **_applied(row),
            "generation": row.generation,
            "poll_due_at": now,
            "poll_requested_at": now,
            "poll_lease": None,
            "poll_lease_until": None,
        }
        for name, value in columns.items():
            setattr(held, name, value)
        Node.objects.filter(pk=held.pk).update(**columns, search_text=search_text(held), revision=F("revision") + 1)
        forget_machine(held, now)
        HostKey.pinned(held, key, by=row.created_by, now=now, reason="Made for provisioning").save(force_insert=True)
        _tell(row, held, now, is_new_generation=True)
    return True


def is_awaited(node: Node, key: SshHostKey) -> bool:
    """Whether `arrived` will take that key for the one of the node's next machine: then it is no alarm that it was shown."""
    return _expected(node, key) is not None and not _is_refused(node, key)


def proven(node_ids: Collection[uuid.UUID], now: datetime) -> None:
    """These nodes answered by their pinned key for the first time or anew: what was offered for that key has been used.

    In the transaction of the caller. One query when there is nothing, which is nearly always.
    """
    rows = Provisioning.objects.filter(
        node__in=node_ids, ended_at=None, fetches__gt=0, generation=F("node__generation")
    ).select_related("node", "version__config")
    for row in rows:
        if HostKey.objects.filter(node=row.node, state="pinned", fingerprint=row.fingerprint).exists() and _end(
            row, now
        ):
            Node.objects.filter(pk=row.node_id).update(**_applied(row))
            _tell(row, row.node, now, is_new_generation=False)


def on_their_way(node_ids: Collection[uuid.UUID], now: datetime) -> set[uuid.UUID]:
    """Those whose machine has fetched its config, and has time left to show up."""
    coming = Provisioning.objects.filter(node__in=node_ids, ended_at=None, fetches__gt=0, deadline__gt=now)
    return set(coming.values_list("node_id", flat=True))


def _expected(node: Node, key: SshHostKey) -> Provisioning | None:
    offered = Provisioning.objects.select_related("version__config").filter(node=node, fingerprint=key.fingerprint)
    # Also after the deadline: a machine that has fetched in time may take long to install.
    return offered.filter(ended_at=None, fetches__gt=0, generation=F("node__generation") + 1).first()


def _is_refused(node: Node, key: SshHostKey) -> bool:
    return HostKey.objects.filter(node=node, fingerprint=key.fingerprint, state="refused").exists()


def _end(row: Provisioning, now: datetime) -> bool:
    open_still = Provisioning.objects.filter(pk=row.pk, ended_at=None)
    return bool(open_still.update(ended_at=now, ending="arrived", sealed_config=""))


def _applied(row: Provisioning) -> dict[str, Any]:
    return {"applied_version": row.version, "applied_how": "fetch", "applied_at": row.first_fetched_at}


def _tell(row: Provisioning, node: Node, now: datetime, *, is_new_generation: bool) -> None:
    def event(kind: str, **params: Any) -> TimelineEvent:
        return TimelineEvent(node=node, at=now, kind=kind, params=params, actor=ACTOR, generation=row.generation)

    told = [event("ignition_applied", version=str(row.version), how="fetch")]
    if is_new_generation:
        told.insert(0, event("generation_raised", generation=row.generation))
    TimelineEvent.objects.bulk_create(told)
    after = {
        "version": str(row.version),
        "sha512": row.sha512,
        "host_key": row.fingerprint,
        "generation": row.generation,
        "fetched_from": row.last_address,
        "requested_by": row.created_by,
    }
    append([Entry(ACTOR, "nodes.provisioned", f"node:{node.name}", after=after)])
