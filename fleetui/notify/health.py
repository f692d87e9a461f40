"""FleetUI tells of itself: what is wrong with it becomes an event, once, and another when it is well again.

Every worker and beat watches, in a thread of its own and by turns, and sends what it told: whoever is left tells of those who
are gone, without a broker. When none is left nobody does; docs/monitoring.md has the alert for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.heartbeats import take_turn
from fleetui.core.text import clean
from fleetui.core.vitals import Line, troubles
from fleetui.notify.models import Trouble
from fleetui.notify.outbox import Told, tell
from fleetui.notify.sender import send_due

WATCH_JOB: Final = "health_watch"
EVERY_S = 30.0
#: What does not last so long is not told: a restart takes a minute.
LASTS = timedelta(seconds=60)
_SEVERITIES = {"bad": "critical", "warn": "warning"}
log = structlog.get_logger(__name__)


def watch(now: datetime) -> int:
    """Tell once of what has been wrong for a while, and once when it is not any more; returns how many are wrong."""
    found = {line.key[:200]: line for line in troubles()}
    known = {one.key: one for one in Trouble.objects.all()}
    for key, line in found.items():
        if key not in known:
            _begins(key, line, now)
        elif known[key].told_at is None and now - known[key].since >= LASTS:
            _tell(known[key], line, now)
    for key in known.keys() - found.keys():
        _ends(known[key], now)
    return len(found)


def _begins(key: str, line: Line, now: datetime) -> None:
    try:
        with transaction.atomic():
            Trouble.objects.create(key=key, level=line.level, text=clean(line.text)[:500], since=now)
    except IntegrityError:
        # Another process was first.
        return


def _tell(one: Trouble, line: Line, now: datetime) -> None:
    with transaction.atomic():
        text = clean(line.text)[:500]
        mine = Trouble.objects.filter(pk=one.pk, told_at=None)
        if mine.update(told_at=now, level=line.level, text=text):
            severity = _SEVERITIES[line.level]
            details = {"key": one.key, "since": one.since.isoformat(), "mend": clean(line.mend)[:500]}
            tell(
                [Told("fleetui.unhealthy", severity, text, reverse("health"), _subject(one), details=details)], now=now
            )


def _ends(one: Trouble, now: datetime) -> None:
    with transaction.atomic():
        if not Trouble.objects.filter(pk=one.pk).delete()[0] or one.told_at is None:
            return
        text = _("It is well again: %(text)s") % {"text": one.text}
        details = {"key": one.key, "since": one.since.isoformat(), "was": _SEVERITIES[one.level]}
        tell([Told("fleetui.healthy", "info", text[:500], reverse("health"), _subject(one), details=details)], now=now)


def _subject(one: Trouble) -> str:
    return f"fleetui:{one.key}"


class Watcher:
    """The thread that watches. `alive` False: this process is stuck itself, and leaves it to the others."""

    def __init__(self, *, alive: Callable[[], bool] = lambda: True) -> None:
        self._alive, self._ended = alive, threading.Event()
        self._thread = threading.Thread(target=self._run, name="health-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()

    def look(self) -> bool:
        """Watch if it is this process' turn; whether it was."""
        if not self._alive() or not take_turn(WATCH_JOB, EVERY_S * 0.9):
            return False
        if watch(clock.now()):
            # Perhaps nobody else does, since that is what is wrong.
            send_due(clock.now(), stop=self._ended.is_set)
        return True

    def _run(self) -> None:
        # Not at once: processes start one after the other.
        while not self._ended.wait(EVERY_S):
            try:
                self.look()
            except (DatabaseError, OSError) as error:
                log.warning("health_not_watched", error=str(error).strip())
            except Exception:  # a fault of ours in one look must not end the watch for good
                log.exception("health_look_failed")
            finally:
                connection.close()
