"""Two nodes that are one machine become one, by hand: which one stays, a person says; what is kept of the other is decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import InvalidInput, NotFound
from fleetui.core.text import clean
from nodes.models import Facts, HostKey, Node, TimelineEvent
from nodes.services import changes as rows
from nodes.services.nodes import checked_labels, require_on
from nodes.services.search import search_text

#: What becomes of every row that belongs to the node that goes (a test asks that none is forgotten).
MOVED = ("Facts", "TimelineEvent", "HostKey")
DROPPED = (
    "Deployment",
    "Measurement",
    "FactTerm",
    "CredentialTrial",
    "HostCertificate",
    "IgnitionValue",
    "Provisioning",
    "Drift",
    "ContainerOnNode",
    "CertificateSource",
)


#: What other apps do in the same transaction, before the other node is deleted; one that raises refuses the merge.
_FOLLOWERS: list[Callable[[Node, Node], None]] = []


def follow_merges(follower: Callable[[Node, Node], None]) -> None:
    """Called from an AppConfig.ready by apps whose rows belong to nodes: follower(node that stays, node that goes)."""
    if follower not in _FOLLOWERS:
        _FOLLOWERS.append(follower)


@dataclass(frozen=True)
class Kept:
    """One field of the merge: of both nodes, and what stands after it."""

    field: str
    kept: Any
    other: Any
    result: Any

    @property
    def changes(self) -> bool:
        return bool(self.result != self.kept)


def merge_plan(keep: Node, other: Node) -> list[Kept]:
    """What the merge would write, field by field; the page shows it, the service does it.

    Name, address, port, lifecycle and generation are those of the node that stays. Pool, OS family and machine id are taken
    over where it has none, a credential only where its pool has none either: that of the other may not sign in on it.
    Labels are joined, and of a label that both have its own value stays.
    """
    found = [
        Kept(name, getattr(keep, name), getattr(other, name), getattr(keep, name))
        for name in ("name", "address", "port")
    ]
    for name in ("pool", "credential", "os_family_given", "machine_id"):
        mine, its = getattr(keep, name), getattr(other, name)
        signs_in = name == "credential" and keep.pool is not None and keep.pool.credential_id is not None
        found.append(Kept(name, mine, its, mine if signs_in else mine or its))
    found.append(Kept("labels", keep.labels, other.labels, {**other.labels, **keep.labels}))
    return found


def merge_nodes(
    *,
    keep: Node,
    other: Node,
    reason: str,
    actor: Principal,
    now: datetime,
    expected: Mapping[str, int] | None = None,
) -> Node:
    """Merge `other` into `keep`; `other` is gone thereafter. `expected` holds the revisions that were looked at, by name.

    Timeline and facts history of `other` go on with `keep`, its host keys as history: only a key that was trusted for
    `keep` stays trusted. Deployments, measurement and facts of now are those of `keep`.
    """
    for node in (keep, other):
        require(actor, "nodes.write", node)
    if keep.pk == other.pk:
        raise InvalidInput(
            _("A node cannot be merged into itself."), field="other", value=other.name, mend=_("Name another node.")
        )
    reason = clean(reason).strip()[:300]
    with transaction.atomic():
        locked = {
            node.pk: node
            for node in Node.objects.select_for_update(of=("self",))
            .filter(pk__in=[keep.pk, other.pk])
            .select_related("pool__cluster", "credential")
            .order_by("pk")
        }
        if len(locked) < 2:
            raise NotFound(_("One of the two nodes is gone."), mend=_("Look at the duplicates again."))
        keep, other = locked[keep.pk], locked[other.pk]
        for node in (keep, other):
            require(actor, "nodes.write", node)
            if expected is not None and expected.get(node.name) != node.revision:
                raise rows.stale("node", node.name)
        changed = [one for one in merge_plan(keep, other) if one.changes]
        before, lost = {one.field: rows.shown(one.kept) for one in changed}, _last_words(other)
        after = {one.field: rows.shown(one.result) for one in changed}
        _write(keep, other, changed, actor, now)
        _move(keep, other, now)
        for follower in _FOLLOWERS:
            follower(keep, other)
        Node.objects.filter(pk=other.pk).delete()
        params = {"other": other.name, "fields": [one.field for one in changed], "reason": reason}
        TimelineEvent.objects.create(
            node=keep, at=now, kind="nodes_merged", params=params, actor=str(actor), generation=keep.generation
        )
        subject = f"node:{keep.name}"
        append(
            [
                Entry(
                    str(actor),
                    "nodes.merge",
                    subject,
                    before={**before, "other": lost},
                    after={**after, "merged": other.name},
                    reason=reason,
                )
            ]
        )
    return keep


def _write(keep: Node, other: Node, changed: list[Kept], actor: Principal, now: datetime) -> None:
    columns = {one.field: one.result for one in changed}
    if "pool" in columns:
        require_on(actor, "nodes.write", columns["pool"])
    if "labels" in columns:
        columns["labels"] = checked_labels(columns["labels"])
    for name, value in columns.items():
        setattr(keep, name, value)
    columns |= {"search_text": search_text(keep), "revision": keep.revision + 1}
    columns |= {"poll_due_at": now, "poll_requested_at": now}
    Node.objects.filter(pk=keep.pk).update(**columns)
    keep.revision += 1


def _move(keep: Node, other: Node, now: datetime) -> None:
    Node.objects.filter(pk=other.pk).update(facts=None)
    Facts.objects.filter(node=other).update(node=keep)
    TimelineEvent.objects.filter(node=other).update(node=keep)
    HostKey.objects.filter(node=other, state__in=["pinned", "offered"]).update(state="replaced", decided_at=now)
    HostKey.objects.filter(node=other).update(node=keep)


def _last_words(other: Node) -> dict[str, Any]:
    """What the audit log keeps of the node that goes."""
    names = ("name", "address", "port", "pool", "credential", "labels", "lifecycle", "generation", "machine_id")
    return {name: rows.shown(getattr(other, name)) for name in names}
