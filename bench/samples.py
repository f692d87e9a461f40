"""What taking samples and drawing the past costs: 100,000 nodes in 100 pools, by default.

DATABASE_URL chooses the database (SQLite without it); its rows are made and dropped with it, so give an empty one.
Run from the project root: python -m bench.samples [nodes]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import django

POOLS = 100
ROUNDS = 7


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="fleetui-bench-") as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(folder) / 'db.sqlite3'}")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        _run(count)


def _run(count: int) -> None:
    from datetime import UTC, datetime, timedelta

    from django.db import connection

    from fleetui.access.principals import SYSTEM
    from nodes.models import Node, Pool, Sample
    from nodes.services import tally
    from nodes.services.history import RANGES, history
    from nodes.services.samples import _counted, take_samples
    from nodes.tests.make import deployment

    pools = [Pool.objects.create(name=f"pool-{number:03}") for number in range(POOLS)]
    facts = {"layered": [f"package-{number}" for number in range(10)], "note": "x" * 600}
    Node.objects.bulk_create(
        (
            Node(
                name=f"node-{number:06}",
                address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                pool=pools[number % POOLS],
                booted_version=f"44.2026{1 + number % 8:02}01.3.0",
                booted={**deployment(), **facts},
                rollback={**deployment(), **facts},
                reachability="unreachable" if number % 50 == 0 else "reachable",
                health="degraded" if number % 30 == 0 else "healthy",
                reachability_reason="",
                health_reason="",
                update_state_reason="",
                update_state="up_to_date" if number % 3 else "update_available",
                search_text="words " * 40,
            )
            for number in range(count)
        ),
        batch_size=1000,
    )
    # As the sweep does twice a minute.
    tally.fold()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    now = datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
    print(f"{connection.vendor}, {count:,} nodes in {POOLS} pools")
    print(f"  count the fleet          {_median(_counted):8.0f} ms")
    minute = iter(range(1, 1000))
    took = _median(lambda: take_samples(now=now + timedelta(minutes=next(minute))))
    print(f"  take and store a sample  {took:8.0f} ms")
    _past(now)
    print(f"  ({Sample.objects.count():,} rows of samples)")
    for name in ("1d", "7d", "30d"):
        for kinds in (["version"], None):
            given = {"kinds": kinds} if kinds else {}
            took = _median(lambda name=name, given=given: history(SYSTEM, reach=RANGES[name], now=now, **given))  # type: ignore[misc]
            print(f"  {name:3} {'versions' if kinds else 'all kinds':9}            {took:8.1f} ms")
    took = _median(lambda: history(SYSTEM, reach=RANGES["30d"], pools=pools[:1], now=now))
    print(f"  30d of one pool          {took:8.1f} ms")
    took = _median(lambda: history(SYSTEM, reach=RANGES["30d"], pools=pools[:20], now=now))
    print(f"  30d of twenty pools      {took:8.1f} ms")


def _past(now: object) -> None:
    """Thirty days of hours and a day of ten minutes."""
    from datetime import timedelta

    from nodes.models import Sample
    from nodes.services.samples import TAKEN, _counted, floored, rows_of

    counted = _counted()
    for resolution_s, times in ((3600, 720), (600, 144)):
        last = floored(now, resolution_s)  # type: ignore[arg-type]
        for back in range(1, times):
            at = last - timedelta(seconds=resolution_s * back)
            rows = [*rows_of(counted, resolution_s, at)]
            rows.append(Sample(resolution_s=resolution_s, kind=TAKEN, at=at, value="", nodes=0))
            Sample.objects.bulk_create(rows, batch_size=2000)


def _median(call: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        call()
        took.append((time.perf_counter() - started_s) * 1000)
    return statistics.median(took)


if __name__ == "__main__":
    main()
