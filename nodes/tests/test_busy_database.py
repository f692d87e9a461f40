"""A database that is busy is told as that: not as a fault of the person, and not as one of the page."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import BadRequest
from django.db import OperationalError
from django.test import Client
from redis.exceptions import ConnectionError as RedisAway

from nodes.tests.cast import Cast
from nodes.tests.make import make_token
from nodes.tests.pages import signed_in, text_of

MANY = "/nodes/?limit=25"


def locked(*args: Any, **kwargs: Any) -> None:
    raise OperationalError("database is locked")


def full(*args: Any, **kwargs: Any) -> None:
    raise OperationalError("database or disk is full")


def without_redis(*args: Any, **kwargs: Any) -> None:
    raise RedisAway("Error 111 connecting to 127.0.0.1:6379. Connection refused.")


def unprepared(*args: Any, **kwargs: Any) -> None:
    raise OperationalError("no such table: nodes_node")


def malformed(*args: Any, **kwargs: Any) -> None:
    raise BadRequest("no")


@pytest.fixture
def browser(cast: Cast) -> Client:
    client = signed_in(cast.operator)
    client.raise_request_exception = False
    return client


def test_a_page_that_the_database_does_not_answer(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.querysets.NodeQuerySet.visible_to", locked)
    response = browser.get(MANY)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "The database is busy" in text_of(response)


def test_the_api_says_the_same(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.querysets.NodeQuerySet.visible_to", locked)
    response = browser.get("/api/v1/nodes/")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == "urn:fleetui:problem:database_busy"


def test_a_full_disk_is_named(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.querysets.NodeQuerySet.visible_to", full)
    page, answer = browser.get(MANY), browser.get("/api/v1/nodes/")
    assert (page.status_code, answer.status_code) == (503, 503)
    assert "its disk is full" in text_of(page)
    assert "busy" not in text_of(page)
    assert answer.json()["type"] == "urn:fleetui:problem:database_disk_full"
    assert "Make room" in answer.json()["mend"]


def test_a_cache_that_is_away_is_named(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.querysets.NodeQuerySet.visible_to", without_redis)
    page, answer = browser.get(MANY), browser.get("/api/v1/nodes/")
    assert (page.status_code, answer.status_code) == (503, 503)
    assert "The cache does not answer" in text_of(page)
    assert answer.json()["type"] == "urn:fleetui:problem:cache_away"


def test_a_session_that_could_not_be_written_is_no_bad_request(
    browser: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    monkeypatch.setattr(Session, "save", locked)
    assert browser.get(MANY).status_code == 503


def test_a_database_that_was_never_prepared_is_not_busy(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.querysets.NodeQuerySet.visible_to", unprepared)
    for path in (MANY, "/api/v1/nodes/"):
        assert browser.get(path).status_code == 500


def test_other_failures_stay_what_they_are(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.querysets.NodeQuerySet.visible_to", malformed)
    response = browser.get(MANY)
    assert response.status_code == 400
    assert "the session ended meanwhile" in text_of(response)
    monkeypatch.setattr("nodes.querysets.NodeQuerySet.visible_to", lambda *_: 1 / 0)
    assert browser.get(MANY).status_code == 500


def test_what_is_read_with_a_token_is_not_refused_for_noting_its_use(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {"Authorization": f"Bearer {make_token(cast.operator, 'read')}"}
    monkeypatch.setattr("django.db.models.query.QuerySet.update", locked)
    assert Client().get("/api/v1/nodes/?limit=1", headers=sent).status_code == 200
