"""Version holds: what is not offered to a node, or to the nodes of a pool, until somebody lifts it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from nodes.models import Node, Pool
from nodes.releases.versions import is_newer
from ops.models import Operation, VersionHold
from ops.states import State

PERMISSION = "operations.hold"
MOST_ON_ONE = 200
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~-]{0,99}")
#: How an operation ends that went back from a version -> why that version is held back then.
_WENT_BACK = {"went_back": "went_back", "back_failed": "went_back", "fell_back": "fell_back"}


def held_on(nodes: Sequence[Node]) -> dict[Any, dict[str, VersionHold]]:
    """For each node the versions that are held back from it, by itself or by its pool. One query."""
    by_node: dict[Any, dict[str, VersionHold]] = {}
    by_pool: dict[Any, dict[str, VersionHold]] = {}
    for hold in VersionHold.objects.on(nodes).select_related("pool"):
        place = by_node.setdefault(hold.node_id, {}) if hold.node_id else by_pool.setdefault(hold.pool_id, {})
        place[hold.version] = hold
    return {node.pk: {**by_pool.get(node.pool_id, {}), **by_node.get(node.pk, {})} for node in nodes}


def hold_at(principal: Principal, hold_id: int) -> VersionHold:
    """The hold of an address; NotFound for what is not there or may not be seen."""
    rows = VersionHold.objects.visible_to(principal).select_related("node__pool", "pool", "operation")
    found: VersionHold | None = rows.filter(pk=hold_id).first()
    if found is None:
        raise NotFound(_("There is no such hold that you may see."), mend=_("Read the list of holds."))
    return found


def hold_version(
    *, version: str, node: Node | None = None, pool: Pool | None = None, reason: str, actor: Principal, now: datetime
) -> VersionHold:
    """Hold a version back by hand, from a node or from whatever nodes a pool has."""
    if (node is None) == (pool is None):
        raise InvalidInput(
            _("A hold is on a node or on a pool."), field="node", value="", mend=_("Give one of node and pool.")
        )
    require(actor, PERMISSION, node or pool)
    version, reason = version.strip(), reason.strip()[:300]
    if not _VERSION.fullmatch(version):
        raise InvalidInput(
            _("%(value)s is not a version.") % {"value": version[:100] or "–"},
            field="version",
            value=version[:100],
            mend=_("Give it as it stands in the releases."),
        )
    if not reason:
        raise _no_reason(_("Holding a version back needs a reason."))
    if VersionHold.objects.filter(node=node, pool=pool).count() >= MOST_ON_ONE:
        raise Conflict(_("So many versions are held back there already."), mend=_("Lift some that are long past."))
    hold = VersionHold(node=node, pool=pool, version=version, held_at=now, held_by=str(actor), reason=reason)
    try:
        with transaction.atomic():
            hold.save(force_insert=True)
            append([_entry("operations.hold_version", hold, str(actor), reason)])
    except IntegrityError as error:
        raise Conflict(
            _("%(version)s is held back there already.") % {"version": version},
            field="version",
            value=version,
            mend=_("Read the list of holds."),
        ) from error
    return hold


def lift_hold(*, hold: VersionHold, reason: str, actor: Principal) -> None:
    """Offer the version again. Says why, since it was held back for a reason."""
    require(actor, PERMISSION, hold.node or hold.pool)
    reason = reason.strip()[:300]
    if not reason:
        raise _no_reason(_("Lifting a hold needs a reason."))
    with transaction.atomic():
        if not VersionHold.objects.filter(pk=hold.pk).delete()[0]:
            raise Conflict(_("Someone else lifted this hold meanwhile."), mend=_("Read the list of holds."))
        append([_entry("operations.lift_hold", hold, str(actor), reason)])


def hold_after(row: Operation, columns: Mapping[str, Any], now: datetime) -> list[Entry]:
    """Hold back what a node went back from, by hand or by itself. Called in the transaction that ends the operation."""
    memory, result = columns.get("memory") or row.memory, str(columns["result"])
    after = memory.get("after") or {}
    if row.kind == "rollback" and columns["state"] == State.SUCCEEDED:
        version, why = (memory.get("before") or {}).get("version"), "rolled_back"
        if version and not is_newer(version, after.get("version") or ""):
            return []  # it went forward again: what it left is no version that failed
    elif row.kind == "upgrade" and result in _WENT_BACK:
        failed = memory.get("failure") or memory.get("wanted") or {}
        version, why = failed.get("version"), _WENT_BACK[result]
        if result == "fell_back" and columns["result_params"].get("said"):
            return []  # it was never booted: the host could not finish it at its shutdown
    else:
        return []
    if not version or version == after.get("version") or row.node is None:
        return []
    told = {"held_at": now, "held_by": row.request.requester, "why": why, "reason": row.request.reason}
    hold, is_new = VersionHold.objects.get_or_create(
        node=row.node, version=version, defaults={**told, "operation": row}
    )
    return [_entry("operations.hold_version", hold, row.request.requester, hold.reason)] if is_new else []


def _entry(action: str, hold: VersionHold, actor: str, reason: str) -> Entry:
    subject = f"node:{hold.node.name}" if hold.node else f"pool:{hold.pool.name}" if hold.pool else "-"
    told = {"version": hold.version, "why": hold.why}
    is_lifted = action == "operations.lift_hold"
    return Entry(
        actor=actor,
        action=action,
        subject=subject,
        before={**told, "held_by": hold.held_by, "held_at": hold.held_at.isoformat()} if is_lifted else None,
        after=None if is_lifted else told,
        reason=reason,
    )


def _no_reason(message: str) -> InvalidInput:
    return InvalidInput(message, field="reason", value="", mend=_("Say in a few words why, perhaps with a ticket."))
