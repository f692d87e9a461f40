"""How a backup of a policy is brought back: its steps, with the hosts as they are now."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.utils.translation import gettext as _

from fleetui.core.errors import NotFound
from nodes.models import Node
from ops.backups.restoring import Host, Lies, Step, restore_steps
from ops.models import BackupPolicy, BackupRun

#: Who signs in where no credential says so.
_LOGIN = "core"


@dataclass(frozen=True)
class Restore:
    """`run` is the backup that the steps bring back."""

    run: BackupRun
    steps: list[Step]
    lies: Lies
    hosts: list[Host]
    nodes: list[Node]


def restore_of(policy: BackupPolicy, run_id: uuid.UUID | None = None) -> Restore:
    """Of that run, or of the newest good one that is there; NotFound without one. Four queries at most."""
    found = newest_restore(policy, run_id)
    if found is None:
        message = (
            _("%(name)s has no such backup, or it was deleted.") if run_id else _("%(name)s has no good backup yet.")
        )
        mend = _("Read its ledger.") if run_id else _("Back up first.")
        if policy.kind not in ("fleetui", "reported") and not _nodes(policy):
            message = _("No node of %(name)s is there any more, where its backup could be restored.")
            mend = _("Name another node or pool in the policy.")
        raise NotFound(message % {"name": policy.name}, mend=mend)
    return found


def newest_restore(policy: BackupPolicy, run_id: uuid.UUID | None = None) -> Restore | None:
    """None where no backup is, where its target was deleted here, or where no node of the policy is there any more."""
    there = policy.runs.there().filter(reported_by="", target__isnull=False).select_related("target")
    run = (there.filter(pk=run_id) if run_id else there).order_by("-ended_at").first()
    if run is None or run.target is None:
        return None
    nodes = _nodes(policy)
    hosts = [_host(node) for node in nodes]
    if not hosts and policy.kind != "fleetui":
        return None
    lies = Lies(
        kind=policy.kind,
        settings=policy.settings,
        key=run.key,
        sha256=run.sha256,
        location=run.location,
        target_kind=run.target.kind,
        target_settings=run.target.settings,
        checks=run.checks,
    )
    return Restore(run, restore_steps(lies, hosts), lies, hosts, nodes)


def _nodes(policy: BackupPolicy) -> list[Node]:
    jumps = ("jump_host__credential", "pool__jump_host__credential")
    rows = Node.objects.select_related("credential", "pool__credential", *jumps)
    if policy.node_id is not None:
        return list(rows.filter(pk=policy.node_id))
    if policy.pool_id is not None:
        return list(rows.filter(pool=policy.pool_id).exclude(lifecycle="retired").order_by("name"))
    return []


def _host(node: Node) -> Host:
    credential = node.effective_credential
    jumps, jump = [], node.effective_jump_host
    while jump is not None:
        jumps.append(f"{jump.credential.username}@{jump.address}:{jump.port}")
        jump = jump.through
    login = credential.username if credential else _LOGIN
    return Host(node.name, login, node.address, node.port, tuple(reversed(jumps)))
