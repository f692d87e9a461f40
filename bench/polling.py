"""Polls of a simulated fleet: per second, CPU of ours per poll, and database statements per batch.

First polls find everything new, quiet polls find nothing new. The client of OpenSSH reads a sample of the same hosts with
the same script under `xargs -P20`, so that the ratio holds on any machine. The fleet and the database server are other
processes; DATABASE_URL chooses the database (SQLite without it).
Run from the project root: python -m bench.polling [nodes ...]   (1000 and 2000 without arguments)
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from uuid import UUID

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = 200
OPENSSH_AT_ONCE = 20
QUIET_ROUNDS = 3
BATCHES_AT_ONCE = 8


@dataclass(frozen=True)
class Figures:
    """What a way of polling costs."""

    polls_per_s: float
    cpu_ms: float
    statements: float = 0.0

    def line(self, name: str) -> str:
        batch = f"  {self.statements:5.1f} statements a batch" if self.statements else ""
        return f"  {name:<10} {self.polls_per_s:7.1f} polls/s  {self.cpu_ms:6.2f} ms CPU per poll{batch}"


def cpu_s(who: int = resource.RUSAGE_SELF) -> float:
    """CPU seconds of this process, or of its ended children."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def measured(count: int, work: Callable[[], None], who: int = resource.RUSAGE_SELF) -> Figures:
    before, started = cpu_s(who), time.perf_counter()
    work()
    return Figures(count / (time.perf_counter() - started), (cpu_s(who) - before) * 1000 / count)


def prepare(folder: Path) -> None:
    """An empty database with keys and folders of its own. Must run before Django is set up."""
    os.environ.update(
        FLEETUI_DATA_DIR=str(folder),
        FLEETUI_SECRET_KEY="11" * 32,
        FLEETUI_ENCRYPTION_KEYS="22" * 32,
        FLEETUI_TOKEN_PEPPERS="33" * 32,
        FLEETUI_AUDIT_KEY="44" * 32,
        DJANGO_SETTINGS_MODULE="fleetui.settings",
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)


class Statements:
    """Counts what the threads that poll batches ask of the database, BEGIN and COMMIT not counted."""

    def __init__(self) -> None:
        self.per_thread: Counter[int] = Counter()

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.per_thread[threading.get_ident()] += 1
        return execute(sql, params, many, context)


def poll_all(statements: Statements) -> int:
    """Claim and poll every due node, as ticks and workers do; gives the number of batches."""
    from django.db import connection

    from fleetui.core import clock
    from nodes.services.polling import claim_due
    from nodes.tasks import poll_batch

    def batch(lease: UUID) -> None:
        try:
            with connection.execute_wrapper(statements):
                poll_batch(str(lease))
        finally:
            connection.close()

    under_way, batches = [], 0
    with ThreadPoolExecutor(BATCHES_AT_ONCE) as threads:
        while True:
            while (lease := claim_due(lane="live", now=clock.now())) is not None:
                under_way.append(threads.submit(batch, lease))
            if not under_way:
                return batches
            under_way.pop(0).result()
            batches += 1


def polls(count: int, prepare_round: Callable[[], None]) -> Figures:
    """One round over all nodes, which the preparation has made due."""
    prepare_round()
    statements, batches = Statements(), 0

    def work() -> None:
        nonlocal batches
        batches = poll_all(statements)

    found = measured(count, work)
    return Figures(found.polls_per_s, found.cpu_ms, statements.per_thread.total() / batches)


def make_due() -> None:
    from fleetui.core import clock
    from nodes.models import Measurement, Node

    now = clock.now()
    Node.objects.update(poll_due_at=now)
    # Quiet means quiet: otherwise a round falls on the five minutes of the measurements or not, as it happens.
    Measurement.objects.update(at=now)


def openssh(manifest: dict[str, Any], folder: Path) -> Figures:
    """The same script, sent by the client of OpenSSH to a sample of the hosts."""
    from nodes.hosts import drivers
    from nodes.hosts.probe import build_script

    hosts = manifest["hosts"][:SAMPLE]
    script, known = folder / "probe.sh", folder / "known_hosts"
    script.write_bytes(build_script(drivers.get("fcos").probe(), "0" * 32))
    known.write_text("".join(f"[{host['address']}]:{host['port']} {host['host_key']}\n" for host in hosts))
    options = (
        f"-F none -q -o BatchMode=yes -o UserKnownHostsFile={known} -o IdentitiesOnly=yes -i {manifest['key_file']}"
    )
    contact = f'ssh {options} -l {hosts[0]["username"]} -p {hosts[0]["port"]} "$1" sh -s < {script} > /dev/null'
    addresses = "\n".join(host["address"] for host in hosts)
    argv = ["xargs", f"-P{OPENSSH_AT_ONCE}", "-n1", "sh", "-c", contact, "sh"]

    def run() -> None:
        subprocess.run(argv, input=addresses, text=True, check=True)

    return measured(len(hosts), run, resource.RUSAGE_CHILDREN)


def report(nodes: int, net: str) -> None:
    """Print the figures for a fleet of one size."""
    from nodes.models import Credential, Node, Pool
    from nodes.services.demo import seed
    from tests.fleet import simulated_fleet

    with tempfile.TemporaryDirectory() as name, simulated_fleet(Path(name) / "fleet", nodes, net=net) as manifest:
        seed(manifest)
        # No node becomes due again while its round is measured.
        Pool.objects.update(poll_interval_s=3600)
        first = polls(nodes, lambda: None)
        rounds = [polls(nodes, make_due) for _ in range(QUIET_ROUNDS)]
        quiet = sorted(rounds, key=lambda found: found.cpu_ms)[QUIET_ROUNDS // 2]
        reachable = Node.objects.filter(reachability="reachable").count()
        theirs = openssh(manifest, Path(name))
        # The next fleet has another key.
        for model in (Node, Pool, Credential):
            model.objects.all().delete()
    print(f"nodes={nodes} reachable={reachable} processors={os.cpu_count()}")
    print(first.line("first"))
    print(quiet.line("quiet"))
    print(theirs.line("openssh"))
    speed, cost = quiet.polls_per_s / theirs.polls_per_s, quiet.cpu_ms / theirs.cpu_ms
    print(f"  quiet poll against openssh: {speed:.2f} x speed, {cost:.2f} x CPU", flush=True)


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [1000, 2000]
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        for index, nodes in enumerate(sizes):
            report(nodes, f"127.{60 + index}")


if __name__ == "__main__":
    main()
