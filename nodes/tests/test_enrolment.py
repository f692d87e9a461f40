"""Machines that announce themselves: admitted, known, moved, back again, and refused with a reason of its own."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from fleetui.audit.models import AuditEvent
from fleetui.core import clock
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
from nodes.services.enrolment import announce
from nodes.services.lifecycle import ABSENT
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.enrolling import announcement, code_of, enrol, key_of, machine_id_of, make_enrolment
from nodes.tests.make import make_credential, make_facts, make_host_key, make_node

pytestmark = pytest.mark.django_db


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


def test_the_address_is_the_clients_own_unless_a_trusted_proxy_names_it(cast: Cast, settings: Any) -> None:
    _token, text = make_enrolment(cast.web)
    client = Client(REMOTE_ADDR="10.0.0.2")
    settings.TRUSTED_PROXIES = ["10.0.0.2/32"]
    body = {"name": "worker-1", "machine_id": machine_id_of("a"), "host_key": [key_of("a")]}
    headers = {"authorization": f"Bearer {text}", "x-forwarded-for": "203.0.113.9, 10.9.0.44"}
    response = client.post("/api/v1/enrol/", body, content_type="application/json", headers=headers)
    assert response.json()["address"] == "10.9.0.44"


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
