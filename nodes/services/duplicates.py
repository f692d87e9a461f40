"""Nodes that share a machine id, an address or a host key: probably one machine under several names.

Found in SQL, three queries for the values and three for their nodes, whatever the fleet. Retired nodes are history and not asked.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from fleetui.core.remembered import remembered
from fleetui.core.text import clean
from fleetui.core.words import any_of
from nodes.models import HostKey, KnownDistinct, Node

#: Groups of one kind that are looked at; the rest shows when those are settled.
MOST_GROUPS = 200
#: Nodes of one group that are shown: a copied disk may be on a thousand.
MOST_NODES = 50
COUNT_FOR_S = 60


@dataclass(frozen=True)
class Shared:
    """What nodes have in common: machine_id, address (as address:port) or host_key (a fingerprint)."""

    kind: str
    value: str


@dataclass
class Group:
    """Nodes that share one or more values; `more` counts those beyond what is listed."""

    shared: list[Shared]
    nodes: list[Node]
    more: int = 0


@dataclass
class _Found:
    """Ids of the nodes of each shared value."""

    ids: dict[Shared, list[uuid.UUID]] = field(default_factory=lambda: defaultdict(list))


def find_duplicates(principal: Principal) -> list[Group]:
    """The groups among the nodes that the principal sees, the most telling first; a group of the same nodes is one."""
    found = _Found()
    _by_machine(principal, found)
    _by_key(principal, found)
    _by_address(principal, found)
    together: dict[frozenset[uuid.UUID], list[Shared]] = defaultdict(list)
    for shared, members in found.ids.items():
        together[frozenset(members)].append(shared)
    wanted = {pk for ids in together for pk in sorted(ids)[:MOST_NODES]}
    nodes = {node.pk: node for node in Node.objects.filter(pk__in=wanted).select_related("pool", "credential")}
    groups = []
    for ids, values in together.items():
        rows = sorted((nodes[pk] for pk in sorted(ids)[:MOST_NODES] if pk in nodes), key=lambda node: node.name)
        if len(rows) > 1:
            groups.append(Group(values, rows, max(0, len(ids) - MOST_NODES)))
    return sorted(groups, key=lambda group: (-len(group.shared), group.nodes[0].name))


def count_duplicates(principal: Principal) -> int:
    """How many values are shared, for the list of nodes; at most a minute old."""
    where = principal.where("nodes.read")
    key = "everywhere" if where.everywhere else ",".join(sorted(str(pk) for pk in where.pools))
    key = f"duplicates:{uuid.uuid5(uuid.NAMESPACE_URL, key)}"
    kinds = (_machines, _keys, _addresses)
    return remembered(key, COUNT_FOR_S, lambda: sum(shared(principal).count() for shared in kinds))


def _visible(principal: Principal) -> QuerySet[Any]:
    return Node.objects.visible_to(principal).counted().order_by()


def _known(kind: str) -> QuerySet[Any]:
    return KnownDistinct.objects.filter(kind=kind).values("value")


def _shared(rows: QuerySet[Any], *columns: str) -> QuerySet[Any]:
    found: QuerySet[Any] = rows.values(*columns).annotate(n=Count("pk")).filter(n__gt=1).order_by(*columns)
    return found


def _machines(principal: Principal) -> QuerySet[Any]:
    rows = _visible(principal).exclude(machine_id="").exclude(machine_id__in=_known("machine_id"))
    return _shared(rows, "machine_id")


def _keys(principal: Principal) -> QuerySet[Any]:
    rows = HostKey.objects.visible_to(principal).filter(state="pinned").exclude(node__lifecycle="retired").order_by()
    return _shared(rows.exclude(fingerprint__in=_known("host_key")), "fingerprint")


def _addresses(principal: Principal) -> QuerySet[Any]:
    """The same private address behind two jump hosts is not the same place."""
    distinct = Q()
    for value in KnownDistinct.objects.filter(kind="address").values_list("value", flat=True)[:500]:
        address, _colon, port = value.rpartition(":")
        distinct |= Q(address=address, port=int(port))
    rows = _visible(principal).exclude(distinct) if distinct else _visible(principal)
    return _shared(rows.annotate(via=Coalesce("jump_host_id", "pool__jump_host_id")), "address", "port", "via")


def _by_machine(principal: Principal, found: _Found) -> None:
    values = [row["machine_id"] for row in _machines(principal)[:MOST_GROUPS]]
    for pk, value in _visible(principal).filter(machine_id__in=values).values_list("pk", "machine_id"):
        found.ids[Shared("machine_id", value)].append(pk)


def _by_key(principal: Principal, found: _Found) -> None:
    values = [row["fingerprint"] for row in _keys(principal)[:MOST_GROUPS]]
    rows = HostKey.objects.visible_to(principal).filter(state="pinned", fingerprint__in=values)
    for pk, value in rows.exclude(node__lifecycle="retired").order_by().values_list("node_id", "fingerprint"):
        found.ids[Shared("host_key", value)].append(pk)


def _by_address(principal: Principal, found: _Found) -> None:
    places = [(row["address"], row["port"], row["via"]) for row in _addresses(principal)[:MOST_GROUPS]]
    rows = _visible(principal).filter(address__in={place[0] for place in places})
    rows = rows.annotate(via=Coalesce("jump_host_id", "pool__jump_host_id"))
    by_place: dict[tuple[Any, ...], list[uuid.UUID]] = {place: [] for place in places}
    for pk, *place in rows.values_list("pk", "address", "port", "via"):
        if tuple(place) in by_place:
            by_place[tuple(place)].append(pk)
    for (address, port, _via), ids in by_place.items():
        # Two jump hosts may have a group each under the same spelling: each of them is one.
        shared = Shared("address", f"{address}:{port}")
        found.ids[shared] = [*found.ids.get(shared, []), *ids]


def nodes_sharing(kind: str, value: str) -> QuerySet[Any]:
    """Every node in service with this value, seen or not."""
    rows = Node.objects.counted()
    if kind == "machine_id":
        return rows.filter(machine_id=value).exclude(machine_id="")
    if kind == "host_key":
        return rows.filter(host_keys__fingerprint=value, host_keys__state="pinned")
    address, _colon, port = value.rpartition(":")
    return rows.filter(address=address, port=int(port)) if port.isascii() and port.isdigit() else rows.none()


def _require_on_all(nodes: Iterable[Node], actor: Principal) -> None:
    for node in nodes:
        require(actor, "nodes.write", node)


def say_distinct(*, kind: str, value: str, reason: str, actor: Principal, now: datetime) -> KnownDistinct:
    """These nodes are different machines: the value that they share counts as no duplicate from now on."""
    reason = clean(reason).strip()[:300]
    if kind not in KnownDistinct.KINDS:
        mend = _("Use %(known)s.") % {"known": any_of(KnownDistinct.KINDS)}
        raise InvalidInput(
            _("%(value)r is nothing that nodes share.") % {"value": kind}, field="kind", value=kind, mend=mend
        )
    nodes = list(nodes_sharing(kind, value).select_related("pool"))
    seen = [node for node in nodes if actor.may("nodes.read", node)]
    if len(seen) < 2:
        raise NotFound(_("No two nodes that you may see share this value."), mend=_("Look at the duplicates again."))
    if not reason:
        mend = _("Say why they are different, for whoever finds them alike again.")
        raise InvalidInput(_("The reason is empty."), field="reason", mend=mend)
    _require_on_all(nodes, actor)
    try:
        with transaction.atomic():
            row = KnownDistinct.objects.create(
                kind=kind, value=value, said_by=str(actor)[:200], said_at=now, reason=reason
            )
            after = {"kind": kind, "value": value, "nodes": [node.name for node in nodes[:MOST_NODES]]}
            append([Entry(str(actor), "nodes.say_distinct", f"nodes:{kind}", after=after, reason=reason)])
    except IntegrityError as error:
        raise Conflict(
            _("Somebody said so already."), field="value", value=value, mend=_("Look at the duplicates again.")
        ) from error
    return row


def undo_distinct(*, row: KnownDistinct, actor: Principal) -> None:
    """Ask about this value again."""
    _require_on_all(nodes_sharing(row.kind, row.value).select_related("pool"), actor)
    if not actor.may_somewhere("nodes.write"):
        require(actor, "nodes.write")
    with transaction.atomic():
        if KnownDistinct.objects.filter(pk=row.pk).delete()[0]:
            before = {"kind": row.kind, "value": row.value, "said_by": row.said_by, "reason": row.reason}
            append([Entry(str(actor), "nodes.undo_distinct", f"nodes:{row.kind}", before=before)])


def distinct_visible_to(principal: Principal) -> list[KnownDistinct]:
    """What was said of values that nodes share which the principal sees; everything for those who see every node."""
    rows = list(KnownDistinct.objects.order_by("-said_at")[:MOST_GROUPS])
    if principal.where("nodes.read").everywhere:
        return rows
    visible = _visible(principal)
    machines = set(visible.filter(machine_id__in=[row.value for row in rows]).values_list("machine_id", flat=True))
    keys = HostKey.objects.visible_to(principal).filter(state="pinned", fingerprint__in=[row.value for row in rows])
    known = {"machine_id": machines, "host_key": set(keys.values_list("fingerprint", flat=True))}
    places = visible.filter(address__in=[row.value.rpartition(":")[0] for row in rows if row.kind == "address"])
    known["address"] = {f"{address}:{port}" for address, port in places.values_list("address", "port")}
    return [row for row in rows if row.value in known[row.kind]]
