"""/healthz and /readyz: for load balancers and orchestrators; no token, and nothing told that a stranger may not know."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path

import structlog
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

log = structlog.get_logger(__name__)
#: Who asks waits no longer; drivers do, for a machine that says nothing even for good.
ANSWER_WITHIN_S = 3.0
_BROKER_TIMEOUT_S = 2.0
_migrated = False
_under_way: dict[str, Future[str]] = {}
_failing: set[str] = set()


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The database, its schema and the broker are there; 503 with what is not."""
    looks = {name: _look(name, check) for name, check in CHECKS.items()}
    wait(looks.values(), timeout=ANSWER_WITHIN_S)
    failures = {
        name: look.result() if look.done() else f"no answer within {ANSWER_WITHIN_S:g} s"
        for name, look in looks.items()
    }
    for name, failure in failures.items():
        _say(name, failure)
    ready = not any(failures.values())
    body = {
        "status": "ready" if ready else "not_ready",
        "checks": {name: "failed" if failure else "ok" for name, failure in failures.items()},
    }
    answer = JsonResponse(body, status=200 if ready else 503, headers={"Cache-Control": "no-store"})
    # Django would add a line of its own for every one that is not.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


healthz.public = readyz.public = True  # type: ignore[attr-defined]


def _look(name: str, check: Callable[[], str]) -> Future[str]:
    """Begin a check, which returns why it fails, or an empty text. One that still waits for an answer is not begun again."""
    look = _under_way.get(name)
    if look is None or look.done():
        look = _under_way[name] = Future()
        threading.Thread(target=_run, args=(look, check), name=f"ready-{name}", daemon=True).start()
    return look


def _run(look: Future[str], check: Callable[[], str]) -> None:
    try:
        look.set_result(check())
    except Exception as error:
        look.set_result(str(error).strip() or type(error).__name__)
    finally:
        connection.close()


def _say(name: str, failure: str) -> None:
    """Load balancers ask every few seconds: a line when it fails, and one when it is well again."""
    if failure and name not in _failing:
        _failing.add(name)
        log.warning("not_ready", check=name, reason=failure.splitlines()[0])
    elif not failure and name in _failing:
        _failing.discard(name)
        log.info("ready_again", check=name)


def database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return ""


def migrations() -> str:
    """Once applied, migrations stay applied while this process lives."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            return f"{len(waiting)} migration{'s are' if len(waiting) > 1 else ' is'} not applied"
        _migrated = True
    return ""


def broker() -> str:
    """A network broker is connected to; of the embedded one, the folder is looked at."""
    if settings.CELERY_BROKER_URL.startswith("filesystem"):
        folder = Path(settings.BROKER_DIR)
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is not writable"
    from kombu.connection import Connection
    from kombu.exceptions import OperationalError

    with Connection(settings.CELERY_BROKER_URL, connect_timeout=_BROKER_TIMEOUT_S) as link:
        try:
            link.ensure_connection(max_retries=1, timeout=_BROKER_TIMEOUT_S)
        except OperationalError as error:
            return str(error) or type(error).__name__
    return ""


CHECKS: dict[str, Callable[[], str]] = {"database": database, "migrations": migrations, "broker": broker}
