"""Whoever writes many nodes takes their rows in the order in which polls do: PostgreSQL ends one of two that wait crosswise."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.drift import Comparison
from nodes.models import Node, Pool
from nodes.services.bulk import change_many
from nodes.services.drift import checks
from nodes.services.groups import edit_pool
from nodes.services.ignition.intent import set_applied
from nodes.services.nodes import request_poll
from nodes.services.provisioning.ending import end_open
from nodes.services.provisioning.offer import provision
from nodes.services.provisioning.refusal import Refusal
from nodes.services.provisioning.serve import fetch
from nodes.tests.make import make_config, make_node, make_pool, make_version
from nodes.tests.waiting import until_it_waits

pytestmark = pytest.mark.django_db(transaction=True)
FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2)


def _edit(pool: Pool) -> None:
    edit_pool(pool=pool, changes={"poll_interval_s": 120}, actor=SYSTEM, now=clock.now())


def _poll(pool: Pool) -> None:
    request_poll(nodes=Node.objects.filter(pool=pool), actor=SYSTEM, now=clock.now())


def _bulk(action: str, **params: Any) -> Callable[[Pool], None]:
    def change(_pool: Pool) -> None:
        change_many(ids=[SECOND, FIRST], action=action, params=params, actor=SYSTEM, now=clock.now())

    return change


@pytest.mark.parametrize(
    "write",
    [_edit, _poll, _bulk("labels", set={"a": "b"}), _bulk("delete", reason="gone")],
    ids=["edit", "poll", "labels", "delete"],
)
def test_a_poll_and_a_write_of_many_end_both(write: Callable[[Pool], None]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    pool = make_pool("web")
    # By name and in the table the second one comes first.
    make_node("a", pool=pool, id=SECOND)
    make_node("b", pool=pool, id=FIRST)
    failed: list[Exception] = []

    def work() -> None:
        try:
            write(pool)
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=work)
    with transaction.atomic():
        Node.objects.select_for_update().get(pk=FIRST)
        other.start()
        until_it_waits(other)
        Node.objects.select_for_update().get(pk=SECOND)
    other.join()
    assert not failed


def test_a_machine_fetches_while_somebody_offers_anew() -> None:
    """Both take the node first: otherwise one holds the offer and waits for the node, and the other the reverse."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    pool = make_pool("web")
    node = make_node("a", pool=pool, last_seen_at=None)
    version = make_version(make_config("edge", pool), state="approved")
    done = provision(node=node, version=version, actor=SYSTEM, now=clock.now())
    found: list[object] = []

    def work() -> None:
        try:
            found.append(fetch(done.text, address="10.0.0.9", agent="", now=clock.now()))
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=work)
    with transaction.atomic():
        Node.objects.select_for_update().get(pk=node.pk)
        other.start()
        until_it_waits(other)
        end_open(node, "replaced", clock.now())
    other.join()
    assert found == [Refusal.GONE]


def test_a_comparison_is_stored_while_somebody_deletes_the_node() -> None:
    """Both take the node first: otherwise one holds what was found and waits for the node, and the other the reverse."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    pool = make_pool("web")
    version = make_version(make_config("edge", pool), state="approved")
    node = set_applied(node=make_node("a", pool=pool), version=version, actor=SYSTEM, now=clock.now())
    lease, _ids = checks.claim(clock.now())
    found: list[object] = []

    def work() -> None:
        try:
            clean = Comparison((), ())
            found.append(checks.store(node=node, lease=lease, result=clean, secrets=[], asked_at=None, now=clock.now()))
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=work)
    with transaction.atomic():
        Node.objects.filter(pk=node.pk).held()
        other.start()
        until_it_waits(other)
        Node.objects.filter(pk=node.pk).delete()
    other.join()
    assert found == [False]
