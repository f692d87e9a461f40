"""What an inventory would add, change, leave as it is, and cannot take: worked out in a constant number of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext, ngettext

from fleetui.access.principals import Principal, require
from fleetui.core.errors import InvalidInput
from fleetui.core.words import any_of
from nodes import importing
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.importing.known_hosts import KnownHosts
from nodes.models import Credential, HostKey, ImportPlan, ImportRow, JumpHost, Node, Pool
from nodes.services import changes as rows
from nodes.services.nodes import checked_address, checked_family, checked_labels
from nodes.services.whereabouts import WHEREABOUTS, until_its_end, worked_on

GROUPS_AS = ("pool", "label", "nothing")
AT_ONCE = 1000


@dataclass(frozen=True)
class Options:
    """How a document is taken: where its groups go, what hosts without a pool or credential get, and what may be made."""

    pool: str = ""
    credential: str = ""
    groups: str = "pool"
    update: bool = False
    create_pools: bool = False


@dataclass
class _Known:
    """What the rows are compared with."""

    nodes: dict[str, Node]
    places: dict[tuple[str, int], str]
    pools: dict[str, Pool]
    credentials: dict[str, Credential]
    jump_hosts: dict[str, JumpHost]
    pinned: dict[Any, str]
    busy: dict[Any, str]
    seen: dict[str, str] = field(default_factory=dict)
    seen_places: dict[tuple[str, int], str] = field(default_factory=dict)


class _RowProblem(Exception):
    def __init__(self, name: str, value: object, mend: str) -> None:
        super().__init__(mend)
        self.problem = {"field": name, "value": str(value)[:200], "mend": mend}


def place_word(place: str) -> str:
    """Where a row stands, for people: readers write "line 3" or "group web"."""
    kind, _space, rest = place.partition(" ")
    words = {"line": gettext("line %(place)s"), "group": gettext("group %(place)s")}
    return words[kind] % {"place": rest} if kind in words else place


@contextmanager
def _told_of(field: str) -> Iterator[None]:
    """What a reader refuses, as an error of that field in the active language."""
    try:
        yield
    except importing.Refused as error:
        mend = gettext(error.mend) % error.params
        raise InvalidInput(gettext(error.message) % error.params, field=field, mend=mend) from error


def make_plan(
    *,
    text: str,
    source: str = "",
    filename: str = "",
    known_hosts: str = "",
    options: Options,
    actor: Principal,
    now: datetime,
    field: str = "document",
) -> ImportPlan:
    """Read a document and store what it would do. Nothing of the fleet changes. `field` is what it was sent as."""
    if not actor.may_somewhere("nodes.write"):
        require(actor, "nodes.write")
    if options.groups not in GROUPS_AS:
        mend = gettext("Use %(known)s.") % {"known": any_of(GROUPS_AS)}
        raise InvalidInput(gettext("The groups cannot be taken so."), field="groups", value=options.groups, mend=mend)
    with _told_of(field):
        found = importing.read(text, source, filename)
    with _told_of("known_hosts"):
        keys = KnownHosts.of_file(known_hosts, len(found.rows))
    known = _known(found.rows, actor)
    plan = ImportPlan(
        owner=str(actor), source=found.source, filename=filename[:200], options=asdict(options), created_at=now
    )
    made = [_row(plan, number, row, known, keys, options, actor) for number, row in enumerate(found.rows, 1)]
    plan.row_count = len(made)
    plan.counts = {**dict.fromkeys(("add", "change", "unchanged", "refuse"), 0), **Counter(row.outcome for row in made)}
    chosen = known.credentials.get(options.credential)
    plan.options |= {
        "notes": [
            gettext(note.message) % note.params
            for note in found.notes[:20]
            # The user whom the chosen credential signs in needs no word.
            if chosen is None or note.params.get("users") != chosen.username
        ]
        + _new_pools(made, known)
    }
    with transaction.atomic():
        plan.save(force_insert=True)
        ImportRow.objects.bulk_create(made, batch_size=500)
    return plan


def _new_pools(made: list[ImportRow], known: _Known) -> list[str]:
    """A sentence on the pools that are made along the way: a misspelt name would be one of them."""
    names = sorted({str(row.values["pool"]) for row in made if row.values.get("pool")} - set(known.pools))
    if not names:
        return []
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    said = ngettext("%(count)s pool is made: %(names)s.", "%(count)s pools are made: %(names)s.", len(names))
    return [said % {"count": len(names), "names": shown}]


def _known(found: list[importing.Row], actor: Principal) -> _Known:
    names = {row.name for row in found}
    addresses = {row.address or row.name for row in found}
    nodes: dict[str, Node] = {}
    for some in _slices(names):
        for node in Node.objects.filter(name__in=some).select_related("pool", "credential", "jump_host"):
            nodes[node.name] = node
    places: dict[tuple[str, int], str] = {}
    for some in _slices(addresses):
        for name, address, port in Node.objects.filter(address__in=some).values_list("name", "address", "port"):
            places[address.lower(), port] = name
    pinned: dict[Any, str] = {}
    for some in _slices(nodes):
        keys = HostKey.objects.filter(node__name__in=some, state="pinned")
        pinned.update(keys.values_list("node_id", "fingerprint"))
    busy: dict[Any, str] = {}
    for some in _slices(nodes):
        busy |= worked_on([nodes[name].pk for name in some])
    with_jumps = any(row.jump_hosts or row.jump_host for row in found)
    return _Known(
        nodes=nodes,
        places=places,
        pools={pool.name: pool for pool in Pool.objects.all()},
        credentials={row.name: row for row in Credential.objects.visible_to(actor)},
        jump_hosts={row.name: row for row in JumpHost.objects.visible_to(actor)} if with_jumps else {},
        pinned=pinned,
        busy=busy,
    )


def _slices(values: Iterable[str]) -> Iterable[list[str]]:
    every = sorted(values)
    return (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE))


def _row(
    plan: ImportPlan,
    number: int,
    row: importing.Row,
    known: _Known,
    keys: KnownHosts,
    options: Options,
    actor: Principal,
) -> ImportRow:
    made = ImportRow(plan=plan, number=number, place=row.place[:100], name=row.name[:300], outcome="refuse")
    problems = [{"field": p.field, "value": p.value, "mend": gettext(p.mend) % p.params} for p in row.problems]
    try:
        if not problems:
            _decide(made, row, known, keys, options, actor)
    except _RowProblem as error:
        problems.append(error.problem)
    except InvalidInput as error:
        value = "" if error.value is None else str(error.value)[:200]
        problems.append({"field": error.field or "", "value": value, "mend": f"{error.message} {error.mend}".strip()})
    made.problems = problems
    return made


def _decide(
    made: ImportRow, row: importing.Row, known: _Known, keys: KnownHosts, options: Options, actor: Principal
) -> None:
    node = known.nodes.get(row.name)
    if node is not None and not actor.where("nodes.read").covers(node.pool_id):
        raise _RowProblem("name", row.name, gettext("A node of this name exists. Choose another name."))
    values = _values(row, node, known, options, actor)
    _not_twice(row, values, node, known)
    host_key = _host_key(row, values, keys)
    if host_key is not None:
        if not _may(
            actor, "nodes.accept_key", known, values.get("pool", node.pool.name if node and node.pool else None)
        ):
            raise _RowProblem("host_key", host_key.fingerprint, gettext("You may not accept host keys in this pool."))
        values["host_key"] = host_key.line
    if node is None:
        made.outcome, made.values = "add", values
        return
    before = _before(node, values, known)
    changed = {name: value for name, value in values.items() if before.get(name) != value}
    if "host_key" in changed and "host_key" in before:
        mend = gettext("The node has another trusted key. Decide on its page, not in an import.")
        raise _RowProblem("host_key", SshHostKey.parse(changed["host_key"]).fingerprint, mend)
    if not changed:
        made.outcome = "unchanged"
        return
    if not options.update:
        raise _RowProblem(
            "name", row.name, gettext("The node exists. Choose to update existing nodes, or leave it out.")
        )
    if node.pk in known.busy and (field := next((name for name in WHEREABOUTS if name in changed), "")):
        raise _RowProblem(field, changed[field], f"{known.busy[node.pk]} {until_its_end()}")
    made.outcome, made.values = "change", changed
    made.before = {**{name: before.get(name) for name in changed}, "revision": node.revision}


def _values(row: importing.Row, node: Node | None, known: _Known, options: Options, actor: Principal) -> dict[str, Any]:
    """What the row says, checked as an edit would be; for a new node with everything that it needs."""
    values: dict[str, Any] = {}
    if row.address is not None or node is None:
        values["address"] = checked_address(row.address or row.name)
    if row.port is not None or node is None:
        values["port"] = row.port or 22
    labels = dict(row.labels or {}) if node is None or row.labels is None else {**node.labels, **row.labels}
    if options.groups == "label":
        labels |= {f"group/{name}"[:63]: "yes" for name in row.groups}
        labels = labels if node is None else {**node.labels, **labels}
    if row.labels is not None or options.groups == "label" or node is None:
        values["labels"] = checked_labels(labels)
    if row.os_family or node is None:
        values["os_family_given"] = checked_family(row.os_family or "", "os")
    pool = (
        row.pool
        or (_pool_name(row.groups, known) if options.groups == "pool" else "")
        or (options.pool if node is None else "")
    )
    if pool or node is None:
        values["pool"] = _pool(pool, known, options, actor)
    if node is not None and not _may(actor, "nodes.write", known, node.pool.name if node.pool else None):
        raise _RowProblem("name", row.name, gettext("You may not change nodes in its pool."))
    if credential := row.credential or (options.credential if node is None else ""):
        if credential not in known.credentials:
            raise _RowProblem("credential", credential, gettext("There is no such credential that you may use."))
        values["credential"] = credential
    if row.jump_host and row.jump_host not in known.jump_hosts:
        raise _RowProblem("jump_host", row.jump_host, gettext("There is no such jump host that you may use."))
    if jump_host := row.jump_host or _jump_host(row.jump_hosts, known):
        values["jump_host"] = jump_host
    if node is None:
        rows.checked(
            Node(name=row.name, **{k: values[k] for k in ("address", "port", "labels", "os_family_given")}),
            exclude=("pool", "credential"),
        )
    return values


def _jump_host(way: tuple[str, ...], known: _Known) -> str:
    """The last jump host of a way, where the one of that name is itself reached in that way; else nothing."""
    by_id = {row.pk: row for row in known.jump_hosts.values()}
    names: list[str] = []
    current = known.jump_hosts.get(way[-1]) if way else None
    while current is not None and len(names) < len(way):
        names.insert(0, current.name)
        current = by_id.get(current.through_id) if current.through_id else None
    return way[-1] if names and tuple(names) == way else ""


def _pool_name(groups: tuple[str, ...], known: _Known) -> str:
    """The nearest group that is a pool, otherwise the nearest; Ansible's underscores are not in the grammar of pools."""
    names = [group.replace("_", "-") for group in groups]
    return next((name for name in names if name in known.pools), names[0] if names else "")


def _pool(name: str, known: _Known, options: Options, actor: Principal) -> str | None:
    if name and name not in known.pools:
        if not options.create_pools:
            mend = gettext("There is no such pool. Add it first, or choose to have missing pools made.")
            raise _RowProblem("pool", name, mend)
        if not actor.may("pools.write"):
            raise _RowProblem("pool", name, gettext("There is no such pool, and you may not make pools."))
        try:
            rows.checked(Pool(name=name))
        except InvalidInput as error:
            raise _RowProblem("pool", name, f"{error.message} {error.mend}") from error
    if not _may(actor, "nodes.write", known, name or None):
        raise _RowProblem("pool", name or "–", gettext("You may not add nodes there."))
    return name or None


def _may(actor: Principal, permission: str, known: _Known, pool: str | None) -> bool:
    row = known.pools.get(pool) if pool else None
    return actor.where(permission).covers(row.pk if row else None)


def _not_twice(row: importing.Row, values: Mapping[str, Any], node: Node | None, known: _Known) -> None:
    if row.name in known.seen:
        raise _RowProblem(
            "name", row.name, gettext("The name stands in %(place)s too.") % {"place": place_word(known.seen[row.name])}
        )
    known.seen[row.name] = row.place
    address = values.get("address", node.address if node else "").lower()
    place = (address, values.get("port", node.port if node else 22))
    other = known.places.get(place)
    if other is not None and other != row.name:
        shown = f"{place[0]}:{place[1]}"
        raise _RowProblem("address", shown, gettext("A node has this address and port already."))
    if place in known.seen_places:
        told = gettext("The address and port stand in %(place)s too.") % {"place": place_word(known.seen_places[place])}
        raise _RowProblem("address", f"{place[0]}:{place[1]}", told)
    known.seen_places[place] = row.place


def _host_key(row: importing.Row, values: Mapping[str, Any], keys: KnownHosts) -> SshHostKey | None:
    if row.host_key:
        try:
            return SshHostKey.parse(row.host_key)
        except ValueError:
            mend = gettext("Write type and key as in known_hosts: ssh-ed25519 AAAA…")
            raise _RowProblem("host_key", row.host_key, mend) from None
    return keys.of(values.get("address") or row.address or row.name, row.name, values.get("port") or row.port or 22)


def _before(node: Node, values: Mapping[str, Any], known: _Known) -> dict[str, Any]:
    """The node's values in the form of `values`."""
    before: dict[str, Any] = {
        "address": node.address,
        "port": node.port,
        "labels": node.labels,
        "os_family_given": node.os_family_given,
        "pool": node.pool.name if node.pool else None,
        "credential": node.credential.name if node.credential else None,
        "jump_host": node.jump_host.name if node.jump_host else None,
    }
    if node.pk in known.pinned:
        same = "host_key" in values and SshHostKey.parse(values["host_key"]).fingerprint == known.pinned[node.pk]
        before["host_key"] = values["host_key"] if same else known.pinned[node.pk]
    return before
