"""A database full of nodes, for benchmarks: what a fleet of any size leaves behind after it was polled for a while.

The facts are those of simulated hosts, read by the drivers, with the names, addresses and ids of each node put in. Rows
are written in bulk, without indexes on the largest table until it is full: 100,000 nodes take about a minute.
`python -m bench.fleet NODES` fills the database of DATABASE_URL and FLEETUI_DATA_DIR, which must be migrated.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import random
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

TEMPLATES = 60
POOLS = 40
NODES_AT_ONCE = 5000
EVENTS_PER_NODE = 6
SITES = ("bkk", "fra", "iad", "sin", "gru")
#: What stands for a node's own values in the text of a template.
_NAME, _BOOT, _ADDRESS, _MAC = (
    "fleetui-host",
    "b007b007-b007-4007-8007-b007b007b007",
    "192.0.2.254",
    "02:fe:fe:fe:fe:fe",
)


@dataclass(frozen=True)
class Template:
    """One simulated host as a poll reads and stores it. Texts hold placeholders; `node` are columns without them."""

    node: dict[str, Any]
    document: str
    raw: bytes
    measurement: dict[str, Any]
    measured: str
    deployments: list[dict[str, Any]]
    terms: list[tuple[str, str, int | None]]
    role: str


def main() -> None:
    """Fill one database, which is empty or was filled by this before."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleetui.settings")
    django.setup()
    count = int(sys.argv[1])
    began = time.perf_counter()
    fill(count)
    print(f"{count} nodes in {time.perf_counter() - began:.0f} s")


def fill(nodes: int) -> None:
    """Add nodes until there are so many. Everything about node number N is the same whenever it is added."""
    from django.db import connection

    from nodes.models import Node

    have = Node.objects.count()
    if nodes <= have:
        return
    pools, credential = _groups()
    templates = _templates()
    with _unguarded(connection):
        for start in range(have, nodes, NODES_AT_ONCE):
            numbers = range(start, min(start + NODES_AT_ONCE, nodes))
            _write_nodes(numbers, templates, pools, credential)
    _settle(connection)


def _groups() -> tuple[list[Any], Any]:
    from fleetui.access.principals import SYSTEM
    from fleetui.core import clock
    from nodes.models import Cluster, Credential, Pool
    from nodes.services.credentials import add_credential
    from nodes.services.groups import add_cluster, add_pool
    from nodes.services.releases import import_releases
    from simfleet.releases import Catalog

    now = clock.now()
    credential = Credential.objects.filter(name="bench").first()
    if credential is None:
        catalog = Catalog()
        import_releases(text=json.dumps(catalog.as_json()), actor=SYSTEM, now=now)
        import_releases(text=json.dumps(catalog.as_json("flatcar")), os_family="flatcar", actor=SYSTEM, now=now)
        credential = add_credential(name="bench", actor=SYSTEM, now=now)
        clusters = [add_cluster(name=f"prod-{site}", actor=SYSTEM, now=now) for site in SITES]
        roles = ("web", "edge", "db", "k8s-control", "k8s-worker", "ingress", "cache", "batch")
        for role, cluster in itertools.product(roles, clusters):
            name = f"{role}-{cluster.name.removeprefix('prod-')}"
            in_cluster = cluster if role.startswith("k8s") else None
            add_pool(name=name, cluster=in_cluster, role=role, credential=credential, actor=SYSTEM, now=now)
    assert Cluster.objects.count() == len(SITES)
    pools = list(Pool.objects.select_related("cluster").order_by("name"))
    assert len(pools) == POOLS
    return pools, credential


# from a simulated host to a template


def _templates() -> list[Template]:
    from nodes.axes import Contact, compute
    from nodes.facts.paths import terms_of
    from nodes.hosts import drivers
    from nodes.services.polling.columns import deployment_row, fact_columns, measurement_row
    from nodes.services.releases import view_of
    from simfleet.model import Fault

    now = datetime.now(UTC).replace(microsecond=0)
    contact = Contact(last_ok_at=now, ever_reached=True)
    found = []
    for index, (role, family, output) in enumerate(_outputs({7: Fault.FAILED_UNIT, 23: Fault.FULL_DISK})):
        reading = drivers.get(family).parse(output, now)
        facts, measured = reading.facts.as_json(), reading.measurement.as_json()
        _put_placeholders(facts, index)
        columns = fact_columns(facts, family)
        axes = compute(facts, measured, view_of(columns["os_family"], columns["os_stream"], now), contact, now)
        for axis in ("reachability", "health", "update_state"):
            value = getattr(axes, axis)
            columns |= {axis: value.value, f"{axis}_reason": value.reason, f"{axis}_params": value.params}
        measurement = measurement_row(None, measured, now)  # type: ignore[arg-type]  # its node comes later
        found.append(
            Template(
                node=columns,
                document=json.dumps(facts),
                raw=zlib.compress(output.raw),
                measurement=_plain(measurement, ("node", "document")),
                measured=json.dumps(measured),
                deployments=[_plain(deployment_row(None, one), ("id", "node")) for one in facts["deployments"]],  # type: ignore[arg-type]
                terms=sorted(terms_of(facts), key=repr),
                role=role,
            )
        )
    return found


def _outputs(faults: dict[int, Any]) -> Iterator[tuple[str, str, Any]]:
    """Role, OS family and the frames of a look at each of the template hosts."""
    from nodes.hosts import drivers
    from nodes.hosts.probe import build_script, read_frames
    from simfleet.answers import Call
    from simfleet.answers.shell import run_script
    from simfleet.plan import plans
    from simfleet.tests.world import OneHost

    nonce = "0" * 32
    for index, plan in enumerate(plans(TEMPLATES, seed=7)):
        world = OneHost(plan)
        if index in faults:
            world.host.faults[faults[index].value] = 97.0 if faults[index].value == "full_disk" else 1.0
        family = "flatcar" if plan.os == "flatcar" else "fcos"
        script = build_script(drivers.get(family).probe(), nonce)
        answer = asyncio.run(run_script(Call(world.host, world, ("sh", "-c", "sh -s"), stdin=script), "sh -s"))
        output = read_frames(answer.out, nonce)
        assert output.complete
        yield plan.role, family, output


def _put_placeholders(facts: dict[str, Any], index: int) -> None:
    """Where a document names its host, a placeholder."""
    facts["network"]["hostname"] = _NAME
    facts["boot"]["boot_id"] = _BOOT
    first = True
    for interface in facts["network"]["interfaces"]:
        if interface.get("mac") and interface["name"] != "lo" and first:
            interface["mac"] = _MAC
            for address in interface["addresses"][:1]:
                address["address"] = _ADDRESS
            first = False
    assert not first, f"Template {index} has no network interface."


def _plain(row: Any, without: Sequence[str]) -> dict[str, Any]:
    return {
        field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if field.name not in without
    }


# from a template to rows


def _write_nodes(numbers: range, templates: list[Template], pools: list[Any], credential: Any) -> None:
    from django.db import transaction

    from nodes.models import Deployment, Facts, FactTerm, HostKey, Measurement, Node, TimelineEvent

    made = [_node(number, templates, pools) for number in numbers]
    first = numbers.start + 1
    with transaction.atomic():
        _insert(Node, ({**node, "facts_id": first + at} for at, (node, _) in enumerate(made)))
        _insert(Facts, (_facts(first + at, node, template) for at, (node, template) in enumerate(made)))
        _insert(
            Measurement,
            ({**t.measurement, "node_id": n["id"], "at": n["last_seen_at"], "document": t.measured} for n, t in made),
        )
        _insert(
            Deployment,
            (
                {**one, "node_id": node["id"], "document": json.dumps(one["document"])}
                for node, template in made
                for one in template.deployments
            ),
        )
        _insert(HostKey, (_host_key(node) for node, _ in made))
        _insert(TimelineEvent, (event for node, _ in made for event in _events(node)))
        _insert(FactTerm, (term for node, template in made for term in _terms(node, template)))


def _node(number: int, templates: list[Template], pools: list[Any]) -> tuple[dict[str, Any], Template]:
    draw = random.Random(number)
    template = templates[number % len(templates)]
    pool = pools[draw.randrange(len(pools))]
    role, _, site = pool.name.rpartition("-")
    now = datetime.now(UTC)
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    booted_at = now - timedelta(seconds=draw.randrange(60 * 86400))
    node = {
        **_defaults(),
        **template.node,
        "id": uuid.UUID(int=draw.getrandbits(128), version=4),
        "name": f"{role}-{site}-{number:06d}",
        "address": address,
        "pool_id": pool.pk if draw.random() < 0.97 else None,
        "labels": {
            "site": site,
            "env": "prod" if draw.random() < 0.8 else "test",
            "rack": f"r{draw.randrange(400):03d}",
        },
        "boot_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "machine_id": f"{draw.getrandbits(128):032x}",
        "booted_at": booted_at,
        "created_at": now - timedelta(days=90),
        "facts_at": now - timedelta(seconds=draw.randrange(7 * 86400)),
        "last_seen_at": now - timedelta(seconds=draw.randrange(60)),
        "poll_due_at": now + timedelta(hours=1, seconds=draw.randrange(60)),
    }
    for axis in ("reachability", "health", "update_state"):
        node[f"{axis}_since"] = now - timedelta(seconds=draw.randrange(30 * 86400))
    _misfortune(node, draw, now)
    node["search_text"] = _search_text(node, pool if node["pool_id"] else None)
    return node, template


def _misfortune(node: dict[str, Any], draw: random.Random, now: datetime) -> None:
    """One node in fifty cannot be reached, one in a hundred is degraded, a few are in maintenance, retired or fell back."""
    fate = draw.random()
    if fate < 0.02:
        since = now - timedelta(seconds=draw.randrange(86400))
        node |= {"reachability": "unreachable", "failures": draw.randrange(1, 40), "failing_since": since}
        node |= {"last_seen_at": since, "reachability_since": since}
        kind = draw.choice(("timed_out", "refused", "no_route"))
        node |= {"reachability_reason": kind, "last_error_kind": kind}
    elif fate < 0.03:
        node |= {"health": "degraded", "health_reason": "units_failed"}
        node |= {"health_params": {"units": ["chronyd.service"], "count": 1}}
    elif fate < 0.033:
        node |= {"update_state": "rolled_back", "update_state_reason": "boot_failed"}
    elif fate < 0.043:
        node |= {"lifecycle": "maintenance", "lifecycle_reason": "rack move"}
    elif fate < 0.063:
        node |= {"lifecycle": "retired", "lifecycle_reason": "decommissioned"}


_DEFAULTS: dict[str, Any] = {}


def _defaults() -> dict[str, Any]:
    if not _DEFAULTS:
        from nodes.models import Node

        _DEFAULTS.update(_plain(Node(), ("id", "facts")))
    return _DEFAULTS


def _search_text(node: dict[str, Any], pool: Any) -> str:
    from nodes.models import Node
    from nodes.services.search import search_text

    row = Node(**{name: value for name, value in node.items() if name != "pool_id"})
    row.pool = pool
    return search_text(row)


def _facts(number: int, node: dict[str, Any], template: Template) -> dict[str, Any]:
    return {
        "id": number,
        "node_id": node["id"],
        "generation": 1,
        "read_at": node["facts_at"],
        "hash": hashlib.sha256(node["name"].encode()).hexdigest(),
        "document": _own(template.document, node),
        "raw": template.raw,
    }


def _own(text: str, node: dict[str, Any]) -> str:
    text = text.replace(_NAME, node["name"]).replace(_BOOT, node["boot_id"])
    return text.replace(_ADDRESS, node["address"]).replace(_MAC, _mac(node))


def _mac(node: dict[str, Any]) -> str:
    digits: str = node["machine_id"][:10]
    return "02:" + ":".join(digits[at : at + 2] for at in range(0, 10, 2))


def _terms(node: dict[str, Any], template: Template) -> Iterator[dict[str, Any]]:
    own = {_NAME: node["name"], _BOOT: node["boot_id"], _ADDRESS: node["address"], _MAC: _mac(node)}
    for path, value, number in template.terms:
        yield {"node_id": node["id"], "path": path, "value": own.get(value, value), "number": number}


def _host_key(node: dict[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256(node["machine_id"].encode()).hexdigest()
    return {
        "id": uuid.UUID(digest[:32]),
        "node_id": node["id"],
        "type": "ssh-ed25519",
        "public_key": f"AAAAC3NzaC1lZDI1NTE5AAAAI{digest[:43]}",
        "fingerprint": f"SHA256:{digest[:43]}",
        "state": "pinned",
        "seen_at": node["created_at"],
        "decided_at": node["created_at"],
        "decided_by": "user:bench",
        "reason": "",
    }


def _events(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    draw = random.Random(node["name"])
    kinds = ("node_added", "os_detected", "staged", "upgraded", "units_failed", "units_recovered")
    for kind in kinds[:EVENTS_PER_NODE]:
        yield {
            "id": uuid.UUID(int=draw.getrandbits(128), version=4),
            "node_id": node["id"],
            "at": node["created_at"] + timedelta(seconds=draw.randrange(90 * 86400)),
            "kind": kind,
            "params": json.dumps({"version": node["booted_version"], "units": ["chronyd.service"]}),
            "actor": "",
            "generation": 1,
        }


# writing


@contextmanager
def _unguarded(connection: Any) -> Iterator[None]:
    """Foreign keys are right by construction; counts and the indexes of terms and search are made once, at the end."""
    from nodes.models import FactTerm

    replica = connection.vendor == "postgresql"
    with connection.schema_editor(atomic=replica) as editor:
        for index in FactTerm._meta.indexes:
            editor.remove_index(FactTerm, index)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica" if replica else "PRAGMA foreign_keys = OFF")
        if not replica:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'nodes_node'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = DEFAULT" if replica else "PRAGMA foreign_keys = ON")
        with connection.schema_editor(atomic=replica) as editor:
            for index in FactTerm._meta.indexes:
                editor.add_index(FactTerm, index)


def _insert(model: Any, rows: Iterable[dict[str, Any]]) -> None:
    """COPY on PostgreSQL, prepared INSERTs on SQLite: a tenth of the time of bulk_create with its model instances."""
    from django.db import connection

    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    names = list(first)
    columns = ", ".join(f'"{model._meta.get_field(name).column}"' for name in names)
    table = f'"{model._meta.db_table}"'
    values = ([row[name] for name in names] for row in itertools.chain([first], rows))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for line in values:
                    copy.write_row([json.dumps(one) if type(one) is dict else one for one in line])
            return
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"
        connection.connection.executemany(statement, ([_for_sqlite(one) for one in line] for line in values))


_SQLITE: dict[type, Callable[[Any], Any]] = {
    uuid.UUID: lambda one: one.hex,
    datetime: lambda one: one.replace(tzinfo=None).isoformat(" "),
    dict: json.dumps,
}


def _for_sqlite(value: Any) -> Any:
    change = _SQLITE.get(type(value))
    return change(value) if change else value


def _settle(connection: Any) -> None:
    """What a database that grew slowly would have: statistics, and (PostgreSQL) sequences beyond the rows."""
    from nodes import search
    from nodes.models import Facts
    from nodes.services import tally

    if not tally.install():
        tally.recount()
    search.install()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('nodes_facts', 'id'), {Facts.objects.count() + 1})")
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("ANALYZE")


if __name__ == "__main__":
    main()
