"""/healthz, /readyz, the schema and the page to try the API out."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.test import Client

from fleetui.core import health
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast


def test_health_needs_no_token(db: None) -> None:
    assert Client().get("/healthz").json() == {"status": "ok"}
    ready = Client().get("/readyz")
    assert ready.status_code == 200, ready.content
    assert ready.json()["checks"] == {"database": "ok", "migrations": "ok", "broker": "ok"}


@pytest.mark.parametrize("name", ["database", "migrations", "broker"])
def test_not_ready_says_what_is_missing_but_not_why(db: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fails() -> str:
        raise OSError("secret host name")

    monkeypatch.setitem(health.CHECKS, name, fails)
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"][name] == "failed"
    assert b"secret" not in response.content


def test_a_broker_folder_that_cannot_be_made_is_not_ready(settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    settings.CELERY_BROKER_URL = "filesystem://"
    settings.BROKER_DIR = file / "broker"
    assert "not writable" in health.broker()


def test_a_network_broker_that_is_away_is_not_ready(db: None, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    assert "refused" in health.broker()
    response = Client().get("/readyz")
    assert response.json()["checks"] == {"database": "ok", "migrations": "ok", "broker": "failed"}


def test_a_check_that_hangs_bounds_the_answer_and_is_begun_once(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    began, answers = [], Event()

    def hangs() -> str:
        began.append(1)
        answers.wait(30)
        return ""

    monkeypatch.setattr(health, "ANSWER_WITHIN_S", 0.2)
    monkeypatch.setitem(health.CHECKS, "broker", hangs)
    for _ in range(2):
        response = Client().get("/readyz")
        assert (response.status_code, response.json()["checks"]["broker"]) == (503, "failed")
    assert len(began) == 1
    answers.set()


def test_the_schema_and_its_page_need_a_role(cast: Cast) -> None:
    assert Api(cast.viewer).get("schema/").status_code == 200
    for stranger, status in ((Api(cast.outsider), 403), (Api(), 401)):
        refused = stranger.get("schema/")
        assert (refused.status_code, refused.json()["status"]) == (status, status)
    client = Client()
    assert client.get("/api/docs/").status_code == 302
    client.force_login(cast.viewer, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert b"swagger" in page.content
    assert "unsafe-inline" in page.headers["Content-Security-Policy"]
    assert (
        "unsafe" not in page.headers["Content-Security-Policy"].split("script-src")[-1]
        or "script-src" not in page.headers["Content-Security-Policy"]
    )
    script = client.get("/api/docs/?script=")
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert "unsafe-inline" not in client.get("/api/v1/nodes/").headers.get("Content-Security-Policy", "")
