"""A machine fetches with the token of its pool: a new one becomes a node, a known one gets the same bytes again."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from fleetui.access.token_text import within
from fleetui.audit.log import Entry, append
from fleetui.core.addresses import is_loopback
from fleetui.core.errors import FleetError
from nodes.models import HostKey, IgnitionVersion, Node, PoolToken, Provisioning, TimelineEvent
from nodes.models.ignition import ReviewState
from nodes.services import changes as rows
from nodes.services.provisioning.instance import checked_id, name_part
from nodes.services.provisioning.offer import prepared
from nodes.services.provisioning.refusal import Refusal
from nodes.services.search import search_text

log = structlog.get_logger(__name__)
_TRIES = 5
#: With what may come after it, a name is still a host name of one label.
_LONGEST = 56
#: By an address that is free again another machine may come; an id is of one machine for ever.
_FREED = ("arrived", "moved", "replaced")


def instance_row(token: PoolToken, *, instance_id: str, address: str, now: datetime) -> Provisioning | Refusal:
    """The provisioning of the machine that asks; a node is made for one that has none."""
    if token.revoked_at is not None:
        return Refusal.GONE
    if token.networks and not within(address, token.networks):
        return Refusal.WRONG_NETWORK
    instance = _instance(token, instance_id, address)
    if isinstance(instance, Refusal):
        return instance
    for attempt in range(_TRIES):
        held = _held(token, instance)
        if held is not None and not _is_free(held, now):
            return held
        if token.expires_at <= now:
            return Refusal.GONE
        # Two fetches of one machine at once: whoever comes second finds the node of the first.
        try:
            made = _admit(token, instance, address=address, before=held, attempt=attempt, now=now)
        except IntegrityError:
            continue
        if made is not Refusal.USED_UP or _held(token, instance) is None:
            return made
    log.warning("ignition_admit_busy", token=token.prefix, instance=instance)
    return Refusal.NOT_READY


def _instance(token: PoolToken, instance_id: str, address: str) -> str | Refusal:
    if instance_id:
        found = checked_id(instance_id)
        return f"id:{found}" if found else Refusal.NO_ID
    # The address of this machine itself is rather that of a proxy which TRUSTED_PROXIES does not name.
    if token.needs_id or not address or is_loopback(address):
        return Refusal.NO_ID
    return f"address:{address}"


def _held(token: PoolToken, instance: str) -> Provisioning | None:
    known = Provisioning.objects.select_related("node", "version__config")
    found: Provisioning | None = known.filter(pool_token=token, instance=instance, holds_instance=True).first()
    return found


def _is_free(row: Provisioning, now: datetime) -> bool:
    """Whether another machine than that of the row may ask by the same address."""
    if row.instance.startswith("id:"):
        return False
    return row.ending in _FREED or (row.ending == "revoked" and row.deadline <= now)


def _admit(
    token: PoolToken, instance: str, *, address: str, before: Provisioning | None, attempt: int, now: datetime
) -> Provisioning | Refusal:
    version = _intended(token)
    if version is None:
        log.warning("ignition_nothing_approved", token=token.prefix, pool=token.pool.name)
        return Refusal.NOT_READY
    token.refresh_from_db(fields=["uses"])
    node = _node(token, instance, address=address, attempt=attempt, now=now)
    actor = f"provisioning:{token.pool.name}/{token.name}"[:200]
    deadline = now + timedelta(seconds=token.arrive_within_s)
    try:
        rows.checked(node)
        row, key, _text = prepared(node=node, version=version, generation=1, by=actor, now=now, deadline=deadline)
    except FleetError as error:
        # A variable without a value, say: Ignition asks again, and somebody can set it meanwhile.
        log.warning("ignition_not_rendered", token=token.prefix, pool=token.pool.name, why=error.message)
        return Refusal.NOT_READY
    row.pool_token, row.instance, row.holds_instance = token, instance, True
    with transaction.atomic():
        free = Q(max_uses=None) | Q(uses__lt=F("max_uses"))
        usable = PoolToken.objects.filter(free, pk=token.pk, revoked_at=None, expires_at__gt=now)
        # In the same statement in which it is asked whether a place is left; it also makes others wait.
        if not usable.update(uses=F("uses") + 1, last_used_at=now):
            still = PoolToken.objects.filter(pk=token.pk, revoked_at=None, expires_at__gt=now).exists()
            return Refusal.USED_UP if still else Refusal.GONE
        if before is not None:
            Provisioning.objects.filter(pk=before.pk).update(holds_instance=False)
        node.save(force_insert=True)
        row.save(force_insert=True)
        HostKey.pinned(node, key, by=actor, now=now, reason="Made for provisioning").save(force_insert=True)
        params = {"by": token.name, "version": str(version), "address": address, "fingerprint": key.fingerprint}
        TimelineEvent.objects.create(node=node, at=now, kind="node_provisioned", params=params, actor=actor)
        after = {
            "pool": token.pool.name,
            "version": str(version),
            "sha512": row.sha512,
            "host_key": key.fingerprint,
            "instance": instance,
            "address": address,
        }
        append([Entry(actor, "nodes.provision_admit", f"node:{node.name}", after=after)])
    return row


def _intended(token: PoolToken) -> IgnitionVersion | None:
    version = token.pool.intended_version
    return version if version is not None and version.state == ReviewState.APPROVED else None


def _node(token: PoolToken, instance: str, *, address: str, attempt: int, now: datetime) -> Node:
    """Not stored yet. It counts as enrolled: its machine may announce another address, and is retired for absence."""
    node = Node(
        name=_name(token, instance, attempt),
        address=address,
        pool=token.pool,
        enrolled_at=now,
        created_at=now,
        poll_due_at=now,
        reachability_reason="provisioning",
        reachability_since=now,
        health_since=now,
        update_state_since=now,
    )
    node.search_text = search_text(node)
    return node


def _name(token: PoolToken, instance: str, attempt: int) -> str:
    """By the pattern; where a node has that name, with letters of its own after it."""
    found = token.name_pattern.replace("{pool}", token.pool.name).replace("{id}", name_part(instance))
    found = found.replace("{n}", str(token.uses + 1))[:_LONGEST].strip("-._")
    if attempt == 0 and not Node.objects.filter(name=found).exists():
        return found
    return f"{found}-{secrets.token_hex(3)}"
