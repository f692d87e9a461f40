"""A whole FleetUI started as a user would, with a data folder and a port of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from tests.services import free_port

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0
#: What a test process sets for itself must not reach the installation.
NOT_PASSED_ON = re.compile(r"FLEETUI_(?!CORPUS|RIG)|DJANGO_|DATABASE_URL|CELERY_BROKER_URL|CACHE_URL|PYTEST_")


def environment(folder: Path, **over: str) -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if not NOT_PASSED_ON.match(name)}
    return {**passed, "FLEETUI_DATA_DIR": str(folder), **over}


def manage(folder: Path, *args: str, **over: str) -> subprocess.CompletedProcess[str]:
    """Run a management command on a data folder until it ends."""
    argv = [sys.executable, str(ROOT / "manage.py"), *args]
    return subprocess.run(
        argv, cwd=ROOT, env=environment(folder, **over), capture_output=True, text=True, timeout=120, check=False
    )


#: Each command of the list in one process; a line of JSON for each: exit code, standard output, standard error.
ONE_BY_ONE = """
import contextlib, io, json, sys
import django; django.setup()
from django.core.management import CommandError, call_command
from django.db import connections
for words in json.loads(sys.argv[1]):
    code, out, err = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            call_command(*words, stdout=out, stderr=err)
        except CommandError as error:
            code = error.returncode
            print(error, file=err)
        except SystemExit as error:
            code = int(error.code or 0)
    connections.close_all()
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


def manage_each(folder: Path, *commands: Sequence[str], **over: str) -> list[subprocess.CompletedProcess[str]]:
    """Run management commands one after the other in one process, which is loaded once; what each of them said."""
    told = environment(folder, DJANGO_SETTINGS_MODULE="fleetui.settings", **over)
    argv = [sys.executable, "-c", ONE_BY_ONE, json.dumps([list(words) for words in commands])]
    done = subprocess.run(argv, cwd=ROOT, env=told, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return [subprocess.CompletedProcess(list(words), *one) for words, one in zip(commands, said, strict=True)]


def end_all(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    """Ask all of them to end, wait 30 s for each, then kill it. The dictionary is empty afterwards."""
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    processes.clear()


#: Folders that are gone when this process ends.
_kept: list[tempfile.TemporaryDirectory[str]] = []


class Installation:
    """A running `manage.py up`; its lines are read all the time, so that it never waits for a reader."""

    def __init__(self, folder: Path, *options: str, port: int = 0, **over: str) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        # It goes with a test run that is killed.
        argv = ["setpriv", "--pdeathsig", "TERM", "--", sys.executable, str(ROOT / "manage.py")]
        argv += ["up", "--bind", f"127.0.0.1:{self.port}", *options]
        self.process = subprocess.Popen(
            argv, cwd=ROOT, env=environment(folder, **over), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def password(self) -> str:
        """The password of `admin` that the first start shows."""
        found = re.search(r"Sign in as admin with the password (\S+)", self.output)
        assert found, self.output
        return found[1]

    def wait_for(self, true: Callable[[], bool], timeout_s: float = START_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert self.process.poll() is None, f"It ended with {self.process.returncode}:\n{self.output}"
            assert time.monotonic() < deadline, f"Not within {timeout_s:g} s:\n{self.output}"
            time.sleep(0.1)

    def wait_ready(self) -> None:
        self.wait_for(lambda: "Ctrl-C stops it." in self.output)

    def token(self, scope: str = "read", *, user: str = "admin") -> str:
        made = manage(self.folder, "token", "create", "--user", user, "--scope", scope, "--days", "1")
        found = re.search(r"fleetui_\S+", made.stdout)
        assert found, made.stdout + made.stderr
        return found[0]

    def get(self, path: str, token: str = "") -> Any:
        """The answer of an API address as JSON."""
        request = urllib.request.Request(f"{self.url}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"It did not stop:\n{self.output}") from None
        self._reader.join(10)
        return code


@cache
def empty_database() -> Path:
    """An SQLite database with all tables and nothing in them, `db.sqlite3`, made once for this process."""
    _kept.append(tempfile.TemporaryDirectory(prefix="fleetui-empty-"))
    folder = Path(_kept[-1].name)
    keys = ("FLEETUI_SECRET_KEY", "FLEETUI_ENCRYPTION_KEYS", "FLEETUI_TOKEN_PEPPERS", "FLEETUI_AUDIT_KEY")
    done = manage(folder, "migrate", "--verbosity", "0", **dict.fromkeys(keys, "55" * 32))
    assert done.returncode == 0, done.stderr
    return folder / "db.sqlite3"


#: What the first installation of this process made, for those that come after it.
_first: list[Path] = []
MADE_ONCE = ("keys", "static")


def _keep(folder: Path) -> None:
    # One that is given its keys makes none.
    if _first or not (folder / "keys").exists():
        return
    _kept.append(tempfile.TemporaryDirectory(prefix="fleetui-kept-"))
    _first.append(Path(_kept[-1].name))
    for name in MADE_ONCE:
        shutil.copytree(folder / name, _first[0] / name)


def _take_over(folder: Path, *, with_tables: bool) -> None:
    if not _first:
        return
    folder.mkdir(mode=0o700, parents=True)
    for name in MADE_ONCE:
        shutil.copytree(_first[0] / name, folder / name)
    if with_tables:
        shutil.copy(empty_database(), folder)


@contextmanager
def installation(
    folder: Path, *options: str, port: int = 0, as_new: bool = False, **over: str
) -> Iterator[Installation]:
    """FleetUI with its first page ready; stopped at the end.

    The first one of a test process makes its keys, static files and tables as a user's does. A later one in a new folder
    takes over copies of them, which saves some seconds of the processor, unless it is to begin `as_new`.
    """
    if not as_new and not folder.exists():
        _take_over(folder, with_tables="DATABASE_URL" not in over)
    started = Installation(folder, *options, port=port, **over)
    try:
        started.wait_ready()
        _keep(folder)
        yield started
    finally:
        started.stop()


def process_ids(folder: Path) -> list[int]:
    """The living processes that were told this data folder."""
    told = f"FLEETUI_DATA_DIR={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if told in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def processes_of(folder: Path) -> list[str]:
    """Their command lines."""
    lines = []
    for number in process_ids(folder):
        with suppress(OSError):
            lines.append(Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines
