"""What the Health page and the banners say, for each thing that can be wrong; and what they cost."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from redis.exceptions import ConnectionError as RedisConnectionError

from fleetui.audit.tasks import anchor
from fleetui.audit.verify import Verdict
from fleetui.core import clock, vital_signs
from fleetui.core.ages import lasting
from fleetui.core.crypto import key_id
from fleetui.core.heartbeats import Pulse, look, mark
from fleetui.core.models import Heartbeat
from fleetui.core.vitals import Line, lines
from nodes.models import Node
from nodes.tests.make import (
    NOW,
    make_heartbeat,
    make_host_key,
    make_node,
    make_pool,
    make_running,
    make_token,
    make_user,
)
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
GIB = 1024**3


def line(key: str) -> Line:
    return next(one for one in lines() if one.key.startswith(key))


def wrong() -> set[str]:
    return {one.key for one in lines() if one.level in ("bad", "warn")}


def banner_texts(client: Client) -> str:
    """What stands above the page, as HTML."""
    page = client.get("/nodes/").content.decode()
    return page.partition('class="ui-banners"')[2].partition("<main")[0]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How busy this machine is proves nothing."""
    monkeypatch.setattr(vital_signs, "SLOW_DATABASE_MS", float("inf"))


@pytest.fixture
def admin() -> Client:
    return signed_in(make_user("anna", "admin"))


def test_nothing_is_wrong_where_all_runs(admin: Client) -> None:
    make_running()
    assert wrong() == set()
    assert "ui-banner-text" not in banner_texts(admin)


def test_nothing_runs(admin: Client) -> None:
    assert wrong() == {"worker", "beat"}
    said = banner_texts(admin)
    assert "No worker is running" in said
    assert "The scheduler (beat) is not running" in said
    assert 'href="/settings/health/"' in said


def test_a_person_without_the_right_is_told_but_not_led(admin: Client) -> None:
    said = banner_texts(signed_in(make_user("vera", "viewer")))
    assert "No worker is running" in said
    assert "/settings/health/" not in said


def test_a_queue_that_nobody_takes() -> None:
    make_heartbeat("worker", queues=["poll"])
    make_heartbeat("beat")
    assert "queue ops" in line("worker:ops").text
    assert "worker:poll" not in wrong()


def test_a_killed_worker_is_shown_and_then_forgotten() -> None:
    make_running()
    killed = make_heartbeat("worker", age_s=300, hostname="host-b")
    assert f"worker {killed.pid} on host-b" in line("gone:worker:host-b").text
    assert wrong() == set()
    Heartbeat.objects.filter(pk=killed.pk).update(seen_at=NOW)
    assert not [one for one in lines() if one.key.startswith("gone:")]
    Pulse("beat").write()
    assert not Heartbeat.objects.filter(pk=killed.pk).exists()
    assert Heartbeat.objects.filter(kind="job").exists()


@pytest.mark.parametrize("age_s", [40, 300])
def test_a_killed_worker_whose_place_was_taken_is_not_shown(age_s: int) -> None:
    """A container that comes back has the same name and the same number of its process."""
    killed = make_heartbeat("worker", age_s=age_s, hostname="host-poll", pid=2)
    make_heartbeat("worker", hostname="host-poll", pid=2, started_at=killed.seen_at + timedelta(seconds=5))
    assert [one.key for one in lines() if "host-poll:2" in one.key] == ["worker:host-poll:2"]


def test_two_workers_that_live_under_one_name_both_count() -> None:
    """Such as containers that share the name of their host."""
    make_heartbeat("worker", queues=["poll"], pid=2)
    make_heartbeat("worker", queues=["ops"], pid=2)
    make_heartbeat("worker", queues=["ops"], pid=2, started_at=datetime.now(UTC) - timedelta(seconds=20))
    assert len([one for one in lines() if one.key == "worker:host-a:2"]) == 3


def test_a_worker_that_ends_nothing() -> None:
    make_heartbeat("beat")
    make_heartbeat("worker", document={"last_task_at": NOW.isoformat()})
    assert "messages do not arrive" in line("messages").text


def test_another_version_and_other_keys(settings: Any) -> None:
    make_running()
    Heartbeat.objects.filter(kind="beat").update(version="0.0.9")
    assert "runs version 0.0.9" in line("versions").text
    Heartbeat.objects.filter(kind="worker").update(document={"encryption_keys": ["00000000"]})
    assert "has other keys than the pages" in line("keys:other").text
    known = [key_id(key) for key in settings.ENCRYPTION_KEYS]
    Heartbeat.objects.filter(kind="worker").update(document={"encryption_keys": known})
    assert "keys:other" not in wrong()


def test_a_key_file_that_is_gone_or_open(admin: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_running()
    file = tmp_path / "encryption_keys"
    monkeypatch.delenv("FLEETUI_ENCRYPTION_KEYS")
    monkeypatch.setenv("FLEETUI_ENCRYPTION_KEYS_FILE", str(file))
    assert str(file) in line("keys:encryption_keys").text
    assert "cannot be read" in banner_texts(admin)
    file.write_text("22" * 32)
    monkeypatch.setattr(vital_signs, "key_folder", lambda _: tmp_path)
    file.chmod(0o644)
    assert line("keys:encryption_keys:mode").mend == f"chmod 600 {file}"
    file.chmod(0o600)
    assert wrong() == set()


@pytest.mark.parametrize(
    ("held", "level"),
    [
        ("22" * 32, "ok"),
        # While keys are rotated: the new one first, the old one below until all processes know it.
        (f"{'55' * 32}\n{'22' * 32}\n", "ok"),
        ("55" * 32, "bad"),
        ("", "bad"),
        ("no key", "bad"),
    ],
)
def test_a_key_file_with_another_content(
    admin: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, held: str, level: str
) -> None:
    make_running()
    file = tmp_path / "encryption_keys"
    file.write_text(held)
    monkeypatch.delenv("FLEETUI_ENCRYPTION_KEYS")
    monkeypatch.setenv("FLEETUI_ENCRYPTION_KEYS_FILE", str(file))
    assert wrong() == ({"keys:encryption_keys:other"} if level == "bad" else set())
    assert ("no longer gives the key" in banner_texts(admin)) is (level == "bad")


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [
        (100 * GIB, 1000 * GIB, "ok"),
        (20 * GIB, 1000 * GIB, "ok"),
        (9 * GIB, 1000 * GIB, "warn"),
        (GIB // 2, 20 * GIB, "warn"),
        (GIB, 100 * GIB, "bad"),
        (GIB // 8, GIB, "bad"),
    ],
)
def test_little_space(free: int, total: int, level: str) -> None:
    assert vital_signs.disk_level(free, total) == level


def test_the_disk_of_another_machine(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_running()
    Heartbeat.objects.filter(kind="worker").update(
        document={"data_dir": "/var/lib/fleetui", "disk_free_bytes": GIB // 8, "disk_total_bytes": 100 * GIB}
    )
    assert "The disk of /var/lib/fleetui on host-a is almost full" in banner_texts(admin)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100 * GIB, 99 * GIB, GIB // 8))
    assert banner_texts(admin).count("is almost full") == 2


def test_clocks(admin: Client) -> None:
    make_running()
    Heartbeat.objects.filter(kind="worker").update(document={"skew_s": -8.2})
    assert "is 8 s behind the database" in line("clock").text
    Heartbeat.objects.filter(kind="worker").update(document={"skew_s": 40})
    assert line("clock").level == "bad"
    assert "40 s ahead" in banner_texts(admin)


def test_the_anchor_grows_old(admin: Client, settings: Any, tmp_path: Path) -> None:
    make_running()
    settings.DATA_DIR = tmp_path
    Heartbeat.objects.filter(name="audit-anchor").update(seen_at=NOW)
    assert "has not been anchored for" in banner_texts(admin)
    anchor()
    assert "audit:anchor" not in wrong()
    assert "Anchored up to event" in line("audit:anchor").text


def test_a_broken_log_stays_on_every_page(
    admin: Client, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    make_running()
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(
        "fleetui.audit.verify.verify", lambda _others: Verdict(events=3, anchored_seq=1, problems=["changed"])
    )
    admin.post("/audit/verify/")
    assert "The audit log is not intact" in banner_texts(admin)
    monkeypatch.undo()
    admin.post("/audit/verify/")
    assert "not intact" not in banner_texts(admin)
    assert "Proved intact" in line("audit:verify").text


def test_queues_and_decisions() -> None:
    make_running()
    make_host_key(make_node("a", poll_due_at=NOW))
    assert line("queue:polls").level == "bad"
    assert "1 waits" in line("queue:polls").text
    assert "1 host key waits" in line("host_keys").text
    Node.objects.update(health_reason="clock_not_synchronized")
    assert line("clock:nodes").level == "warn"


def test_broker_cache_and_database_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    make_running()
    monkeypatch.setattr("fleetui.core.health.broker", lambda: "connection refused")
    monkeypatch.setattr("fleetui.core.health.migrations", lambda: "2 migrations are not applied")

    def away(*_: object) -> None:
        raise ConnectionError("connection refused")

    monkeypatch.setattr("fleetui.core.vital_signs.cache.set", away)
    assert wrong() == {"broker", "cache", "migrations"}
    assert "connection refused" in line("broker").text


@pytest.fixture
def cache_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise RedisConnectionError("connection refused")

    for name in ("get", "set", "add", "incr"):
        monkeypatch.setattr(type(caches["default"]), name, away)


@pytest.mark.usefixtures("cache_away")
def test_without_its_cache_fleetui_still_says_what_is_wrong(admin: Client) -> None:
    make_running()
    for path in ("/settings/health/", "/", "/nodes/"):
        assert admin.get(path).status_code == 200, path
    assert "connection refused" in admin.get("/settings/health/").content.decode()
    bearer = {"Authorization": f"Bearer {make_token(make_user('watcher', 'admin'), 'read')}"}
    answer = Client().get("/api/v1/health/", headers=bearer)
    assert answer.status_code == 200
    assert {row["key"] for row in answer.json()["lines"] if row["level"] == "bad"} == {"cache"}
    assert "fleetui_build_info" in Client().get("/metrics", headers=bearer).content.decode()


@pytest.mark.usefixtures("cache_away")
def test_without_its_cache_nobody_tries_tokens() -> None:
    bearer = {"Authorization": "Bearer fleetui_no_no"}
    answer = Client(raise_request_exception=False).get("/api/v1/health/", headers=bearer)
    assert answer.status_code == 503


def test_a_banner_costs_one_look_however_many_processes(admin: Client) -> None:
    def heartbeat_queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin.get("/nodes/")
        return sum("core_heartbeat" in query["sql"] for query in queries)

    make_running()
    assert heartbeat_queries() == 1
    for _ in range(20):
        make_heartbeat("worker")
    assert heartbeat_queries() == 1


def test_the_page_costs_the_same_for_any_fleet(admin: Client) -> None:
    make_running()
    # Applied migrations are looked at once.
    admin.get("/settings/health/")
    counts = []
    for nodes in (2, 30):
        for _ in range(nodes):
            make_node(poll_due_at=NOW)
        with CaptureQueriesContext(connection) as queries:
            assert admin.get("/settings/health/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_page_and_its_rights(admin: Client) -> None:
    make_running()
    page = admin.get("/settings/health/").content.decode()
    assert "Nothing needs a person" in page
    assert "All four keys are there." in page
    assert signed_in(make_user("otto", "auditor")).get("/settings/health/").status_code == 200
    assert signed_in(make_user("olga", "operator")).get("/settings/health/").status_code == 403


def test_a_role_on_some_pools_does_not_show_the_whole_installation() -> None:
    paul = make_user("paul", ("admin", make_pool("web")))
    page = signed_in(paul).get("/settings/").content.decode()
    assert "/settings/health/" not in page
    assert signed_in(paul).get("/settings/health/").status_code == 403
    said = Client().get("/api/v1/health/", headers={"Authorization": f"Bearer {make_token(paul)}"})
    assert (said.status_code, said.json()["detail"]) == (403, "This needs the permission health.read on everything.")


def test_the_same_lines_for_scripts() -> None:
    token = make_token(make_user("otto", "auditor"), "read")
    said = Client().get("/api/v1/health/", headers={"Authorization": f"Bearer {token}"})
    body = json.loads(said.content)
    assert body["level"] == "bad"
    assert {"worker", "beat"} <= {one["key"] for one in body["lines"] if one["level"] == "bad"}
    token = make_token(make_user("vera", "viewer"), "read")
    assert Client().get("/api/v1/health/", headers={"Authorization": f"Bearer {token}"}).status_code == 403


def test_a_pulse_writes_one_row_and_takes_it_away() -> None:
    pulse = Pulse("worker", queues=["poll", "ops"])
    pulse.write()
    pulse.worked()
    pulse.write()
    (sign,) = look().all
    assert sign.queues == ("ops", "poll")
    assert sign.fresh
    assert sign.document["tasks"] == 1
    assert sign.document["missing_keys"] == []
    assert abs(look().skew_s or 0) < 5


def test_a_database_that_is_away_costs_one_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse("worker")

    def away() -> None:
        raise DatabaseError("away")

    monkeypatch.setattr("fleetui.core.heartbeats.connection.close", lambda: None)
    pulse._try(away)
    pulse._try(pulse.write)
    assert Heartbeat.objects.count() == 1


def test_a_job_has_one_row() -> None:
    mark("daily", {"n": 1})
    mark("daily", {"n": 2})
    assert [row.document for row in Heartbeat.objects.filter(kind="job")] == [{"n": 2}]


def test_nothing_lasts_for_no_minutes() -> None:
    now = clock.now()
    assert lasting(now - timedelta(seconds=59), now) == "less than a minute"
    assert lasting(now - timedelta(minutes=61), now).replace("\xa0", " ") == "1 hour, 1 minute"
