"""Ignition configs: their names, and the pools that they are for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict
from fleetui.core.text import clean
from nodes.models import IgnitionConfig, Node, Pool, Provisioning
from nodes.services import changes as rows
from nodes.services.ignition.rights import require, require_on

KIND = "ignition-config"
EDITABLE = ("name", "description", "pools")


def add_config(
    *, name: str, description: str = "", pools: Collection[Pool] = (), actor: Principal, now: datetime
) -> IgnitionConfig:
    """Add a config without versions, for these pools."""
    require_on(actor, "ignition.edit", [pool.pk for pool in pools])
    config = IgnitionConfig(name=name.strip(), description=clean(description).strip(), created_at=now)
    rows.checked(config)
    link = IgnitionConfig.pools.through
    extra = [link(ignitionconfig=config, pool=pool) for pool in pools]
    after = {"description": config.description, "pools": _names(pools)}
    rows.add(config, kind=KIND, actor=actor, after=after, extra=extra)
    return config


def edit_config(
    *,
    config: IgnitionConfig,
    changes: Mapping[str, Any],
    actor: Principal,
    now: datetime,
    expected_revision: int | None = None,
) -> IgnitionConfig:
    """Change name, description, or the pools that it is for. A pool that intends one of its versions stays."""
    require(actor, "ignition.edit", config)
    revision = config.revision
    if expected_revision is not None and expected_revision != revision:
        raise rows.stale(KIND, str(config))
    subject = f"{KIND}:{config}"
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for field in ("name", "description"):
        if field in changes and (value := clean(changes[field]).strip()) != getattr(config, field):
            before[field], after[field] = getattr(config, field), value
            setattr(config, field, value)
    old = list(config.pools.all())
    new = list(changes.get("pools", old))
    if {pool.pk for pool in new} != {pool.pk for pool in old}:
        require_on(actor, "ignition.edit", [pool.pk for pool in new])
        before["pools"], after["pools"] = _names(old), _names(new)
    if not after:
        return config
    rows.checked(config)
    try:
        with transaction.atomic():
            same = IgnitionConfig.objects.filter(pk=config.pk, revision=revision)
            if not same.update(name=config.name, description=config.description, revision=revision + 1):
                raise rows.stale(KIND, str(config))
            if "pools" in after:
                _require_not_intended(config, [pool for pool in old if pool not in new])
                config.pools.set(new)
            append([Entry(str(actor), f"{KIND}s.edit", subject, before=before, after=after)])
    except IntegrityError as error:
        raise rows.name_taken(KIND, str(config)) from error
    config.revision = revision + 1
    return config


def delete_config(*, config: IgnitionConfig, actor: Principal, now: datetime) -> None:
    """Delete a config with all its versions, unless a pool intends one or a node was born with one."""
    require(actor, "ignition.edit", config)
    before = {"description": config.description, "pools": _names(config.pools.all()), "versions": config.last_number}
    subject = f"{KIND}:{config}"
    try:
        with transaction.atomic():
            config.delete()
            append([Entry(str(actor), f"{KIND}s.delete", subject, before=before)])
    except ProtectedError as error:
        users = _users(error.protected_objects)
        raise Conflict(
            _("%(name)s is in use: %(users)s.")
            % {"name": config.name, "users": f"{', '.join(users[:5])}{' …' if len(users) > 5 else ''}"},
            mend=_("Let those pools intend another config first. What nodes were born with is kept for the record."),
        ) from error


def _require_not_intended(config: IgnitionConfig, gone: Collection[Pool]) -> None:
    # Locked: nobody intends a version of it for such a pool meanwhile.
    held = Pool.objects.select_for_update().filter(pk__in=[pool.pk for pool in gone]).order_by("pk")
    names = [pool.name for pool in held.filter(intended_version__config=config)]
    if names:
        raise Conflict(
            _("%(pools)s should have a version of this config.") % {"pools": ", ".join(names)},
            field="pools",
            value=", ".join(names),
            mend=_("Choose another version for the pool first, or none."),
        )


def _users(held_by: Collection[Any]) -> list[str]:
    """What a config cannot be deleted for, by name. An offer to a machine is named by its node."""
    offers = {row.node_id for row in held_by if isinstance(row, Provisioning)}
    nodes = Node.objects.filter(pk__in=sorted(offers)[:6]).values_list("name", flat=True)
    return sorted({*nodes, *(str(row) for row in held_by if not isinstance(row, Provisioning))})


def _names(pools: Collection[Pool]) -> list[str]:
    return sorted(pool.name for pool in pools)
