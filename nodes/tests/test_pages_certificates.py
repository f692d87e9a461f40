"""The pages and the API of certificates."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.heartbeats import mark
from nodes.certificates import Finding, Found, Level, Use, read_der
from nodes.models import Certificate, CertificateSource
from nodes.services.certificates import endpoints, looks
from nodes.services.certificates.alerts import EXPIRED_JOB
from nodes.services.certificates.looks import Failure, Read
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.certificates.making import ca, make
from nodes.tests.make import principal

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(cast: Cast) -> Cast:
    """web-1 has a chain and one that has expired, db-1 another; an endpoint of the pool web does not answer."""
    now = clock.now()
    root = ca("web root", ends=now + timedelta(days=2000), begins=now - timedelta(days=2))
    leaf = make(
        "shop",
        issuer=root,
        names=("web.example.org",),
        begins=now - timedelta(days=300),
        ends=now + timedelta(days=12, hours=1),
    )
    old = make("old", begins=now - timedelta(days=300), ends=now - timedelta(days=2))
    other = make("db secret", begins=now - timedelta(days=3), ends=now + timedelta(days=200))
    looks.prepare(now)
    weak = [Finding("weak_key", Level.WARN, {"key": "RSA", "bits": 1024})]
    for node, made in ((cast.web_node, [leaf, root, old]), (cast.db_node, [other])):
        source = CertificateSource.objects.select_related("node").get(node=node)
        result = Read(
            [
                (
                    Found(f"/etc/letsencrypt/live/c{number}/fullchain.pem", 0, Use.CERTBOT, read_der(one.der)),
                    weak if one is old else [],
                )
                for number, one in enumerate(made)
            ],
            as_root=node is cast.web_node,
        )
        CertificateSource.objects.filter(pk=source.pk).update(lease=source.pk)
        assert looks.store(source=source, lease=source.pk, result=result, asked_at=None, now=now)
    endpoint = endpoints.add_endpoint(host="web.example.org", pool=cast.web, actor=principal(cast.owner), now=now)
    CertificateSource.objects.filter(pk=endpoint.pk).update(lease=endpoint.pk)
    assert looks.store(source=endpoint, lease=endpoint.pk, result=Failure("refused"), asked_at=now, now=now)
    return cast


def page(cast_user: Any, url: str) -> str:
    client = Client()
    client.force_login(cast_user)
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_by_end_and_its_filters(filled: Cast) -> None:
    text = page(filled.owner, "/certificates/")
    assert text.index(">old<") < text.index(">shop<") < text.index(">db secret<") < text.index(">web root<")
    assert "13 days left" in text
    assert "Its key is weak: RSA with 1024 bits." in text
    shown = page(filled.viewer, "/certificates/")
    assert "db secret" not in shown
    for query, has, has_not in (
        ("state=expired", ">old<", ">shop<"),
        ("ca=true", ">web root<", ">shop<"),
        ("within=30d", ">shop<", ">web root<"),
        ("finding=weak_key", ">old<", ">shop<"),
        ("q=web.example", ">shop<", ">old<"),
        ("node=db-1", ">db secret<", ">shop<"),
        ("pool=db", ">db secret<", ">shop<"),
    ):
        text = page(filled.owner, f"/certificates/?{query}")
        assert has in text, query
        assert has_not not in text, query
    assert "No certificate matches" in page(filled.owner, "/certificates/?use=haproxy")
    assert "The filter state was left out" in page(filled.owner, "/certificates/?state=odd")


def test_the_list_asks_the_same_however_many_there_are(filled: Cast, django_assert_max_num_queries: Any) -> None:
    client = Client()
    client.force_login(filled.owner)
    client.get("/certificates/")
    for url, most in (("/certificates/", 12), ("/certificates/calendar/", 14), ("/certificates/endpoints/", 12)):
        with django_assert_max_num_queries(most):
            client.get(url)


def test_the_calendar_counts_each_once(filled: Cast) -> None:
    text = page(filled.owner, "/certificates/calendar/")
    assert "1 certificate has expired" in text
    assert ">shop<" in text
    assert str((clock.now() + timedelta(days=2000)).year) in text
    assert "db secret" not in page(filled.viewer, "/certificates/calendar/")


def test_the_calendar_names_the_first_of_every_month(filled: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many end before it."""
    monkeypatch.setattr("nodes.views.certificates.SHOWN_A_MONTH", 1)
    like, ends = Certificate.objects.exclude(is_ca=True).latest("pk"), clock.now().replace(day=9) + timedelta(days=100)
    for number in range(3):
        like.pk, like.position, like.fingerprint, like.subject = None, 9, f"{number}" * 64, f"CN=late {number}"
        like.not_after = ends + timedelta(seconds=number)
        like.save(force_insert=True)
    text = page(filled.owner, "/certificates/calendar/")
    assert (">late 0<" in text, ">late 1<" in text, "and 2 more" in text) == (True, False, True)


def test_the_tab_of_a_node(filled: Cast) -> None:
    text = page(filled.operator, "/nodes/web-1/?tab=certificates")
    assert "/etc/letsencrypt/live/c0/fullchain.pem" in text
    assert 'name="certificate" value="c0"' in text
    assert 'name="certificate" value="c0"' not in page(filled.viewer, "/nodes/web-1/?tab=certificates")
    assert "sudo without a password was refused" not in text
    assert "sudo without a password was refused" in page(filled.owner, "/nodes/db-1/?tab=certificates")
    client = Client()
    client.force_login(filled.operator)
    assert client.post("/nodes/web-1/certificates/").status_code == 302
    assert CertificateSource.objects.get(node=filled.web_node).requested_at is not None
    client.force_login(filled.viewer)
    assert client.post("/nodes/web-1/certificates/").status_code == 403
    assert "Not read yet" in page(filled.owner, "/nodes/loose-1/?tab=certificates")
    # Buttons beside a certificate leave no phone: a sheet that this page has makes their cell as wide as they are.
    sheets = [Path(found) for name in re.findall(r"css/\w+\.css", text) if (found := finders.find(name))]
    assert any(".ui-cards tbody tr > .ui-tight { width: auto" in sheet.read_text() for sheet in sheets)


def test_endpoints_on_their_page(filled: Cast) -> None:
    text = page(filled.viewer, "/certificates/endpoints/")
    assert "web.example.org:443" in text
    assert "Nothing listens on the port." in text
    assert "Add endpoint" not in text
    client = Client()
    client.force_login(filled.owner)
    answer = client.post("/certificates/endpoints/add/", {"host": "https://x", "port": "443"})
    assert answer.status_code == 422
    assert "is neither a host name nor an IP address" in answer.content.decode()
    answer = client.post("/certificates/endpoints/add/", {"host": "db.example.org", "port": "5432", "pool": "db"})
    assert answer.status_code == 302
    added = CertificateSource.objects.get(host="db.example.org")
    assert (added.port, added.pool) == (5432, filled.db)
    url = f"/certificates/endpoints/{added.pk}/"
    assert client.post(url, {"do": "look"}).status_code == 302
    assert client.post(url, {"do": "odd"}).status_code == 404
    client.force_login(filled.operator)
    assert client.post(url, {"do": "delete"}).status_code == 404
    mine = CertificateSource.objects.get(host="web.example.org")
    assert client.post(f"/certificates/endpoints/{mine.pk}/", {"do": "delete"}).status_code == 403
    client.force_login(filled.owner)
    assert client.post(url, {"do": "delete"}).status_code == 302
    assert not CertificateSource.objects.filter(pk=added.pk).exists()


def test_a_banner_says_what_has_expired_to_who_may_see_it(filled: Cast) -> None:
    assert "certificate has expired" not in page(filled.owner, "/certificates/")
    mark(EXPIRED_JOB, {"count": 1})
    assert "1 certificate has expired." in page(filled.owner, "/settings/")
    client = Client()
    client.force_login(filled.outsider)
    assert "has expired" not in client.get("/accounts/2fa/").content.decode()


def test_the_api(filled: Cast) -> None:
    api = Api(filled.owner)
    found = api.get("certificates/").json()
    assert [one["subject"] for one in found["results"]] == ["CN=old", "CN=shop", "CN=db secret", "CN=web root"]
    first = found["results"][0]
    assert [one["code"] for one in first["findings"]] == ["expired", "weak_key"]
    assert (first["node"], first["pool"], first["endpoint"], first["is_ca"]) == ("web-1", "web", None, False)
    of_node = api.get("nodes/web-1/certificates/?sort=-not_after&fields=subject,names").json()
    assert of_node["results"][1] == {"subject": "CN=shop", "names": ["web.example.org"]}
    answer = api.post("certificate-endpoints/", {"host": "db.example.org", "pool": "db"})
    assert answer.status_code == 201, answer.content
    added = answer.json()
    assert (added["port"], added["is_requested"], added["failure"]) == (443, True, None)
    listed = api.get("certificate-endpoints/").json()["results"]
    assert [(one["host"], (one["failure"] or {}).get("kind")) for one in listed] == [
        ("db.example.org", None),
        ("web.example.org", "refused"),
    ]
    assert api.get(f"certificate-endpoints/{added['id']}/").json() == {**listed[0]}
    assert api.post(f"certificate-endpoints/{added['id']}/look/").status_code == 202
    assert api.delete(f"certificate-endpoints/{added['id']}/").status_code == 204
    assert api.post("nodes/web-1/certificates/read/").status_code == 202
    assert AuditEvent.objects.filter(action="certificates.read").count() == 2


def test_metrics_say_the_first_end_of_each_pool(filled: Cast) -> None:
    from nodes.api.metrics import scrape

    text = scrape(principal(filled.viewer)).decode()
    [line] = [line for line in text.splitlines() if line.startswith("fleetui_certificate_earliest_end_seconds{")]
    assert 'pool="web"' in line
    assert float(line.split()[1]) < clock.now().timestamp()
    assert 'fleetui_certificates_expired{pool="web"} 1.0' in text
