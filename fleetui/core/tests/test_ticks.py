"""Ticks that come late are done, and those that come all at once are done once."""

from __future__ import annotations

import threading

import pytest

from fleetui.celery import app
from fleetui.core.ticks import one_at_a_time


def test_a_worker_that_comes_to_its_messages_late_still_finds_them() -> None:
    # With three seconds, an engine on a busy machine stood still for good: each tick had run out before a worker came to it.
    lives = {name: entry["options"]["expires"] for name, entry in app.conf.beat_schedule.items()}
    assert lives
    assert {name: seconds for name, seconds in lives.items() if seconds < 20} == {}


def test_of_ticks_at_once_one_looks_and_the_next_looks_again() -> None:
    looks: list[int] = []
    began, may_end = threading.Event(), threading.Event()

    @one_at_a_time
    def tick() -> None:
        looks.append(1)
        began.set()
        assert may_end.wait(60)

    first = threading.Thread(target=tick)
    first.start()
    assert began.wait(60)
    tick()
    assert len(looks) == 1
    may_end.set()
    first.join(60)
    tick()
    assert len(looks) == 2


def test_a_tick_that_fails_lets_the_next_one_in() -> None:
    looks: list[int] = []

    @one_at_a_time
    def tick() -> None:
        looks.append(1)
        raise RuntimeError

    for _ in range(2):
        with pytest.raises(RuntimeError):
            tick()
    assert len(looks) == 2
