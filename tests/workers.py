"""Beat and worker as `manage.py up` starts them, over a database of their own, watched from outside with plain SQL."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from fleetui.start import tree
from fleetui.start.address import Bind
from tests.fleet import ROOT
from tests.installation import empty_database, end_all, environment, manage, manage_each

PORT_HEX = f"{2222:04X}"
ESTABLISHED = "01"


class Workers:
    """An installation without its web process. `database_url` and `broker_url` empty: SQLite and a folder."""

    def __init__(self, folder: Path, net: str, *, database_url: str = "", broker_url: str = "", **over: str) -> None:
        self.folder, self.net = folder, net
        self.database_url = database_url
        # What reads hosts beside the polls would look like a second poll (Overlaps).
        alone = {"FLEETUI_CERTIFICATES_INTERVAL_S": "0", "FLEETUI_DRIFT_INTERVAL_S": "0"}
        self.over = {"FLEETUI_POLL_INTERVAL_S": "2", "FLEETUI_POLL_LEASE_S": "6", **alone, **over}
        if database_url:
            self.over["DATABASE_URL"] = database_url
        if broker_url:
            self.over["CELERY_BROKER_URL"] = broker_url
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("broker", "broker-control", "keys"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name in ("FLEETUI_SECRET_KEY", "FLEETUI_ENCRYPTION_KEYS", "FLEETUI_TOKEN_PEPPERS", "FLEETUI_AUDIT_KEY"):
            self.over.setdefault(name, "55" * 32)

    @property
    def fleet(self) -> Path:
        """The folder of the simulated fleet that this installation polls alone."""
        return self.folder / "simfleet"

    def prepare(self) -> None:
        """Make the tables and add the nodes of the simulated fleet, polled at the interval of the settings."""
        self.make_tables("demo_seed", str(self.fleet / "manifest.json"))
        self.execute("UPDATE nodes_pool SET poll_interval_s = NULL")

    def make_tables(self, *then: str) -> None:
        """Make the tables, and run this management command on them."""
        commands = [list(then)] if then else []
        if self.database_url:
            commands.insert(0, ["migrate", "--verbosity", "0"])
        else:
            shutil.copy(empty_database(), self.folder)
        for done in manage_each(self.folder, *commands, **self.over) if commands else []:
            assert done.returncode == 0, done.stderr

    def run(self, code: str) -> str:
        """Run Python in the installation; what it printed."""
        done = manage(self.folder, "shell", "--no-imports", "-c", code, **self.over)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *names: str) -> None:
        for name in names or ("worker", "beat"):
            argv = ["setpriv", "--pdeathsig", "KILL", "--", *_command(name)]
            with (self.folder / f"{name}.log").open("ab") as log:
                told = environment(self.folder, **self.over)
                self.processes[name] = subprocess.Popen(argv, cwd=ROOT, env=told, stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """As the kernel does when memory is short."""
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def stop(self) -> None:
        end_all(self.processes)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        if self.database_url:
            with psycopg.connect(self.database_url, autocommit=True) as connection:
                found = connection.execute(sql.replace("?", "%s"), parameters)
                return found.fetchall() if found.description else []
        with sqlite3.connect(self.folder / "db.sqlite3", timeout=30) as lite:
            return lite.execute(sql, parameters).fetchall()

    def count(self, where: str) -> int:
        return int(self.execute(f"SELECT count(*) FROM nodes_node WHERE {where}")[0][0])

    def now(self) -> Any:
        """The newest time at which a node was seen, as the database writes it."""
        return self.execute("SELECT max(last_seen_at) FROM nodes_node")[0][0]

    def seen_since(self, moment: Any) -> int:
        return int(self.execute("SELECT count(*) FROM nodes_node WHERE last_seen_at > ?", [moment])[0][0])

    def wait_for(self, true: Callable[[], bool], timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            logs = "\n".join(self.log(name)[-3000:] for name in self.processes)
            assert time.monotonic() < deadline, f"Not within {timeout_s:g} s: {what}\n{logs}"
            time.sleep(0.1)

    def wait_all_polled(self, nodes: int, timeout_s: float = 60) -> None:
        """Every node answers a poll that ends after now."""
        since = self.now() or "0001-01-01"
        self.wait_for(lambda: self.seen_since(since) >= nodes, timeout_s, f"{nodes} nodes polled")


def _command(name: str) -> Sequence[str]:
    """What `up` starts under this name: worker, stream, beat, web-PORT, or poll-NUMBER for a further worker."""
    if name == "beat":
        return tree.beat({}).argv
    if name == "stream":
        return tree.stream_worker({}).argv
    if name.startswith("web-"):
        return tree.web(Bind("127.0.0.1", int(name.removeprefix("web-"))), {}, Path(tempfile.gettempdir())).argv
    if name == "worker":
        return tree.worker({}, 24).argv
    return tree.poll_worker({}, 24, int(name.removeprefix("poll-"))).argv


class Overlaps:
    """Watches the kernel's connections: a host with two of ours at once was polled twice at once."""

    def __init__(self, net: str) -> None:
        first, second = net.split(".")
        self._tail = f"{int(second):02X}{int(first):02X}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.found: Counter[str] = Counter()
        self.most_at_once = 0

    def __enter__(self) -> Overlaps:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            # The kernel may list a connection twice while others come and go, hence a set of both ends.
            pairs = set()
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                _, local, remote, state, *_rest = line.split()
                address, port = remote.split(":")
                if state == ESTABLISHED and port == PORT_HEX and address.endswith(self._tail):
                    pairs.add((local, address))
            open_now = Counter(address for _, address in pairs)
            self.most_at_once = max(self.most_at_once, len(open_now))
            self.found.update(address for address, count in open_now.items() if count > 1)
