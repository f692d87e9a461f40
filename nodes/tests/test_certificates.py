"""Certificates as rows: read when due, kept in step, told of in time."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from fleetui.notify.models import Channel, Delivery, Rule
from nodes.certificates import Finding, Found, Level, Unread, Use, read_der
from nodes.hosts import tls
from nodes.models import Certificate, CertificateNotice, CertificateSource, Node, Pool
from nodes.services.certificates import alerts, endpoints, looks, reading
from nodes.services.certificates.looks import Failure, Read
from nodes.tests.cast import Cast
from nodes.tests.certificates.making import Made, ca, make
from nodes.tests.make import NOW, make_node, make_pool, principal

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool() -> Pool:
    return make_pool("web")


def found(*made: Made, place: str = "/etc/letsencrypt/live/web/fullchain.pem", use: Use = Use.CERTBOT) -> Read:
    return Read([(Found(place, number, use, read_der(one.der)), ()) for number, one in enumerate(made)], as_root=True)


def source_of(node: Node) -> CertificateSource:
    looks.prepare(NOW)
    row: CertificateSource = CertificateSource.objects.select_related("node").get(node=node)
    return row


def stored(source: CertificateSource, result: Read | Failure, **over: Any) -> bool:
    lease, _ids = looks.claim(NOW)
    return looks.store(**{"source": source, "lease": lease, "result": result, "asked_at": None, "now": NOW, **over})


def ends_in(days: float, life_days: int = 365) -> Made:
    ends = NOW + timedelta(days=days)
    return make(f"ends in {days}", begins=ends - timedelta(days=life_days), ends=ends)


def test_nodes_in_use_get_a_row_and_are_read_when_they_answer(pool: Pool) -> None:
    node = make_node(pool=pool)
    make_node(pool=pool, lifecycle="retired")
    quiet = make_node(pool=pool, reachability="unreachable")
    assert looks.prepare(NOW) == 2
    assert looks.prepare(NOW) == 0
    lease, ids = looks.claim(NOW)
    assert ids == list(CertificateSource.objects.filter(node=node).values_list("pk", flat=True))
    assert not looks.is_due(NOW)
    assert CertificateSource.objects.get(node=quiet).lease is None
    [look] = reading.load(ids)
    assert (look.source.node, look.target and look.target.node_id) == (node, node.pk)
    assert lease == CertificateSource.objects.get(node=node).lease


def test_what_stays_keeps_its_row_and_what_is_gone_goes(pool: Pool) -> None:
    node, root = make_node(pool=pool), ca()
    source, old, new = source_of(node), make("web", issuer=root), make("web", issuer=root)
    assert stored(source, found(old, root))
    before = {row.position: row for row in Certificate.objects.all()}
    assert (before[0].subject, before[0].der, before[1].is_ca) == ("CN=web", None, True)
    assert bytes(before[1].der) == root.der
    assert not stored(source, found(new), lease=uuid.uuid4())
    CertificateSource.objects.update(due_at=NOW)
    wrong = Read(
        [(one, [Finding("weak_key", Level.WARN, {"key": "RSA", "bits": 1024})]) for one, _ in found(new, root).found]
    )
    assert stored(source, wrong)
    after = {row.position: row for row in Certificate.objects.all()}
    assert after[0].fingerprint == new.certificate.fingerprint(new.certificate.signature_hash_algorithm).hex()  # type: ignore[arg-type]
    assert (after[1].pk, after[1].level) == (before[1].pk, "warn")


def test_a_failure_leaves_what_was_known(pool: Pool) -> None:
    source = source_of(make_node(pool=pool))
    assert stored(source, found(make("web")))
    CertificateSource.objects.update(due_at=NOW)
    assert stored(source, Failure("timed_out", {"address": "x\0"}))
    row = CertificateSource.objects.get(pk=source.pk)
    assert (row.error_kind, row.error_params, row.failed_at) == ("timed_out", {"address": "x"}, NOW)
    assert row.due_at < NOW + timedelta(minutes=20)
    assert Certificate.objects.count() == 1


def test_another_machine_begins_anew_and_an_edited_node_is_read_again(pool: Pool) -> None:
    node = make_node(pool=pool)
    source = source_of(node)
    lease, _ids = looks.claim(NOW)
    Node.objects.filter(pk=node.pk).update(revision=node.revision + 1)
    assert not looks.store(source=source, lease=lease, result=found(make("web")), asked_at=None, now=NOW)
    CertificateSource.objects.update(lease=None, lease_until=None)
    assert stored(source_of(node), found(make("web")))
    Node.objects.filter(pk=node.pk).update(generation=node.generation + 1)
    assert looks.prepare(NOW) == 1
    assert not Certificate.objects.exists()
    assert CertificateSource.objects.get(node=node).checked_at is None


def test_who_asks_is_served_first_and_it_is_in_the_audit_log(pool: Pool, settings: Any) -> None:
    settings.CERTIFICATES_THREADS = 1
    nodes = [make_node(pool=pool) for _ in range(3)]
    looks.prepare(NOW)
    wanted = looks.source_of(nodes[2], NOW)
    looks.request_look(source=wanted, actor=SYSTEM, now=NOW)
    assert looks.claim(NOW)[1] == [wanted.pk]
    assert looks.claim(NOW)[1] == []
    event = AuditEvent.objects.get(action="certificates.read")
    assert event.subject == f"node:{nodes[2].name}"
    Node.objects.filter(pk=nodes[0].pk).update(reachability="unreachable")
    with pytest.raises(Conflict):
        looks.request_look(source=looks.source_of(Node.objects.get(pk=nodes[0].pk), NOW), actor=SYSTEM, now=NOW)


def test_endpoints_are_what_an_admin_says(cast: Cast) -> None:
    owner = principal(cast.owner)
    added = endpoints.add_endpoint(host="Web.Example.org.", port=8443, pool=cast.web, actor=owner, now=NOW)
    assert (added.host, added.title, added.wanted_name) == (
        "web.example.org",
        "web.example.org:8443",
        "web.example.org",
    )
    with pytest.raises(Conflict):
        endpoints.add_endpoint(host="web.example.org", port=8443, pool=None, actor=owner, now=NOW)
    six = endpoints.add_endpoint(host="[FD00::0:7]", server_name="web.example.org", pool=None, actor=owner, now=NOW)
    assert (six.title, six.wanted_name) == ("[fd00::7]:443 (web.example.org)", "web.example.org")
    assert endpoints.read_title(six.title) == ("fd00::7", 443, "web.example.org")
    assert endpoints.read_title(added.title) == ("web.example.org", 8443, "")
    with pytest.raises(Conflict, match=re.escape(six.title)):
        endpoints.add_endpoint(host="fd00::7", server_name="web.example.org", pool=None, actor=owner, now=NOW)
    for wrong in ("https://web", "a b", "", "1.2.3", "-x", "x/y"):
        with pytest.raises(InvalidInput):
            endpoints.add_endpoint(host=wrong, pool=None, actor=owner, now=NOW)
    with pytest.raises(NotAllowed):
        endpoints.add_endpoint(host="x", pool=cast.web, actor=principal(cast.operator), now=NOW)
    assert set(CertificateSource.objects.visible_to(principal(cast.viewer)).exclude(kind="host")) == {added}
    assert not CertificateSource.objects.visible_to(principal(cast.outsider)).exists()
    endpoints.delete_endpoint(endpoint=added, actor=owner)
    assert not CertificateSource.objects.filter(pk=added.pk).exists()
    actions = list(AuditEvent.objects.order_by("seq").values_list("action", "subject"))
    assert actions[-1] == ("certificates.delete_endpoint", "endpoint:web.example.org:8443")


def test_our_own_address_is_looked_at_while_it_has_tls(settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://fleet.example.org"]
    looks.prepare(NOW)
    looks.prepare(NOW)
    [own] = CertificateSource.objects.filter(kind="own")
    assert own.title == "fleet.example.org:443"
    with pytest.raises(NotAllowed):
        endpoints.delete_endpoint(endpoint=own, actor=SYSTEM)
    settings.CSRF_TRUSTED_ORIGINS = ["http://fleet.example.org"]
    looks.prepare(NOW)
    assert not CertificateSource.objects.filter(kind="own").exists()


@pytest.mark.django_db(transaction=True)
def test_what_an_endpoint_serves_is_judged_with_authorities_that_hosts_have(pool: Pool, monkeypatch: Any) -> None:
    root = ca("kubernetes")
    assert stored(source_of(make_node(pool=pool)), found(root, place="/etc/kubernetes/pki/ca.crt", use=Use.KUBE_CA))
    served = make("kube-apiserver", issuer=root, names=("10.0.0.1",))
    endpoints.add_endpoint(host="10.0.0.2", port=6443, pool=pool, actor=SYSTEM, now=NOW)
    asked: list[tuple[Any, ...]] = []

    def chain(*given: Any) -> list[bytes]:
        asked.append((*given[:3], threading.current_thread().name))
        return [served.der]

    monkeypatch.setattr(tls, "served_chain", chain)
    lease, ids = looks.claim(NOW)
    [result] = reading.run(reading.load(ids))
    assert isinstance(result.found, Read)
    [(_one, findings)] = result.found.found
    assert [finding.code for finding in findings] == ["wrong_name"]
    assert asked[0][:3] == ("10.0.0.2", 6443, "")
    assert looks.store(source=result.look.source, lease=lease, result=result.found, asked_at=NOW, now=NOW)
    row = Certificate.objects.get(use="endpoint")
    assert (row.place, row.level) == ("10.0.0.2:6443", "bad")


def test_what_was_only_shown_is_no_authority(pool: Pool) -> None:
    root, other, kube = ca("root"), ca("other root"), ca("corporate")
    middle, kube_ca = ca("middle", issuer=root), ca("kubernetes", issuer=kube)
    leaf = make("web", issuer=middle)
    assert stored(source_of(make_node(pool=pool)), found(leaf, middle, root, use=Use.HAPROXY))
    assert stored(source_of(make_node(pool=pool)), found(kube_ca, use=Use.KUBE_CA))
    served = endpoints.add_endpoint(host="10.0.0.2", pool=pool, actor=SYSTEM, now=NOW)
    assert stored(served, found(make("x", issuer=other), other, use=Use.ENDPOINT))
    shown = [make("a", issuer=one) for one in (middle, other, kube_ca)]
    asked = found(*shown, middle, use=Use.ENDPOINT).found
    assert {one.subject for one in reading.authorities_of([each for each, _none in asked])} == {
        "CN=root",
        "CN=kubernetes",
    }


@pytest.mark.parametrize(
    ("days", "life", "lead"),
    [(61, 365, None), (60, 365, 60), (29, 365, 30), (14, 365, 14), (6.5, 365, 7), (0.5, 365, 1), (0, 365, 0), (-3, 365, 0),
     (29, 90, None), (13, 90, 14), (5, 6, None), (0.5, 6, 1), (0.5, 1, None), (-1, 1, 0)],
)  # fmt: skip
def test_lead_times(days: float, life: int, lead: int | None) -> None:
    ends = NOW + timedelta(days=days)
    assert alerts.lead_of(ends - timedelta(days=life), ends, NOW) == lead


def told() -> Sequence[tuple[str, str, int, str]]:
    rows = Delivery.objects.order_by("pk").values_list("event", "severity", "document")
    return [(event, severity, doc["details"]["lead_days"], doc["pool"] or "") for event, severity, doc in rows]


def test_each_certificate_is_told_of_once_per_lead_time(pool: Pool) -> None:
    channel = Channel.objects.create(name="all", kind="webhook", settings={"url": "https://example.org"})
    Rule.objects.create(channel=channel, severity="info")
    made = ends_in(20)
    for number in range(2):
        assert stored(source_of(make_node(pool=pool)), found(made, place=f"/{number}"))
        CertificateSource.objects.update(due_at=NOW + timedelta(days=1))
    assert alerts.watch(NOW) == 0
    assert told() == [("certificate.expiring", "info", 30, "web")]
    assert "and 1 other place" in Delivery.objects.get().document["text"]
    alerts.watch(NOW + timedelta(days=1))
    assert len(told()) == 1
    for days in (7, 14, 19.5, 21, 22):
        alerts.watch(NOW + timedelta(days=days))
    assert [one[1:3] for one in told()[1:]] == [("warning", 14), ("warning", 7), ("critical", 1), ("critical", 0)]
    assert told()[-1][0] == "certificate.expired"
    assert alerts.watch(NOW + timedelta(days=22)) == 1
    Certificate.objects.all().delete()
    alerts.watch(NOW + timedelta(days=60))
    assert not CertificateNotice.objects.exists()


def test_nothing_is_told_of_retired_nodes(pool: Pool) -> None:
    node = make_node(pool=pool)
    assert stored(source_of(node), found(ends_in(-1)))
    Node.objects.filter(pk=node.pk).update(lifecycle="retired")
    assert alerts.watch(NOW) == 0
    assert not CertificateNotice.objects.exists()


def test_what_could_not_be_read_is_kept(pool: Pool) -> None:
    source = source_of(make_node(pool=pool))
    assert stored(source, Read([], [Unread("/etc/x", "denied")], as_root=False))
    row = CertificateSource.objects.get(pk=source.pk)
    assert (row.unread, row.as_root) == ([{"place": "/etc/x", "why": "denied"}], False)
