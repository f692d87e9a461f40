"""Looks at clusters again and again: what is due is claimed by compare-and-swap, read without a transaction, and stored whole."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Case, F, Q, Value, When

from fleetui.core import clock
from fleetui.core.errors import SealBroken
from fleetui.core.text import clean
from nodes.models import Node
from nodes.services.certificates.looks import store_of_cluster
from ops.kubernetes import Api, ClusterError
from ops.kubernetes import ClusterNode as Seen
from ops.kubernetes.deployments import Deployment, rollout
from ops.kubernetes.drain import doubly_covered, hindrances, sort_pods
from ops.kubernetes.issued import Issued
from ops.kubernetes.objects import Budget, Pod
from ops.models import ClusterAccess, ClusterCertificate, ClusterDeployment, ClusterNode
from ops.services.clusters.access import api_of, opened
from ops.services.clusters.cordons import settle
from ops.services.clusters.matching import Ours, pair

log = structlog.get_logger(__name__)
EVERY = timedelta(seconds=30)
#: A look that takes long is made the more seldom: no cluster is asked for more than a tenth of the time.
SHARE = 10
LONGEST_WAIT = timedelta(minutes=5)
#: Longer than the lists of the largest cluster take.
LEASE = timedelta(minutes=5)
UNDER_WAY = 4
NAMES_KEPT = 5
#: What Kubernetes itself takes as the name of a node.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_LIST = "list deployments.apps"
LIST_ISSUED = "list certificates.cert-manager.io"
_LIST_SIGNED = "list certificaterequests.cert-manager.io"
_MOST = 2_000_000_000
_COLUMNS = (
    "uid",
    "node_id",
    "matched_by",
    "ready",
    "ready_said",
    "is_cordoned",
    "is_control_plane",
    "version",
    "pods",
    "taints",
    "stands_against",
)


def claim_due(now: datetime) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Take what is due and nobody works on; ids with their leases. Each is taken once, whoever asks at the same time."""
    room = UNDER_WAY - ClusterAccess.objects.filter(lease_until__gt=now).count()
    if room <= 0:
        return []
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    claimed = []
    due = ClusterAccess.objects.filter(free, due_at__lte=now).order_by("due_at")
    for pk, lease_until in due.values_list("pk", "lease_until")[:room]:
        lease = uuid.uuid4()
        if ClusterAccess.objects.filter(pk=pk, lease_until=lease_until).update(lease=lease, lease_until=now + LEASE):
            if ClusterAccess.objects.filter(lease_until__gt=now).count() > UNDER_WAY:
                # Another worker counted the same room: this one is given back before it is begun.
                ClusterAccess.objects.filter(pk=pk, lease=lease).update(lease=None, lease_until=None)
                break
            claimed.append((pk, lease))
    return claimed


@dataclass
class OnNode:
    """What runs on one node, counted as its pods come."""

    pods: int = 0
    going: int = 0
    left: int = 0
    local: list[str] = field(default_factory=list)
    unmanaged: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    budgets: list[dict[str, Any]] = field(default_factory=list)

    def take(self, pod: Pod, budgets: list[Budget]) -> None:
        self.pods += not pod.is_over
        found = sort_pods([pod], delete_emptydir=False, delete_unmanaged=False)
        self.left += len(found.left)
        if found.left:
            return
        self.going += 1
        for names, named in ((self.local, found.local), (self.unmanaged, found.unmanaged)):
            names += [one.place for one in named]
        self.doubled += [one.place for one in doubly_covered([pod], budgets)]
        self.budgets += [
            {"pod": one.pod.place, "budget": one.budget.place, "never": one.budget.never_allows}
            for one in hindrances([pod], budgets)
        ]

    def as_json(self) -> dict[str, Any]:
        """Counts of all, and the first few by name."""
        found: dict[str, Any] = {"going": self.going, "left": self.left}
        for name in ("local", "unmanaged", "doubled", "budgets"):
            rows = getattr(self, name)
            if rows:
                found |= {name: rows[:NAMES_KEPT], f"{name}_count": len(rows)}
        return found


@dataclass(frozen=True)
class Look:
    """What a cluster said of itself."""

    version: str
    missing: list[str]
    nodes: list[Seen]
    on: dict[str, OnNode]
    #: None: it may not read them.
    deployments: list[Deployment] | None = None
    #: The Certificates of cert-manager, and what is signed of each, by uid. Likewise, and where there is none.
    issued: list[Issued] | None = None
    signed: dict[str, bytes] = field(default_factory=dict)


def read(api: Api) -> Look:
    """Budgets first: then each pod is counted as it comes, and the pods of a large cluster are never in memory at once."""
    version, missing = api.version(), [str(right) for right in api.missing()]
    budgets: dict[str, list[Budget]] = {}
    for budget in api.budgets():
        budgets.setdefault(budget.namespace, []).append(budget)
    # Each once, and none whose name no cluster would have given it.
    nodes = {one.name: one for one in api.nodes() if _NAME.fullmatch(one.name)}
    on = {name: OnNode() for name in nodes}
    for pod in api.pods():
        if pod.node in on:
            on[pod.node].take(pod, budgets.get(pod.namespace, []))
    deployments = None if _LIST in missing else list({one.place: one for one in api.deployments()}.values())
    issued, signed = _issued(api, missing)
    return Look(version, missing, list(nodes.values()), on, deployments, issued, signed)


def _issued(api: Api, missing: list[str]) -> tuple[list[Issued] | None, dict[str, bytes]]:
    if not api.has_cert_manager() or LIST_ISSUED in missing:
        return None, {}
    issued = list({one.place: one for one in api.issued()}.values())
    revisions = {one.uid: one.revision for one in issued}
    requests = api.signed() if _LIST_SIGNED not in missing else iter(())
    return issued, {one.owner: one.pem for one in requests if one.pem and revisions.get(one.owner) == one.revision}


def refresh(access_id: uuid.UUID, lease: uuid.UUID) -> bool:
    """Look at one cluster; whether what was seen was stored. A repeated message finds its lease gone."""
    row = ClusterAccess.objects.select_related("cluster").filter(pk=access_id, lease=lease).first()
    if row is None:
        return False
    began = clock.now()
    try:
        with api_of(opened(row)) as api:
            look = read(api)
            settle(row, api, look.nodes)
        return _store(row, lease, look, began)
    except ClusterError as error:
        return _failed(row, lease, error.kind, error.params)
    except SealBroken as error:
        return _failed(row, lease, "seal_broken", {"said": error.message})
    except Exception:
        log.exception("cluster_not_read", access=str(row.pk))
        _failed(row, lease, "fault", {})
        raise


def _store(row: ClusterAccess, lease: uuid.UUID, look: Look, began: datetime) -> bool:
    now = clock.now()
    rows = list(_rows(row, look))
    columns: dict[str, Any] = {
        "state": "good",
        "problem": "",
        "problem_params": {},
        "version": clean(look.version)[:60],
        "missing": look.missing,
        "checked_at": began,
        "failures": 0,
    }
    if row.state != "good":
        columns["state_since"] = now
    with transaction.atomic():
        if not _release(row, lease, columns, now, max(EVERY, SHARE * (now - began))):
            return False
        before = {one.name: one for one in ClusterNode.objects.select_for_update().filter(access=row)}
        changed = [one for one in rows if one.name not in before or _differs(before[one.name], one)]
        ClusterNode.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=["access", "name"], update_fields=_FIELDS, batch_size=500
        )
        gone = [before[name].pk for name in before.keys() - {one.name for one in rows}]
        ClusterNode.objects.filter(pk__in=gone).delete()
        _store_deployments(row, look.deployments or [])
        _store_issued(row, look.issued or [])
        store_of_cluster(
            row.cluster, [(one.place, look.signed[one.uid]) for one in look.issued or [] if one.uid in look.signed], now
        )
    return True


def _store_deployments(row: ClusterAccess, seen: list[Deployment]) -> None:
    rows = [_deployment(row, one) for one in seen]
    before = {(one.namespace, one.name): one for one in ClusterDeployment.objects.filter(access=row)}
    changed = [one for one in rows if _is_new(before.get((one.namespace, one.name)), one)]
    ClusterDeployment.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["access", "namespace", "name"],
        update_fields=_OF_DEPLOYMENT,
        batch_size=500,
    )
    gone = [before[key].pk for key in before.keys() - {(one.namespace, one.name) for one in rows}]
    ClusterDeployment.objects.filter(pk__in=gone).delete()


_OF_DEPLOYMENT = ["uid", "images", "revision", "wanted", "updated", "available", "is_paused", "rollout", "late"]


def _is_new(before: ClusterDeployment | None, after: ClusterDeployment) -> bool:
    return before is None or any(getattr(before, name) != getattr(after, name) for name in _OF_DEPLOYMENT)


def _deployment(row: ClusterAccess, one: Deployment) -> ClusterDeployment:
    return ClusterDeployment(
        access=row,
        namespace=one.namespace,
        name=one.name,
        uid=one.uid[:64],
        images=dict(one.images),
        revision=one.revision,
        wanted=min(one.wanted, _MOST),
        updated=min(one.updated, _MOST),
        available=min(one.available, _MOST),
        is_paused=one.is_paused,
        rollout=rollout(one).code,
        late=one.late or one.failure,
    )


_OF_ISSUED = [
    *(
        "uid",
        "names",
        "issuer",
        "secret",
        "revision",
        "is_ready",
        "is_issuing",
        "said",
        "not_before",
        "not_after",
        "renews_at",
    )
]


def _store_issued(row: ClusterAccess, seen: list[Issued]) -> None:
    rows = [_certificate(row, one) for one in seen]
    before = {(one.namespace, one.name): one for one in ClusterCertificate.objects.filter(access=row)}
    changed = []
    for one in rows:
        known = before.pop((one.namespace, one.name), None)
        if known is None or any(getattr(known, name) != getattr(one, name) for name in _OF_ISSUED):
            changed.append(one)
    ClusterCertificate.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["access", "namespace", "name"],
        update_fields=_OF_ISSUED,
        batch_size=500,
    )
    ClusterCertificate.objects.filter(pk__in=[one.pk for one in before.values()]).delete()


def _certificate(row: ClusterAccess, one: Issued) -> ClusterCertificate:
    return ClusterCertificate(
        access=row,
        namespace=one.namespace,
        name=one.name,
        uid=one.uid[:64],
        names=[clean(name) for name in one.names],
        issuer=one.issuer[:300],
        secret=one.secret[:253],
        revision=min(one.revision, _MOST),
        is_ready=one.is_ready,
        is_issuing=one.issuing,
        said=(one.failed or ("" if one.is_ready else one.said))[:300],
        not_before=_moment(one.not_before),
        not_after=_moment(one.not_after),
        renews_at=_moment(one.renews_at),
    )


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


_FIELDS = ["node" if name == "node_id" else name for name in _COLUMNS]


def _differs(before: ClusterNode, after: ClusterNode) -> bool:
    return any(getattr(before, name) != getattr(after, name) for name in _COLUMNS)


def _rows(row: ClusterAccess, look: Look) -> Iterable[ClusterNode]:
    pairs = pair(look.nodes, _ours(row))
    for one in look.nodes:
        node, how = pairs.get(one.name, (None, ""))
        on = look.on[one.name]
        yield ClusterNode(
            access=row,
            name=one.name,
            uid=one.uid[:64],
            node_id=node,
            matched_by=how,
            ready=one.ready[:10],
            ready_said="" if one.is_ready else clean(one.ready_said)[:300],
            is_cordoned=one.cordoned,
            is_control_plane=one.is_control_plane,
            version=one.version[:60],
            pods=on.pods,
            taints=list(one.taints),
            stands_against=on.as_json(),
        )


def _ours(row: ClusterAccess) -> Iterable[Ours]:
    nodes = Node.objects.filter(pool__cluster=row.cluster_id).counted()
    found = nodes.values_list("pk", "name", "address", "machine_id", "facts__document__network__hostname", "labels")
    for pk, name, address, machine_id, hostname, labels in found.iterator():
        yield Ours(pk, name, address, machine_id, hostname if isinstance(hostname, str) else "", labels or {})


def _failed(row: ClusterAccess, lease: uuid.UUID, kind: str, params: dict[str, Any]) -> bool:
    """What was seen before stays, with its age; it is tried again ever more seldom."""
    now, failures = clock.now(), min(row.failures + 1, 30)
    told = {name: clean(value) if isinstance(value, str) else value for name, value in params.items()}
    columns: dict[str, Any] = {
        "state": "failing",
        "problem": kind,
        "problem_params": {**told, "server": row.server},
        "failures": failures,
    }
    if row.state != "failing":
        columns["state_since"] = now
    _release(row, lease, columns, now, min(EVERY * 2 ** min(failures - 1, 10), LONGEST_WAIT))
    return False


def _release(row: ClusterAccess, lease: uuid.UUID, columns: dict[str, Any], now: datetime, wait: timedelta) -> bool:
    """Give the claim back with what was found; False when somebody else has it by now, or the access was changed."""
    # Whoever asked for a look during this one waits for what comes after it.
    due = Case(When(due_at=row.due_at, then=Value(now + wait)), default=F("due_at"))
    mine = ClusterAccess.objects.filter(pk=row.pk, lease=lease, revision=row.revision)
    return bool(mine.update(**columns, due_at=due, lease=None, lease_until=None))
