"""Whatever a stranger or a member sends is answered with a sentence, never with a failure of ours."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.test import Client, override_settings

from fleetui.access.models import Token
from nodes.models import Node, Pool, Release
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
NO_ID = "00000000-0000-0000-0000-000000000000"


def cursor(place: object) -> str:
    text = place if isinstance(place, bytes) else json.dumps(place).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_cursor_at_the_end_of_the_calendar_is_refused(cast: Cast, moment: str) -> None:
    place = cursor([0, "created_at", moment, NO_ID])
    assert Api(cast.owner).get(f"nodes/?sort=created_at&cursor={place}").status_code == 400


def test_an_error_that_names_half_a_character_is_told(cast: Cast) -> None:
    """The translator names the first seven bytes of what stands where it should not, as the real tool does."""
    answer = Api(cast.owner).post("ignition/check/", {"source": "\xe6\xca\U0008f244\\/\xfb4"})
    assert answer.status_code == 200
    assert "`\xe6\xca\ufffd..." in answer.json()["failure"]


@pytest.mark.parametrize("name", ["facts_older_than", "unseen_for"])
def test_an_age_before_the_calendar_is_refused(cast: Cast, name: str) -> None:
    assert Api(cast.owner).get(f"nodes/?{name}=999999w").status_code == 400
    assert signed_in(cast.owner).get(f"/nodes/?{name}=999999w").status_code == 200


@pytest.mark.parametrize(
    "place",
    [
        ["\ud800", "x", 1],
        ["a", "\ud800", 1],
        b"[" * 2500,
        [{"t": "0001-01-01T00:00:00+14:00"}, "x", 1],
        [{"t": "9999-12-31T23:59:59-14:00"}, NO_ID, 1],
    ],
)
@pytest.mark.parametrize("path", ["/nodes/?", "/nodes/?sort=last_seen&", "/nodes/web-1/?tab=timeline&"])
def test_a_forged_place_shows_the_first_page(cast: Cast, place: object, path: str) -> None:
    assert signed_in(cast.owner).get(f"{path}after={cursor(place)}").status_code == 200


@pytest.mark.parametrize("query", ["since=0001-01-01T00:00:00%2B14:00", "until=9999-12-31T23:59:59-10:00"])
def test_the_audit_page_survives_any_moment(cast: Cast, query: str) -> None:
    assert signed_in(cast.owner).get(f"/audit/?{query}").status_code == 200


def test_an_id_with_a_line_end_names_nothing(cast: Cast) -> None:
    assert signed_in(cast.owner).get(f"/nodes/{NO_ID}%0A/").status_code == 404


@override_settings(ALLOWED_HOSTS=["testserver"])
def test_a_foreign_host_name_is_refused_with_a_page() -> None:
    answer = Client(raise_request_exception=False).get("/nodes/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert b"Not understood" in answer.content


def test_too_many_fields_are_refused_and_a_full_selection_is_not(cast: Cast) -> None:
    client = signed_in(cast.owner)
    assert client.post("/nodes/-/poll/", {"id": ["x"] * 2000}).status_code == 302
    nobody = Client(raise_request_exception=False)
    nobody.force_login(cast.owner)
    answer = nobody.post("/nodes/-/poll/", {"all": "1", "without": ["x"] * 2001})
    assert (answer.status_code, b"ticked one by one" in answer.content) == (400, True), "never only some"
    strict = Client(enforce_csrf_checks=True, raise_request_exception=False)
    strict.cookies["csrftoken"] = "x" * 32
    assert strict.post("/accounts/login/", {"id": ["x"] * 3000}).status_code == 400


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1024 * 1024)
def test_a_body_is_read_up_to_the_limit_only(cast: Cast) -> None:
    answer = Api(cast.viewer).post("tokens/", {"name": "x" * (1024 * 1024)})
    assert answer.status_code == 413
    assert answer.json()["detail"] == "The body is larger than 1 MiB."


@pytest.mark.parametrize(
    "text",
    [
        '{"stream": "x", "releases": {"1": {}}}',
        '{"stream": "x\\u0000y", "releases": [{"version": "1"}]}',
        '{"stream": "x", "releases": [{"version": "1\\u0000"}]}',
        '{"stream": "x", "releases": [{"version": "\\ud800"}]}',
        '{"stream": "x", "releases": [{"version": "1", "metadata": {"barrier": {"reason": "\\ud800\\u0000"}}}]}',
        json.dumps({"stream": "x", "releases": [{"version": "9" * 101}]}),
        json.dumps({"stream": "s" * 101, "releases": [{"version": "9"}]}),
        json.dumps({"streams": ["s" * 101], "releases": []}),
    ],
)
def test_a_release_document_that_no_database_takes_is_refused(cast: Cast, text: str) -> None:
    answer = Api(cast.owner).post("releases/import/", {"text": text})
    assert answer.status_code == 400, answer.content
    assert not Release.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", NO_ID),
        ("labels", {"rack\n": "x"}),
        ("address", "fe80::1%a b\n<script>"),
    ],
)
def test_what_would_mislead_others_is_refused_on_a_node(cast: Cast, field: str, value: Any) -> None:
    answer = Api(cast.operator).patch("nodes/web-1/", {field: value})
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert Node.objects.filter(name="web-1", address=cast.web_node.address).exists()


def test_an_interface_may_be_named_in_an_address(cast: Cast) -> None:
    assert Api(cast.operator).patch("nodes/web-1/", {"address": "fe80::1%eth0"}).json()["address"] == "fe80::1%eth0"


@pytest.mark.parametrize("body", [{"name": "a\nb"}, {"name": "a\x1b[31m"}, {"name": "a", "username": "core\nroot"}])
def test_names_are_one_printable_line(cast: Cast, body: dict[str, str]) -> None:
    assert Api(cast.owner).post("credentials/", body).status_code == 400


def test_a_pool_is_not_named_like_an_id(cast: Cast) -> None:
    assert Api(cast.owner).post("pools/", {"name": NO_ID}).status_code == 400
    assert not Pool.objects.filter(name=NO_ID).exists()


def test_a_token_keeps_each_scope_once_and_few_networks(cast: Cast) -> None:
    api = Api(cast.viewer)
    assert api.post("tokens/", {"name": "many", "scopes": ["read"] * 5000}).status_code == 201
    assert Token.objects.get(name="many").scopes == ["read"]
    networks = [f"10.0.{number}.0/24" for number in range(101)]
    assert api.post("tokens/", {"name": "wide", "scopes": ["read"], "networks": networks}).status_code == 400


def test_a_session_that_ended_leads_back_to_the_whole_address() -> None:
    here = "http://testserver/nodes/?pool=a&health=degraded"
    answer = Client().get("/nodes/", headers={"hx-request": "true", "hx-current-url": here})
    assert answer.status_code == 401
    assert answer["HX-Redirect"].endswith("?next=http%3A%2F%2Ftestserver%2Fnodes%2F%3Fpool%3Da%26health%3Ddegraded")
