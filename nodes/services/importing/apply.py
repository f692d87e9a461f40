"""Carry out an import plan: batches of rows, each in one transaction with its audit events, never a row twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DataError, IntegrityError, transaction
from django.utils.translation import gettext

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import Credential, HostKey, ImportPlan, ImportRow, JumpHost, Node, Pool, TimelineEvent
from nodes.services.nodes import require_on
from nodes.services.provisioning.ending import end_moved
from nodes.services.search import search_text
from nodes.services.silence import HEARD
from nodes.services.whereabouts import WHEREABOUTS, until_its_end, worked_on

log = structlog.get_logger(__name__)
ROWS_AT_ONCE = 250
#: How long a plan whose worker died waits for another. A batch that takes longer is still done once: `position` decides.
LEASE = timedelta(seconds=15)
#: New nodes are first polled one after another, so that a large import does not hold up the rest of the fleet.
POLL_GAP = timedelta(milliseconds=8)
KEEP_PLANS = timedelta(days=7)


def start(*, plan: ImportPlan, actor: Principal, now: datetime) -> None:
    """Hand a plan to the workers. The rights are those at this moment."""
    if plan.owner != str(actor):
        require(actor, "settings.write")
    _require_rights(plan, actor)
    moved = ImportPlan.objects.filter(pk=plan.pk, state="planned").update(state="applying", lease_until=now + LEASE)
    if not moved:
        raise Conflict(gettext("This import was started or discarded already."), mend=gettext("Look at its page."))
    plan.state = "applying"


def _require_rights(plan: ImportPlan, actor: Principal) -> None:
    """What the preview asked for each row, asked again: a plan lies for days, and roles change meanwhile."""
    wanted = list(plan.rows.filter(outcome__in=["add", "change"]).values_list("name", "outcome", "values"))
    names = {values["pool"] for _name, _outcome, values in wanted if values.get("pool")}
    pools = {pool.name: pool for pool in Pool.objects.filter(name__in=names)}
    if names - set(pools):
        require(actor, "pools.write")
    changing = [name for name, outcome, _values in wanted if outcome == "change"]
    current: dict[str, Pool | None] = {}
    for place in range(0, len(changing), 1000):
        nodes = Node.objects.filter(name__in=changing[place : place + 1000]).select_related("pool")
        current.update((node.name, node.pool) for node in nodes.only("name", "pool"))
    needed: dict[tuple[str, Any], Pool | None] = {}
    for name, outcome, values in wanted:
        pool = pools.get(values["pool"] or "") if "pool" in values else current.get(name)
        asked = [("nodes.write", pool)]
        if outcome == "change":
            asked.append(("nodes.write", current.get(name)))
        if values.get("host_key"):
            asked.append(("nodes.accept_key", pool))
        needed.update(((permission, one and one.pk), one) for permission, one in asked)
    for (permission, _pk), one in needed.items():
        require_on(actor, permission, one)


def discard(*, plan: ImportPlan) -> None:
    """Forget a plan that was not started."""
    if not ImportPlan.objects.filter(pk=plan.pk, state="planned").delete()[0]:
        raise Conflict(gettext("This import was started already."), mend=gettext("Look at its page."))


def resume(now: datetime) -> list[Any]:
    """Take the plans that nobody works on: their worker died, or its message was lost. Each is given once a lease."""
    left = list(ImportPlan.objects.filter(state="applying", lease_until__lte=now).values_list("pk", "lease_until"))
    return [
        pk
        for pk, lease in left
        if ImportPlan.objects.filter(pk=pk, state="applying", lease_until=lease).update(lease_until=now + LEASE)
    ]


def forget_old(now: datetime) -> int:
    """Old plans go; what they did is in the audit log."""
    old = ImportPlan.objects.filter(created_at__lt=now - KEEP_PLANS).exclude(state="applying")
    return old.delete()[0]


def apply_some(plan_id: Any, now: datetime) -> bool:
    """Apply the next batch of rows; whether more are left. Two workers on one plan do each batch once.

    A batch that the database refuses is done row by row: something changed since its rows were looked at, or one row
    cannot be stored, which is then refused and named.
    """
    for rows, last in ((ROWS_AT_ONCE, False), (1, False), (1, True)):
        try:
            return _apply_batch(plan_id, now, rows, store=not last)
        except (IntegrityError, DataError) as error:
            log.warning("import_batch_refused", plan=str(plan_id), rows=rows, error=str(error).strip())
    raise AssertionError("A batch that stores nothing cannot be refused.")


def _apply_batch(plan_id: Any, now: datetime, rows: int, *, store: bool) -> bool:
    plan = ImportPlan.objects.filter(pk=plan_id, state="applying").first()
    if plan is None:
        return False
    after = plan.position
    batch = list(plan.rows.filter(number__gt=after).order_by("number")[:rows])
    upto = batch[-1].number if batch else plan.row_count
    with transaction.atomic():
        # The swap comes first: on both databases it makes a second worker wait, and then find nothing to do.
        mine = ImportPlan.objects.filter(pk=plan_id, state="applying", position=after)
        if not mine.update(position=upto, lease_until=now + LEASE):
            return True
        entries = _apply(plan, batch, now) if store else _refuse(batch)
        if upto >= plan.row_count:
            counts = Counter(plan.rows.values_list("outcome", flat=True))
            full = {**dict.fromkeys(plan.counts, 0), **counts}
            mine = ImportPlan.objects.filter(pk=plan_id)
            mine.update(state="done", counts=full, finished_at=now, lease_until=None)
            subject = f"import:{plan.filename or plan.source}"
            entries.append(Entry(actor=plan.owner, action="nodes.import", subject=subject, after=full))
        append(entries)
    return upto < plan.row_count


def _refuse(batch: list[ImportRow]) -> list[Entry]:
    """The row that the database does not take."""
    for row in batch:
        mend = gettext("It could not be stored: look at the log of the worker, and import it again.")
        row.outcome, row.problems = "refuse", [{"field": "name", "value": row.name, "mend": mend}]
    ImportRow.objects.bulk_update(batch, ["outcome", "problems"])
    return []


def _apply(plan: ImportPlan, batch: list[ImportRow], now: datetime) -> list[Entry]:
    work = [row for row in batch if row.outcome in ("add", "change")]
    reason = gettext("Import of %(name)s") % {"name": plan.filename or plan.source}
    pools, entries = _pools(plan, work, reason)
    names = {str(row.values.get("credential")) for row in work if row.values.get("credential")}
    credentials = {row.name: row for row in Credential.objects.filter(name__in=names)}
    ways = {str(row.values["jump_host"]) for row in work if row.values.get("jump_host")}
    jump_hosts = {row.name: row for row in JumpHost.objects.filter(name__in=ways)} if ways else {}
    # Held, so that no operation starts on them between the question and the change.
    there = Node.objects.filter(name__in=[row.name for row in work]).held()
    present = {node.name: node for node in there.select_related("pool__cluster", "credential")}
    moved = [present[row.name].pk for row in work if row.name in present and set(WHEREABOUTS) & set(row.values)]
    busy = worked_on(moved) if moved else {}
    nodes, keys, events, refused, repooled = [], [], [], [], []
    for row in work:
        values = dict(row.values)
        line = values.pop("host_key", None)
        if "pool" in values:
            values["pool"] = pools.get(values["pool"]) if values["pool"] else None
        if values.get("credential"):
            values["credential"] = credentials.get(values["credential"])
        if values.get("jump_host"):
            values["jump_host"] = jump_hosts.get(values["jump_host"])
        problem = _problem(row, present.get(row.name), values, busy)
        if problem:
            row.outcome, row.problems = "refuse", [problem]
            refused.append(row)
            continue
        if row.outcome == "add":
            node = _new(row, values, now + POLL_GAP * row.number)
            nodes.append(node)
            kind, action = "node_added", "nodes.add"
        else:
            node = present[row.name]
            if "pool" in values and values["pool"] != node.pool:
                repooled.append(node.pk)
            _change(node, values, now)
            kind, action = "node_edited", "nodes.edit"
        if line:
            keys.append(HostKey.pinned(node, SshHostKey.parse(line), by=plan.owner, now=now, reason=reason))
        params = {} if row.outcome == "add" else {"fields": [name for name in row.values if name != "host_key"]}
        events.append(
            TimelineEvent(node=node, at=now, kind=kind, params=params, actor=plan.owner, generation=node.generation)
        )
        before = {name: value for name, value in row.before.items() if name != "revision"} or None
        entries.append(
            Entry(plan.owner, action, f"node:{node.name}", before=before, after=_shown(row.values), reason=reason)
        )
    Node.objects.bulk_create(nodes)
    if keys:
        HostKey.objects.filter(node__in=[key.node_id for key in keys], state__in=["offered", "pinned"]).update(
            state="replaced", decided_at=now, decided_by=plan.owner
        )
        HostKey.objects.bulk_create(keys)
    TimelineEvent.objects.bulk_create(events)
    if repooled:
        end_moved(repooled, now, actor=plan.owner)
    ImportRow.objects.bulk_update(refused, ["outcome", "problems"])
    return entries


def _pools(plan: ImportPlan, work: list[ImportRow], reason: str) -> tuple[dict[str, Pool], list[Entry]]:
    names = {str(row.values["pool"]) for row in work if row.values.get("pool")}
    pools = {pool.name: pool for pool in Pool.objects.filter(name__in=names).select_related("cluster")}
    entries = []
    for name in sorted(names - set(pools)):
        if plan.options.get("create_pools"):
            pools[name] = Pool.objects.create(name=name)
            entries.append(Entry(plan.owner, "pools.add", f"pool:{name}", after={"name": name}, reason=reason))
    return pools, entries


def _problem(
    row: ImportRow, node: Node | None, values: dict[str, Any], busy: Mapping[Any, str]
) -> dict[str, str] | None:
    """What happened since the preview that makes the row impossible."""
    if row.outcome == "add" and node is not None:
        return {"field": "name", "value": row.name, "mend": gettext("The node was added since the preview.")}
    if row.outcome == "change" and (node is None or node.revision != row.before.get("revision")):
        return {
            "field": "name",
            "value": row.name,
            "mend": gettext("The node was changed since the preview: import again."),
        }
    if node is not None and node.pk in busy:
        return {
            "field": "address",
            "value": str(values.get("address", node.address)),
            "mend": f"{busy[node.pk]} {until_its_end()}",
        }
    for name in ("pool", "credential", "jump_host"):
        if row.values.get(name) and values.get(name) is None:
            return {"field": name, "value": str(row.values[name]), "mend": gettext("It was deleted since the preview.")}
    return None


def _new(row: ImportRow, values: dict[str, Any], due: datetime) -> Node:
    now = due - POLL_GAP * row.number
    since = dict.fromkeys(
        ("created_at", "reachability_since", "health_since", "update_state_since", "lifecycle_since"), now
    )
    node = Node(name=row.name, poll_due_at=due, **since, **values)
    node.search_text = search_text(node)
    return node


def _change(node: Node, values: dict[str, Any], now: datetime) -> None:
    for name, value in values.items():
        setattr(node, name, value)
    columns = {**values, "search_text": search_text(node), "revision": node.revision + 1}
    if {"address", "port", "credential", "jump_host", "pool", "os_family_given"} & set(values):
        columns |= {"poll_due_at": now, "poll_requested_at": now, **HEARD}
    if not Node.objects.filter(pk=node.pk, revision=node.revision).update(**columns):
        # Changed between the look and the write: the rows are looked at again, one by one.
        raise IntegrityError(f"{node.name} was changed meanwhile")


def _shown(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: SshHostKey.parse(value).fingerprint if name == "host_key" else value for name, value in values.items()
    }
