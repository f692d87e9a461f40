"""beat ends when it is told to, whatever it is at."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest
from celery import Celery
from celery.apps.beat import Beat
from celery.beat import Scheduler, Service
from celery.signals import beat_init

from fleetui.core.beat import end_by_signals


class Swallower(Scheduler):  # type: ignore[misc]
    """Loses the SystemExit of the signal, as redis-py does while it waits for an answer."""

    rounds = 0

    def tick(self, *_args: object, **_kwargs: object) -> float:
        self.rounds += 1
        assert self.rounds == 1, "it went on"
        with suppress(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
        return 0


@pytest.fixture
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_a_swallowed_end_ends_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its heartbeat would go on in a thread of the tests, which have no database here.
    monkeypatch.setattr(beat_init, "receivers", [])
    app = Celery("test", set_as_current=False)
    service = Service(app, scheduler_cls=Swallower)
    Beat(app=app, quiet=True).install_sync_handler(service)
    end_by_signals(service)
    service.start()
    assert service.scheduler.rounds == 1
