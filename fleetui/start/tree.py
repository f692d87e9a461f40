"""The processes of one embedded installation, as the supervisor starts them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fleetui.start.address import Bind
from fleetui.start.supervisor import EXIT_CONFIGURATION, Child

#: gunicorn's code for an application that cannot be loaded (3 is its worker's), and click's for wrong usage.
GUNICORN_BOOT_FAILED = 4
WRONG_USAGE = 2
CELERY = (sys.executable, "-m", "celery", "-A", "fleetui.celery", "--quiet")
CELERY_FATAL = frozenset({EXIT_CONFIGURATION, WRONG_USAGE})
QUEUES = ("poll", "ops")
WEB_THREADS = 8


def environment(bind: Bind, data_dir: Path) -> dict[str, str]:
    """What every child is told. The host that one listens on is one that browsers may ask for."""
    told = {"FLEETUI_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
    if not os.environ.get("FLEETUI_ALLOWED_HOSTS") and not bind.is_wildcard:
        name = f"[{bind.host}]" if ":" in bind.host else bind.host
        told["FLEETUI_ALLOWED_HOSTS"] = ",".join(dict.fromkeys(["localhost", "127.0.0.1", "[::1]", name]))
    return told


def web(bind: Bind, told: dict[str, str], worker_tmp_dir: Path) -> Child:
    options = ["--bind", str(bind), "--worker-class", "gthread", "--workers", "1", "--threads", str(WEB_THREADS)]
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
    options = ["worker", "--pool", "threads", "--concurrency", str(threads), "--queues", ",".join(QUEUES)]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    return Child(
        "worker", (sys.executable, "-m", "celery", "-A", "fleetui.celery", *options), told, stop_order=2, grace_s=25
    )


def beat(told: dict[str, str], data_dir: Path) -> Child:
    options = ["beat", "--schedule", str(data_dir / "beat-schedule"), "--pidfile=", "--loglevel", "WARNING"]
    return Child(
        "beat", (sys.executable, "-m", "celery", "-A", "fleetui.celery", *options), told, stop_order=4, grace_s=5
    )


def simfleet(manage: Path, told: dict[str, str], folder: Path) -> Child:
    argv = (sys.executable, str(manage), "simfleet", "--demo", "--dir", str(folder))
    return Child("simfleet", argv, told, stop_order=1)
