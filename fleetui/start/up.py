"""What `manage.py up` does, in order: look, prepare, start, keep running, stop."""

from __future__ import annotations

import http.client
import io
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from fleetui.access.services import ensure_first_admin
from fleetui.core.errors import StartError
from fleetui.core.keys import ensure_keys
from fleetui.start import prepare, tree
from fleetui.start.address import Bind, require_free
from fleetui.start.folder import ensure_data_dir, held
from fleetui.start.supervisor import Supervisor, print_line

MANIFEST_TIMEOUT_S = 180.0
WEB_TIMEOUT_S = 180.0
#: Of the poll threads alone; a few more keep short tasks moving while all of those wait for hosts.
SPARE_THREADS = 4


@dataclass(frozen=True)
class Start:
    """What a person asked for."""

    bind: Bind
    demo: bool
    data_dir: Path
    manage: Path


def say(line: str) -> None:
    print_line("up", line)


def up(start: Start) -> int:
    """Run FleetUI until it is stopped; returns the exit code. Raises StartError with a sentence when it cannot start."""
    if not start.data_dir.exists():
        # A start that is refused leaves no folder behind.
        require_free(start.bind)
    ensure_data_dir(start.data_dir)
    with held(start.data_dir, start.bind.url):
        require_free(start.bind)
        ensure_keys(start.data_dir, database_exists=_database_exists())
        if settings.MISSING_KEYS:
            # The settings were read before the keys were made: what this process signs or seals would be lost.
            _again()
        try:
            with Supervisor() as supervisor:
                code = _run(start, supervisor)
        except KeyboardInterrupt:
            return 0
        # After the last lines of the children.
        say("FleetUI has stopped.")
        return code


def _database_exists() -> bool:
    """A file that is there holds something; a server's database may be an empty one that was made for us."""
    if settings.IS_SQLITE:
        return Path(settings.DATABASES["default"]["NAME"]).exists()
    return not settings.MISSING_KEYS or prepare.is_migrated()


def _again() -> None:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606


def _run(start: Start, supervisor: Supervisor) -> int:
    told = tree.environment(start.bind, start.data_dir)
    fleet_dir = start.data_dir / "simfleet"
    manifest = fleet_dir / "manifest.json"
    if start.demo:
        # It needs no database, so it makes its hosts while the database is made. An old manifest may name other ports.
        fleet_dir.mkdir(mode=0o700, exist_ok=True)
        manifest.unlink(missing_ok=True)
        supervisor.start(tree.simfleet(start.manage, told, fleet_dir))
    password = _prepare()
    supervisor.start(tree.worker(told, settings.POLL_THREADS + SPARE_THREADS))
    # While the worker loads. The web process reads the list of static files once, when it starts.
    prepare.collect_static(say)
    supervisor.start(tree.web(start.bind, told, start.data_dir / "web"))
    if start.demo:
        _pump_until(supervisor, manifest.exists, MANIFEST_TIMEOUT_S, "The simulated fleet did not start in time.")
        if not supervisor.stopping:
            # It loads while the fleet is added.
            supervisor.start(tree.beat(told))
            call_command("demo_seed", str(manifest), stdout=io.StringIO())
            connections.close_all()
    elif not supervisor.stopping:
        supervisor.start(tree.beat(told))
    _pump_until(supervisor, _answers(start.bind), WEB_TIMEOUT_S, "The web process does not answer.")
    if not supervisor.stopping:
        supervisor.start(tree.stream_worker(told))
    # Last, so that they share the processors with nothing that somebody waits for.
    for number in range(2, settings.POLL_WORKERS + 1):
        if not supervisor.stopping:
            supervisor.start(tree.poll_worker(told, settings.POLL_THREADS + SPARE_THREADS, number))
    # What the children have said until now stands above.
    supervisor.run(timeout_s=0.1)
    if not supervisor.stopping:
        _announce(start, password)
    return supervisor.run() or 0


def _prepare() -> str | None:
    for name in ("broker", "broker-control", "web"):
        (settings.DATA_DIR / name).mkdir(mode=0o700, exist_ok=True)
    prepare.compile_translations(say)
    prepare.check_settings()
    if settings.IS_SQLITE:
        prepare.make_database(Path(settings.DATABASES["default"]["NAME"]))
    prepare.migrate(say)
    password = ensure_first_admin()
    # No connection stays open across the fork of the children.
    connections.close_all()
    return password


def _pump_until(supervisor: Supervisor, until: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + timeout_s
    if supervisor.run(until=until, timeout_s=timeout_s) is None and time.monotonic() >= deadline and not until():
        raise StartError(f"{otherwise} The lines above say why.")


def _answers(bind: Bind) -> Callable[[], bool]:
    # By a name that it answers to: each request by another one leaves a stack trace in its log.
    allowed = settings.ALLOWED_HOSTS
    name = "localhost" if not allowed or {"localhost", "*"} & {*allowed} else allowed[0].removeprefix(".")

    def answers() -> bool:
        client = http.client.HTTPConnection(bind.local.host, bind.port, timeout=2)
        try:
            client.request("GET", "/healthz", headers={"Host": f"{name}:{bind.port}"})
            return client.getresponse().status < http.client.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()

    return answers


def _announce(start: Start, password: str | None) -> None:
    say(f"FleetUI runs at {start.bind.url}")
    if password is None:
        say("Sign in as before. A forgotten password: .venv/bin/python manage.py user password NAME")
    else:
        say(f"Sign in as admin with the password {password} (shown only now)")
    if start.bind.is_wildcard and not os.environ.get("FLEETUI_ALLOWED_HOSTS"):
        say("To open it by another name or address than localhost, list those in FLEETUI_ALLOWED_HOSTS.")
    say(f"Everything it keeps is in {start.data_dir}")
    say("Ctrl-C stops it.")
