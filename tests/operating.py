"""Operations of real worker processes on a simulated fleet: asked for, followed by plain SQL, and disturbed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from simfleet.control import send
from tests import services
from tests.conftest import missing
from tests.workers import Workers

#: A worker that dies costs its operations so long.
LEASE_S = 8
OVER = ("succeeded", "failed", "cancelled", "timed_out", "void", "needs_attention")
ASK = """
import json, sys
from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import Node
from ops import actions
from ops.models import BackupPolicy, ClusterCertificate, ClusterDeployment, Limit
from ops.services.backups.drills import request_drill
from ops.services.backups.runs import request_backup
from ops.services.clusters.deployments import request_change
from ops.services.clusters.issued import request_renewal
from ops.services.request import request_operations

def answers(kind, names, params):
    told = {{"reason": "proof", "actor": SYSTEM, "now": clock.now()}}
    if actions.get(kind).on == "deployment":
        rows = ClusterDeployment.objects.filter(name__in=names).select_related("access__cluster")
        return [request_change(row=row, kind=kind, params=params, **told) for row in rows]
    if actions.get(kind).on == "issued":
        rows = ClusterCertificate.objects.filter(name__in=names).select_related("access__cluster")
        return [request_renewal(row=row, params=params, **told) for row in rows]
    if kind not in actions.askable():
        ask = request_backup if kind == "backup" else request_drill
        return [ask(policy=policy, **told) for policy in BackupPolicy.objects.filter(name__in=names)]
    nodes = list(Node.objects.filter(name__in=names).order_by("name").select_related("pool__cluster"))
    return [request_operations(nodes=nodes, kind=kind, params=params, **told)]

given = json.loads({given!r})
for scope, name, at_once in given["limits"]:
    told = {{"at_once": at_once, "set_by": "user:admin", "reason": "test"}}
    Limit.objects.update_or_create(scope=scope, name=name, defaults=told)
for wanted in given["wanted"]:
    for answer in answers(*wanted):
        refused = [one.as_json() for one in answer.refused]
        print(json.dumps({{"operations": [str(one.pk) for one in answer.operations], "refused": refused}}))
"""
TAKE_IN = """
import json
from pathlib import Path
from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.hosts.ssh import HostKey
from nodes.services.credentials import add_credential
from nodes.services.groups import add_pool
from nodes.services.nodes import add_node
from nodes.services.releases import import_releases

given = json.loads({given!r})
told = {{"actor": SYSTEM, "now": clock.now()}}
first = given["hosts"][0]
key = Path(first["key_file"]).read_text()
credential = add_credential(name="rig", username=first["user"], private_key=key, **told)
pool = add_pool(name="web", credential=credential, **told)
for host in given["hosts"]:
    place = {{name: host[name] for name in ("name", "address", "port")}}
    add_node(**place, pool=pool, host_key=HostKey.parse(host["host_key"]), **told)
import_releases(text=json.dumps({{"streams": ["stable"], "releases": given["releases"]}}), **told)
"""
Hosts = dict[str, dict[str, Any]]


class Operating(Workers):
    """Worker and beat with nodes that were polled once and rest; operations are all that happens."""

    def __init__(self, folder: Path, net: str, *, database_url: str = "", broker_url: str = "", **over: str) -> None:
        told = {"FLEETUI_POLL_INTERVAL_S": "900", "FLEETUI_OPERATION_LEASE_S": str(LEASE_S), **over}
        super().__init__(folder, net, database_url=database_url, broker_url=broker_url, **told)
        self.broker_url = broker_url

    def take_in(self, hosts: Sequence[dict[str, Any]], releases: Sequence[dict[str, Any]]) -> None:
        """Make the tables and add real hosts to the pool web, with their keys, and the releases that they may go to."""
        code = TAKE_IN.format(given=json.dumps({"hosts": list(hosts), "releases": list(releases)}))
        self.make_tables("shell", "--no-imports", "-c", code)

    def hosts(self) -> Hosts:
        """What the simulated hosts themselves say."""
        return {host["name"]: host for host in send(self.fleet, {"action": "list"})["hosts"]}

    def named(self, where: str, count: int) -> list[str]:
        """Names of reachable, healthy nodes of Fedora CoreOS."""
        good = "os_family = 'fcos' AND reachability = 'reachable' AND health = 'healthy'"
        rows = self.execute(f"SELECT name FROM nodes_node WHERE {good} AND {where} ORDER BY name")
        assert len(rows) >= count, f"{len(rows)} nodes are {where}, not {count}"
        return [str(row[0]) for row in rows[:count]]

    def ask(
        self, wanted: Sequence[tuple[str, Sequence[str], dict[str, Any]]], limits: Sequence[tuple[str, str, int]] = ()
    ) -> list[str]:
        """Make operations of (kind, names, parameters), through the service; gives their ids.

        What is done to no node is asked for by the names of Deployments, of Certificates, or of backup policies.
        """
        given = json.dumps({"wanted": wanted, "limits": limits})
        said = self.run(ASK.format(given=given))
        answers = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert not [answer["refused"] for answer in answers if answer["refused"]], answers
        return [one for answer in answers for one in answer["operations"]]

    def rows(self, columns: str, ids: Sequence[str]) -> list[Any]:
        """Columns of operations, in the order of their nodes."""
        keys = [uuid.UUID(one).hex if not self.database_url else one for one in ids]
        marks = ", ".join("?" for _key in keys)
        where = f"CAST(id AS text) IN ({marks})" if self.database_url else f"id IN ({marks})"
        return self.execute(f"SELECT {columns} FROM ops_operation WHERE {where} ORDER BY node_name", keys)

    def stand(self, ids: Sequence[str]) -> list[Any]:
        return self.rows("node_name, kind, state, step, attempt, result, wait_reason, memory", ids)

    def is_at(self, ids: Sequence[str], *steps: str) -> bool:
        """Whether one of them is at one of these steps, and goes on."""
        found = self.rows("step, state", ids)
        return any(step in steps and state in ("running", "waiting") for step, state in found)

    def unfinished(self, ids: Sequence[str]) -> list[str]:
        found = self.rows("id, state", ids)
        return [str(uuid.UUID(str(one))) for one, state in found if state not in OVER]

    def until(self, is_so: Callable[[], bool], ids: Sequence[str], what: str, timeout_s: float = 180) -> None:
        end = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < end, (what, self.stand(ids), self.log("worker")[-3000:])
            time.sleep(0.05)

    def finish(self, ids: Sequence[str], timeout_s: float = 240) -> None:
        self.until(lambda: not self.unfinished(ids), ids, "all have ended", timeout_s)

    # what disturbs

    def kill_worker(self) -> None:
        """SIGKILL, and another one takes its place."""
        self.kill("worker")
        self.start("worker")

    def stop_worker_past_its_lease(self) -> None:
        """SIGSTOP; another one takes over, and the first wakes up late, and works beside it."""
        sleeper = self.processes.pop("worker")
        os.kill(sleeper.pid, signal.SIGSTOP)
        self.start("worker")
        time.sleep(LEASE_S + 2)
        os.kill(sleeper.pid, signal.SIGCONT)
        time.sleep(2)
        sleeper.kill()
        sleeper.wait()

    def wipe_broker(self) -> None:
        """All messages are gone."""
        if self.broker_url:
            redis.Redis.from_url(self.broker_url).flushdb()
            return
        for file in (self.folder / "broker").iterdir():
            file.unlink(missing_ok=True)

    def repeat_messages(self) -> int:
        """Every message that waits comes once more, after the others and in the other order; gives how many."""
        if self.broker_url:
            client: Any = redis.Redis.from_url(self.broker_url)
            waiting = client.lrange("ops", 0, -1)
            for message in waiting:
                client.rpush("ops", message)
            return len(waiting)
        files = sorted((self.folder / "broker").iterdir(), reverse=True)
        copies = 0
        for number, file in enumerate(files):
            stamp, _mark, rest = file.name.partition("_")
            try:
                shutil.copy(file, file.with_name(f"{int(stamp) + 10_000 + number}_{rest}"))
            except FileNotFoundError:
                continue  # a worker was quicker
            copies += 1
        return copies

    def lock_database(self, seconds: float) -> None:
        """Nobody else can write to SQLite for a while."""
        with sqlite3.connect(self.folder / "db.sqlite3", timeout=30, isolation_level=None) as lite:
            lite.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            lite.execute("ROLLBACK")

    def strike(
        self, ids: Sequence[str], blows: Sequence[tuple[Sequence[str], str]], database_away: Callable[[], None]
    ) -> None:
        """Each blow falls while at least one of the operations is at one of its steps."""
        means: dict[str, Callable[[], Any]] = {
            "kill": self.kill_worker,
            "stop": self.stop_worker_past_its_lease,
            "wipe": self.wipe_broker,
            "repeat": self.repeat_messages,
            "database": database_away,
        }
        for steps, blow in blows:
            self.until(lambda steps=steps: self.is_at(ids, *steps), ids, f"{blow}: an operation at {steps}")  # type: ignore[misc]
            means[blow]()

    # what must be so afterwards

    def check_hosts(self, before: Hosts, restarts: dict[str, int]) -> None:
        """Each host was restarted as often as told; no command of ours was started twice; nothing of ours is left."""
        after = self.hosts()
        for name, count in restarts.items():
            host = after[name]
            assert host["boot_count"] - before[name]["boot_count"] == count, (name, count, host, before[name])
            again = {unit: starts for unit, starts in host["unit_starts"].items() if starts > 1}
            assert not again, (name, again)
            assert not [unit for unit in host["units"] if unit.startswith("fleetui-")], host
            ours = [
                path for path in host["written"] if path.startswith(("/run/", "/etc/kubernetes/")) and "fleetui" in path
            ]
            assert not ours, host
            assert not host["staged"], host

    def check_rows(self, ids: Sequence[str]) -> None:
        """No lease is held, no step goes on, and the logs have no gap."""
        assert self.rows("lease_id, due_at", ids) == [(None, None)] * len(ids)
        assert self.execute("SELECT count(*) FROM ops_steprun WHERE ended_at IS NULL") == [(0,)]
        gaps = """SELECT count(*) FROM (SELECT o.id FROM ops_operation o LEFT JOIN ops_logline l ON l.operation_id = o.id
            GROUP BY o.id, o.log_seq HAVING o.log_seq <> count(l.id)) AS gap"""
        assert self.execute(gaps) == [(0,)]


PAIRS = ("sqlite-folder", "postgresql-redis")


@contextmanager
def operating_on(pair: str, folder: Path) -> Iterator[tuple[Operating, Callable[[], None]]]:
    """An installation on a pair of database and broker, and what makes its database go away for some seconds."""
    if pair == "sqlite-folder":
        made = Operating(folder, "127.71")
        yield made, lambda: made.lock_database(4)
        return
    try:
        with services.restartable_postgresql() as database, services.redis() as redis_url:
            made = Operating(folder, "127.72", database_url=database.url, broker_url=f"{redis_url}/3")
            yield made, database.restart
    except services.ServiceMissing as error:
        missing(str(error))
