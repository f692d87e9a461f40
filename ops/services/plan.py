"""What a request would do to each node, from stored facts: applicable or not and why, the target, the exact commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nodes.axes.reading import text
from nodes.hosts import drivers
from nodes.hosts.drivers.base import CommandRefused
from nodes.models import Facts, Measurement, Node
from nodes.releases.release import Release
from nodes.services.releases import view_of
from ops import actions
from ops.actions.base import Action
from ops.models import Operation
from ops.preflight import Check, booted_of


@dataclass(frozen=True)
class NodePlan:
    """`refused` is a code why nothing can be done to the node; empty means that an operation would be made."""

    node: Node
    refused: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    frozen: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    commands: Sequence[Sequence[str]] = ()
    is_control_plane: bool = False
    changes: bool = True

    def as_json(self) -> dict[str, Any]:
        """What an operation keeps of its plan: nothing that changes by itself."""
        return {
            "frozen": dict(self.frozen),
            "target": dict(self.target),
            "commands": [list(command) for command in self.commands],
            "checks": [check.as_json() for check in self.checks],
        }


def plan_for(nodes: Sequence[Node], *, kind: str, params: Mapping[str, Any], now: datetime) -> list[NodePlan]:
    """Plans in the order of the nodes. Three queries, however many nodes."""
    action = actions.get(kind)
    ids = [node.pk for node in nodes]
    documents: dict[Any, Any] = dict(
        Facts.objects.filter(pk__in=[node.facts_id for node in nodes if node.facts_id]).values_list(
            "node_id", "document"
        )
    )
    measured = dict(Measurement.objects.filter(node__in=ids).values_list("node_id", "document"))
    busy = {} if action.beside_changes else _busy(ids)
    return [
        _plan(node, action, params, documents.get(node.pk), measured.get(node.pk) or {}, busy.get(node.pk), now)
        for node in nodes
    ]


def _busy(ids: Sequence[Any]) -> dict[Any, Operation]:
    active = Operation.objects.active().filter(node__in=ids, changes=True)
    return {row.node_id: row for row in active.only("pk", "node", "kind", "state")}


def _plan(
    node: Node,
    action: Action,
    params: Mapping[str, Any],
    facts: Mapping[str, Any] | None,
    measured: Mapping[str, Any],
    busy: Operation | None,
    now: datetime,
) -> NodePlan:
    if node.lifecycle == "retired":
        return NodePlan(node, "retired")
    if busy is not None:
        return NodePlan(node, "busy", {"operation": str(busy.pk), "kind": busy.kind, "state": busy.state})
    if facts is None and action.needs_facts:
        return NodePlan(node, "no_facts")
    facts = facts or {}
    if node.reachability == "key_mismatch":
        return NodePlan(node, "key_mismatch")
    driver = drivers.get(node.os_family or "unknown")
    for kind in action.capabilities:
        capability = driver.capabilities.get(kind)
        if capability is None or not capability.supported:
            return NodePlan(
                node, "not_supported", {"os": node.os_name, "said": capability.reason if capability else ""}
            )
    booted = booted_of(facts) or {}
    frozen = {
        "generation": node.generation,
        "booted_checksum": booted.get("checksum") or "",
        "booted_version": booted.get("version") or "",
    }
    target = dict(action.target(facts, params))
    if action.kind == "upgrade":
        found = upgrade_target(node, booted, params, now)
        if isinstance(found, NodePlan):
            return found
        target = found
    changes = action.changes or any(driver.capabilities[kind].changes for kind in action.capabilities)
    checks = list(action.checks(facts, measured, params, {"target": target, "frozen": frozen}))
    if changes and not action.changes:
        checks.append(Check("changes_here", "warn"))
    try:
        commands = [command.argv for command in action.commands(driver, params, {"target": target})]
    except CommandRefused as error:
        return NodePlan(node, "not_supported", {"os": node.os_name, "said": str(error)})
    return NodePlan(
        node,
        checks=checks,
        frozen=frozen,
        target=target,
        commands=commands,
        is_control_plane=text(facts, "kubernetes", "role") == "control-plane",
        changes=changes,
    )


def upgrade_target(
    node: Node, booted: Mapping[str, Any], params: Mapping[str, Any], now: datetime
) -> dict[str, Any] | NodePlan:
    """The release to go to: the one asked for if an update leads there, else the next. Empty: what the host itself finds."""
    releases = view_of(node.os_family, node.os_stream, now)
    wanted = str(params.get("version", ""))
    here = booted.get("version") or node.booted_version
    asked = {"is_asked": True} if wanted else {}
    image = (booted.get("origin") or "") if booted.get("image") else ""
    if not releases.known:
        if wanted and image:
            return NodePlan(node, "no_digest", {"version": wanted})
        return {"version": wanted, **asked} if wanted else {}
    step = releases.next_step(here, now)
    if not wanted:
        if step is None:
            return NodePlan(node, "nothing_newer", {"version": here, "stream": node.os_stream})
        release = step
    else:
        if wanted == here:
            return NodePlan(node, "there_already", {"version": here})
        named = releases.find(wanted)
        if named is None:
            return NodePlan(node, "no_such_release", {"version": wanted, "stream": node.os_stream})
        if named.is_deadend:
            return NodePlan(node, "dead_end", {"version": wanted, "why": named.deadend or ""})
        barrier = _barrier_before(releases.newer(here), wanted)
        if barrier is not None:
            return NodePlan(node, "behind_barrier", {"version": wanted, "barrier": barrier})
        release = named
    digest = release.images.get(node.arch, "").rpartition("@")[2]
    found = {"version": release.version, **asked}
    if not image:
        return {**found, "checksum": release.checksums.get(node.arch, "")}
    # A container-native host follows an image: the release's digest, under the host's own reference. Commits mean nothing
    # to it, and without a digest only the newest of its tag can be had.
    name, pinned, _digest = image.partition("@")
    if digest:
        return {**found, "image": f"{name}@{digest}" if pinned else name, "digest": digest}
    if wanted or pinned:
        return NodePlan(node, "no_digest", {"version": release.version})
    return {**found, "image": name}


def _barrier_before(newer: Sequence[Release], wanted: str) -> str | None:
    """The first barrier that lies between here and the wanted version, which no update may skip."""
    for release in newer:
        if release.version == wanted:
            return None
        if release.is_barrier:
            return release.version
    return None
