"""Which version the nodes of a pool should have, and which one a node was born with."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.access.principals import require as require_permission
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, StaleEdit
from fleetui.core.text import clean
from nodes.models import IgnitionVersion, Node, Pool, TimelineEvent
from nodes.models.ignition import APPLIED_HOW, ReviewState
from nodes.services.drift.checks import prepare_one
from nodes.services.drift.states import settle
from nodes.services.ignition.review import supersede


def intend(*, pool: Pool, version: IgnitionVersion | None, actor: Principal, now: datetime, reason: str = "") -> Pool:
    """Choose the approved version that new machines of the pool get, or none. No machine is touched by it."""
    require_permission(actor, "ignition.intend", pool)
    before_id = pool.intended_version_id
    if before_id == (version.pk if version else None):
        return pool
    if version is not None and not version.config.pools.filter(pk=pool.pk).exists():
        raise InvalidInput(
            _("%(config)s is not for the pool %(pool)s.") % {"config": version.config.name, "pool": pool.name},
            field="version",
            value=str(version),
            mend=_("Add the pool to the config, or choose a version of another one."),
        )
    before = str(pool.intended_version) if pool.intended_version else None
    try:
        with transaction.atomic():
            if version is not None:
                # Locked: it stays approved until the pool intends it.
                held = IgnitionVersion.objects.select_for_update().filter(pk=version.pk)
                if held.values_list("state", flat=True).first() != ReviewState.APPROVED:
                    raise _not_approved(version)
            same = Pool.objects.filter(pk=pool.pk, intended_version_id=before_id)
            columns = {"intended_version": version, "intended_since": now, "intended_by": str(actor)[:200]}
            if not same.update(**columns):
                raise StaleEdit(
                    _("Somebody else chose a version for %(pool)s meanwhile.") % {"pool": pool.name},
                    mend=_("Read the pool again."),
                )
            _let_go(before_id, now)
            after = {"version": str(version) if version else None, "sha512": version.sha512 if version else ""}
            reason = clean(reason).strip()[:300]
            entry = Entry(str(actor), "ignition.intend", f"pool:{pool.name}", {"version": before}, after, reason)
            append([entry])
    except IntegrityError as error:
        raise Conflict(
            _("The version for %(pool)s could not be chosen: it is no longer approved.") % {"pool": pool.name},
            mend=_("Read the version again."),
        ) from error
    pool.intended_version, pool.intended_since, pool.intended_by = version, now, str(actor)[:200]
    return pool


def _not_approved(version: IgnitionVersion) -> Conflict:
    return Conflict(
        _("Version %(number)s of %(config)s is not approved.")
        % {"number": version.number, "config": version.config.name},
        field="version",
        value=str(version),
        mend=_("Have it approved first: only then a pool can have it."),
    )


def _let_go(version_id: uuid.UUID | None, now: datetime) -> None:
    """What a pool no longer should have is superseded, if a newer approved version stands."""
    if version_id is None:
        return
    old = IgnitionVersion.objects.filter(pk=version_id).only("config_id").first()
    approved = IgnitionVersion.objects.filter(config_id=old.config_id if old else None, state=ReviewState.APPROVED)
    newest = approved.order_by("-number").only("config_id", "number").first()
    if newest is not None:
        supersede(newest, now)


def set_applied(
    *, node: Node, version: IgnitionVersion | None, how: str = "by_hand", actor: Principal, now: datetime
) -> Node:
    """Note with which version the machine of a node was provisioned: for those that no fetch and no marker told of."""
    require_permission(actor, "nodes.write", node)
    if how not in APPLIED_HOW:
        raise ValueError(f"{how} is no way in which a version becomes known")
    if node.applied_version_id == (version.pk if version else None) and (version is None or node.applied_how == how):
        return node
    before = str(node.applied_version) if node.applied_version else None
    after = str(version) if version else None
    with transaction.atomic():
        columns = {
            "applied_version": version,
            "applied_how": how if version else "",
            "applied_at": now if version else None,
        }
        Node.objects.filter(pk=node.pk).update(**columns)
        params = {"version": after or "", "how": how, "actor": str(actor)}
        TimelineEvent.objects.create(
            node=node,
            at=now,
            kind="ignition_applied" if version else "ignition_unknown",
            params=params,
            actor=str(actor),
            generation=node.generation,
        )
        for name, value in columns.items():
            setattr(node, name, value)
        if version is not None and node.lifecycle != "retired":
            prepare_one(node, now)
        settle(now, [node.pk])
        append(
            [
                Entry(
                    str(actor),
                    "ignition.apply",
                    f"node:{node.name}",
                    before={"version": before},
                    after={"version": after, "how": how},
                )
            ]
        )
    return node
