"""Signs of life of workers, beat and recurring jobs: who writes them, and how they are read.

Every process writes its row every 20 s from a thread of its own, so that a long task does not look like a death; beat writes
only while its schedule goes round. A process that stops takes its row away; of one that was killed the row grows old.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest

import fleetui
from fleetui.core import clock
from fleetui.core.crypto import key_id
from fleetui.core.models import Heartbeat
from fleetui.core.sqlite_files import end_if_orphaned

log = structlog.get_logger(__name__)
EVERY_S = 20.0
#: Three signs were missed.
STALE_AFTER_S = 70.0
FORGOTTEN_AFTER = timedelta(minutes=30)


@dataclass(frozen=True)
class Sign:
    """A heartbeat as read: `age_s` by the database's clock."""

    kind: str
    name: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    version: str
    started_at: datetime
    seen_at: datetime
    age_s: float
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def fresh(self) -> bool:
        return self.age_s <= STALE_AFTER_S


@dataclass(frozen=True)
class Signs:
    """All heartbeats at one look. `skew_s` is this process' clock ahead of the database's; None when nothing was read."""

    all: tuple[Sign, ...] = ()
    skew_s: float | None = None

    def of(self, kind: str, *, fresh: bool = True) -> list[Sign]:
        return [sign for sign in self.all if sign.kind == kind and sign.fresh is fresh]

    def job(self, name: str) -> Sign | None:
        return next((sign for sign in self.all if sign.kind == "job" and sign.name == name), None)


def look() -> Signs:
    """One query over a table of a few rows."""
    began = clock.now()
    rows = list(Heartbeat.objects.annotate(db_now=Now()).order_by("kind", "hostname", "pid"))
    if not rows:
        return Signs()
    ended = clock.now()
    db_now: datetime = rows[0].db_now
    signs = [
        Sign(
            row.kind,
            row.name,
            row.hostname,
            row.pid,
            tuple(row.queues),
            row.version,
            row.started_at,
            row.seen_at,
            (row.db_now - row.seen_at).total_seconds(),
            row.document,
        )
        for row in rows
    ]
    forgotten = FORGOTTEN_AFTER.total_seconds()
    kept = [sign for sign in signs if sign.kind == "job" or sign.age_s <= forgotten]
    return Signs(
        tuple(sign for sign in kept if not _replaced(sign, kept)),
        (began + (ended - began) / 2 - db_now).total_seconds(),
    )


def _replaced(sign: Sign, signs: Sequence[Sign]) -> bool:
    """Whether another process has begun in its place since it was last seen, as a container that was killed is.

    Two that live under one name, as in containers that share it, have both been seen since both began, and both count.
    """
    place = (sign.kind, sign.hostname, sign.pid, sign.queues)
    return sign.kind != "job" and any(
        place == (other.kind, other.hostname, other.pid, other.queues) and sign.seen_at < other.started_at
        for other in signs
    )


def signs_of(request: HttpRequest) -> Signs:
    """The signs, read once per request however many ask."""
    found: Signs | None = getattr(request, "_signs", None)
    if found is None:
        found = look()
        request._signs = found  # type: ignore[attr-defined]
    return found


def mark(job: str, document: dict[str, Any]) -> None:
    """Note that a recurring job has just done its work."""
    values = {"seen_at": Now(), "document": document, "hostname": socket.gethostname()[:100], "pid": os.getpid()}
    rows = Heartbeat.objects.filter(kind="job", name=job)
    if rows.update(**values, version=fleetui.__version__):
        return
    try:
        with transaction.atomic():
            Heartbeat.objects.create(kind="job", name=job, **values, version=fleetui.__version__)
    except IntegrityError:
        # Another process was first.
        rows.update(**values, version=fleetui.__version__)


def take_turn(job: str, every_s: float) -> bool:
    """Whether it is this caller's turn at what some process has to do so often, whichever does it."""
    rows = Heartbeat.objects.filter(kind="job", name=job)
    told = {"hostname": socket.gethostname()[:100], "pid": os.getpid(), "version": fleetui.__version__}
    if rows.filter(seen_at__lte=Now() - timedelta(seconds=every_s)).update(seen_at=Now(), **told):
        return True
    if rows.exists():
        return False
    try:
        with transaction.atomic():
            Heartbeat.objects.create(kind="job", name=job, **told)
    except IntegrityError:
        return False
    return True


def clock_skew_s() -> float:
    """How far this process' clock is ahead of the database's; always 0 on SQLite, which has none of its own."""
    if connection.vendor == "sqlite":
        return 0.0
    began = clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        db_now: datetime = cursor.fetchone()[0]
    ended = clock.now()
    return (began + (ended - began) / 2 - db_now).total_seconds()


def of_this_process() -> dict[str, Any]:
    """What a process says of itself: keys by their ids, which tell nothing about them, and the disk it writes to."""
    disk = shutil.disk_usage(settings.DATA_DIR)
    return {
        "skew_s": round(clock_skew_s(), 3),
        "missing_keys": list(settings.MISSING_KEYS),
        "encryption_keys": [key_id(key) for key in settings.ENCRYPTION_KEYS],
        "audit_key": key_id(settings.AUDIT_KEY),
        "data_dir": str(settings.DATA_DIR),
        "disk_free_bytes": disk.free,
        "disk_total_bytes": disk.total,
    }


class Pulse:
    """Writes the heartbeat of this process until it is stopped. `alive` False lets the row grow old."""

    def __init__(self, kind: str, *, queues: Sequence[str] = (), alive: Callable[[], bool] = lambda: True) -> None:
        self.id = uuid.uuid4()
        self._kind, self._queues, self._alive = kind, sorted(queues), alive
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{kind}", daemon=True)
        self._tasks = 0
        self._last_task_at: datetime | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take the row away: this process ends on purpose."""
        self._ended.set()
        self._thread.join(EVERY_S)
        self._try(lambda: Heartbeat.objects.filter(pk=self.id).delete())

    def worked(self) -> None:
        """A task came to its end."""
        self._tasks += 1
        self._last_task_at = clock.now()

    def write(self) -> None:
        """Write the row, and forget processes that have been silent for long."""
        document = of_this_process()
        if self._kind == "worker":
            at = self._last_task_at
            document |= {"tasks": self._tasks, "last_task_at": at.astimezone(UTC).isoformat() if at else None}
        if not Heartbeat.objects.filter(pk=self.id).update(seen_at=Now(), document=document):
            Heartbeat.objects.create(
                pk=self.id,
                kind=self._kind,
                hostname=socket.gethostname()[:100],
                pid=os.getpid(),
                queues=self._queues,
                version=fleetui.__version__,
                document=document,
            )
        Heartbeat.objects.exclude(kind="job").filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()

    def _run(self) -> None:
        while True:
            end_if_orphaned()
            if self._alive():
                self._try(self.write)
            if self._ended.wait(EVERY_S):
                return

    def _try(self, write: Callable[[], object]) -> None:
        """A database that is away or locked costs one sign; the next one is tried in 20 s."""
        try:
            write()
        except (DatabaseError, OSError) as error:
            log.warning("heartbeat_not_written", process=self._kind, error=str(error).strip())
        finally:
            connection.close()
