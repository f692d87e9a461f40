"""Pages and API of followed repositories: who may, what they say, and that no secret comes out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from fleetui.core import clock
from nodes.models import GitFollow, GitSync, IgnitionConfig
from nodes.models.git import FollowState
from nodes.services.git import following, secrets
from nodes.tests.cast import Cast
from nodes.tests.git.repositories import GOOD, make_work
from nodes.tests.make import make_config, make_version, principal
from nodes.tests.pages import signed_in, text_of, url

pytestmark = pytest.mark.django_db
GIVEN = {
    "url": "https://git.example.org/x.git",
    "path": "host.bu",
    "branch": "main",
    "interval_s": 300,
    "forge": "none",
}


@pytest.fixture
def config(cast: Cast) -> IgnitionConfig:
    return make_config("edge", cast.web)


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("nodes.views.ignition.git", "nodes.api.ignition.git"):
        monkeypatch.setattr(f"{module}.nudge_git", lambda: None)


def follow(config: IgnitionConfig, cast: Cast, **values: Any) -> GitFollow:
    return following.follow(config=config, values={**GIVEN, **values}, actor=principal(cast.operator), now=clock.now())


def test_the_page_teaches_and_follows(config: IgnitionConfig, cast: Cast) -> None:
    assert "No repository is followed" in text_of(signed_in(cast.operator).get(url("ignition_git", "edge")))
    assert signed_in(cast.outsider).get(url("ignition_git", "edge")).status_code == 403
    assert signed_in(cast.viewer).get(url("ignition_git_edit", "edge")).status_code == 403
    browser = signed_in(cast.operator)
    answer = browser.post(url("ignition_git_edit", "edge"), {**GIVEN, "auth": "token", "secret": "s3cret-token"})
    assert answer.status_code == 302
    assert secrets.opened(GitFollow.objects.get(), "secret") == "s3cret-token"
    for page in ("ignition_git", "ignition_git_edit", "ignition_config"):
        assert "s3cret-token" not in text_of(browser.get(url(page, "edge")))
    answer = browser.post(url("ignition_git_edit", "edge"), {**GIVEN, "auth": "none", "url": "ftp://x/y"})
    assert answer.status_code == 422
    assert "Repositories are not read over ftp" in text_of(answer)


@pytest.mark.parametrize("state", list(FollowState))
def test_each_state_is_said(config: IgnitionConfig, cast: Cast, state: FollowState) -> None:
    row = follow(config, cast)
    detail = {"reason": "", "sha": "abc", "why": "it is", "new_head": "c" * 40, "fingerprint": "SHA256:abc"}
    GitFollow.objects.filter(pk=row.pk).update(state=state, detail=detail)
    now = clock.now()
    GitSync.objects.create(follow=row, trigger="push", started_at=now, ended_at=now, state=state, detail=detail)
    page = text_of(signed_in(cast.operator).get(url("ignition_git", "edge")))
    assert ("Follow the new history" in page) == (state == "rewritten")
    assert ("Trust this host key" in page) == (state == "host_key")
    assert "Trust this host key" not in text_of(signed_in(cast.viewer).get(url("ignition_git", "edge")))


def test_a_version_is_not_edited_here_while_git_is_followed(config: IgnitionConfig, cast: Cast) -> None:
    make_version(config, source=GOOD.replace("- name: core", "- name: [core]"))
    page, browser = url("ignition_version", "edge", 1), signed_in(cast.operator)
    assert "Edit as next version" in text_of(browser.get(page))
    follow(config, cast)
    told = text_of(browser.get(page))
    assert "Edit as next version" not in told
    assert "Push a commit that converts." in told


def test_the_page_follows_what_a_look_finds(config: IgnitionConfig, cast: Cast) -> None:
    row, browser = follow(config, cast), signed_in(cast.operator)
    page = text_of(browser.get(url("ignition_git", "edge")))
    assert f'data-live="{url("ignition_git", "edge")}" data-live-every="3"' in page, "a look is due"
    assert all(f'data-live-key="{part}"' in page for part in ("state", "followed", "webhook"))
    GitFollow.objects.filter(pk=row.pk).update(due_at=clock.now() + timedelta(minutes=5))
    assert 'data-live-every="15"' in text_of(browser.get(url("ignition_git", "edge")))


def test_the_test_of_a_connection_stores_nothing(
    config: IgnitionConfig, cast: Cast, tmp_path: Path, settings: Any
) -> None:
    settings.GIT_LOCAL_ROOT, settings.DATA_DIR = str(tmp_path), tmp_path / "data"
    work = make_work(tmp_path)
    work.commit(host_bu=GOOD)
    work.push()
    given = {**GIVEN, "url": str(work.bare), "auth": "none", "test": "1"}
    browser = signed_in(cast.operator)
    assert "It works" in text_of(browser.post(url("ignition_git_edit", "edge"), given))
    assert "There is no branch trunk" in text_of(
        browser.post(url("ignition_git_edit", "edge"), {**given, "branch": "trunk"})
    )
    assert not GitFollow.objects.exists()


def test_the_buttons(config: IgnitionConfig, cast: Cast) -> None:
    row, browser = follow(config, cast), signed_in(cast.operator)
    for act, field, value in (("pause", "is_paused", True), ("resume", "is_paused", False)):
        assert browser.post(url("ignition_git_act", "edge", act)).status_code == 302
        row.refresh_from_db()
        assert getattr(row, field) == value
    GitFollow.objects.update(due_at=None, requested_by="schedule")
    browser.post(url("ignition_git_act", "edge", "sync"))
    row.refresh_from_db()
    assert (row.due_at is not None, row.requested_by) == (True, "person")
    assert signed_in(cast.viewer).post(url("ignition_git_act", "edge", "unfollow")).status_code == 403
    assert browser.post(url("ignition_git_act", "edge", "other")).status_code == 403
    browser.post(url("ignition_git_act", "edge", "unfollow"))
    assert not GitFollow.objects.exists()
    assert browser.post(url("ignition_git_act", "edge", "sync")).status_code == 404


def test_the_page_costs_the_same_for_any_number(
    config: IgnitionConfig, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    row, now = follow(config, cast), clock.now()
    for number in range(30):
        GitSync.objects.create(follow=row, trigger="push", started_at=now, ended_at=now, state="following")
        row.commits.create(sha=f"{number:040}", author="a", committed_at=now, outcome="stored")
    browser = signed_in(cast.owner)
    with django_assert_max_num_queries(14):
        browser.get(url("ignition_git", "edge"))


def test_name_and_address_of_an_author_have_lines_of_their_own(config: IgnitionConfig, cast: Cast) -> None:
    row, now = follow(config, cast), clock.now()
    long = f"{'Anna ' * 20}<anna@example.org>"
    row.commits.create(sha="a" * 40, author=long, committed_at=now, outcome="stored")
    row.commits.create(sha="b" * 40, author="nobody", committed_at=now, outcome="stored")
    page = signed_in(cast.owner).get(url("ignition_git", "edge")).content.decode()
    assert f'<span class="ui-nowrap" title="{"Anna " * 19}Anna">Anna' in page
    assert '<span class="ui-sub ui-nowrap" title="anna@example.org">anna@example.org</span>' in page
    assert '<span class="ui-nowrap" title="nobody">nobody</span></td>' in page


class TestApi:
    ADDRESS = "/api/v1/ignition/configs/edge/git/"

    def send(self, browser: Client, method: str, below: str = "", **body: Any) -> Any:
        call = getattr(browser, method)
        return (
            call(f"{self.ADDRESS}{below}", body, content_type="application/json")
            if body
            else call(self.ADDRESS + below)
        )

    def test_follow_read_change_and_end(self, config: IgnitionConfig, cast: Cast) -> None:
        browser = signed_in(cast.operator)
        assert self.send(browser, "get").status_code == 404
        given: dict[str, Any] = {"url": GIVEN["url"], "path": "host.bu", "auth": "token", "secret": "s3cret-token"}
        answer = self.send(browser, "put", **given)
        assert answer.status_code == 201, answer.content
        assert (answer.json()["state"], answer.json()["has_secret"]) == ("new", True)
        assert b"s3cret" not in answer.content
        answer = self.send(browser, "patch", branch="prod")
        assert (answer.status_code, answer.json()["branch"], answer.json()["has_secret"]) == (200, "prod", True)
        answer = self.send(browser, "patch", url="https://anna:pw@git.example.org/x")
        assert answer.status_code == 400
        assert b"anna:pw" not in answer.content
        assert browser.post(f"{self.ADDRESS}sync/").status_code == 202
        assert self.send(browser, "post", "accept-history/", head="c" * 40).status_code == 409
        assert self.send(signed_in(cast.viewer), "patch", branch="x").status_code == 403
        assert self.send(signed_in(cast.viewer), "get").status_code == 200
        assert browser.delete(self.ADDRESS).status_code == 204
        assert not GitFollow.objects.exists()

    def test_a_deploy_key_shows_its_public_half(self, config: IgnitionConfig, cast: Cast) -> None:
        browser = signed_in(cast.operator)
        answer = self.send(browser, "put", url="git@git.example.org:x.git", path="host.bu", auth="key")
        assert answer.json()["public_key"].startswith("ssh-ed25519 ")
        assert b"PRIVATE" not in answer.content
