"""What a machine gets that fetches its config: the same bytes each time, until it is known or its time is over."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from fleetui.access.token_text import matches, taken_apart
from fleetui.core.crypto import unseal
from fleetui.core.errors import SealBroken
from nodes.models import Node, Provisioning, TimelineEvent
from nodes.models.ignition import ReviewState
from nodes.services.provisioning.admit import instance_row
from nodes.services.provisioning.offer import OFFER_START
from nodes.services.provisioning.pool_tokens import POOL_START, presented_pool_token
from nodes.services.provisioning.refusal import Refusal

log = structlog.get_logger(__name__)
#: Ignition asks again and again while a machine waits: the timeline keeps the first ones, the log all of them.
MOST_TOLD = 20


def fetch(text: str, *, address: str, agent: str, now: datetime, instance_id: str = "") -> str | Refusal:
    """The config for a presented token, never empty; each fetch is noted with its address.

    `instance_id` tells the machines apart that share the token of a pool.
    """
    row = _presented(text, instance_id, address, now)
    if isinstance(row, Refusal):
        log.warning("ignition_fetch_refused", why=row.value, address=address, instance=instance_id[:100])
        return row
    if why := _over(row, now):
        log.info("ignition_fetch_refused", why=why, token=row.prefix, address=address)
        return Refusal.GONE
    try:
        config = unseal(row.sealed_config, place=row.seal_place)
    except SealBroken:
        log.exception("ignition_not_opened", token=row.prefix)
        return Refusal.NOT_READY
    with transaction.atomic():
        # First, as whoever offers, revokes or polls does: PostgreSQL ends one of two that wait crosswise.
        Node.objects.select_for_update(no_key=True).filter(pk=row.node_id).first()
        open_still = Provisioning.objects.filter(pk=row.pk, ended_at=None)
        noted = open_still.update(
            fetches=F("fetches") + 1,
            first_fetched_at=Coalesce(F("first_fetched_at"), now),
            last_fetched_at=now,
            last_address=address[:45],
        )
        if not noted:
            return Refusal.GONE
        if row.fetches < MOST_TOLD:
            params = {"address": address, "agent": agent[:100], "version": str(row.version)}
            TimelineEvent.objects.create(
                node=row.node, at=now, kind="ignition_fetched", params=params, generation=row.node.generation
            )
    log.info("ignition_fetched", token=row.prefix, node=row.node.name, address=address, agent=agent[:100])
    return config


def _over(row: Provisioning, now: datetime) -> str:
    """Why nobody gets this config any more; empty while somebody may."""
    if row.ended_at is not None:
        return row.ending
    if row.node.lifecycle == "retired":
        return "retired"
    if row.version.state == ReviewState.WITHDRAWN:
        return "withdrawn"
    return "expired" if row.deadline <= now or not row.sealed_config else ""


def _presented(text: str, instance_id: str, address: str, now: datetime) -> Provisioning | Refusal:
    """The row that a token leads to, whatever its state. Unknown ones and wrong secrets read the same."""
    if text.startswith(POOL_START):
        token = presented_pool_token(text)
        if token is None:
            return Refusal.UNKNOWN
        return instance_row(token, instance_id=instance_id, address=address, now=now)
    parts = taken_apart(text, OFFER_START)
    if parts is None:
        return Refusal.UNKNOWN
    row = Provisioning.objects.select_related("node", "version__config").filter(prefix=parts[0]).first()
    is_it = row is not None and matches(parts[1], digest=row.digest, pepper=row.pepper)
    return row if row is not None and is_it else Refusal.UNKNOWN
