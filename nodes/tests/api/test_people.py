"""users/, roles/, tokens/ and audit/."""

from __future__ import annotations

import pytest

from fleetui.access.models import Token, User
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import PASSWORD


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.owner)


def test_a_user_is_added_given_a_role_and_closed(api: Api) -> None:
    added = api.post(
        "users/", {"username": "anna", "password": "a long enough pass phrase", "email": "anna@example.org"}
    )
    assert added.status_code == 201, added.content
    assert b"pass phrase" not in added.content
    assert api.post("users/", {"username": "anna", "password": PASSWORD}).status_code == 409
    bound = api.post("roles/", {"user": "anna", "role": "viewer", "pool": "db"})
    assert bound.status_code == 201
    again = api.post("roles/", {"user": "anna", "role": "viewer", "pool": "db"})
    assert (again.status_code, again.json()) == (200, bound.json())
    assert Api(User.objects.get(username="anna")).names("nodes/") == ["db-1"]
    assert api.delete(f"roles/{bound.json()['id']}/").status_code == 204
    closed = api.patch("users/anna/", {"is_active": False})
    assert closed.json()["is_active"] is False


def test_a_weak_password_is_refused_without_an_echo(api: Api) -> None:
    response = api.post("users/", {"username": "anna", "password": "letmein"})
    assert response.status_code == 400
    assert response.json()["field"] == "password"
    assert b"letmein" not in response.content


def test_the_last_admin_stays(api: Api, cast: Cast) -> None:
    assert api.patch("users/owner/", {"is_active": False}).status_code == 409
    binding = api.get("roles/?user=owner").json()["results"][0]
    assert api.delete(f"roles/{binding['id']}/").status_code == 409


def test_unknown_names_in_bindings(api: Api) -> None:
    assert api.post("roles/", {"user": "nobody", "role": "viewer"}).json()["field"] == "user"
    assert api.post("roles/", {"user": "viewer", "role": "viewer", "pool": "nope"}).json()["field"] == "pool"
    assert api.post("roles/", {"user": "viewer", "role": "king"}).json()["field"] == "role"


def test_a_token_is_shown_once_and_ends_when_revoked(api: Api, cast: Cast) -> None:
    made = api.post("tokens/", {"name": "ci", "scopes": ["read"], "days": 7, "pools": ["db"]})
    assert made.status_code == 201, made.content
    text, token_id = made.json()["token"], made.json()["id"]
    assert text.startswith("fleetui_")
    assert made.json()["pools"] == ["db"]
    fresh = Api(token=text)
    assert fresh.names("nodes/") == ["db-1"]
    assert Token.objects.get(pk=token_id).last_used_at is not None
    listed = api.get("tokens/")
    assert text.encode() not in listed.content
    assert api.delete(f"tokens/{token_id}/").status_code == 204
    assert fresh.get("nodes/").status_code == 401
    assert api.get(f"tokens/{token_id}/").json()["state"] == "revoked"
    assert token_id in [row["id"] for row in api.get("tokens/?state=revoked").json()["results"]]


def test_one_sees_and_revokes_only_ones_own_tokens(api: Api, cast: Cast) -> None:
    viewer = Api(cast.viewer)
    rows = viewer.get("tokens/").json()["results"]
    assert {row["user"] for row in rows} == {"viewer"}
    others = api.get("tokens/?user=owner").json()["results"][0]["id"]
    assert viewer.get(f"tokens/{others}/").status_code == 404
    assert viewer.delete(f"tokens/{others}/").status_code == 404
    assert viewer.post("tokens/", {"name": "x", "scopes": ["read"], "user": "owner"}).status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": ["everything"]}, "scopes"),
        ({"days": 0}, "days"),
        ({"days": 367}, "days"),
        ({"networks": ["x"]}, "networks"),
        ({"pools": ["nope"]}, "pools"),
        ({"scopes": []}, "scopes"),
        ({"user": "nobody"}, "user"),
    ],
)
def test_wrong_tokens_are_named(api: Api, change: dict[str, object], field: str) -> None:
    response = api.post("tokens/", {"name": "t", "scopes": ["read"], "days": 1, **change})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_the_audit_log_is_listed_filtered_and_searched(api: Api) -> None:
    api.post("pools/", {"name": "alpha"})
    api.patch("nodes/web-1/", {"port": 23})
    rows = api.get("audit/").json()["results"]
    assert [row["seq"] for row in rows] == sorted((row["seq"] for row in rows), reverse=True)
    edit = api.get("audit/?action=nodes.edit").json()["results"]
    assert len(edit) == 1
    assert edit[0]["before"] == {"port": 22}
    assert edit[0]["after"] == {"port": 23}
    assert edit[0]["subject"] == "node:web-1"
    assert api.get("audit/?q=alpha").json()["results"][0]["action"] == "pools.add"
    assert api.get("audit/?since=2099-01-01").json()["results"] == []
    assert len(api.get("audit/?limit=1").json()["results"]) == 1
    assert api.get(api.get("audit/?limit=1").json()["next"]).json()["results"][0]["seq"] == rows[1]["seq"]
