"""Enrolment on the page of a pool: the token is shown once, with what goes on the machines."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
import yaml
from django.utils import timezone

from nodes.models import EnrolmentToken, Pool
from nodes.tests.cast import Cast
from nodes.tests.enrolling import make_enrolment
from nodes.tests.make import make_credential
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
ADD = "/pools/web/enrolment/add/"


def shown_config(page: str, variant: str) -> Any:
    begin = page.index(f"<code>variant: {variant}\n") + len("<code>")
    return yaml.safe_load(unescape(page[begin : page.index("</code>", begin)]))


def test_the_token_is_shown_once_as_butane(cast: Cast) -> None:
    Pool.objects.filter(name="web").update(credential=make_credential("fleet", username="core"))
    client = signed_in(cast.operator)
    empty = client.get("/pools/web/").content.decode()
    assert "No machine enrols by itself here" in empty
    response = client.post(ADD, {"name": "image", "days": 30, "max_uses": 50, "networks": "10.0.0.0/8"})
    page = response.content.decode()
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    token = EnrolmentToken.objects.get()
    assert (token.max_uses, token.networks, token.created_by) == (50, ["10.0.0.0/8"], "user:operator")
    for variant in ("fcos", "flatcar"):
        config = shown_config(page, variant)
        header = config["storage"]["files"][0]["contents"]["inline"]
        assert header.startswith(f"Authorization: Bearer fleetui-enrol_{token.prefix}_")
        assert "http://testserver/api/v1/enrol/" in config["systemd"]["units"][0]["contents"]
        assert config["passwd"]["users"][0]["name"] == "core"
    assert "This page came without TLS" in page
    listed = client.get("/pools/web/").content.decode()
    assert f"fleetui-enrol_{token.prefix}_…" in listed
    assert header.split("_", 2)[2].strip() not in listed


def test_mistakes_stand_at_their_fields(cast: Cast) -> None:
    client = signed_in(cast.operator)
    wrong = client.post(ADD, {"name": "image", "days": 0, "max_uses": "0", "networks": "here"})
    assert wrong.status_code == 422
    assert "“here” is not a network" in wrong.content.decode()
    make_enrolment(cast.web, name="image")
    again = client.post(ADD, {"name": "image", "days": 3})
    assert again.status_code == 422
    assert "has an enrolment token named image" in unescape(again.content.decode())


def test_who_may(cast: Cast) -> None:
    token, _text = make_enrolment(cast.web)
    revoke = f"/pools/web/enrolment/{token.pk}/revoke/"
    assert signed_in(cast.viewer).get(ADD).status_code == 403
    assert signed_in(cast.viewer).post(revoke).status_code == 403
    assert signed_in(cast.operator).get("/pools/db/enrolment/add/").status_code == 404
    assert signed_in(cast.operator).post(f"/pools/db/enrolment/{token.pk}/revoke/").status_code == 404
    assert "Create enrolment token" not in signed_in(cast.viewer).get("/pools/web/").content.decode()
    assert signed_in(cast.operator).post(revoke).status_code == 302
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert token.revoked_at <= timezone.now()


def test_the_pool_form_takes_the_time_of_absence(cast: Cast) -> None:
    client = signed_in(cast.owner)
    form = {"name": "web", "description": "", "role": "", "poll_interval_s": "", "retire_absent_after_s": "900"}
    assert client.post("/pools/web/edit/", form).status_code == 302
    assert Pool.objects.get(name="web").retire_absent_after_s == 900
    assert "retired after 900 s" in client.get("/pools/web/").content.decode()
    assert client.post("/pools/web/edit/", {**form, "retire_absent_after_s": "5"}).status_code == 422
