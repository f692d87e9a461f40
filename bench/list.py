"""What lists and pages cost with 1,000, 10,000 and 100,000 nodes: median, 95th percentile, CPU of the server, queries.

The web process of the product (gunicorn with its threads) answers one client on loopback that keeps its connection; pages
are asked for by a person who signed in, the API with a token, both with every permission check. Queries are counted with
Django's test client, which passes the same middleware. Each database is of this run's own.
Run from the project root: python -m bench.list [--sizes 1000,10000] [--databases sqlite,postgresql] [--markdown]
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import http.client
import json
import os
import pstats
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import machine

SIZES = (1_000, 10_000, 100_000)
DATABASES = ("sqlite", "postgresql")
REPEAT = 40
WARM_UP = 4
START_TIMEOUT_S = 30.0
#: The size at which NetBox 4.4 was measured, and that of the aims.
PEER_SIZE, AIM_SIZE = 10_000, 100_000


@dataclass(frozen=True)
class Case:
    """One address. `peer_ms` and `peer_queries` are those of NetBox 4.4 with 10,000 devices, `aim_ms` with 100,000 nodes."""

    name: str
    path: str
    aim_ms: float = 0.0
    peer_ms: float = 0.0
    peer_queries: int = 0

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")


CASES = (
    Case("node list page", "/nodes/", 35, 410, 48),
    Case("node list page, deep", "/nodes/?after={page_cursor}"),
    Case("node list page, search", "/nodes/?q={rare}"),
    Case("node page", "/nodes/{name}/", 20, 87),
    Case("overview", "/", 50),
    Case("API, 50 rows", "/api/v1/nodes/?limit=50", 8, 152, 30),
    Case("API, 1,000 rows", "/api/v1/nodes/?limit=1000", 60, 816),
    Case("API, filter by state and pool", "/api/v1/nodes/?limit=50&health=degraded&pool=web-bkk"),
    Case("API, filter by label", "/api/v1/nodes/?limit=50&label=rack:r057"),
    Case("API, filter by NIC driver", "/api/v1/nodes/?limit=50&nic_driver=igc"),
    Case("API, search, few found", "/api/v1/nodes/?limit=50&q={rare}", 15, 208),
    Case("API, search, many found", "/api/v1/nodes/?limit=50&q=stable+prod", 15, 208),
    Case("API, search, none found", "/api/v1/nodes/?limit=50&q=no-such-node", 15, 208),
    Case("API, deep page", "/api/v1/nodes/?limit=50&cursor={api_cursor}"),
)


@dataclass(frozen=True)
class Figure:
    """What one address costs in one database."""

    database: str
    nodes: int
    case: str
    median_ms: float
    p95_ms: float
    cpu_ms: float
    queries: int
    kilobytes: float


def main() -> None:
    arguments = _arguments()
    if arguments.inside:
        _inside(arguments)
        return
    figures: list[Figure] = []
    for database in arguments.databases.split(","):
        for figure in _measured(database, arguments):
            figures.append(figure)
            if not arguments.markdown:
                print(_line(figure, figures), flush=True)
    if arguments.markdown:
        print(machine.described())
        print(f"\nCommand: `python -m bench.list {' '.join(sys.argv[1:])}`\n")
        for database in arguments.databases.split(","):
            print(_table(database, figures), "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of nodes, rising")
    parser.add_argument("--databases", default=",".join(DATABASES))
    parser.add_argument("--repeat", type=int, default=REPEAT, help="requests per figure")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--markdown", action="store_true", help="a table for bench/README.md")
    parser.add_argument("--profile", action="store_true", help="also print where Python spends its time")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measured(database: str, arguments: argparse.Namespace) -> Iterator[Figure]:
    """Figures as they come from a process that has this database."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        told = {**os.environ, **machine.environment(Path(folder))}
        told.pop("DATABASE_URL", None)
        if database == "postgresql":
            from tests.services import postgresql

            told["DATABASE_URL"] = stack.enter_context(postgresql())
        argv = [sys.executable, "-m", "bench.list", "--inside", *sys.argv[1:]]
        process = subprocess.Popen(argv, env=told, stdout=subprocess.PIPE, text=True, cwd=machine.ROOT)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield Figure(**json.loads(line))
            else:
                print(line, end="", file=sys.stderr)
        if process.wait():
            sys.exit(f"The measurement on {database} ended with status {process.returncode}.")


# inside: one database


def _inside(arguments: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.db import connection

    from bench.fleet import fill
    from fleetui.start.prepare import collect_static, compile_translations, migrate

    compile_translations(print)
    migrate(print)
    collect_static(print)
    keys = _keys()
    for size in map(int, arguments.sizes.split(",")):
        began = time.perf_counter()
        fill(size)
        print(f"{connection.vendor}: {size:,} nodes after {time.perf_counter() - began:.0f} s", flush=True)
        places = _places(size)
        connection.close()
        with _web() as (port, pid):
            for case in CASES:
                if arguments.only in case.name:
                    figure = _figure(case, places, keys, port, pid, arguments)
                    print(json.dumps(asdict(figure)), flush=True)


def _keys() -> dict[str, dict[str, str]]:
    """Headers of a person who signed in, and of a token; both may do everything."""
    from django.conf import settings
    from django.test import Client

    from fleetui.access.models import RoleBinding, User
    from fleetui.access.principals import SYSTEM
    from fleetui.access.services import create_token
    from fleetui.core import clock

    user = User.objects.filter(username="bench").first()
    if user is None:
        user = User.objects.create_user(username="bench")
        RoleBinding.objects.create(user=user, role="admin")
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    now = clock.now()
    _, token = create_token(user=user, name=f"bench {now}", scopes=["admin"], days=1, actor=SYSTEM, now=now)
    return {
        "page": {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"},
        "api": {"Authorization": f"Bearer {token}"},
    }


def _places(size: int) -> dict[str, str]:
    """A node in the middle, words that few nodes hold, and cursors nine tenths down."""
    from fleetui.core.api.pagination import Order, write_cursor
    from nodes.api.nodes import LISTING
    from nodes.models import Node
    from nodes.views.paging import Cursor

    names = Node.objects.order_by("name").values_list("name", flat=True)
    deep, last = names[size * 9 // 10], names.latest("created_at", "name")
    place = {"name": deep, "id": Node.objects.get(name=deep).pk}
    order = Order("name", LISTING.sorts["name"], descending=False, key="id")
    return {
        "name": names[size // 2],
        # The end of a name: no search from its beginning finds it.
        "rare": last[-5:-1],
        "page_cursor": Cursor(deep, deep, size * 9 // 10).encode(),
        "api_cursor": write_cursor(order, place, backward=False),
    }


@contextlib.contextmanager
def _web() -> Iterator[tuple[int, int]]:
    """The web process as `up` starts it; gives its port and the id of the process that answers."""
    from fleetui.start.address import Bind
    from fleetui.start.tree import web
    from tests.services import free_port

    port = free_port()
    with tempfile.TemporaryDirectory() as temporary:
        child = web(Bind("127.0.0.1", port), {}, Path(temporary))
        argv = ["setpriv", "--pdeathsig", "TERM", "--", *child.argv]
        process = subprocess.Popen(argv, env=os.environ, cwd=machine.ROOT)
        try:
            _await_web(port, process)
            yield port, machine.children_of(process.pid)[0]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _await_web(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "The web process ended."
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError):
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        time.sleep(0.1)
    raise AssertionError("The web process does not answer.")


def _figure(
    case: Case, places: dict[str, str], keys: dict[str, dict[str, str]], port: int, pid: int, arguments: Any
) -> Figure:
    from django.db import connection

    path = case.path.format(**places)
    headers = keys["api" if case.is_api else "page"]
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.connect()
    body = b""
    for _ in range(WARM_UP):
        body = _asked(client, path, headers)
    times, cpu_before = [], machine.cpu_s(pid)
    for _ in range(arguments.repeat):
        began = time.perf_counter()
        _asked(client, path, headers)
        times.append((time.perf_counter() - began) * 1000)
    cpu_ms = (machine.cpu_s(pid) - cpu_before) * 1000 / arguments.repeat
    client.close()
    queries = _queries(path, headers, profile=arguments.profile)
    connection.close()
    return Figure(
        database=connection.vendor,
        nodes=_nodes(),
        case=case.name,
        median_ms=statistics.median(times),
        p95_ms=sorted(times)[int(len(times) * 0.95)],
        cpu_ms=cpu_ms,
        queries=queries,
        kilobytes=len(body) / 1024,
    )


def _asked(client: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    client.request("GET", path, headers=headers)
    response = client.getresponse()
    body = response.read()
    assert response.status == 200, f"{path} answered {response.status}: {body[:300]!r}"
    return body


def _nodes() -> int:
    from nodes.models import Node

    return Node.objects.count()


def _queries(path: str, headers: dict[str, str], *, profile: bool) -> int:
    """How many statements one request is; with `profile`, what they are and where Python spends its time."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(headers=headers, SERVER_NAME="127.0.0.1")
    if cookie := headers.get("Cookie"):
        client.cookies[settings.SESSION_COOKIE_NAME] = cookie.partition("=")[2]
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    count = len(captured)
    if profile:
        _print_profile(client, path, captured.captured_queries)
    return count


def _print_profile(client: Any, path: str, queries: list[dict[str, str]]) -> None:
    print(f"\n{path}", file=sys.stderr)
    for query in queries:
        print(f"  {float(query['time']) * 1000:7.1f} ms  {query['sql'][:1500]}", file=sys.stderr)
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(10):
        client.get(path)
    profile.disable()
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(25)


# what is printed


def _ratios(figure: Figure, figures: list[Figure]) -> tuple[str, str, str]:
    """Against the same with 1,000 nodes, against NetBox, and against the aim."""
    case = next(one for one in CASES if one.name == figure.case)
    smallest = next((one for one in figures if (one.database, one.case) == (figure.database, figure.case)), figure)
    growth = f"{figure.median_ms / smallest.median_ms:.2f} x" if smallest is not figure else ""
    peer = ""
    if case.peer_ms and figure.nodes == PEER_SIZE:
        peer = f"{case.peer_ms / figure.median_ms:.0f} x faster"
        peer += f", {figure.queries} of {case.peer_queries} queries" if case.peer_queries else ""
    aim = ""
    if case.aim_ms and figure.nodes == AIM_SIZE:
        aim = f"{'met' if figure.median_ms <= case.aim_ms else 'MISSED'} ({case.aim_ms:g} ms)"
    return growth, peer, aim


def _line(figure: Figure, figures: list[Figure]) -> str:
    growth, peer, aim = _ratios(figure, figures)
    return (
        f"{figure.database:<10} {figure.nodes:>7,}  {figure.case:<30} {figure.median_ms:8.1f} ms  p95 {figure.p95_ms:8.1f}"
        f"  CPU {figure.cpu_ms:7.1f}  {figure.queries:3} queries  {figure.kilobytes:7.0f} KiB  {growth:>8}  {peer} {aim}"
    )


def _table(database: str, figures: list[Figure]) -> str:
    rows = [
        f"| {database} | nodes | median ms | p95 ms | server CPU ms | queries | against {SIZES[0]:,} nodes | NetBox 4.4 | aim |"
    ]
    rows.append("| --- " * 9 + "|")
    for case in CASES:
        for figure in figures:
            if (figure.database, figure.case) == (database, case.name):
                numbers = f"{figure.median_ms:.1f} | {figure.p95_ms:.1f} | {figure.cpu_ms:.1f} | {figure.queries}"
                ratios = " | ".join(_ratios(figure, figures))
                rows.append(f"| {figure.case} | {figure.nodes:,} | {numbers} | {ratios} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
