"""Real services for tests, on loopback with own folders and ports: PostgreSQL and Redis from the distribution.

`python -m tests.services COMMAND ...` runs a command with both, told by DATABASE_URL, CELERY_BROKER_URL and CACHE_URL.
They need no root; as root they run as another user, since PostgreSQL refuses root. They die with the process that started them.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
DEBIAN_POSTGRESQL = Path("/usr/lib/postgresql")
#: Whatever is lost with the machine is lost with the tests.
POSTGRESQL_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300")


class ServiceMissing(RuntimeError):
    """A service is not installed, or did not start; the sentence says which and what to do."""


def postgresql_program(name: str) -> str:
    """PostgreSQL's server programs are not in the PATH on Debian; the newest version counts."""
    for folder in sorted(DEBIAN_POSTGRESQL.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True):
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if not found:
        raise ServiceMissing("PostgreSQL is not installed. Install it: apt-get install postgresql")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_user(names: Sequence[str], *, on_death: str) -> list[str]:
    """The start of a command that runs as the first of these users that exists, when this process is root."""
    prefix = ["setpriv", "--pdeathsig", on_death]
    if os.getuid() == 0:
        user = _user(names)
        prefix += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*prefix, "--"]


def _user(names: Sequence[str]) -> pwd.struct_passwd:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in (*names, "nobody") if name in known)


@contextlib.contextmanager
def private_folder(names: Sequence[str]) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fleetui-service-"))
    try:
        if os.getuid() == 0:
            user = _user(names)
            os.chown(folder, user.pw_uid, user.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Postgresql:
    """A PostgreSQL that can go away and come back, on the same port with the same data."""

    def __init__(self, data: Path, port: int) -> None:
        self.url = f"postgres://fleetui@127.0.0.1:{port}/postgres"
        self._port, self._folder, self._running = port, data.parent, contextlib.ExitStack()
        settings = [*POSTGRESQL_OPTIONS, f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        # SIGQUIT is PostgreSQL's immediate shutdown, SIGINT its fast one.
        self._argv = [*as_user(("postgres",), on_death="QUIT"), postgresql_program("postgres"), "-D", str(data)]
        self._argv += [part for setting in settings for part in ("-c", setting)]

    def start(self) -> None:
        self._running.enter_context(running(self._argv, self._folder, self._port, stop=signal.SIGINT))
        _wait_until_it_serves(self.url)

    def stop(self) -> None:
        """Ends all its connections."""
        self._running.close()

    def restart(self, away_s: float = 3.0) -> None:
        self.stop()
        time.sleep(away_s)
        self.start()


@contextlib.contextmanager
def restartable_postgresql() -> Iterator[Postgresql]:
    initdb = postgresql_program("initdb")
    users = ("postgres",)
    with private_folder(users) as folder:
        data = folder / "data"
        options = ["-D", str(data), "-U", "fleetui", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(
            [*as_user(users, on_death="KILL"), initdb, *options],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ServiceMissing(f"initdb failed: {made.stderr.strip()}")
        server = Postgresql(data, free_port())
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL of its own; gives the address of a database as a URL."""
    with restartable_postgresql() as server:
        yield server.url


def _wait_until_it_serves(url: str) -> None:
    """PostgreSQL listens before it serves: on a busy machine it says for seconds that it is starting up."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise ServiceMissing(f"PostgreSQL did not start: {error}") from error
            time.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis of its own; gives its address as a URL without a database number."""
    server = shutil.which("redis-server")
    if not server:
        raise ServiceMissing("Redis is not installed. Install it: apt-get install redis-server")
    users = ("redis",)
    with private_folder(users) as folder:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "no"]
        with running([*as_user(users, on_death="KILL"), server, *options], folder, port, stop=signal.SIGTERM):
            yield f"redis://127.0.0.1:{port}"


@contextlib.contextmanager
def running(argv: Sequence[str], folder: Path, port: int, *, stop: signal.Signals) -> Iterator[None]:
    """Run a server until it listens; stop it at the end, whatever happens."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServiceMissing(f"{Path(argv[-1]).name} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def main(command: Sequence[str]) -> int:
    with postgresql() as database_url, redis() as redis_url:
        told = {"DATABASE_URL": database_url, "CELERY_BROKER_URL": f"{redis_url}/0", "CACHE_URL": f"{redis_url}/1"}
        process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", *command], env={**os.environ, **told})
        # Ctrl-C reaches the command as well, which ends by itself; the services stop after it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: process.terminate())
        return process.wait()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ServiceMissing as error:
        sys.exit(str(error))
