"""The processes of one embedded installation, as the supervisor starts them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fleetui.start.address import Bind
from fleetui.start.supervisor import EXIT_CONFIGURATION, Child

#: gunicorn's code for an application that cannot be loaded (3 is its worker's), and argparse's for wrong usage.
GUNICORN_BOOT_FAILED = 4
WRONG_USAGE = 2
EMBEDDED = (sys.executable, "-m", "fleetui.start.embedded")
FATAL = frozenset({EXIT_CONFIGURATION, WRONG_USAGE})
WEB_THREADS = 8
#: Of an address with its method, in bytes: a long filter is one. gunicorn takes no more.
LONGEST_REQUEST_LINE = 8190
#: So many streams at once; each holds two parts of an upload.
STREAM_THREADS = 3


def environment(bind: Bind, data_dir: Path) -> dict[str, str]:
    """What every child is told. The host that one listens on is one that browsers may ask for."""
    told = {"FLEETUI_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
    if not os.environ.get("FLEETUI_ALLOWED_HOSTS") and not bind.is_wildcard:
        name = f"[{bind.host}]" if ":" in bind.host else bind.host
        told["FLEETUI_ALLOWED_HOSTS"] = ",".join(dict.fromkeys(["localhost", "127.0.0.1", "[::1]", name]))
    return told


def web(bind: Bind, told: dict[str, str], worker_tmp_dir: Path) -> Child:
    options = ["--bind", str(bind), "--worker-class", "gthread", "--workers", "1", "--threads", str(WEB_THREADS)]
    options += ["--limit-request-line", str(LONGEST_REQUEST_LINE)]
    options += ["--graceful-timeout", "8", "--timeout", "60", "--log-level", "warning", "--no-control-socket"]
    options += ["--worker-tmp-dir", str(worker_tmp_dir), "fleetui.wsgi:application"]
    return Child(
        "web",
        (sys.executable, "-m", "gunicorn", *options),
        told,
        stop_order=3,
        fatal_codes=frozenset({EXIT_CONFIGURATION, GUNICORN_BOOT_FAILED}),
    )


def worker(told: dict[str, str], threads: int) -> Child:
    return Child(
        "worker", (*EMBEDDED, "worker", "--threads", str(threads)), told, stop_order=2, grace_s=25, fatal_codes=FATAL
    )


def poll_worker(told: dict[str, str], threads: int, number: int) -> Child:
    """A further worker, for polls alone: Python keeps one process busy on one processor only."""
    name = f"poll-{number}"
    options = ("--threads", str(threads), "--queues", "poll", "--name", name)
    return Child(name, (*EMBEDDED, "worker", *options), told, stop_order=2, grace_s=25, fatal_codes=FATAL)


def stream_worker(told: dict[str, str]) -> Child:
    """For what moves many bytes, such as backups: encryption and hashes keep a process busy that polls would wait for."""
    options = ("--threads", str(STREAM_THREADS), "--queues", "stream", "--name", "stream")
    return Child("stream", (*EMBEDDED, "worker", *options), told, stop_order=2, grace_s=25, fatal_codes=FATAL)


def beat(told: dict[str, str]) -> Child:
    return Child("beat", (*EMBEDDED, "beat"), told, stop_order=4, grace_s=5, fatal_codes=FATAL)


def simfleet(manage: Path, told: dict[str, str], folder: Path) -> Child:
    argv = (sys.executable, str(manage), "simfleet", "--demo", "--dir", str(folder))
    return Child("simfleet", argv, told, stop_order=1)
