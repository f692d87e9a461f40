"""Enrolment tokens: who makes them, what they hand on, and their limit when many machines come at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from fleetui.access.models import Token
from fleetui.access.services import principal_for_token
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from nodes.models import (
    EnrolmentToken,
    HostKey,
    Node,
)
from nodes.services.enrolment import announce
from nodes.services.enrolment.refusals import EnrolmentRefused
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.enrolling import announcement, enrol, make_enrolment
from nodes.tests.make import make_pool, make_token, principal

pytestmark = pytest.mark.django_db


def test_who_may_make_a_token(cast: Cast) -> None:
    given: dict[str, Any] = {"name": "t", "days": 3, "now": clock.now(), "pool": cast.web}
    make_enrolment(**given, actor=principal(cast.operator))
    for actor, pool in ((cast.viewer, cast.web), (cast.operator, cast.db)):
        with pytest.raises(NotAllowed):
            make_enrolment(**{**given, "pool": pool}, actor=principal(actor))
    with pytest.raises(Conflict):
        make_enrolment(**given)
    for wrong in ({"name": " "}, {"days": 0}, {"max_uses": 0}, {"networks": ["here"]}):
        with pytest.raises(InvalidInput):
            make_enrolment(**{**given, "name": "u", **wrong})


def test_a_token_hands_on_no_more_than_its_life_and_networks(cast: Cast) -> None:
    text = make_token(cast.operator, "operate", networks=["10.0.0.0/8"])
    actor = principal_for_token(text, address="10.1.1.1", now=clock.now())
    assert actor is not None
    given: dict[str, Any] = {"pool": cast.web, "actor": actor, "days": 300}
    with pytest.raises(NotAllowed):
        make_enrolment(**given)
    token, _text = make_enrolment(**given, networks=["10.9.0.0/16"])
    assert token.expires_at == Token.objects.get().expires_at


def test_tokens_over_the_api(cast: Cast) -> None:
    api = Api(cast.operator)
    made = api.post("pools/web/enrolment-tokens/", {"name": "workers", "max_uses": 5, "networks": ["10.0.0.0/8"]})
    assert made.status_code == 201, made.content
    text = made.json()["token"]
    assert text.startswith("fleetui-enrol_")
    listed = api.get("pools/web/enrolment-tokens/")
    assert [(row["name"], row["state"], row["uses"]) for row in listed.json()["results"]] == [("workers", "active", 0)]
    assert text.split("_", 2)[2] not in listed.content.decode()
    assert enrol(text, client_address="10.1.1.1").status_code == 201
    place = made.headers["Location"]
    assert api.get(place).json()["uses"] == 1
    assert Api(cast.viewer).delete(place).status_code == 403
    assert Api(cast.outsider).get(place).status_code == 403
    assert api.get("pools/db/enrolment-tokens/").status_code == 404
    assert api.delete(place).status_code == 204
    assert api.get(place).json()["state"] == "revoked"
    assert enrol(text, "worker-2", client_address="10.1.1.1").status_code == 403


def test_the_database_itself_keeps_the_limit(cast: Cast) -> None:
    token, _text = make_enrolment(cast.web, max_uses=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        EnrolmentToken.objects.filter(pk=token.pk).update(uses=2)


@pytest.mark.django_db(transaction=True)
def test_the_limit_holds_when_many_come_at_once() -> None:
    token, _text = make_enrolment(make_pool("web"), max_uses=3)
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def come(number: int) -> None:
        start.wait()
        said = announcement(f"worker-{number}")
        try:
            outcomes.append(announce(token=token, said=said, client_address="10.9.0.1", now=clock.now()).outcome)
        except EnrolmentRefused as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    _at_once(come, 8)
    assert sorted(outcomes) == ["enrolled"] * 3 + ["enrolment_limit"] * 5
    token.refresh_from_db()
    assert (token.uses, Node.objects.count()) == (3, 3)


@pytest.mark.django_db(transaction=True)
def test_one_machine_that_comes_several_times_at_once_is_one_node() -> None:
    token, _text = make_enrolment(make_pool("web"))
    outcomes: list[str] = []
    start = threading.Barrier(6)

    def come(_number: int) -> None:
        start.wait()
        try:
            said = announcement("worker-1")
            outcomes.append(announce(token=token, said=said, client_address="10.9.0.1", now=clock.now()).outcome)
        finally:
            connection.close()

    _at_once(come, 6)
    assert sorted(outcomes) == ["enrolled"] + ["known"] * 5
    token.refresh_from_db()
    assert (token.uses, HostKey.objects.count()) == (1, 1)


def _at_once(call: Any, count: int) -> None:
    threads = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
