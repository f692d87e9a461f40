"""Machines that are not let in: each refusal has its reason, and is recorded within bounds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from nodes.models import (
    EnrolmentToken,
    HostKey,
    Node,
)
from nodes.services.enrolment import revoke_enrolment_token
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.enrolling import code_of, enrol, key_of, machine_id_of, make_enrolment

pytestmark = pytest.mark.django_db


def test_another_key_for_a_known_name_is_refused_and_recorded_once(cast: Cast) -> None:
    _token, text = make_enrolment(cast.web)
    enrol(text)
    for _number in range(3):
        response = enrol(text, host_key=[key_of("an attacker")])
        assert (response.status_code, code_of(response)) == (409, "enrolment_other_key")
        assert response["Content-Type"] == "application/problem+json"
    refused = AuditEvent.objects.get(outcome="refused")
    assert (refused.subject, refused.actor) == ("node:worker-1", "enrolment:web/workers")
    assert HostKey.objects.filter(node__name="worker-1").count() == 1


def test_another_machine_id_for_a_known_name_is_refused(cast: Cast) -> None:
    _token, text = make_enrolment(cast.web)
    enrol(text)
    response = enrol(text, machine_id=machine_id_of("a copy"))
    assert (response.status_code, code_of(response)) == (409, "enrolment_other_machine")


@pytest.mark.parametrize("name", ["web-1", "db-1", "loose-1"])
def test_a_name_that_people_gave_is_never_taken_over(cast: Cast, name: str) -> None:
    _token, text = make_enrolment(cast.web)
    before = Node.objects.values().get(name=name)
    response = enrol(text, name)
    assert (response.status_code, code_of(response)) == (409, "enrolment_name_taken")
    assert Node.objects.values().get(name=name) == before


def _refused(response: Any, status: int, code: str) -> None:
    assert (response.status_code, code_of(response)) == (status, code), response.content
    assert not Node.objects.filter(name="worker-1").exists()
    problem = response.json()
    assert problem["detail"].endswith(".")
    assert problem["mend"]


def test_each_refusal_has_a_code_of_its_own(cast: Cast) -> None:
    token, text = make_enrolment(cast.web, networks=["10.9.0.0/24"])
    _refused(enrol("", "worker-1"), 401, "enrolment_token_unknown")
    _refused(enrol(text[:-1] + ("a" if text[-1] != "a" else "b")), 401, "enrolment_token_unknown")
    _refused(enrol(f"fleetui_{token.prefix}_{text.rpartition('_')[2]}"), 401, "enrolment_token_unknown")
    _refused(enrol(text, client_address="10.8.0.1"), 403, "enrolment_network")
    EnrolmentToken.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    _refused(enrol(text), 403, "enrolment_token_expired")
    revoke_enrolment_token(token=token, actor=SYSTEM, now=clock.now())
    _refused(enrol(text), 403, "enrolment_token_revoked")
    assert AuditEvent.objects.filter(action="nodes.enrol", outcome="refused").count() == 4
    assert text not in str(list(AuditEvent.objects.values()))


def test_a_used_up_token_admits_nobody_more_but_still_knows_its_own(cast: Cast) -> None:
    _token, text = make_enrolment(cast.web, max_uses=1)
    assert enrol(text, "worker-0").status_code == 201
    _refused(enrol(text), 403, "enrolment_limit")
    assert enrol(text, "worker-0").status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "localhost"),
        ("name", "a name"),
        ("name", "x" * 101),
        ("machine_id", "0" * 32),
        ("machine_id", "short"),
        ("host_key", ["ssh-ed25519 AAAA"]),
        ("host_key", []),
        ("host_key", [key_of(str(number)) for number in range(9)]),
        ("address", "10.0.0.1; rm"),
        ("address", "127.0.0.1"),
        ("address", "localhost"),
        ("address", "169.254.169.254"),
        ("address", "::ffff:127.0.0.1"),
        ("address", "::"),
        ("port", 0),
        ("port", "22"),
        ("os_family", "windows"),
        ("surprise", 1),
    ],
)
def test_what_cannot_be_used_is_named(cast: Cast, field: str, value: object) -> None:
    _token, text = make_enrolment(cast.web)
    given: dict[str, Any] = {"name": "worker-1", field: value}
    response = enrol(text, **given)
    assert response.status_code == 400, response.content
    assert response.json()["field"] == field
    assert machine_id_of("worker-1") not in response.content.decode()
    assert EnrolmentToken.objects.get().uses == 0


def test_a_large_body_is_not_read(cast: Cast) -> None:
    _token, text = make_enrolment(cast.web)
    assert enrol(text, name="x" * 40_000).status_code == 413


def test_a_flood_is_throttled_and_its_record_is_bounded(cast: Cast) -> None:
    statuses = [enrol("fleetui-enrol_x_y").status_code for _number in range(130)]
    assert statuses.count(401) == 120
    assert set(statuses) == {401, 429}
    for number in range(150):
        enrol("fleetui-enrol_x_y", client_address=f"10.7.{number}.1")
    assert AuditEvent.objects.filter(outcome="refused").count() == 100


def test_neither_user_nor_api_token_enrols(cast: Cast) -> None:
    api = Api(cast.owner)
    body = {"name": "worker-1", "machine_id": machine_id_of("a"), "host_key": [key_of("a")]}
    response = api.post("enrol/", body)
    assert (response.status_code, code_of(response)) == (401, "enrolment_token_unknown")
    _token, text = make_enrolment(cast.web)
    assert Api(token=text).get("nodes/").status_code == 401
