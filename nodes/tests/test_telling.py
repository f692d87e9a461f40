"""What the world out there tells of: nodes in trouble and well again, drift, newer releases. Once each, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.notify.channels import set_channel
from fleetui.notify.models import Delivery
from nodes.drift import Sort
from nodes.hosts.errors import ConnectionLost, ConnectionRefused, HostError, NoRoute
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import HostKey, TimelineEvent
from nodes.services.polling import Outcome
from nodes.services.releases import import_releases
from nodes.tests.cast import Cast
from nodes.tests.make import NOW as MADE
from nodes.tests.make import make_config, make_node, make_pool, make_version
from nodes.tests.test_drift import born, found, stored
from nodes.tests.test_polling import KEY, NOW, node, poll, seen
from nodes.tests.test_provisioning import LATER, _public_key_of, got, key_in, offered, shows
from nodes.wording import timeline_sentence

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _everything_is_told() -> None:
    settings = {"url": "http://127.0.0.1:9/in"}
    set_channel(name="all", kind="webhook", settings=settings, secrets={"secret": "s" * 16}, actor=SYSTEM, now=NOW)


def told() -> list[tuple[str, str, str]]:
    rows = Delivery.objects.order_by("pk")
    return [(row.event, row.severity, row.document["text"]) for row in rows]


def test_a_node_is_told_of_when_it_degrades_and_when_it_is_healthy_again() -> None:
    target = poll(seen(node()), NOW)
    assert told() == []
    for minute, used in enumerate((97.0, 98.0, 20.0, 20.0), start=1):
        target = poll(seen(target, used=used), NOW + timedelta(minutes=minute))
    assert told() == [
        ("node.degraded", "warning", "web-1 is degraded"),
        ("node.healthy", "info", "web-1 is healthy again"),
    ]


def test_a_node_in_maintenance_is_not_told_of() -> None:
    target = poll(seen(node(lifecycle="maintenance")), NOW)
    poll(seen(target, used=97.0), NOW + timedelta(minutes=1))
    assert told() == []


def test_a_node_that_is_lost_tells_of_that_and_not_of_its_health() -> None:
    target = poll(seen(node()), NOW)
    lost = Outcome(target.pk, error=ConnectionRefused("127.0.0.1", 22))
    target = poll(lost, NOW + timedelta(minutes=1))
    poll(seen(target), NOW + timedelta(hours=1))
    assert [event for event, *_ in told()] == ["node.unreachable", "node.recovered"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionLost("127.0.0.1", "it ended"), "The connection to 127.0.0.1 was lost (it ended)."),
        (NoRoute("127.0.0.1", 22, "unreachable"), "No network route leads to 127.0.0.1 port 22."),
        (ConnectionRefused("127.0.0.1", 22), "127.0.0.1 refused the connection on port 22."),
    ],
)
def test_the_timeline_says_why_a_node_is_lost(error: HostError, why: str) -> None:
    """Also where the error has a reason of its own."""
    poll(Outcome(poll(seen(node()), NOW).pk, error=error), NOW + timedelta(minutes=1))
    event = TimelineEvent.objects.get(kind="became_unreachable")
    assert timeline_sentence(event.kind, event.params) == f"Became unreachable: {why}"


@pytest.mark.parametrize("was_lost", [False, True])
def test_the_next_machine_of_a_node_is_no_alarm(cast: Cast, was_lost: bool) -> None:
    """Its key is the one that was made for it; and where the machine before was told to be lost, the node is back."""
    target = poll(seen(make_node("web-9", pool=cast.web)), NOW)
    HostKey.pinned(target, KEY, by="user:anna", now=NOW).save()
    version = make_version(make_config("edge", cast.web), state="approved")
    key = key_in(got(offered(target, version, cast)))
    if was_lost:
        target = poll(Outcome(target.pk, error=ConnectionRefused("127.0.0.1", 22)), LATER)
    found = poll(shows(target, key), LATER + timedelta(minutes=1))
    assert (found.generation, found.reachability) == (2, "never_seen")
    assert not TimelineEvent.objects.filter(kind="host_key_mismatch").exists()
    assert [event for event, *_ in told()] == (["node.unreachable", "node.recovered"] if was_lost else [])


def test_the_key_of_an_offer_that_nobody_fetched_is_an_alarm(cast: Cast) -> None:
    target = poll(seen(make_node("web-9", pool=cast.web)), NOW)
    HostKey.pinned(target, KEY, by="user:anna", now=NOW).save()
    done = offered(target, make_version(make_config("edge", cast.web), state="approved"), cast)
    poll(shows(target, SshHostKey.parse(_public_key_of(done))), LATER)
    assert TimelineEvent.objects.filter(kind="host_key_mismatch").exists()
    assert [event for event, *_ in told()] == ["node.unreachable"]


def test_drift_is_told_of_once_and_its_end_too() -> None:
    pool = make_pool("web")
    target = born(pool, make_version(make_config("edge", pool), state="approved"))
    for hour, result in enumerate((found(), found(Sort.IN_PLACE), found(Sort.IN_PLACE), found())):
        assert stored(target, result, now=MADE + timedelta(days=hour))
    assert told() == [
        ("node.drifted", "warning", f"{target.name} is no longer as its Ignition version says"),
        ("node.in_step", "info", f"{target.name} is as its Ignition version says again"),
    ]


def test_a_newer_release_is_told_of_and_the_first_import_is_not() -> None:
    def imported(*versions: str) -> None:
        rows = [{"stream": "stable", "version": version} for version in versions]
        import_releases(text=json.dumps({"streams": ["stable"], "releases": rows}), actor=SYSTEM, now=NOW)

    imported("44.20260101.3.0")
    assert told() == []
    imported("44.20260101.3.0", "44.20260115.3.0")
    imported("44.20260115.3.0")
    assert told() == [("release.available", "info", "The stream stable has the release 44.20260115.3.0")]
