"""The webhook: what each forge sends is understood, who does not know the secret learns nothing, and a push is a nudge only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from fleetui.access.api.throttles import WebhookThrottle
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import NotAllowed, StaleEdit
from nodes.git import hooks
from nodes.models import GitDelivery, GitFollow
from nodes.services.git import following, secrets, syncing, webhook
from nodes.tests.cast import Cast
from nodes.tests.make import make_config, principal
from nodes.tests.pages import signed_in, text_of, url

pytestmark = pytest.mark.django_db
OLD, NEW = "1" * 40, "2" * 40
COMMIT = {"id": NEW, "message": "change", "timestamp": "2026-11-26T03:00:00Z", "added": [], "modified": ["host.bu"]}
GITHUB: dict[str, Any] = {
    "ref": "refs/heads/main",
    "before": OLD,
    "after": NEW,
    "created": False,
    "deleted": False,
    "forced": False,
    "repository": {"id": 1, "name": "configs", "full_name": "team/configs", "default_branch": "main"},
    "pusher": {"name": "anna", "email": "anna@example.org"},
    "commits": [COMMIT],
    "head_commit": COMMIT,
}
GITLAB: dict[str, Any] = {
    "object_kind": "push",
    "event_name": "push",
    "ref": "refs/heads/main",
    "before": OLD,
    "after": NEW,
    "checkout_sha": NEW,
    "project_id": 15,
    "project": {"id": 15, "path_with_namespace": "team/configs", "default_branch": "main"},
    "commits": [COMMIT],
    "total_commits_count": 1,
}
GITEA: dict[str, Any] = {
    "ref": "refs/heads/main",
    "before": OLD,
    "after": NEW,
    "compare_url": "https://git.example.org/team/configs/compare/1...2",
    "commits": [COMMIT],
    "total_commits": 1,
    "repository": {"id": 3, "full_name": "team/configs"},
    "pusher": {"id": 1, "login": "anna"},
}


@pytest.fixture(autouse=True)
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    monkeypatch.setattr("nodes.views.ignition.webhook.nudge_git", lambda: seen.append(1))
    return seen


@pytest.fixture
def row(cast: Cast) -> GitFollow:
    values = {"url": "https://git.example.org/team/configs.git", "path": "host.bu"}
    config = make_config("edge", cast.web)
    made = following.follow(config=config, values=values, actor=principal(cast.operator), now=clock.now())
    GitFollow.objects.update(due_at=None, requested_by="schedule", failures=3)
    return made


@pytest.fixture
def secret(row: GitFollow, cast: Cast) -> str:
    return webhook.make_webhook(follow=row, actor=principal(cast.operator))


def hexed(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard(secret: str, body: bytes, *, at: int | None = None) -> dict[str, str]:
    """As GitLab signs with a signing token."""
    key, moment = base64.b64decode(secret[6:]), str(at or int(clock.now().timestamp()))
    signed = hmac.new(key, f"msg_1.{moment}.".encode() + body, hashlib.sha256).digest()
    given = f"v1,{base64.b64encode(b'0' * 32).decode()} v1,{base64.b64encode(signed).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": moment, "webhook-signature": given}


def headers_of(forge: str, secret: str, body: bytes) -> dict[str, str]:
    """What each forge sends with a push."""
    digest = hexed(secret, body)
    github = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={digest}",
    }
    gitea = {"X-Gitea-Event": "push", "X-Gitea-Signature": digest, "X-Gogs-Event": "push"}
    return {
        "github": {**github, "User-Agent": "GitHub-Hookshot/0000000", "X-Hub-Signature": f"sha1={'0' * 40}"},
        "gitea": {**github, **gitea},
        "gitea-alone": gitea,
        "forgejo": {**gitea, **github, "X-Forgejo-Event": "push", "X-Forgejo-Signature": digest},
        "forgejo-alone": {"X-Forgejo-Event": "push", "X-Forgejo-Signature": digest},
        "gitlab-token": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret, "X-Gitlab-Instance": "https://gl"},
        "gitlab-signed": {"X-Gitlab-Event": "Push Hook", **standard(secret, body)},
        "gitlab-system": {"X-Gitlab-Event": "System Hook", **standard(secret, body)},
    }[forge]


def send(row: GitFollow, body: bytes, headers: dict[str, str], hook_id: object = None, **more: Any) -> Any:
    address = url("git_webhook", hook_id or row.hook_id)
    kind = more.pop("content_type", "application/json")
    # As a forge does: no session, and no token against forged requests of browsers.
    browser = Client(enforce_csrf_checks=True)
    return browser.post(address, body, content_type=kind, headers=headers, **{"secure": True, **more})


def due(row: GitFollow) -> bool:
    row.refresh_from_db()
    return row.due_at is not None


@pytest.mark.parametrize(
    ("forge", "payload"),
    [
        ("github", GITHUB),
        ("gitea", GITEA),
        ("gitea-alone", GITEA),
        ("forgejo", GITEA),
        ("forgejo-alone", GITEA),
        ("gitlab-token", GITLAB),
        ("gitlab-signed", GITLAB),
        ("gitlab-system", GITLAB),
    ],
)
def test_a_push_of_each_forge_is_looked_at_now(
    row: GitFollow, secret: str, nudged: list[int], forge: str, payload: dict[str, Any]
) -> None:
    body = json.dumps(payload).encode()
    headers = headers_of(forge, secret, body)
    for wrong in (hooks.new_secret(), "whsec_"):
        refused = send(row, body, headers_of(forge, wrong, body))
        assert (refused.status_code, refused.content) == (403, b"Refused.\n")
    assert (due(row), nudged) == (False, [])
    answer = send(row, body, headers)
    assert (answer.status_code, answer.content) == (202, b"The repository is looked at now.\n")
    assert (due(row), row.requested_by, row.failures, nudged) == (True, "push", 0, [1])
    assert row.seen_commit == "", "nothing of the payload is believed"
    assert list(GitDelivery.objects.values_list("outcome", flat=True)) == ["due", "wrong", "wrong"]
    # A byte of the body more, and no signature of it holds.
    if forge != "gitlab-token":
        assert send(row, body + b" ", headers).status_code == 403


def test_a_form_is_read_too(row: GitFollow, secret: str) -> None:
    body = urlencode({"payload": json.dumps(GITHUB)}).encode()
    kind = "application/x-www-form-urlencoded"
    assert send(row, body, headers_of("github", secret, body), content_type=kind).status_code == 202
    assert due(row)


@pytest.mark.parametrize(
    ("event", "payload", "status", "outcome"),
    [
        ("ping", {"zen": "x", "hook_id": 1, "ref": "refs/heads/main"}, 200, "ping"),
        ("push", {**GITHUB, "ref": "refs/heads/prod"}, 202, "other_branch"),
        ("push", {**GITHUB, "ref": "refs/tags/main"}, 202, "other_branch"),
        ("push", {**GITHUB, "ref": "main"}, 202, "other_branch"),
        ("push", {**GITHUB, "ref": ["refs/heads/main"]}, 202, "other_event"),
        ("push", {"zen": "x"}, 202, "other_event"),
        ("create", {"ref": "refs/heads/main", "ref_type": "branch"}, 202, "other_event"),
        ("pull_request", GITHUB, 202, "other_event"),
        ("push", [GITHUB], 400, "unreadable"),
        ("push", "{", 400, "unreadable"),
        ("push", "[" * 100_000, 400, "unreadable"),
        ("push", b"\xff\xfe", 400, "unreadable"),
    ],
)
def test_what_is_no_push_of_the_branch_changes_nothing(
    row: GitFollow, secret: str, nudged: list[int], event: str, payload: Any, status: int, outcome: str
) -> None:
    body = payload if isinstance(payload, bytes) else payload.encode() if isinstance(payload, str) else None
    body = json.dumps(payload).encode() if body is None else body
    headers = {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={hexed(secret, body)}"}
    assert send(row, body, headers).status_code == status
    assert (due(row), nudged) == (False, [])
    assert GitDelivery.objects.get().outcome == outcome


def test_who_does_not_know_the_secret_learns_nothing(row: GitFollow, secret: str, cast: Cast) -> None:
    body = json.dumps(GITHUB).encode()
    right = headers_of("github", secret, body)
    answers = [
        send(row, body, {}),
        send(row, body, {"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=" + "é" * 64}),
        send(row, body, {"X-Hub-Signature": f"sha1={hmac.new(secret.encode(), body, 'sha1').hexdigest()}"}),
        send(row, body, right, uuid.uuid4()),
        send(row, body, right, "no-id-at-all"),
        send(row, b"", {"X-Gitlab-Token": ""}),
    ]
    assert {(one.status_code, one.content) for one in answers} == {(403, b"Refused.\n")}
    assert Client().get(url("git_webhook", row.hook_id)).status_code == 405
    assert not due(row)
    webhook.remove_webhook(follow=row, actor=principal(cast.operator))
    assert send(row, body, right, uuid.uuid4()).status_code == 403
    assert not GitDelivery.objects.exists()


def test_gitlab_sends_the_secret_itself_over_tls_only(row: GitFollow, secret: str) -> None:
    body = json.dumps(GITLAB).encode()
    headers = headers_of("gitlab-token", secret, body)
    plain = {"secure": False, "REMOTE_ADDR": "198.51.100.7"}
    assert send(row, body, headers, **plain).status_code == 403
    assert GitDelivery.objects.get().outcome == "in_clear"
    assert send(row, body, headers_of("gitlab-signed", secret, body), **plain).status_code == 202


@pytest.mark.parametrize(("off_s", "status"), [(-299, 202), (299, 202), (-301, 403), (400, 403)])
def test_a_signed_time_has_to_be_near(row: GitFollow, secret: str, off_s: int, status: int, time_machine: Any) -> None:
    time_machine.move_to("2026-11-26T03:00:00Z", tick=False)
    body = json.dumps(GITLAB).encode()
    at = int(clock.now().timestamp()) + off_s
    headers = {"X-Gitlab-Event": "Push Hook", **standard(secret, body, at=at)}
    assert send(row, body, headers).status_code == status
    assert GitDelivery.objects.get().outcome == ("due" if status == 202 else "stale")


def test_a_huge_body_is_not_read(row: GitFollow, secret: str) -> None:
    body = b" " * (webhook.MOST_BYTES + 1)
    headers = headers_of("github", secret, body)
    known, unknown = send(row, body, headers), send(row, body, headers, uuid.uuid4())
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.status_code == 413
    assert GitDelivery.objects.get().outcome == "too_large"
    assert not due(row)


def test_a_delivery_that_comes_again_is_one_look(row: GitFollow, secret: str) -> None:
    body = json.dumps(GITHUB).encode()
    headers = headers_of("github", secret, body)
    for _again in range(3):
        assert send(row, body, headers).status_code == 202
    assert len(syncing.claim_due(clock.now())) == 1
    assert syncing.claim_due(clock.now()) == []
    assert send(row, body, headers).status_code == 202
    assert syncing.claim_due(clock.now()) == [], "while one is under way no other begins"


def test_a_pause_is_kept(row: GitFollow, secret: str, cast: Cast, nudged: list[int]) -> None:
    following.edit_follow(follow=row, changes={"is_paused": True}, actor=principal(cast.operator), now=clock.now())
    GitFollow.objects.update(due_at=None)
    body = json.dumps(GITHUB).encode()
    answer = send(row, body, headers_of("github", secret, body))
    assert (answer.status_code, answer.content) == (202, b"Following is paused.\n")
    assert (due(row), nudged) == (False, [])
    assert GitDelivery.objects.get().outcome == "paused"


def test_too_many_requests_are_put_off(row: GitFollow, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebhookThrottle, "THROTTLE_RATES", {"webhook": "2/min"})
    body = json.dumps(GITHUB).encode()
    codes = [send(row, body, {}).status_code for _ in range(3)]
    assert codes == [403, 403, 429]
    answer = send(row, body, headers_of("github", secret, body))
    assert int(answer.headers["Retry-After"]) >= 1
    other = send(row, body, headers_of("github", secret, body), REMOTE_ADDR="198.51.100.9")
    assert other.status_code == 202, "each address is counted by itself"


def test_few_deliveries_are_kept_and_the_page_shows_them(row: GitFollow, secret: str, cast: Cast) -> None:
    body = json.dumps(GITHUB).encode()
    for _number in range(webhook.KEEP_DELIVERIES + 3):
        send(row, body, {"X-GitHub-Event": "<b>x</b>" * 20})
    send(row, body, headers_of("github", secret, body))
    assert GitDelivery.objects.count() == webhook.KEEP_DELIVERIES
    page = text_of(signed_in(cast.viewer).get(url("ignition_git", "edge")))
    assert "The repository was looked at after it." in page
    assert "It came without a signature" in page
    assert f"/hooks/git/{row.hook_id}/" in page
    assert "<b>x</b>" not in page
    assert "Make a new secret" not in page
    assert "Make a new secret" in text_of(signed_in(cast.operator).get(url("ignition_git", "edge")))
    assert secret not in page


def test_the_secret_is_shown_once_exchanged_and_taken_away(
    row: GitFollow, cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser, body = signed_in(cast.operator), json.dumps(GITHUB).encode()
    made = browser.post(url("ignition_git_webhook_make", "edge"))
    row.refresh_from_db()
    first = secrets.opened(row, "webhook_secret")
    assert first in text_of(made)
    assert "no-store" in made.headers["Cache-Control"]
    assert first not in text_of(browser.get(url("ignition_git", "edge")))
    place = row.hook_id
    browser.post(url("ignition_git_webhook_make", "edge"))
    row.refresh_from_db()
    second = secrets.opened(row, "webhook_secret")
    assert (row.hook_id, second == first) == (place, False), "the address stays"
    assert send(row, body, headers_of("github", first, body)).status_code == 403
    assert send(row, body, headers_of("gitlab-token", second, body)).status_code == 202
    assert signed_in(cast.viewer).post(url("ignition_git_webhook_make", "edge")).status_code == 403
    assert signed_in(cast.viewer).post(url("ignition_git_webhook_remove", "edge")).status_code == 403
    browser.post(url("ignition_git_webhook_remove", "edge"))
    row.refresh_from_db()
    assert (row.hook_id, row.sealed_webhook_secret) == (None, "")
    actions = list(AuditEvent.objects.filter(action__startswith="git.webhook").values_list("action", flat=True))
    assert sorted(actions) == ["git.webhook_make", "git.webhook_remove", "git.webhook_rotate"]
    told = " ".join(f"{one.before} {one.after}" for one in AuditEvent.objects.all()) + caplog.text
    for one in (first, second):
        assert one not in told


def test_rights_and_stale_rows(row: GitFollow, cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        webhook.make_webhook(follow=row, actor=principal(cast.viewer))
    GitFollow.objects.update(revision=row.revision + 1)
    with pytest.raises(StaleEdit):
        webhook.make_webhook(follow=row, actor=principal(cast.operator))
    assert GitFollow.objects.get().sealed_webhook_secret == ""


def test_a_secret_that_cannot_be_opened_is_said_on_the_page(row: GitFollow, secret: str) -> None:
    GitFollow.objects.update(sealed_webhook_secret="v1:00000000:AAAA")
    body = json.dumps(GITHUB).encode()
    assert send(row, body, headers_of("github", secret, body)).status_code == 403
    assert GitDelivery.objects.get().outcome == "sealed"


def test_the_api_makes_lists_and_takes_away(row: GitFollow, cast: Cast) -> None:
    address, browser = "/api/v1/ignition/configs/edge/git/", signed_in(cast.operator)
    made = browser.post(f"{address}webhook/")
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    row.refresh_from_db()
    given = made.json()
    assert given["url"] == f"http://testserver/hooks/git/{row.hook_id}/"
    body = json.dumps(GITEA).encode()
    assert send(row, body, headers_of("gitea", given["secret"], body)).status_code == 202
    shown = browser.get(address).json()
    assert (shown["has_webhook_secret"], shown["webhook_path"]) == (True, f"/hooks/git/{row.hook_id}/")
    assert given["secret"] not in str(shown)
    (one,) = browser.get(f"{address}deliveries/").json()["results"]
    assert (one["outcome"], one["ref"], one["event"]) == ("due", "refs/heads/main", "push")
    assert signed_in(cast.viewer).post(f"{address}webhook/").status_code == 403
    assert browser.delete(f"{address}webhook/").status_code == 204
    shown = browser.get(address).json()
    assert (shown["has_webhook_secret"], shown["webhook_path"]) == (False, "")
