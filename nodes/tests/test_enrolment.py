"""Machines that announce themselves: admitted, known, moved, back again, and refused with a reason of its own."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client

from fleetui.access.models import Token
from fleetui.access.principals import SYSTEM
from fleetui.access.services import principal_for_token
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from nodes.hosts.machine_id import derived_id
from nodes.models import (
    CredentialTrial,
    Deployment,
    EnrolmentToken,
    HostCertificate,
    HostKey,
    Node,
    Pool,
    TimelineEvent,
)
from nodes.services.enrolment import announce, revoke_enrolment_token
from nodes.services.enrolment.refusals import EnrolmentRefused
from nodes.services.lifecycle import ABSENT
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.enrolling import announcement, enrol, key_of, machine_id_of, make_enrolment
from nodes.tests.make import make_credential, make_facts, make_host_key, make_node, make_pool, make_token, principal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counts() -> Iterator[None]:
    """Throttles and the bound of recorded refusals live in the cache."""
    cache.clear()
    yield
    cache.clear()


def code_of(response: Any) -> str:
    return str(response.json()["type"].rpartition(":")[2])


def test_a_machine_appears_in_the_pool_with_its_key(cast: Cast) -> None:
    token, text = make_enrolment(cast.web)
    response = enrol(text, "worker-1", os_family="fcos")
    assert response.status_code == 201, response.content
    assert response.json()["outcome"] == "enrolled"
    node = Node.objects.get(name="worker-1")
    assert (node.pool, node.address, node.port, node.os_family_given) == (cast.web, "10.9.0.1", 22, "fcos")
    assert node.enrolled_at is not None
    assert node.enrolment == token
    assert node.machine_id == derived_id(machine_id_of("worker-1"))
    assert Node.objects.due(clock.now()).filter(pk=node.pk).exists()
    assert [key.state for key in node.host_keys.all()] == ["pinned"]
    token.refresh_from_db()
    assert token.uses == 1
    event = AuditEvent.objects.get(action="nodes.enrol")
    assert (event.actor, event.subject, event.outcome) == ("enrolment:web/workers", "node:worker-1", "done")
    assert machine_id_of("worker-1") not in str(list(AuditEvent.objects.values())) + str(vars(node))
    assert [one.kind for one in node.timeline.all()] == ["node_enrolled"]


def test_the_ed25519_key_of_several_is_pinned(cast: Cast) -> None:
    _token, text = make_enrolment(cast.web)
    keys = [key_of("a", "ssh-rsa"), key_of("a", "ecdsa-sha2-nistp256"), key_of("a")]
    assert enrol(text, host_key=keys).status_code == 201
    assert HostKey.objects.get(node__name="worker-1").type == "ssh-ed25519"
    assert enrol(text, host_key=keys[:1]).status_code == 409
    assert enrol(text, host_key=keys[1:]).json()["outcome"] == "known"


def test_the_same_announcement_again_changes_nothing(cast: Cast) -> None:
    _token, text = make_enrolment(cast.web, max_uses=1)
    enrol(text)
    before = Node.objects.values().get(name="worker-1")
    for _number in range(3):
        response = enrol(text)
        assert (response.status_code, response.json()["outcome"]) == (200, "known")
    assert Node.objects.values().get(name="worker-1") == before
    assert EnrolmentToken.objects.get().uses == 1
    assert AuditEvent.objects.filter(action__startswith="nodes.enrol").count() == 1


def test_a_form_as_curl_sends_it_is_the_same(cast: Cast) -> None:
    _token, text = make_enrolment(cast.web)
    fields = {
        "name": "worker-1\n",
        "machine_id": machine_id_of("worker-1") + "\n",
        "host_key": f"{key_of('worker-1')} root@worker-1\n",
        "port": "2222",
    }
    response = Client(REMOTE_ADDR="10.9.0.1").post(
        "/api/v1/enrol/",
        "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items()),
        content_type="application/x-www-form-urlencoded",
        headers={"authorization": f"Bearer {text}"},
    )
    assert response.status_code == 201, response.content
    assert Node.objects.get(name="worker-1").port == 2222


def test_an_address_that_moved_is_taken_over(cast: Cast) -> None:
    _token, text = make_enrolment(cast.web)
    enrol(text)
    before = Node.objects.get(name="worker-1")
    Node.objects.update(poll_due_at=clock.now() + timedelta(hours=1), poll_requested_at=None)
    assert enrol(text, client_address="10.9.0.77").json()["outcome"] == "moved"
    node = Node.objects.get(name="worker-1")
    assert (node.address, node.revision) == ("10.9.0.77", before.revision + 1)
    assert "10.9.0.77" in node.search_text
    assert Node.objects.due(clock.now()).filter(pk=node.pk).exists()
    event = TimelineEvent.objects.get(kind="address_changed")
    assert event.params == {"before": "10.9.0.1:22", "after": "10.9.0.77:22"}
    assert AuditEvent.objects.get(action="nodes.enrol_moved").subject == "node:worker-1"


def test_a_write_meanwhile_is_not_overwritten(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    token, text = make_enrolment(cast.web)
    enrol(text)
    module = importlib.import_module("nodes.services.enrolment.announce")
    real, edits = module._known, iter([True])

    def slow(token: Any, node: Node, *rest: Any) -> Any:
        if next(edits, False):
            Node.objects.filter(pk=node.pk).update(revision=9, labels={"by": "a person"})
        return real(token, node, *rest)

    monkeypatch.setattr(module, "_known", slow)
    done = announce(
        token=token, said=announcement(client_address="10.9.0.5"), client_address="10.9.0.5", now=clock.now()
    )
    node = Node.objects.get(name="worker-1")
    assert done.outcome == "moved"
    assert (node.address, node.labels, node.revision) == ("10.9.0.5", {"by": "a person"}, 10)


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
    assert response.json()["field"] in (field, "os_family_given")
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


class TestBack:
    """A node that was retired, and announces itself again."""

    @pytest.fixture
    def text(self, cast: Cast) -> str:
        _token, text = make_enrolment(cast.web, max_uses=2)
        enrol(text)
        node = Node.objects.get(name="worker-1")
        make_facts(node)
        absent = {"lifecycle": "retired", "lifecycle_reason": f"{ABSENT}: gone", "failures": 7}
        Node.objects.filter(pk=node.pk).update(**absent, failing_since=clock.now(), booted_version="44.1")
        return text

    def test_the_same_machine_is_the_same_node(self, text: str) -> None:
        response = enrol(text, client_address="10.9.0.9")
        assert (response.status_code, response.json()["outcome"]) == (200, "restored")
        node = Node.objects.get(name="worker-1")
        assert (node.lifecycle, node.generation, node.failures, node.address) == ("active", 1, 0, "10.9.0.9")
        assert node.facts_id is not None
        assert EnrolmentToken.objects.get().uses == 1
        assert TimelineEvent.objects.filter(node=node, kind="node_enrolled_again").count() == 1

    def test_another_machine_is_the_next_generation(self, text: str) -> None:
        response = enrol(text, machine_id=machine_id_of("new"), host_key=[key_of("new")])
        assert (response.status_code, response.json()["outcome"]) == (200, "replaced")
        node = Node.objects.get(name="worker-1")
        assert (node.lifecycle, node.generation, node.facts_id, node.booted_version) == ("active", 2, None, "")
        assert node.reachability == "never_seen"
        assert not Deployment.objects.filter(node=node).exists()
        assert sorted(key.state for key in node.host_keys.all()) == ["pinned", "replaced"]
        assert node.host_keys.get(state="pinned").public_key == key_of("new").split()[1]
        assert EnrolmentToken.objects.get().uses == 2

    def test_what_was_proven_of_the_machine_before_says_nothing_of_the_next(self, text: str) -> None:
        node = Node.objects.get(name="worker-1")
        HostCertificate.objects.create(
            node=node,
            authority_fingerprint="SHA256:a",
            key_type="ssh-ed25519",
            key_fingerprint="SHA256:k",
            key_id="old",
        )
        credential = make_credential("next")
        CredentialTrial.objects.create(node=node, credential=credential, fingerprint="SHA256:f", state="works")
        assert enrol(text, machine_id=machine_id_of("new"), host_key=[key_of("new")]).json()["outcome"] == "replaced"
        assert not HostCertificate.objects.exists()
        assert not CredentialTrial.objects.exists()

    def test_another_machine_counts(self, text: str) -> None:
        enrol(text, "worker-2")
        response = enrol(text, machine_id=machine_id_of("new"), host_key=[key_of("new")])
        assert (response.status_code, code_of(response)) == (403, "enrolment_limit")
        assert Node.objects.get(name="worker-1").generation == 1

    def test_what_a_person_retired_stays_so(self, text: str, cast: Cast) -> None:
        Node.objects.filter(name="worker-1").update(lifecycle_reason="broken disk")
        response = enrol(text)
        assert (response.status_code, code_of(response)) == (409, "enrolment_retired")
        assert Node.objects.get(name="worker-1").lifecycle == "retired"


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
    assert text.rpartition("_")[2] not in listed.content.decode()
    assert enrol(text, client_address="10.1.1.1").status_code == 201
    place = made.headers["Location"]
    assert api.get(place).json()["uses"] == 1
    assert Api(cast.viewer).delete(place).status_code == 403
    assert Api(cast.outsider).get(place).status_code == 403
    assert api.get("pools/db/enrolment-tokens/").status_code == 404
    assert api.delete(place).status_code == 204
    assert api.get(place).json()["state"] == "revoked"
    assert enrol(text, "worker-2", client_address="10.1.1.1").status_code == 403


def test_the_address_is_the_clients_own_unless_a_trusted_proxy_names_it(cast: Cast, settings: Any) -> None:
    _token, text = make_enrolment(cast.web)
    client = Client(REMOTE_ADDR="10.0.0.2")
    settings.TRUSTED_PROXIES = ["10.0.0.2/32"]
    body = {"name": "worker-1", "machine_id": machine_id_of("a"), "host_key": [key_of("a")]}
    headers = {"authorization": f"Bearer {text}", "x-forwarded-for": "203.0.113.9, 10.9.0.44"}
    response = client.post("/api/v1/enrol/", body, content_type="application/json", headers=headers)
    assert response.json()["address"] == "10.9.0.44"


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


def test_an_enrolled_node_without_a_key_is_not_taken_over(cast: Cast) -> None:
    pool: Pool = cast.web
    token, text = make_enrolment(pool)
    node = make_node("worker-1", pool=pool, enrolled_at=clock.now(), enrolment=token)
    make_host_key(node, "offered")
    assert code_of(enrol(text)) == "enrolment_other_key"


def test_a_node_that_a_person_restores_is_looked_at_once_even_after_a_changed_key(cast: Cast) -> None:
    Node.objects.filter(name="web-1").update(lifecycle="retired", reachability="key_mismatch", poll_requested_at=None)
    assert Api(cast.operator).patch("nodes/web-1/", {"lifecycle": "active", "reason": "found"}).status_code == 200
    assert Node.objects.due(clock.now()).filter(name="web-1").exists()


def test_deleting_over_the_api_keeps_the_reason(cast: Cast) -> None:
    assert Api(cast.operator).delete("nodes/web-1/?reason=sold").status_code == 204
    assert AuditEvent.objects.get(action="nodes.delete").reason == "sold"
