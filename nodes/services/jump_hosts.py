"""Jump hosts: SSH servers through which nodes are reached. Only those with a pinned key are contacted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, ProtectedError, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from nodes.hosts import ssh
from nodes.hosts.errors import HostError
from nodes.models import Credential, JumpHost, Node, Pool
from nodes.services import changes as rows
from nodes.services.nodes import checked_address
from nodes.services.routes import MOST_HOPS, Routes

SCAN_TIMEOUT_S = 12.0
TRY_TIMEOUT_S = 20.0
EDITABLE = ("name", "address", "port", "credential", "through", "host_key")


def add_jump_host(
    *,
    name: str,
    address: str,
    credential: Credential,
    port: int = 22,
    through: JumpHost | None = None,
    host_key: ssh.HostKey | None = None,
    actor: Principal,
    now: datetime,
) -> JumpHost:
    """Add a jump host. Without `host_key` nothing is contacted through it until its key is accepted."""
    require(actor, "credentials.write")
    row = JumpHost(
        name=name.strip(),
        address=checked_address(address),
        port=port,
        credential=credential,
        through=through,
        host_key=host_key.line if host_key else "",
        created_at=now,
    )
    rows.checked(row)
    after = {field: _told(field, getattr(row, field)) for field in EDITABLE}
    with transaction.atomic():
        _hold_all()
        _refuse_rings(row, through)
        rows.add(row, kind="jump-host", actor=actor, after=after)
    return row


def edit_jump_host(
    *,
    jump_host: JumpHost,
    changes: Mapping[str, Any],
    actor: Principal,
    now: datetime,
    expected_revision: int | None = None,
) -> JumpHost:
    """Change a jump host; `host_key` takes a key that somebody compared, or None. Nodes behind it are polled at once."""
    require(actor, "credentials.write")
    wanted = dict(changes)
    unknown = set(wanted) - set(EDITABLE)
    if unknown:
        raise InvalidInput(_("%(field)s cannot be changed.") % {"field": sorted(unknown)[0]}, field=sorted(unknown)[0])
    if "address" in wanted:
        wanted["address"] = checked_address(wanted["address"])
    if "host_key" in wanted:
        wanted["host_key"] = wanted["host_key"].line if wanted["host_key"] else ""

    def settle(changed: list[str]) -> None:
        if set(changed) != {"name"}:
            _poll_behind(jump_host, now)

    with transaction.atomic():
        _hold_all()
        if "through" in wanted:
            _refuse_rings(jump_host, wanted["through"])
        rows.edit(
            jump_host,
            kind="jump-host",
            changes=wanted,
            actor=actor,
            expected_revision=expected_revision,
            settle=settle,
            tell=_told,
        )
    return jump_host


def delete_jump_host(*, jump_host: JumpHost, actor: Principal, now: datetime) -> None:
    """Forget a jump host that no node, pool or other jump host is reached through."""
    require(actor, "credentials.write")
    before = {field: _told(field, getattr(jump_host, field)) for field in EDITABLE}
    try:
        with transaction.atomic():
            if jump_host.delete()[0]:
                append([Entry(str(actor), "jump-hosts.delete", f"jump-host:{jump_host.name}", before=before)])
    except ProtectedError as error:
        users = sorted(str(row) for row in error.protected_objects)
        raise Conflict(
            _("%(name)s is used by %(users)s.")
            % {"name": jump_host.name, "users": f"{', '.join(users[:5])}{' …' if len(users) > 5 else ''}"},
            mend=_("Give those another way first."),
        ) from error


def counted(visible: QuerySet[Any]) -> QuerySet[Any]:
    """Jump hosts with the nodes and pools that name them."""
    rows = JumpHost.objects.filter(pk__in=visible.order_by().values("pk"))
    counts: dict[str, Any] = {}
    models: tuple[tuple[str, Any], ...] = (("node_count", Node), ("pool_count", Pool))
    for name, model in models:
        users = model.objects.filter(jump_host=OuterRef("pk")).order_by().values("jump_host")
        counts[name] = Coalesce(Subquery(users.annotate(n=Count("pk")).values("n")), 0)
    found: QuerySet[Any] = rows.annotate(**counts)
    return found


def scan(*, address: str, port: int, through: JumpHost | None) -> ssh.HostKey:
    """Ask a machine that is to be a jump host for its key, on the way that it will be reached; raises HostError."""
    jumps = way(through.pk if through else None)
    deadline = ssh.Deadline.after(SCAN_TIMEOUT_S)
    return ssh.scan_host_key(ssh.Endpoint(address, port), deadline=deadline, jumps=jumps)


def try_out(jump_host: JumpHost, *, now: datetime) -> None:
    """Sign in to a jump host on its whole way, with its pinned key; raises HostError.

    Nodes behind it that failed on a jump host are polled at once when it lets us in: somebody mended it.
    """
    hops = way(jump_host.pk)
    last = hops[-1]
    deadline = ssh.Deadline.after(TRY_TIMEOUT_S)
    with ssh.connect(last.endpoint, last.identity, host_key=last.host_key, deadline=deadline, jumps=hops[:-1]):
        pass
    with transaction.atomic():
        _poll_behind(jump_host, now, failed_on_it=True)


def way(first: uuid.UUID | None) -> tuple[ssh.Hop, ...]:
    """The jump hosts up to and with this one; raises HostError when one of them cannot be used."""
    found = Routes.with_ids([first]).through(first)
    if isinstance(found, HostError):
        raise found
    return found


def behind(jump_host: JumpHost) -> set[uuid.UUID]:
    """The jump host and every one that is reached through it."""
    onward: dict[uuid.UUID | None, list[uuid.UUID]] = {}
    for pk, through in JumpHost.objects.values_list("pk", "through_id"):
        onward.setdefault(through, []).append(pk)
    found, waiting = {jump_host.pk}, [jump_host.pk]
    while waiting:
        for pk in onward.get(waiting.pop(), ()):
            if pk not in found:
                found.add(pk)
                waiting.append(pk)
    return found


def _poll_behind(jump_host: JumpHost, now: datetime, *, failed_on_it: bool = False) -> None:
    ids = behind(jump_host)
    reached = Q(jump_host__in=ids) | Q(jump_host=None, pool__jump_host__in=ids)
    if failed_on_it:
        reached &= Q(reachability_reason="jump_failed")
    Node.objects.filter(reached).exclude(lifecycle="retired").held().update(poll_due_at=now)


def _hold_all() -> None:
    """Two edits at once could close a ring that neither sees; there are few jump hosts, so all are held."""
    list(JumpHost.objects.select_for_update().order_by("pk").values_list("pk", flat=True))


def _refuse_rings(row: JumpHost, through: JumpHost | None) -> None:
    names, current = [row.name], through
    while current is not None:
        names.append(current.name)
        if current.pk == row.pk:
            raise InvalidInput(
                _("The way would be a ring: %(names)s.") % {"names": " → ".join(names)},
                field="through",
                value=through.name if through else None,
                mend=_("Choose one that is not reached through this one."),
            )
        if len(names) > MOST_HOPS:
            raise InvalidInput(
                _("The way has more than %(limit)s jump hosts.") % {"limit": MOST_HOPS},
                field="through",
                value=through.name if through else None,
                mend=_("Shorten it."),
            )
        current = JumpHost.objects.filter(pk=current.through_id).first() if current.through_id else None


def _told(field: str, value: Any) -> Any:
    """As the audit log shows it: the fingerprint of a key."""
    if field == "host_key":
        return ssh.HostKey.parse(value).fingerprint if value else ""
    return rows.shown(value)
