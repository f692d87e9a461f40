"""The control planes beside a node, from what is stored: whom to ask, and by what their etcd members are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.core.errors import Conflict, NotAllowed
from nodes.axes.reading import objects, text
from nodes.hosts import ssh
from nodes.hosts.drivers.base import Command
from nodes.models import Facts, HostKey, Node, Pool
from nodes.services.polling.contact import connected
from nodes.services.polling.targets import target_of
from ops import wording
from ops.actions.base import ASKED
from ops.models import ClusterNode
from ops.preflight import Check
from ops.replacement.etcd import Identity
from ops.replacement.planes import NAMES_TOLD, Asked, Removal, ask, removal

_IS_PLANE = Q(facts__document__kubernetes__role="control-plane") | Q(in_cluster__is_control_plane=True)
#: The code of a refusal: other control planes are out of somebody's reach.
NOT_ALL = "needs_planes"
#: Of one look for a page or the API.
LOOK_S = 25.0
#: So many such looks wait for hosts in one process: each holds a thread that answers people.
LOOKS_AT_ONCE = 2
_looks = BoundedSemaphore(LOOKS_AT_ONCE)


@dataclass(frozen=True)
class Beside:
    """The other control planes of the cluster of a node, or of its pool where that is in none: those that answer first."""

    mine: Identity
    nodes: Mapping[str, Node] = field(default_factory=dict)
    others: Mapping[str, Identity] = field(default_factory=dict)

    @classmethod
    def of(cls, node: Node) -> Beside:
        """Four queries."""
        if node.pool is None:
            return cls(_identities([node])[node.pk])
        # A node is in one cluster at most, and there once.
        rows = list(_beside(node).select_related("pool__cluster").distinct())
        rows.sort(key=lambda one: (one.reachability != "reachable", one.name))
        known = _identities([node, *rows])
        return cls(known[node.pk], {one.name: one for one in rows}, {one.name: known[one.pk] for one in rows})

    def family(self, name: str) -> str:
        node = self.nodes[name]
        return node.os_family_given or node.os_family or "unknown"

    def target(self, name: str) -> Any:
        node = self.nodes[name]
        return target_of(node, HostKey.objects.filter(node=node, state="pinned").first())


def _identities(nodes: list[Node]) -> dict[Any, Identity]:
    stored = Facts.objects.filter(pk__in=[node.facts_id for node in nodes if node.facts_id])
    network = dict(stored.values_list("node_id", "document__network"))
    names: dict[Any, list[str]] = {}
    for pk, name in ClusterNode.objects.filter(node__in=nodes).values_list("node_id", "name"):
        names.setdefault(pk, []).append(name)
    return {
        node.pk: Identity.of(
            [node.name, text(network.get(node.pk), "hostname"), *names.get(node.pk, ())],
            [node.address, *_addresses(network.get(node.pk))],
        )
        for node in nodes
    }


def _addresses(network: object) -> Iterator[str]:
    for interface in objects(network, "interfaces"):
        for one in objects(interface, "addresses"):
            yield text(one, "address")


def _beside(node: Node) -> QuerySet[Node]:
    pool = node.pool
    if pool is None:
        return Node.objects.none()
    same = Q(pool__cluster=pool.cluster_id) if pool.cluster_id else Q(pool=pool.pk)
    return Node.objects.filter(same, _IS_PLANE).exclude(pk=node.pk).exclude(lifecycle="retired")


def planes_of(pool: Pool) -> QuerySet[Node]:
    return Node.objects.filter(_IS_PLANE, pool=pool).exclude(lifecycle="retired").select_related("pool")


def may_all(actor: Principal, node: Node) -> bool:
    """Whether somebody may ask for operations on the control planes beside this one too.

    One of them is told to remove its etcd member, and each has one vote less to lose from then on.
    """
    if actor.where(ASKED).everywhere:
        return True
    pools = _beside(node).order_by().values_list("pool", flat=True).distinct()
    return all(actor.where(ASKED).covers(pool) for pool in pools)


def require_all(actor: Principal, node: Node) -> None:
    """Raises NotAllowed, which names nothing that the one who asks may not see."""
    if not may_all(actor, node):
        raise NotAllowed(
            wording.refusal_sentence(NOT_ALL, {}), mend=_("Have an admin of the whole cluster ask for it.")
        )


def is_plane_now(node: Node) -> bool:
    """By what its facts and its cluster say of it."""
    return Node.objects.filter(_IS_PLANE, pk=node.pk).exists()


def whom_to_ask(node: Node) -> Check:
    """For a plan, which asks nobody: who will be asked of etcd before anything changes."""
    names = list(Beside.of(node).nodes)
    if not names:
        return Check("etcd_no_sibling", "block", {"name": node.name})
    return Check("etcd_is_asked", params={"name": node.name, "names": ", ".join(names[:NAMES_TOLD])})


@dataclass(frozen=True)
class Seen:
    """What etcd consists of now, and what a replacement of the node would remove."""

    asked: Asked
    removal: Removal
    siblings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return self.removal.as_json(self.asked)


def look_now(node: Node) -> Seen:
    """Ask over SSH, now. Not within a transaction; takes up to half a minute where hosts do not answer.

    Raises Conflict while others have asked and wait for that.
    """
    if not _looks.acquire(blocking=False):
        raise Conflict(_("Others are asking control planes right now."), mend=_("Ask again in some seconds."))
    try:
        return _look_now(node)
    finally:
        _looks.release()


def _look_now(node: Node) -> Seen:
    beside = Beside.of(node)
    targets = {name: beside.target(name) for name in beside.others}
    if not connection.in_atomic_block:
        # Others need the connection meanwhile.
        connection.close()
    deadline = ssh.Deadline.after(LOOK_S)

    @contextmanager
    def opened(name: str) -> Iterator[_Reads]:
        with connected(targets[name], deadline=deadline) as talk:
            yield _Reads(talk, deadline)

    asked = ask(list(beside.others), opened)
    return Seen(asked, removal(node.name, beside.mine, beside.others, asked), tuple(beside.others))


@dataclass(frozen=True)
class _Reads:
    connection: ssh.Connection
    deadline: ssh.Deadline

    def run(self, command: Command) -> ssh.CommandResult:
        return self.connection.run(command.argv, deadline=self.deadline)
