"""Host keys: offered by a contact, pinned by a person, never accepted silently."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict
from nodes.hosts import ssh
from nodes.models import HostKey, Node, TimelineEvent

SCAN_TIMEOUT_S = 8.0


def scan(*, address: str, port: int) -> ssh.HostKey:
    """Ask a host for its key without signing in; raises nodes.hosts.errors.HostError."""
    return ssh.scan_host_key(ssh.Endpoint(address, port), deadline=ssh.Deadline.after(SCAN_TIMEOUT_S))


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


def refuse_key(*, host_key: HostKey, actor: Principal, now: datetime, reason: str = "") -> HostKey:
    """Refuse the offered key; contact stays stopped until the host shows another one or this one is accepted."""
    node = host_key.node
    require(actor, "nodes.accept_key", node)
    with transaction.atomic():
        refused = HostKey.objects.filter(pk=host_key.pk, state="offered").update(
            state="refused", decided_at=now, decided_by=str(actor), reason=reason[:300]
        )
        if not refused:
            raise Conflict(_("This key is not offered any more."), mend=_("Read the node again."))
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
                    after={"fingerprint": host_key.fingerprint},
                    reason=reason,
                )
            ]
        )
    host_key.refresh_from_db()
    return host_key
