"""/healthz and /readyz: for load balancers and orchestrators; no token, and nothing told that a stranger may not know."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

log = structlog.get_logger(__name__)
_BROKER_TIMEOUT_S = 2.0
_migrated = False


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The database, its schema and the broker are there; 503 with what is not."""
    checks = {name: _passes(name, check) for name, check in CHECKS.items()}
    ready = all(checks.values())
    body = {
        "status": "ready" if ready else "not_ready",
        "checks": {name: "ok" if good else "failed" for name, good in checks.items()},
    }
    return JsonResponse(body, status=200 if ready else 503, headers={"Cache-Control": "no-store"})


healthz.public = readyz.public = True  # type: ignore[attr-defined]


def _passes(name: str, check: Callable[[], str]) -> bool:
    """Run a check; a check returns why it fails, or an empty text."""
    try:
        failure = check()
    except (DatabaseError, OSError) as error:
        failure = str(error) or type(error).__name__
    if failure:
        log.warning("not_ready", check=name, reason=failure)
    return not failure


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
