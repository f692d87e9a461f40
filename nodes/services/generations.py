"""Another machine behind a node: the next generation, which takes nothing over from the one before but the name."""

from __future__ import annotations

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


def next_generation(node: Node, now: datetime) -> dict[str, Any]:
    """The columns of a node whose machine is another one."""
    columns = {name: _default(name) for name in _FORGOTTEN}
    columns |= {f"{axis}_since": now for axis in ("reachability", "health", "update_state")}
    applied = {"applied_version": None, "applied_how": "", "applied_at": None}
    return {**columns, **applied, "machine_id": "", "generation": node.generation + 1}


def forget_machine(node: Node, now: datetime) -> None:
    """What was known of the machine before goes, in the transaction of the caller; its timeline and past facts stay."""
    for model in (Deployment, FactTerm, Measurement, HostCertificate, CredentialTrial, Drift):
        model._default_manager.filter(node=node).delete()
    HostKey.objects.filter(node=node, state__in=["pinned", "offered"]).update(state="replaced", decided_at=now)
    # What was offered to a machine that another one came before leads to no config any more.
    offers = Provisioning.objects.filter(node=node, ended_at=None)
    offers.update(ended_at=now, ending="replaced", sealed_config="")


def _default(name: str) -> Any:
    field = Node._meta.get_field(name)
    return field.get_default() if isinstance(field, Field) else None
