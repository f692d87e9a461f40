"""Certificates of cert-manager: read, issued anew, proved to be served; and what is said when that does not come about."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from django.test import Client

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput
from nodes.hosts import tls
from nodes.models import Certificate, CertificateSource
from nodes.tests.api.client import Api
from nodes.tests.make import make_cluster, make_pool, make_user
from nodes.tests.pages import signed_in
from ops.actions.cert_manager import ISSUED_WITHIN
from ops.engine import claim_due, run_step, start_queued
from ops.kubernetes.issued import Issued, Signed
from ops.models import ClusterAccess, ClusterCertificate, Operation
from ops.services import control
from ops.services.clusters.access import delete_access
from ops.services.clusters.issued import request_renewal
from ops.tests.kube import make_kube
from ops.wording import check_sentence, result_sentence, wait_sentence
from tests.kubecerts import CertManager

pytestmark = pytest.mark.django_db
ENDPOINT = "shop.example.org:443"
START = clock.now()


class Killed(BaseException):
    """The worker died."""


class Shop:
    """A cluster with cert-manager and one Certificate, and an engine that is driven by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = START
        patch.setattr(clock, "now", lambda: self.now)
        self.kube = make_kube(patch, make_cluster("prod"))
        self.api = self.kube.api
        self.manager = CertManager(self.api, self.now)
        self.certificate = self.manager.add("shop", "web", "shop.example.org")
        self.first = self.manager.pem_of(self.certificate)
        self.api.done.clear()
        self.look()

    def look(self) -> None:
        self.kube.look(self.now)

    @property
    def row(self) -> ClusterCertificate:
        return ClusterCertificate.objects.select_related("access__cluster").get(name="web")

    def ask(self, **over: Any) -> Operation:
        told = {"reason": "key was seen", "actor": SYSTEM, "now": self.now, **over}
        self.operation = request_renewal(row=self.row, **told).operations[0]
        return self.operation

    def round(self) -> Operation:
        self.now += timedelta(seconds=4)
        start_queued(self.now)
        for operation, lease in claim_due(self.now):
            with suppress(Killed):
                run_step(operation, lease, self.now)
        self.operation.refresh_from_db()
        return self.operation

    def work(
        self, until: Callable[[Operation], bool] = lambda one: one.ended_at is not None, most: int = 60
    ) -> Operation:
        for _ in range(most):
            one = self.round()
            if until(one):
                return one
            self.manager.now = self.now
            self.manager.step()
            self.now = max([self.now, *filter(None, (one.lease_until, one.due_at))])
        raise AssertionError((one.state, one.step, one.wait_reason, one.wait_params, one.result))


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(monkeypatch)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    told = {"pem": ""}

    def chain(*_given: Any) -> list[bytes]:
        return [x509.load_pem_x509_certificate(told["pem"].encode()).public_bytes(Encoding.DER)]

    monkeypatch.setattr(tls, "served_chain", chain)
    CertificateSource.objects.create(kind="endpoint", host="shop.example.org", port=443, pool=make_pool("edge"))
    return told


def said(one: Operation) -> str:
    return result_sentence(one.result, one.result_params)


def refused(one: Operation) -> list[str]:
    return [check_sentence(check["code"], check["params"]) for check in one.result_params["checks"]]


def test_what_a_cluster_has_is_read(shop: Shop) -> None:
    row = shop.row
    assert (row.issuer, row.secret, row.names, row.revision) == (
        "ClusterIssuer/letsencrypt",
        "web-tls",
        ["shop.example.org"],
        1,
    )
    assert row.is_ready
    assert row.not_after is not None
    assert 88 <= (row.not_after - START).days <= 90
    (found,) = Certificate.objects.all()
    assert (found.place, found.use, found.source.title) == ("shop/web", "cert_manager", "prod")
    assert found.fingerprint == x509.load_pem_x509_certificate(shop.first.encode()).fingerprint(SHA256()).hex()
    assert not CertificateSource.objects.due(START + timedelta(days=99)).exists()
    page = signed_in(make_user("admin", "admin")).get("/certificates/?use=cert_manager").content.decode()
    assert 'href="/clusters/prod/#certificates"' in page
    shop.api.certificates.clear()
    shop.look()
    assert not ClusterCertificate.objects.exists()
    assert not Certificate.objects.exists()


def test_a_cluster_without_cert_manager_lacks_no_rights_on_it(shop: Shop) -> None:
    shop.api.denied |= {"list certificates.cert-manager.io", "patch certificates.cert-manager.io/status"}
    shop.look()
    assert ClusterAccess.objects.get().missing == sorted(shop.api.denied)
    assert not ClusterCertificate.objects.exists()
    shop.api.has_cert_manager = False
    shop.look()
    assert ClusterAccess.objects.get().missing == []


def test_a_new_one_is_issued_and_proved_to_be_served(shop: Shop, served: dict[str, str]) -> None:
    served["pem"] = shop.first
    shop.ask(params={"endpoint": ENDPOINT})
    waits = shop.work(lambda one: one.wait_reason == "issues")
    assert shop.api.done == ["patch certificates/status web"]
    assert wait_sentence(waits.wait_reason, waits.wait_params).startswith(
        "cert-manager has no new certificate for shop/web"
    )
    waits = shop.work(lambda one: one.wait_reason == "certificate_taken")
    assert shop.certificate["status"]["revision"] == 2
    served["pem"] = shop.manager.pem_of(shop.certificate)
    done = shop.work()
    assert said(done).startswith(f"{ENDPOINT} serves the new certificate shop/web, which holds until ")
    assert shop.api.done == ["patch certificates/status web"]
    shop.look()
    assert shop.row.revision == 2


def test_without_an_endpoint_the_new_one_is_enough(shop: Shop) -> None:
    shop.ask()
    done = shop.work()
    assert (done.state, said(done)[:40]) == ("succeeded", "shop/web was renewed, and holds until 20")


def test_what_the_issuer_refuses_is_told_in_its_words(shop: Shop) -> None:
    shop.manager.refuses = "429 rateLimited: too many certificates"
    shop.ask()
    done = shop.work()
    assert done.state == "failed"
    assert said(done).endswith(
        "the one before stays: The certificate request has failed to complete and will be retried: "
        "429 rateLimited: too many certificates"
    )
    assert shop.manager.pem_of(shop.certificate) == shop.first


def test_a_cert_manager_that_is_away_is_given_up_after_half_an_hour(shop: Shop) -> None:
    shop.manager.is_away = True
    shop.ask()
    shop.work(lambda one: one.wait_reason == "issues")
    shop.now += ISSUED_WITHIN
    done = shop.work()
    assert (done.state, done.result) == ("failed", "issue_late")
    assert "see whether cert-manager runs" in said(done)


def test_what_is_issued_already_is_followed_and_not_asked_for_again(shop: Shop) -> None:
    shop.certificate["status"]["conditions"].append(shop.manager._condition("Issuing", "True", "Renewing", "expires"))
    shop.api._changed(shop.certificate)
    shop.ask()
    assert shop.work().state == "succeeded"
    assert shop.api.done == []


@pytest.mark.parametrize("before", [True, False])
def test_a_worker_may_die_at_every_request(shop: Shop, before: bool) -> None:
    """It is asked for once, whoever dies where."""
    counted, deaths = [0], 0
    for number in range(40):
        counted[0] = 0

        def dies(_method: str, _path: str, number: int = number) -> None:
            counted[0] += 1
            if counted[0] == number + 1:
                raise Killed

        shop.api.done.clear()
        revision = shop.certificate["status"]["revision"]
        shop.ask()
        setattr(shop.kube.transport, "before" if before else "after", dies)
        done = shop.work()
        assert done.state == "succeeded", (number, done.result, done.result_params)
        assert shop.certificate["status"]["revision"] == revision + 1
        assert shop.api.done == ["patch certificates/status web"]
        if counted[0] <= number:
            break
        deaths += 1
    assert deaths >= 5


def test_somebody_who_writes_at_the_same_moment_is_met_by_a_conflict(shop: Shop) -> None:
    written: list[str] = []

    def before(method: str, _path: str) -> None:
        if method == "PATCH" and not written:
            written.append(method)
            shop.api._changed(shop.certificate)

    shop.kube.transport.before = before
    shop.ask()
    assert shop.work(lambda one: one.wait_reason == "changes_certificate")
    assert shop.work().state == "succeeded"


def test_what_stands_against_it_changes_nothing(shop: Shop, served: dict[str, str]) -> None:
    shop.ask(params={"endpoint": "other.example.org:443"})
    assert refused(shop.work()) == [
        "other.example.org:443 is none of the TLS endpoints of this pool: an admin adds it on the page Certificates."
    ]
    shop.api.denied.add("patch certificates.cert-manager.io/status")
    shop.ask()
    assert "patch certificates.cert-manager.io/status" in refused(shop.work())[0]
    shop.api.denied.clear()
    shop.ask()
    with pytest.raises(Conflict):
        shop.ask()
    shop.certificate["metadata"]["uid"] = "another"
    assert shop.work().result == "cluster_refused"
    with pytest.raises(InvalidInput):
        shop.ask(params={"force": True})
    assert shop.api.done == []


def test_a_cancel_lets_cert_manager_go_on(shop: Shop) -> None:
    shop.manager.is_away = True
    shop.ask()
    shop.work(lambda one: one.wait_reason == "issues")
    control.cancel(operation=shop.operation, actor=SYSTEM, now=shop.now)
    assert shop.work().state == "cancelled"


def test_by_the_api(shop: Shop) -> None:
    api = Api(make_user("admin", "admin"))
    (one,) = api.get("clusters/prod/certificates/?namespace=shop").json()["results"]
    assert (one["name"], one["issuer"], one["is_ready"]) == ("web", "ClusterIssuer/letsencrypt", True)
    answer = api.post("clusters/prod/certificates/shop/web/renew/", {"reason": "r", "endpoint": "nothing"})
    assert (answer.status_code, answer.json()["field"]) == (400, "params.endpoint")
    answer = api.post("clusters/prod/certificates/shop/web/renew/", {"reason": "r"})
    assert answer.status_code == 201
    assert Operation.objects.get().kind == "cert_manager_renew"
    reader = make_user("reader", ("viewer", make_pool("p", cluster=shop.row.access.cluster)))
    assert Api(reader).get("clusters/prod/certificates/").json()["results"] == []


def test_what_was_read_goes_with_the_access(shop: Shop) -> None:
    delete_access(access=ClusterAccess.objects.select_related("cluster").get(), actor=SYSTEM)
    assert not Certificate.objects.exists()
    assert not CertificateSource.objects.exists()


def test_pages(shop: Shop) -> None:
    admin: Client = signed_in(make_user("admin", "admin"))
    page = admin.get("/clusters/prod/").content.decode()
    assert '/clusters/prod/certificates/shop/web/"' in page
    page = admin.get("/clusters/prod/certificates/shop/web/").content.decode()
    assert "web-tls" in page
    answer = admin.post("/clusters/prod/certificates/shop/web/", {"endpoint": "x", "reason": "r"})
    assert (answer.status_code, "is not a TLS endpoint" in answer.content.decode()) == (422, True)
    answer = admin.post("/clusters/prod/certificates/shop/web/", {"endpoint": "", "reason": "r"})
    assert answer.status_code == 302
    page = admin.get(answer["Location"]).content.decode()
    assert "Ask cert-manager for a new one" in page
    viewer = signed_in(make_user("reader", "viewer"))
    assert viewer.post("/clusters/prod/certificates/shop/web/", {"reason": "r"}).status_code == 403
    assert admin.get("/clusters/prod/certificates/shop/none/").status_code == 404


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"metadata": [], "spec": None, "status": 3},
        {"status": {"conditions": ["x", {"type": "Issuing", "status": 7}], "revision": "x"}, "spec": {"dnsNames": "x"}},
        {"metadata": {"annotations": {"cert-manager.io/certificate-revision": "²"}}, "status": {"certificate": "%"}},
    ],
)
def test_nothing_that_a_cluster_sends_breaks_the_reading(odd: dict[str, Any]) -> None:
    assert Issued.read(odd).revision == 0
    assert Signed.read(odd).pem == b""
