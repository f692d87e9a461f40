"""Renewals by Certbot on one simulated host: due or not, served or not, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleetui.core.errors import InvalidInput
from nodes.certificates import read_der
from nodes.hosts import tls
from nodes.models import CertificateSource
from nodes.tests.certificates.making import ca, make
from nodes.tests.make import NOW, make_pool
from ops.actions.certbot import to_be_served
from ops.engine.certificates import StepCertificates
from ops.services.request import checked_params
from ops.tests.test_engine_kills import Run
from ops.wording import check_sentence, result_sentence
from simfleet.answers.certificates import NAME, files

pytestmark = pytest.mark.django_db
ENDPOINT = "shop.example.org:443"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made: list[Run] = []

    def run(**params: Any) -> Run:
        made.append(Run("certbot_renew", monkeypatch, **{"certificate": NAME, **params}))
        return made[-1]

    yield run
    for one in made:
        one.machine.loop.close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the endpoint serves: `pem` of it, or a problem; how often it was asked."""
    told: dict[str, Any] = {"pem": "", "problem": "", "asked": 0}

    def chain(*_given: Any) -> list[bytes]:
        told["asked"] += 1
        if told["problem"]:
            raise tls.EndpointError(told["problem"])
        return [x509.load_pem_x509_certificate(told["pem"].encode()).public_bytes(Encoding.DER)]

    monkeypatch.setattr(tls, "served_chain", chain)
    CertificateSource.objects.create(kind="endpoint", host="shop.example.org", port=443)
    return told


def on_host(run: Run) -> str:
    return files(run.machine.host, run.machine.now())[0][2]


def said(run: Run) -> str:
    return result_sentence(run.operation.result, run.operation.result_params)


def refused(run: Run) -> list[str]:
    checks: list[Mapping[str, Any]] = run.operation.result_params["checks"]
    return [check_sentence(one["code"], one["params"]) for one in checks]


def test_a_renewal_is_proved_by_what_is_served(runs: Any, served: dict[str, Any]) -> None:
    run = runs(endpoint=ENDPOINT, reload="caddy", force=True)
    served["pem"] = old = on_host(run)
    for _round in range(60):
        if run.operation.step == "see_served":
            break
        run.rounds(1)
    assert on_host(run) != old
    run.rounds(3)
    assert (run.operation.state, run.operation.wait_reason) == ("waiting", "certificate_taken")
    CertificateSource.objects.update(due_at=run.now.replace(year=2030))
    served["pem"] = on_host(run)
    run.rounds()
    assert run.operation.state == "succeeded"
    assert said(run).startswith(f"{ENDPOINT} serves the new certificate {NAME}, which holds until ")
    assert run.machine.host.starts["caddy.service"] == 1
    assert run.machine.left_behind() == []
    assert CertificateSource.objects.get().due_at <= run.now


def test_one_that_is_not_taken_by_its_service_fails(runs: Any, served: dict[str, Any]) -> None:
    run = runs(endpoint=ENDPOINT, force=True)
    served["pem"] = on_host(run)
    assert run.rounds().state == "failed"
    assert said(run) == f"{NAME} was renewed, and {ENDPOINT} still serves another one: reload what serves it."


def test_what_is_not_due_is_left_but_for_one_that_is_not_served(runs: Any, served: dict[str, Any]) -> None:
    first = runs(force=True)
    old = on_host(first)
    first.rounds()
    assert said(first).startswith(f"{NAME} was renewed, and holds until ")
    served["pem"] = on_host(first)
    first.ask("certbot_renew", certificate=NAME, endpoint=ENDPOINT)
    first.rounds()
    assert (first.operation.state, first.operation.result) == ("succeeded", "certificate_not_due")
    served["pem"] = old
    first.ask("certbot_renew", certificate=NAME, endpoint=ENDPOINT, reload="caddy.service")
    for _round in range(60):
        if first.operation.step == "see_served":
            break
        first.rounds(1)
    served["pem"] = on_host(first)
    first.rounds()
    assert (first.operation.state, first.operation.result) == ("succeeded", "certificate_served")
    assert first.machine.host.starts["caddy.service"] == 1


def test_what_is_not_there_changes_nothing(runs: Any, served: dict[str, Any]) -> None:
    run = runs(certificate="other.example.org")
    assert run.rounds().result == "preflight"
    assert "Certbot has no certificate other.example.org on the host." in refused(run)
    CertificateSource.objects.update(pool=make_pool("others"))
    run = runs(endpoint=ENDPOINT)
    assert run.rounds().result == "preflight"
    assert "is none of the TLS endpoints of this pool" in refused(run)[0]
    assert served["asked"] == 0


def test_an_endpoint_that_does_not_answer_is_waited_for(runs: Any, served: dict[str, Any]) -> None:
    run = runs(endpoint=ENDPOINT, force=True)
    served["problem"] = "refused"
    assert run.rounds().state == "failed"
    assert said(run) == f"{NAME} was renewed, and what {ENDPOINT} serves could not be read (refused)."


def test_one_that_is_served_without_its_chain_fails(
    runs: Any, served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs(endpoint=ENDPOINT, force=True)
    served["pem"] = on_host(run)

    def broken(_self: object, _endpoint: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"problem": "", "fingerprint": wanted["fingerprint"], "not_after": "", "fault": "issuer_not_found"}

    monkeypatch.setattr(StepCertificates, "served", broken)
    CertificateSource.objects.update(due_at=run.now.replace(year=2030))
    assert run.rounds().state == "failed"
    assert said(run).startswith(f"{NAME} was renewed, and {ENDPOINT} serves it without the chain that belongs to it")
    assert CertificateSource.objects.get().requested_at is not None


def test_of_several_server_names_that_of_the_certificate_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    root = ca("nobody knows it")
    middle = ca("middle", issuer=root)
    shop, blog = (make(name, issuer=middle, names=(name,)) for name in ("shop.example.org", "blog.example.org"))
    serves = {"shop.example.org": [shop.der, middle.der], "blog.example.org": [blog.der], "": [blog.der]}
    monkeypatch.setattr(tls, "served_chain", lambda _host, _port, name, _deadline: serves[name])
    for name in serves:
        CertificateSource.objects.create(kind="endpoint", host="10.0.0.9", port=8443, server_name=name)
    step = StepCertificates(None, NOW)
    wanted, other = (to_be_served([read_der(one.der), read_der(middle.der)]) for one in (shop, blog))
    assert (wanted["names"], wanted["chain"]) == (["shop.example.org"], [read_der(middle.der).fingerprint])
    seen = step.served("10.0.0.9:8443", wanted)
    assert (seen["fingerprint"], seen["fault"]) == (wanted["fingerprint"], "")
    seen = step.served("10.0.0.9:8443", other)
    assert (seen["fingerprint"], seen["fault"]) == (other["fingerprint"], "issuer_not_found")
    seen = step.served("10.0.0.9:8443 (blog.example.org)", wanted)
    assert seen["fingerprint"] == other["fingerprint"]
    assert step.served("10.0.0.9:8443 (x)", wanted)["problem"] == "unknown"
    step.read_again("10.0.0.9:8443")
    assert CertificateSource.objects.filter(requested_at=NOW).count() == 3


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "certificate"),
        ({"certificate": "../x"}, "certificate"),
        ({"certificate": "a/b"}, "certificate"),
        ({"certificate": "--help"}, "certificate"),
        ({"certificate": 7}, "certificate"),
        ({"certificate": "x", "endpoint": "web"}, "endpoint"),
        ({"certificate": "x", "endpoint": ":443"}, "endpoint"),
        ({"certificate": "x", "endpoint": 443}, "endpoint"),
        ({"certificate": "x", "endpoint": "web:²"}, "endpoint"),
        ({"certificate": "x", "reload": "sshd"}, "reload"),
        ({"certificate": "x", "reload": "a b"}, "reload"),
        ({"certificate": "x", "reload": "x.timer"}, "reload"),
        ({"certificate": "x", "force": "yes"}, "force"),
        ({"certificate": "x", "more": 1}, "more"),
    ],
)
def test_parameters_that_are_refused(params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_params("certbot_renew", params)
    assert caught.value.field == f"params.{field}"
    assert caught.value.mend


def test_parameters_as_they_are_kept() -> None:
    given = {"certificate": NAME, "endpoint": " Shop.example.org:443", "reload": "caddy", "force": False}
    assert checked_params("certbot_renew", given) == {
        "certificate": NAME,
        "endpoint": "shop.example.org:443",
        "reload": "caddy.service",
    }
