"""Another machine behind a node: the next generation, which takes nothing over from the one before but the name."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db.models import Field

from nodes.models import (
    CredentialTrial,
    Deployment,
    Drift,
    FactTerm,
    HostCertificate,
    HostKey,
    Measurement,
    Node,
    Provisioning,
)

#: What a new machine behind an old name does not take over; its first poll fills it.
_FORGOTTEN = (
    *("os_family", "os_name", "os_variant", "os_version", "os_stream", "arch", "kernel", "kernel_order"),
    *("booted_version", "booted", "staged", "rollback", "boot_id", "booted_at", "facts", "facts_at", "unread_sections"),
    *("last_seen_at", "last_error_kind", "last_error_params", "failing_since", "failures"),
    *("silent_s", "silent_at"),
    *(f"{axis}{part}" for axis in ("reachability", "health", "update_state") for part in ("", "_reason", "_params")),
)


#: What FleetUI did on the machine before, and does not know of the next one.
RAISED: dict[str, Any] = {"applied_version": None, "applied_how": "", "applied_at": None}


def next_generation(node: Node, now: datetime) -> dict[str, Any]:
    """The columns of a node whose machine is another one."""
    columns = {name: _default(name) for name in _FORGOTTEN}
    columns |= {f"{axis}_since": now for axis in ("reachability", "health", "update_state")}
    return {**columns, **RAISED, "machine_id": "", "generation": node.generation + 1}


def forget_machine(node: Node, now: datetime) -> None:
    """What was known of the machine before goes, in the transaction of the caller; its timeline and past facts stay."""
    for model in (Deployment, FactTerm, Measurement, HostCertificate, CredentialTrial, Drift):
        model._default_manager.filter(node=node).delete()
    HostKey.objects.filter(node=node, state__in=["pinned", "offered"]).update(state="replaced", decided_at=now)
    # What was offered to a machine that another one came before leads to no config any more.
    offers = Provisioning.objects.filter(node=node, ended_at=None)
    offers.update(ended_at=now, ending="replaced", sealed_config="")


def others_behind(seen: Iterable[tuple[Node, str]]) -> set[uuid.UUID]:
    """The nodes behind which another machine answers, of (node as it is stored, machine id that was read now).

    Another id alone is not enough: a system that runs from memory makes one at each start. It is another machine when a person
    also accepted another key since the node answered last, which is what follows a reinstallation.
    """
    other = {node.pk: node.last_seen_at for node, read in seen if read and node.machine_id and read != node.machine_id}
    if not other:
        return set()
    accepted = HostKey.objects.filter(node__in=other, state="pinned", decided_at__isnull=False).order_by()
    return {pk for pk, at in accepted.values_list("node_id", "decided_at") if (last := other[pk]) and at > last}


def forget_replaced(node_ids: Collection[uuid.UUID], now: datetime) -> None:
    """What was known of the machines before and no poll writes anew, once the keys of these nodes were accepted by hand."""
    if not node_ids:
        return
    for model in (CredentialTrial, Drift):
        model._default_manager.filter(node__in=node_ids).delete()
    offers = Provisioning.objects.filter(node__in=node_ids, ended_at=None)
    offers.update(ended_at=now, ending="replaced", sealed_config="")


def _default(name: str) -> Any:
    field = Node._meta.get_field(name)
    return field.get_default() if isinstance(field, Field) else None
