"""FleetUI tells of what is wrong with itself: once, when it has lasted, and once when it is well again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock, vital_signs, vitals
from fleetui.core.heartbeats import take_turn
from fleetui.core.models import Heartbeat
from fleetui.core.vitals import Glance, Line
from fleetui.notify import health
from fleetui.notify.channels import set_channel
from fleetui.notify.formats import alerts
from fleetui.notify.health import Watcher, watch
from fleetui.notify.models import Channel, Delivery, Rule, Trouble
from fleetui.notify.sender import message_of
from fleetui.notify.tests.receivers import http_receiver
from nodes.tests.make import make_running

pytestmark = pytest.mark.django_db
NOW = clock.now()
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How busy this machine is proves nothing."""
    monkeypatch.setattr(vital_signs, "SLOW_DATABASE_MS", float("inf"))


@pytest.fixture
def channel() -> Channel:
    channel = Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a")
    Rule.objects.create(channel=channel)
    return channel


def told() -> list[tuple[str, str, str]]:
    rows = Delivery.objects.order_by("pk")
    return [(row.event, row.severity, row.document["subject"]) for row in rows]


def test_what_lasts_is_told_once_and_taken_back_once(channel: Channel) -> None:
    assert watch(NOW) == 2
    assert watch(NOW + MINUTE / 2) == 2
    assert told() == []
    for _ in range(2):
        watch(NOW + MINUTE)
    down = [("fleetui.unhealthy", "critical", f"fleetui:{key}") for key in ("worker", "beat")]
    assert sorted(told()) == sorted(down)
    assert "No worker is running" in str(list(Delivery.objects.values_list("document", flat=True)))
    make_running()
    for _ in range(2):
        assert watch(NOW + 2 * MINUTE) == 0
    up = [("fleetui.healthy", "info", f"fleetui:{key}") for key in ("worker", "beat")]
    assert sorted(told()) == sorted([*down, *up])
    assert not Trouble.objects.exists()


def test_an_alert_is_ended_with_the_labels_that_it_began_with(channel: Channel) -> None:
    watch(NOW)
    watch(NOW + MINUTE)
    began = alerts(message_of(list(Delivery.objects.select_related("channel"))))
    Delivery.objects.all().delete()
    make_running()
    watch(NOW + 2 * MINUTE)
    ended = alerts(message_of(list(Delivery.objects.select_related("channel"))))
    by_subject = {one["labels"]["subject"]: one["labels"] for one in began}
    assert {one["labels"]["subject"]: one["labels"] for one in ended} == by_subject
    assert all(one["endsAt"] > one["startsAt"] for one in ended)


def test_a_restart_is_nothing_to_tell_of(channel: Channel) -> None:
    watch(NOW)
    make_running()
    watch(NOW + 2 * MINUTE)
    Heartbeat.objects.all().delete()
    watch(NOW + 3 * MINUTE)
    assert told() == []


def test_warnings_are_told_where_they_are_banners(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    make_running()

    def source(_glance: Glance) -> list[Line]:
        return [
            Line("disk:here", "storage", "warn", "Disk", "The disk is almost full."),
            Line("x", "work", "ok", "X", ""),
        ]

    monkeypatch.setattr(vitals, "_CHEAP", [source])
    monkeypatch.setattr(vitals, "_WHOLE", [lambda _glance: [Line("slow", "work", "warn", "Slow", "Slow.")]])
    watch(NOW)
    watch(NOW + MINUTE)
    assert told() == [("fleetui.unhealthy", "warning", "fleetui:disk:here")]


def test_processes_take_turns() -> None:
    assert [take_turn("x", 30), take_turn("x", 30)] == [True, False]
    Heartbeat.objects.filter(name="x").update(seen_at=clock.now() - timedelta(seconds=31))
    assert [take_turn("x", 30), take_turn("x", 30)] == [True, False]


def test_whoever_watches_sends_too_since_perhaps_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beat alone is left: the messages go out without a worker and without a broker."""
    monkeypatch.setattr(health, "LASTS", timedelta(0))
    with http_receiver() as heard:
        secrets = {"secret": "a secret of sixteen and more"}
        address = {"url": f"{heard.url}/in"}
        set_channel(name="h", kind="webhook", settings=address, secrets=secrets, actor=SYSTEM, now=NOW)
        watcher = Watcher()
        assert watcher.look()
        assert not watcher.look()
        Heartbeat.objects.filter(name=health.WATCH_JOB).update(seen_at=clock.now() - MINUTE)
        assert watcher.look()
        assert {one["items"][0]["subject"] for one in heard.documents()} == {"fleetui:worker", "fleetui:beat"}
    Heartbeat.objects.all().delete()
    assert not Watcher(alive=lambda: False).look()
