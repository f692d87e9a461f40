"""Who may do what: unseen is 404, seen but not allowed is 403, and a token is never more than its owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from fleetui.access.models import RoleBinding, Token, User
from fleetui.access.services import set_active
from nodes.models import Node
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_facts, make_host_key, make_token, make_user, principal


def test_each_sees_what_its_roles_reach(cast: Cast) -> None:
    assert Api(cast.owner).names("nodes/") == ["db-1", "loose-1", "web-1"]
    assert Api(cast.operator).names("nodes/") == ["web-1"]
    assert Api(cast.viewer).names("nodes/") == ["web-1"]
    assert Api(cast.viewer).names("pools/") == ["web"]
    assert Api(cast.outsider).get("nodes/").status_code == 403


@pytest.mark.parametrize("below", ["", "facts/", "deployments/", "timeline/", "host-keys/"])
def test_an_unseen_node_is_not_there(cast: Cast, below: str) -> None:
    make_facts(cast.web_node)
    make_facts(cast.db_node)
    viewer = Api(cast.viewer)
    assert viewer.get(f"nodes/web-1/{below}").status_code == 200
    assert viewer.get(f"nodes/{cast.web_node.pk}/{below}").status_code == 200
    assert viewer.get(f"nodes/db-1/{below}").status_code == 404
    assert viewer.get(f"nodes/loose-1/{below}").status_code == 404


def test_seen_but_not_allowed_is_forbidden(cast: Cast) -> None:
    viewer, operator = Api(cast.viewer), Api(cast.operator)
    assert viewer.post("nodes/web-1/poll/").status_code == 403
    assert viewer.patch("nodes/web-1/", {"port": 23}).status_code == 403
    assert viewer.delete("nodes/web-1/").status_code == 403
    assert operator.post("nodes/web-1/poll/").status_code == 202
    assert operator.post("nodes/db-1/poll/").status_code == 404
    assert operator.patch("nodes/web-1/", {"pool": "db"}).status_code == 400
    assert operator.post("nodes/", {"name": "x", "address": "10.9.9.9"}).status_code == 403
    assert operator.post("nodes/", {"name": "x", "address": "10.9.9.9", "pool": "web"}).status_code == 201
    assert operator.get("audit/").status_code == 403
    assert operator.get("users/").status_code == 403


def test_what_a_token_lacks_is_mended_by_another_token(cast: Cast) -> None:
    reads = Api(cast.owner, scope="read")
    assert "role" in Api(cast.viewer).post("nodes/web-1/poll/").json()["mend"]
    for refused in (reads.post("nodes/web-1/poll/"), reads.post("users/", {"username": "x"})):
        assert refused.status_code == 403
    assert "a token with the scope operate, admin or nodes.poll," in reads.post("nodes/web-1/poll/").json()["mend"]
    assert "a token with the scope admin or users.write," in reads.post("users/", {"username": "x"}).json()["mend"]


def test_an_auditor_of_one_pool_reads_no_log_of_all(cast: Cast) -> None:
    auditor = Api(make_user("auditor", ("auditor", cast.web)))
    assert auditor.get("audit/").status_code == 403
    assert auditor.get("users/").status_code == 403
    assert [row["user"] for row in auditor.get("roles/").json()["results"]] == ["auditor"]
    assert Api(make_user("auditor-2", "auditor")).get("audit/").status_code == 200


def test_without_a_token_the_door_is_shut() -> None:
    response = Api().get("nodes/")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Content-Type"] == "application/problem+json"


def _revoked(cast: Cast, text: str) -> None:
    Token.objects.update(revoked_at=datetime.now(UTC))


def _expired(cast: Cast, text: str) -> None:
    Token.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))


def _foreign(cast: Cast, text: str) -> None:
    Token.objects.update(networks=["192.0.2.0/24"])


def _closed(cast: Cast, text: str) -> None:
    make_user("second", "admin")
    set_active(user=cast.owner, active=False, actor=principal(cast.owner))


@pytest.mark.parametrize("spoil", [_revoked, _expired, _foreign, _closed])
def test_why_a_token_is_refused_is_not_told(cast: Cast, spoil: Any) -> None:
    text = make_token(cast.owner)
    assert Api(token=text).get("nodes/").status_code == 200
    spoil(cast, text)
    refused = Api(token=text).get("nodes/")
    unknown = Api(token="fleetui_000000000000_x").get("nodes/")
    assert refused.status_code == unknown.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert {**refused.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert "not valid" in refused.json()["detail"]


@pytest.mark.parametrize("text", ["", "fleetui_", "x", "fleetui_é_x", "a" * 5000, "fleetui_a_b c"])
def test_odd_tokens_are_refused(db: None, text: str) -> None:
    assert Api(token=text).get("nodes/").status_code == 401


def test_a_token_has_no_more_rights_than_its_scopes_and_its_owner(cast: Cast) -> None:
    read = Api(cast.owner, scope="read")
    assert read.get("nodes/").status_code == 200
    assert read.patch("nodes/web-1/", {"port": 23}).status_code == 403
    assert read.post("tokens/", {"name": "t", "scopes": ["read"]}).status_code == 403
    admin_of_viewer = Api(cast.viewer, scope="admin")
    assert admin_of_viewer.patch("nodes/web-1/", {"port": 23}).status_code == 403
    RoleBinding.objects.filter(user=cast.viewer).delete()
    assert admin_of_viewer.get("nodes/").status_code == 403


def test_a_token_of_one_pool_sees_that_pool_only(cast: Cast) -> None:
    api = Api(token=make_token(cast.owner, pools=[cast.db.pk]))
    assert api.names("nodes/") == ["db-1"]
    assert api.get("nodes/web-1/").status_code == 404
    assert api.post("pools/", {"name": "new"}).status_code == 403


def test_a_token_makes_no_wider_token(cast: Cast) -> None:
    narrow = Api(token=make_token(cast.owner, pools=[cast.db.pk], networks=["127.0.0.0/8"]))
    assert narrow.post("tokens/", {"name": "wide", "scopes": ["admin"], "days": 1}).status_code == 403
    assert (
        narrow.post(
            "tokens/", {"name": "wide", "scopes": ["read"], "pools": ["web"], "networks": ["127.0.0.1/32"], "days": 1}
        ).status_code
        == 403
    )
    given = {"name": "n", "scopes": ["read"], "pools": ["db"], "days": 1}
    assert narrow.post("tokens/", {**given, "networks": ["0.0.0.0/0"]}).status_code == 403
    longest = narrow.post("tokens/", {**given, "networks": ["127.0.0.1/32"], "days": 300}).json()
    assert longest["expires_at"] == narrow.get("tokens/?sort=created_at").json()["results"][0]["expires_at"]


def _session(user: User, *, csrf: bool) -> Client:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_a_session_may_call_the_api_and_changes_need_csrf(cast: Cast) -> None:
    client = _session(cast.operator, csrf=True)
    assert client.get("/api/v1/nodes/").status_code == 200
    refused = client.post("/api/v1/nodes/web-1/poll/", {}, content_type="application/json")
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]
    client.cookies["csrftoken"] = "a" * 32
    allowed = client.post(
        "/api/v1/nodes/web-1/poll/", {}, content_type="application/json", headers={"x-csrftoken": "a" * 32}
    )
    assert allowed.status_code == 202


def test_a_wrong_token_is_not_saved_by_a_session(cast: Cast) -> None:
    client = _session(cast.owner, csrf=False)
    assert client.get("/api/v1/nodes/", headers={"authorization": "Bearer fleetui_x_y"}).status_code == 401


def test_host_keys_are_decided_by_those_who_may(cast: Cast) -> None:
    key, other = make_host_key(cast.web_node), make_host_key(cast.db_node)
    operator = Api(cast.operator)
    assert Api(cast.viewer).post(f"host-keys/{key.pk}/accept/").status_code == 403
    assert operator.post(f"host-keys/{other.pk}/accept/").status_code == 404
    accepted = operator.post(f"host-keys/{key.pk}/accept/", {"reason": "console checked"})
    assert accepted.status_code == 200
    assert accepted.json()["state"] == "pinned"
    assert operator.post(f"host-keys/{key.pk}/refuse/").status_code == 409
    assert Api(cast.owner).post(f"host-keys/{other.pk}/refuse/").json()["state"] == "refused"


def test_polling_makes_a_node_due(cast: Cast) -> None:
    Node.objects.update(poll_due_at=datetime(2030, 1, 1, tzinfo=UTC))
    response = Api(cast.operator).post("nodes/web-1/poll/")
    assert response.json() == {"nodes": 1, "url": "/api/v1/nodes/web-1/"}
    assert Node.objects.get(name="web-1").poll_due_at.year < 2030
    assert Node.objects.get(name="db-1").poll_due_at.year == 2030
