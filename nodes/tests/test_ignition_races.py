"""Two people at once: what one of them did decides, and the other is told. PostgreSQL only; SQLite has one writer."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from fleetui.access.principals import SYSTEM
from fleetui.core.errors import Conflict, FleetError, StaleEdit
from nodes.models import IgnitionVersion, Pool
from nodes.services.ignition import intent, review
from nodes.tests.make import NOW, make_config, make_pool, make_version
from nodes.tests.waiting import until_it_waits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")


def at_once(first: Callable[[], object], second: Callable[[], object]) -> FleetError | None:
    """`second` begins before `first` is committed, and waits for it; what it was told."""
    told: list[FleetError] = []
    faults: list[BaseException] = []

    def work() -> None:
        try:
            second()
        except FleetError as error:
            told.append(error)
        except BaseException as error:
            faults.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=work)
    with transaction.atomic():
        first()
        other.start()
        until_it_waits(other)
    other.join()
    assert not faults
    return told[0] if told else None


def fresh(version: IgnitionVersion) -> IgnitionVersion:
    found: IgnitionVersion = IgnitionVersion.objects.select_related("config").get(pk=version.pk)
    return found


def test_what_is_withdrawn_meanwhile_is_not_intended() -> None:
    pool = make_pool("web")
    version = make_version(make_config("edge", pool), state="approved")
    seen, mine = fresh(version), Pool.objects.get(pk=pool.pk)
    told = at_once(
        lambda: review.withdraw(version=version, actor=SYSTEM, now=NOW),
        lambda: intent.intend(pool=mine, version=seen, actor=SYSTEM, now=NOW),
    )
    assert isinstance(told, Conflict)
    assert Pool.objects.get(pk=pool.pk).intended_version is None


def test_what_a_pool_comes_to_intend_meanwhile_is_not_withdrawn() -> None:
    pool = make_pool("web")
    version = make_version(make_config("edge", pool), state="approved")
    seen = fresh(version)
    told = at_once(
        lambda: intent.intend(pool=pool, version=version, actor=SYSTEM, now=NOW),
        lambda: review.withdraw(version=seen, actor=SYSTEM, now=NOW),
    )
    assert isinstance(told, Conflict)
    assert fresh(version).state == "approved"


def test_a_newer_approval_does_not_supersede_what_a_pool_comes_to_intend() -> None:
    pool = make_pool("web")
    config = make_config("edge", pool)
    old = make_version(config, state="approved")
    new = make_version(config, state="in_review")
    seen = fresh(new)
    told = at_once(
        lambda: intent.intend(pool=pool, version=old, actor=SYSTEM, now=NOW),
        lambda: review.approve(version=seen, actor=SYSTEM, now=NOW),
    )
    assert told is None
    assert (fresh(old).state, fresh(new).state) == ("approved", "approved")


def test_two_versions_never_get_one_number() -> None:
    config = make_config("edge")
    make_version(config)
    same = fresh(IgnitionVersion.objects.get()).config
    told = at_once(lambda: make_version(config, motd="mine"), lambda: make_version(same, motd="yours"))
    assert isinstance(told, StaleEdit)
    assert list(IgnitionVersion.objects.order_by("number").values_list("number", flat=True)) == [1, 2]


def test_one_of_two_approvals_counts() -> None:
    version = make_version(make_config("edge"), state="in_review")
    seen = fresh(version)
    told = at_once(
        lambda: review.approve(version=version, actor=SYSTEM, now=NOW),
        lambda: review.approve(version=seen, actor=SYSTEM, now=NOW),
    )
    assert isinstance(told, Conflict)
    assert version.reviews.count() == 1
