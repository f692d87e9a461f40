"""Pools and clusters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from nodes.hosts import ssh
from nodes.models import Cluster, Credential, JumpHost, Node, Pool
from nodes.services import changes as rows
from nodes.services.routes import authority_keys
from nodes.services.search import search_text

MOST_AUTHORITIES = 20


def add_pool(
    *,
    name: str,
    description: str = "",
    cluster: Cluster | None = None,
    role: str = "",
    credential: Credential | None = None,
    poll_interval_s: int | None = None,
    retire_absent_after_s: int | None = None,
    jump_host: JumpHost | None = None,
    host_ca_keys: str = "",
    actor: Principal,
    now: datetime,
) -> Pool:
    """Add an empty pool."""
    require(actor, "pools.write")
    pool = Pool(
        name=name.strip(),
        description=description.strip(),
        cluster=cluster,
        role=role.strip(),
        credential=credential,
        poll_interval_s=poll_interval_s,
        retire_absent_after_s=retire_absent_after_s,
        jump_host=jump_host,
        host_ca_keys=checked_authorities(host_ca_keys),
        created_at=now,
    )
    rows.checked(pool)
    after: dict[str, Any] = {
        "description": pool.description,
        "cluster": cluster,
        "role": pool.role,
        "credential": credential,
        "jump_host": jump_host,
        "host_ca_keys": _told("host_ca_keys", pool.host_ca_keys),
    }
    if retire_absent_after_s is not None:
        after["retire_absent_after_s"] = retire_absent_after_s
    rows.add(pool, kind="pool", actor=actor, after=after)
    return pool


def edit_pool(
    *, pool: Pool, changes: Mapping[str, Any], actor: Principal, now: datetime, expected_revision: int | None = None
) -> Pool:
    """Change a pool. A new credential, way or interval holds from the next poll on."""
    require(actor, "pools.write", pool)
    wanted = dict(changes)
    if "host_ca_keys" in wanted:
        wanted["host_ca_keys"] = checked_authorities(wanted["host_ca_keys"])
    if wanted.get("credential") and wanted["credential"].pk == pool.next_credential_id:
        raise Conflict(
            _("%(name)s is being tried on the nodes of the pool.") % {"name": wanted["credential"]},
            field="credential",
            value=str(wanted["credential"]),
            mend=_("Switch to it on the page Change the key, or stop the trial first."),
        )

    def settle(changed: list[str]) -> None:
        if {"name", "cluster"} & set(changed):
            # In the order in which polls take them, so that the two never wait for each other.
            members = list(Node.objects.select_for_update().filter(pool=pool).order_by("pk"))
            for node in members:
                node.pool = pool
                node.search_text = search_text(node)
            Node.objects.bulk_update(members, ["search_text"], batch_size=500)
        if {"credential", "poll_interval_s", "jump_host", "host_ca_keys"} & set(changed):
            Node.objects.filter(pool=pool).held().update(poll_due_at=now)

    rows.edit(
        pool,
        kind="pool",
        changes=wanted,
        actor=actor,
        expected_revision=expected_revision,
        settle=settle,
        tell=_told,
    )
    return pool


def checked_authorities(text: str) -> str:
    """One public key of a host certificate authority a line, without comments and repeats."""
    found: dict[str, None] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            found[ssh.parse_authority(line).line] = None
        except ValueError as error:
            raise InvalidInput(
                _("Line %(number)s is no certificate authority: %(why)s") % {"number": number, "why": error},
                field="host_ca_keys",
                value=line[:200],
                mend=_("Write one public key a line, as in the .pub file of the authority: ssh-ed25519 AAAA…"),
            ) from error
    if len(found) > MOST_AUTHORITIES:
        raise InvalidInput(
            _("%(count)s authorities are too many.") % {"count": len(found)},
            field="host_ca_keys",
            mend=_("Give at most %(limit)s.") % {"limit": MOST_AUTHORITIES},
        )
    return "\n".join(found)


def _told(field: str, value: Any) -> Any:
    """As the audit log shows it: the fingerprints of keys."""
    if field == "host_ca_keys":
        return [key.fingerprint for key in authority_keys(str(value))]
    return rows.shown(value)


def delete_pool(*, pool: Pool, actor: Principal, now: datetime) -> None:
    """Delete a pool that holds no node."""
    require(actor, "pools.write", pool)
    _delete(pool, "pool", actor, _("Move or delete its nodes first."))


def add_cluster(*, name: str, description: str = "", actor: Principal, now: datetime) -> Cluster:
    """Add a cluster; pools are put into it."""
    require(actor, "clusters.write")
    cluster = Cluster(name=name.strip(), description=description.strip(), created_at=now)
    rows.checked(cluster)
    rows.add(cluster, kind="cluster", actor=actor, after={"description": cluster.description})
    return cluster


def edit_cluster(
    *,
    cluster: Cluster,
    changes: Mapping[str, Any],
    actor: Principal,
    now: datetime,
    expected_revision: int | None = None,
) -> Cluster:
    """Change name or description."""
    require(actor, "clusters.write")
    rows.edit(cluster, kind="cluster", changes=changes, actor=actor, expected_revision=expected_revision)
    return cluster


def delete_cluster(*, cluster: Cluster, actor: Principal, now: datetime) -> None:
    """Delete a cluster that holds no pool."""
    require(actor, "clusters.write")
    _delete(cluster, "cluster", actor, _("Take its pools out first."))


def _delete(row: Pool | Cluster, kind: str, actor: Principal, mend: str) -> None:
    name = row.name
    try:
        with transaction.atomic():
            before = _last_words(row)
            if row.delete()[0]:
                append([Entry(actor=str(actor), action=f"{kind}s.delete", subject=f"{kind}:{name}", before=before)])
    except ProtectedError as error:
        # Whoever else protects it knows what to do about that.
        others = (getattr(one, "free_first", "") for one in error.protected_objects)
        mend = next((str(words) for words in others if words), mend)
        raise Conflict(_("%(name)s is in use.") % {"name": name}, mend=mend) from error


def _last_words(row: Pool | Cluster) -> dict[str, Any]:
    """What is lost with the row, roles on it included, for the audit log."""
    if isinstance(row, Cluster):
        return {"description": row.description}
    roles = [f"{binding.user.username} {binding.role}" for binding in row.bindings.select_related("user")]
    return {
        "description": row.description,
        "role": row.role,
        "cluster": rows.shown(row.cluster),
        "bindings": sorted(roles),
    }
