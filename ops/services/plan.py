"""What a request would do to each node, from stored facts: applicable or not and why, the target, the exact commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nodes.axes.reading import text
from nodes.facts.keeping import is_role_unread
from nodes.hosts import drivers
from nodes.hosts.drivers.base import CommandRefused
from nodes.models import Facts, Measurement, Node
from ops import actions
from ops.actions.base import Action
from ops.actions.drain import stored_checks
from ops.models import Operation, VersionHold
from ops.preflight import Check, blocked, booted_of, contact
from ops.services.backups.gates import GATED, Gate, gates_on
from ops.services.clusters.nodes import InCluster, InClusters, in_clusters
from ops.services.durations import Expected, expected
from ops.services.holds import held_on
from ops.services.replacing.planes import whom_to_ask
from ops.services.replacing.plans import Replacing
from ops.services.target import upgrade_target


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
    expected: Expected | None = None
    #: The node of a cluster that is drained: its access, its name there, and its uid.
    cluster: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What an operation keeps of its plan: nothing that changes by itself."""
        return {
            "frozen": dict(self.frozen),
            "target": dict(self.target),
            "commands": [list(command) for command in self.commands],
            "checks": [check.as_json() for check in self.checks],
            **({"cluster": dict(self.cluster)} if self.cluster else {}),
        }


def plan_for(nodes: Sequence[Node], *, kind: str, params: Mapping[str, Any], now: datetime) -> list[NodePlan]:
    """Plans in the order of the nodes. Ten queries at most, however many nodes."""
    action = actions.get(kind)
    ids = [node.pk for node in nodes]
    stored = Facts.objects.filter(pk__in=[node.facts_id for node in nodes if node.facts_id])
    known = _Known(
        facts=dict(stored.values_list("node_id", "document")),
        measured=dict(Measurement.objects.filter(node__in=ids).values_list("node_id", "document")),
        busy={} if action.beside_changes else _busy(ids),
        held=held_on(nodes) if action.kind == "upgrade" else {},
        gates=gates_on(nodes, now) if action.kind in GATED else {},
        expected=expected(kind, {node.pool_id for node in nodes}, params, now),
        outside=action.outside(params),
        clusters=in_clusters(nodes) if action.drains or action.asks_cluster or action.on == "cluster" else InClusters(),
        replacing=Replacing.of(nodes) if action.on == "machine" else Replacing(),
    )
    return [_plan(node, action, params, known, now) for node in nodes]


@dataclass(frozen=True)
class _Known:
    """What is stored of all nodes of a plan, by node; `expected` by pool."""

    facts: Mapping[Any, Any]
    measured: Mapping[Any, Any]
    busy: Mapping[Any, Operation]
    held: Mapping[Any, Mapping[str, VersionHold]]
    gates: Mapping[Any, Sequence[Gate]]
    expected: Mapping[Any, Expected]
    outside: Mapping[str, Any]
    clusters: InClusters
    replacing: Replacing


def _busy(ids: Sequence[Any]) -> dict[Any, Operation]:
    active = Operation.objects.active().filter(node__in=ids, changes=True)
    return {row.node_id: row for row in active.only("pk", "node", "kind", "state")}


def _plan(node: Node, action: Action, params: Mapping[str, Any], known: _Known, now: datetime) -> NodePlan:
    busy, facts = known.busy.get(node.pk), known.facts.get(node.pk)
    measured, held = known.measured.get(node.pk) or {}, known.held.get(node.pk, {})
    if node.lifecycle == "retired":
        return NodePlan(node, "retired")
    if busy is not None:
        return NodePlan(node, "busy", {"operation": str(busy.pk), "kind": busy.kind, "state": busy.state})
    there = known.clusters.of(node)
    if action.on == "cluster":
        return _plan_in_cluster(node, action, params, there, text(facts or {}, "kubernetes", "role"))
    if action.on == "machine":
        return _plan_of_machine(node, action, params, there, known, now)
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
    target = {**action.target(facts, params), **known.outside}
    checks = [contact(node.reachability, node.last_seen_at, now)]
    if action.kind == "upgrade":
        aim = upgrade_target(node, booted, params, now, held)
        if aim.refused:
            return NodePlan(node, aim.refused, aim.params)
        target = dict(aim.target)
        checks += aim.checks
    changes = action.changes or any(driver.capabilities[kind].changes for kind in action.capabilities)
    gates = [gate.as_json() for gate in known.gates.get(node.pk, ())]
    stands = {"target": target, "frozen": frozen, "held": sorted(held), "gates": gates}
    checks += action.checks(facts, measured, params, stands)
    if changes and not action.changes:
        checks.append(Check("changes_here", "warn"))
    checks += _drain_checks(action, params, there)
    try:
        commands = [command.argv for command in action.commands(driver, params, {"target": target})]
    except CommandRefused as error:
        if blocked(checks):
            # What stands against it says more: without a slot to go back to, none can be named.
            return NodePlan(node, checks=checks, frozen=frozen, target=target, changes=changes)
        return NodePlan(node, "not_supported", {"os": node.os_name, "said": str(error)})
    return NodePlan(
        node,
        checks=checks,
        frozen=frozen,
        target=target,
        commands=commands,
        is_control_plane=text(facts, "kubernetes", "role") == "control-plane",
        changes=changes,
        expected=known.expected.get(node.pool_id),
        cluster=there.place if action.asks_cluster or (action.drains and params.get("drain", True)) else {},
    )


def _plan_in_cluster(node: Node, action: Action, params: Mapping[str, Any], there: InCluster, role: str) -> NodePlan:
    """What is done at the cluster alone: whether the host answers is no matter."""
    if there.refused:
        return NodePlan(node, there.refused, {"cluster": there.cluster})
    checks = [Check("cluster_looked_at", params={"cluster": there.cluster, "name": there.place["name"]})]
    if action.drains:
        checks += stored_checks(there.stands_against, params)
    return NodePlan(
        node,
        checks=checks,
        frozen={"generation": node.generation},
        is_control_plane=role == "control-plane" or there.is_control_plane,
        cluster=there.place,
    )


def _plan_of_machine(
    node: Node, action: Action, params: Mapping[str, Any], there: InCluster, known: _Known, now: datetime
) -> NodePlan:
    """Another machine takes the place of the node's: whether that one answers is told, and is no matter."""
    facts = known.facts.get(node.pk) or {}
    is_control_plane = text(facts, "kubernetes", "role") == "control-plane" or there.is_control_plane
    refused, why = known.replacing.refusal(node)
    if refused:
        return NodePlan(node, refused, why)
    found = known.replacing.checks(node, params, is_control_plane=is_control_plane)
    checks = [contact(node.reachability, node.last_seen_at, now), *found]
    if is_control_plane:
        checks.append(whom_to_ask(node))
    elif not there.place and is_role_unread(facts):
        # A dead machine tells nothing any more; whoever replaces it knows what it was.
        level = "warn" if node.reachability == "unreachable" else "block"
        checks.append(Check("role_unread", level, {"name": node.name}))
    return NodePlan(
        node,
        checks=[*checks, *_drain_checks(action, params, there)],
        frozen={"generation": node.generation, "booted_version": node.booted_version},
        target=known.replacing.target(node, is_control_plane=is_control_plane),
        commands=known.replacing.commands(node),
        is_control_plane=is_control_plane,
        expected=known.expected.get(node.pool_id),
        cluster=there.place if params.get("drain", True) else {},
    )


def _drain_checks(action: Action, params: Mapping[str, Any], there: InCluster) -> list[Check]:
    """What a plan that restarts the host says of draining it first."""
    if not action.drains:
        return []
    asked = params.get("drain") is True
    if there.refused:
        # Without a cluster, or with one that FleetUI does not know, there is nothing to say, unless it was asked for.
        is_told = asked or there.refused == "not_in_cluster"
        return [Check(there.refused, "warn", {"cluster": there.cluster})] if is_told else []
    if not params.get("drain", True):
        return [Check("not_drained", "warn", {"cluster": there.cluster})]
    found = [Check("is_drained", params={"cluster": there.cluster, "name": there.place["name"]})]
    return found + stored_checks(there.stands_against, params)
