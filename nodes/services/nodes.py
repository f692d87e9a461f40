"""Add, edit, retire and delete nodes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from nodes.axes import Lifecycle
from nodes.hosts import drivers
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import Credential, HostKey, JumpHost, Node, Pool, TimelineEvent
from nodes.querysets import NodeQuerySet
from nodes.services import changes as rows
from nodes.services.lifecycle import checked_until, lifecycle_columns, shown_time
from nodes.services.provisioning.ending import end_moved
from nodes.services.search import search_text
from nodes.services.silence import HEARD
from nodes.services.whereabouts import require_free_address, require_idle, require_still

EDITABLE = ("name", "address", "port", "pool", "credential", "jump_host", "os_family_given", "labels")
_HOST_NAME = re.compile(
    r"^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$"
)
_LABEL_KEY = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?\Z")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,15}")
MAX_LABELS = 64


def checked_address(address: str) -> str:
    """A host name or an IP address, in its usual spelling."""
    text = address.strip().strip("[]")
    try:
        found = ipaddress.ip_address(text)
        # A zone may be any text for Python; for us it is the name of an interface.
        if _ZONE.fullmatch(getattr(found, "scope_id", None) or "eth0"):
            return str(found)
    except ValueError:
        pass
    if not _HOST_NAME.match(text) or text.replace(".", "").isdigit():
        raise InvalidInput(
            _("%(value)r is neither a host name nor an IP address.") % {"value": address},
            field="address",
            value=address,
            mend=_("Write it like node-1.example.org, 10.0.0.7 or fd00::7, without user and port."),
        )
    return text


def checked_labels(labels: Mapping[str, Any] | None) -> dict[str, str]:
    """Keys and values of labels; at most 64, a key like `rack` or `topology.kubernetes.io/zone`."""
    found: dict[str, str] = {}
    for key, value in (labels or {}).items():
        if not _LABEL_KEY.match(str(key)):
            raise InvalidInput(
                _("%(value)r is not a label key.") % {"value": key},
                field="labels",
                value=key,
                mend=_("Use letters, digits, dots, slashes and hyphens."),
            )
        if not isinstance(value, str) or len(value) > 100 or not value.isprintable():
            raise InvalidInput(
                _("The label %(key)s has a value that cannot be used.") % {"key": key},
                field="labels",
                value=value,
                mend=_("Give text of up to 100 characters."),
            )
        found[str(key)] = value
    if len(found) > MAX_LABELS:
        raise InvalidInput(
            _("%(count)s labels are too many.") % {"count": len(found)},
            field="labels",
            value=len(found),
            mend=_("Give at most %(limit)s.") % {"limit": MAX_LABELS},
        )
    return dict(sorted(found.items()))


def checked_family(family: str, field: str = "os_family_given") -> str:
    """An OS family that a driver exists for; empty means it is detected. `field` is what it was sent as."""
    if family and family not in drivers.families():
        raise InvalidInput(
            _("%(value)r is not an OS family.") % {"value": family},
            field=field,
            value=family,
            mend=_("Use %(known)s, or leave it empty to have it detected.")
            % {"known": ", ".join(sorted(drivers.families()))},
        )
    return family


def add_node(
    *,
    name: str,
    address: str,
    port: int = 22,
    pool: Pool | None = None,
    credential: Credential | None = None,
    jump_host: JumpHost | None = None,
    os_family_given: str = "",
    labels: Mapping[str, Any] | None = None,
    host_key: SshHostKey | None = None,
    allow_same_address: bool = True,
    actor: Principal,
    now: datetime,
) -> Node:
    """Add a node; it is polled at once. `host_key` is pinned; without one the first contact offers the key it sees."""
    require_on(actor, "nodes.write", pool)
    if host_key is not None:
        require_on(actor, "nodes.accept_key", pool)
    node = Node(
        name=name.strip(),
        address=checked_address(address),
        port=port,
        pool=pool,
        credential=credential,
        jump_host=jump_host,
        os_family_given=checked_family(os_family_given),
        labels=checked_labels(labels),
        created_at=now,
        poll_due_at=now,
        reachability_since=now,
        health_since=now,
        update_state_since=now,
    )
    rows.checked(node)
    if not allow_same_address:
        require_free_address(address=node.address, port=port, pool=pool, jump_host=jump_host, actor=actor)
    node.search_text = search_text(node)
    extra: list[Any] = [TimelineEvent(node=node, at=now, kind="node_added", actor=str(actor))]
    after: dict[str, Any] = {field: getattr(node, field) for field in EDITABLE}
    if host_key is not None:
        extra.append(HostKey.pinned(node, host_key, by=str(actor), now=now))
        after["host_key"] = host_key.fingerprint
    rows.add(node, kind="node", actor=actor, after=after, extra=extra)
    return node


def edit_node(
    *,
    node: Node,
    changes: Mapping[str, Any],
    actor: Principal,
    now: datetime,
    expected_revision: int | None = None,
    allow_same_address: bool = True,
) -> Node:
    """Change what people set. Moving a node into another pool needs the right on both.

    Where its host is does not change while an operation is carried out on it.
    """
    require(actor, "nodes.write", node)
    wanted = dict(changes)
    unknown = set(wanted) - set(EDITABLE)
    if unknown:
        field = sorted(unknown)[0]
        raise InvalidInput(
            _("%(field)s cannot be changed.") % {"field": field},
            field=field,
            mend=_("Change %(known)s.") % {"known": ", ".join(EDITABLE)},
        )
    if "pool" in wanted:
        require_on(actor, "nodes.write", wanted["pool"])
    if "address" in wanted:
        wanted["address"] = checked_address(wanted["address"])
    if "labels" in wanted:
        wanted["labels"] = checked_labels(wanted["labels"])
    if "os_family_given" in wanted:
        wanted["os_family_given"] = checked_family(wanted["os_family_given"])

    def settle(changed: list[str]) -> None:
        require_still(node, changed)
        if not allow_same_address and {"address", "port"} & set(changed):
            require_free_address(
                address=node.address,
                port=node.port,
                pool=node.pool,
                jump_host=node.jump_host,
                actor=actor,
                but=node,
            )
        node.search_text = search_text(node)
        moved = {"address", "port", "credential", "jump_host", "pool", "os_family_given"} & set(changed)
        due = {"poll_due_at": now, "poll_requested_at": now, **HEARD} if moved else {}
        Node.objects.filter(pk=node.pk).update(search_text=node.search_text, **due)
        if "pool" in changed:
            end_moved([node.pk], now, actor=str(actor))
        TimelineEvent.objects.create(
            node=node,
            at=now,
            kind="node_edited",
            params={"fields": changed},
            actor=str(actor),
            generation=node.generation,
        )

    rows.edit(node, kind="node", changes=wanted, actor=actor, expected_revision=expected_revision, settle=settle)
    return node


def set_lifecycle(
    *, node: Node, lifecycle: str, reason: str, actor: Principal, now: datetime, until: datetime | None = None
) -> Node:
    """Put a node into service, into maintenance (until a time, or until somebody ends it), or out of service.

    A node that comes back is polled at once.
    """
    require(actor, "nodes.write", node)
    if lifecycle not in {member.value for member in Lifecycle}:
        known = ", ".join(member.value for member in Lifecycle)
        raise InvalidInput(
            _("%(value)r is not a lifecycle.") % {"value": lifecycle},
            field="lifecycle",
            value=lifecycle,
            mend=_("Use %(known)s.") % {"known": known},
        )
    until = checked_until(until, now) if lifecycle == Lifecycle.MAINTENANCE.value else None
    columns = lifecycle_columns(node, lifecycle, until, reason, now)
    if not columns:
        return node
    told = {"lifecycle": node.lifecycle, "maintenance_until": node.maintenance_until}
    before = {name: shown_time(value) for name, value in told.items() if columns[name] != value}
    after = {name: shown_time(columns[name]) for name in before}
    was = node.lifecycle
    with transaction.atomic():
        same = Node.objects.filter(pk=node.pk, lifecycle=was, revision=node.revision)
        if not same.update(**columns, revision=node.revision + 1):
            raise Conflict(
                _("%(name)s was changed by someone else since you read it.") % {"name": node.name},
                mend=_("Read it again and repeat your change."),
            )
        TimelineEvent.objects.create(
            node=node,
            at=now,
            kind="lifecycle_changed",
            params={"before": was, "after": lifecycle, "reason": reason},
            actor=str(actor),
            generation=node.generation,
        )
        subject = f"node:{node.name}"
        append([Entry(str(actor), "nodes.set_lifecycle", subject, before=before, after=after, reason=reason)])
    for name, value in columns.items():
        setattr(node, name, value)
    node.revision += 1
    return node


def delete_node(*, node: Node, reason: str, actor: Principal, now: datetime) -> None:
    """Forget a node with its facts and timeline; the audit log keeps that it was there.

    Refused while somebody works on its host.
    """
    require(actor, "nodes.write", node)
    before = {field: rows.shown(getattr(node, field)) for field in EDITABLE}
    with transaction.atomic():
        # Locked first: what refers to it is changed before it goes, and the others take the node before that.
        mine = Node.objects.filter(pk=node.pk).held()
        require_idle(node)
        if mine.delete()[0]:
            append(
                [
                    Entry(
                        actor=str(actor),
                        action="nodes.delete",
                        subject=f"node:{node.name}",
                        before=before,
                        reason=reason,
                    )
                ]
            )


def request_poll(*, nodes: NodeQuerySet, actor: Principal, now: datetime) -> int:
    """Make the nodes due at once; returns how many. Those that a worker holds right now are polled again after it."""
    where = actor.where("nodes.poll")
    if not where:
        require(actor, "nodes.poll")
    allowed = nodes if where.everywhere else nodes.filter(pool_id__in=where.pools)
    ids = list(allowed.exclude(lifecycle="retired").order_by().values_list("pk", flat=True))
    for start in range(0, len(ids), 5000):
        with transaction.atomic():
            some = Node.objects.filter(pk__in=ids[start : start + 5000])
            some.held().update(poll_due_at=now, poll_requested_at=now)
    return len(ids)


class _In:
    def __init__(self, pool: Pool | None) -> None:
        self.pool_id = pool.pk if pool else None


def require_on(actor: Principal, permission: str, pool: Pool | None) -> None:
    """The right on a pool (or, without one, on everything)."""
    require(actor, permission, _In(pool))
