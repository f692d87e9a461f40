"""Host keys: offered by a contact, pinned by a person, never accepted silently."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from fleetui.core.text import clean
from nodes.hosts import ssh
from nodes.models import HostKey, Node, TimelineEvent
from nodes.services.jump_hosts import way
from nodes.services.provisioning.ending import end_refused

SCAN_TIMEOUT_S = 8.0
KEYS_AT_ONCE = 200
MOST_KEYS = 10_000
#: So much longer for each jump host on the way.
JUMP_TIMEOUT_S = 4.0


def scan(
    *, address: str, port: int, jump_host_id: uuid.UUID | None = None, authorities: ssh.Authorities | None = None
) -> tuple[ssh.HostKey, ssh.HostCertificate | None]:
    """Ask a host for its key without signing in, through its jump host; raises nodes.hosts.errors.HostError.

    With `authorities` a certificate is asked for first, and comes along when one of them signed it.
    """
    jumps = way(jump_host_id)
    deadline = ssh.Deadline.after(SCAN_TIMEOUT_S + JUMP_TIMEOUT_S * len(jumps))
    endpoint = ssh.Endpoint(address, port)
    if authorities is None:
        return ssh.scan_host_key(endpoint, deadline=deadline, jumps=jumps), None
    return ssh.scan_host(endpoint, authorities=authorities, deadline=deadline, jumps=jumps)


def offer(*, node: Node, key: ssh.HostKey, now: datetime) -> HostKey | None:
    """Remember the key that a host showed, for a person to decide.

    None when this very key was offered, refused or accepted before, or when the node was edited or deleted since it was
    contacted: then it was perhaps another host that showed the key.
    """
    with transaction.atomic():
        if not Node.objects.select_for_update().filter(pk=node.pk, revision=node.revision).exists():
            return None
        decided = HostKey.objects.filter(node=node, fingerprint=key.fingerprint, state__in=["pinned", "refused"])
        if decided.exists():
            return None
        current = HostKey.objects.select_for_update().filter(node=node, state="offered").first()
        if current and current.fingerprint == key.fingerprint:
            return None
        HostKey.objects.filter(node=node, state="offered").update(state="replaced", decided_at=now)
        row = HostKey.objects.create(
            node=node, type=key.type, public_key=key.base64, fingerprint=key.fingerprint, state="offered", seen_at=now
        )
        TimelineEvent.objects.create(
            node=node,
            at=now,
            kind="host_key_offered",
            params={"fingerprint": key.fingerprint},
            generation=node.generation,
        )
    return row


def accept_key(*, host_key: HostKey, actor: Principal, now: datetime, reason: str = "") -> HostKey:
    """Pin the offered key; the one before it becomes history, and the node is polled at once."""
    node = host_key.node
    require(actor, "nodes.accept_key", node)
    with transaction.atomic():
        Node.objects.select_for_update().get(pk=node.pk)
        old = HostKey.objects.filter(node=node, state="pinned").exclude(pk=host_key.pk).first()
        HostKey.objects.filter(node=node, state="pinned").exclude(pk=host_key.pk).update(state="replaced")
        claimed = HostKey.objects.filter(pk=host_key.pk, state__in=["offered", "refused"]).update(
            state="pinned", decided_at=now, decided_by=str(actor), reason=reason[:300]
        )
        if not claimed:
            raise Conflict(_("This key is not offered any more."), mend=_("Read the node again."))
        Node.objects.filter(pk=node.pk).update(poll_due_at=now, poll_requested_at=now)
        params = {"fingerprint": host_key.fingerprint, "reason": reason}
        TimelineEvent.objects.create(
            node=node, at=now, kind="host_key_accepted", params=params, actor=str(actor), generation=node.generation
        )
        append(
            [
                Entry(
                    actor=str(actor),
                    action="nodes.accept_key",
                    subject=f"node:{node.name}",
                    before={"fingerprint": old.fingerprint} if old else None,
                    after={"fingerprint": host_key.fingerprint},
                    reason=reason,
                )
            ]
        )
    host_key.refresh_from_db()
    return host_key


@dataclass
class AcceptOutcome:
    """The nodes whose key is trusted now, and why others were left: (id of the key, name of its node or "", why).

    Why is not_found, not_allowed, not_offered, other_fingerprint or changed_key.
    """

    accepted: list[str] = field(default_factory=list)
    left: list[tuple[uuid.UUID, str, str]] = field(default_factory=list)


Pair = tuple[uuid.UUID, str]


def accept_many(
    *, keys: Sequence[Pair], changed: Sequence[Pair] = (), reason: str, actor: Principal, now: datetime
) -> AcceptOutcome:
    """Pin offered keys, each named by id and by the fingerprint that the person saw; the nodes are polled at once.

    A key that takes the place of a trusted one is accepted only where it stands in `changed`. An audit event per node.
    """
    asked = {pk: (fingerprint, False) for pk, fingerprint in keys}
    asked |= {pk: (fingerprint, True) for pk, fingerprint in changed}
    if len(asked) > MOST_KEYS:
        raise InvalidInput(
            _("%(count)s keys are too many at once.") % {"count": len(asked)},
            field="keys",
            mend=_("Accept at most %(limit)s.") % {"limit": f"{MOST_KEYS:,}"},
        )
    outcome = AcceptOutcome()
    ids = list(asked)
    for begin in range(0, len(ids), KEYS_AT_ONCE):
        some = {pk: asked[pk] for pk in ids[begin : begin + KEYS_AT_ONCE]}
        with transaction.atomic():
            _accept_some(some, clean(reason).strip()[:300], actor, now, outcome)
    return outcome


def _accept_some(
    asked: Mapping[uuid.UUID, tuple[str, bool]], reason: str, actor: Principal, now: datetime, outcome: AcceptOutcome
) -> None:
    places = HostKey.objects.visible_to(actor).filter(pk__in=asked).values_list("node_id", flat=True)
    nodes = {node.pk: node for node in Node.objects.select_for_update().filter(pk__in=list(places)).order_by("pk")}
    rows = {key.pk: key for key in HostKey.objects.filter(pk__in=asked, node__in=nodes)}
    pinned = {key.node_id: key for key in HostKey.objects.filter(node__in=nodes, state="pinned")}
    taken: list[HostKey] = []
    for pk, (fingerprint, may_change) in asked.items():
        key = rows.get(pk)
        if key is None:
            outcome.left.append((pk, "", "not_found"))
            continue
        node = nodes[key.node_id]
        why = _why_not(key, node, fingerprint, may_change or node.pk not in pinned, actor)
        if why:
            outcome.left.append((pk, node.name, why))
        else:
            taken.append(key)
            outcome.accepted.append(node.name)
    ids = [key.node_id for key in taken]
    HostKey.objects.filter(node__in=ids, state="pinned").update(state="replaced")
    decided = {"decided_at": now, "decided_by": str(actor), "reason": reason}
    HostKey.objects.filter(pk__in=[key.pk for key in taken]).update(state="pinned", **decided)
    Node.objects.filter(pk__in=ids).update(poll_due_at=now, poll_requested_at=now)
    entries, events = [], []
    for key in taken:
        node, old = nodes[key.node_id], pinned.get(key.node_id)
        params = {"fingerprint": key.fingerprint, "reason": reason}
        events.append(
            TimelineEvent(
                node=node, at=now, kind="host_key_accepted", params=params, actor=str(actor), generation=node.generation
            )
        )
        before = {"fingerprint": old.fingerprint} if old else None
        after = {"fingerprint": key.fingerprint}
        subject = f"node:{node.name}"
        entries.append(Entry(str(actor), "nodes.accept_key", subject, before=before, after=after, reason=reason))
    TimelineEvent.objects.bulk_create(events)
    append(entries)


def _why_not(key: HostKey, node: Node, fingerprint: str, may_pin: bool, actor: Principal) -> str:  # noqa: FBT001
    if not actor.may("nodes.accept_key", node):
        return "not_allowed"
    if key.state != "offered":
        return "not_offered"
    if key.fingerprint != fingerprint:
        return "other_fingerprint"
    return "" if may_pin else "changed_key"


def refuse_key(*, host_key: HostKey, actor: Principal, now: datetime, reason: str = "") -> HostKey:
    """Refuse the offered key; contact stays stopped until the host shows another one or this one is accepted."""
    node = host_key.node
    require(actor, "nodes.accept_key", node)
    with transaction.atomic():
        # The node first, as everywhere.
        Node.objects.select_for_update().get(pk=node.pk)
        refused = HostKey.objects.filter(pk=host_key.pk, state="offered").update(
            state="refused", decided_at=now, decided_by=str(actor), reason=reason[:300]
        )
        if not refused:
            raise Conflict(_("This key is not offered any more."), mend=_("Read the node again."))
        has_ended = end_refused(node, host_key.fingerprint, now)
        TimelineEvent.objects.create(
            node=node,
            at=now,
            kind="host_key_refused",
            params={"fingerprint": host_key.fingerprint, "reason": reason},
            actor=str(actor),
            generation=node.generation,
        )
        append(
            [
                Entry(
                    actor=str(actor),
                    action="nodes.refuse_key",
                    subject=f"node:{node.name}",
                    after={"fingerprint": host_key.fingerprint, **({"offer": "revoked"} if has_ended else {})},
                    reason=reason,
                )
            ]
        )
    host_key.refresh_from_db()
    return host_key


def forget_key(*, node: Node, actor: Principal, now: datetime, reason: str) -> None:
    """Trust the pinned key no longer: the host certificate counts from the next contact on, where the pool has authorities.

    Without authorities the key is offered again, and somebody has to compare it.
    """
    require(actor, "nodes.accept_key", node)
    with transaction.atomic():
        key = HostKey.objects.select_for_update().filter(node=node, state="pinned").first()
        if key is None:
            raise Conflict(_("No key is trusted for this node."), mend=_("Read the node again."))
        HostKey.objects.filter(pk=key.pk, state="pinned").update(
            state="replaced", decided_at=now, decided_by=str(actor), reason=reason[:300]
        )
        Node.objects.filter(pk=node.pk).update(poll_due_at=now, poll_requested_at=now)
        params = {"fingerprint": key.fingerprint, "reason": reason}
        TimelineEvent.objects.create(
            node=node, at=now, kind="host_key_forgotten", params=params, actor=str(actor), generation=node.generation
        )
        subject, before = f"node:{node.name}", {"fingerprint": key.fingerprint}
        append([Entry(str(actor), "nodes.forget_key", subject, before=before, reason=reason)])
