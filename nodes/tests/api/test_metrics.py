"""/metrics: counts of what the token may see, all of it for an allowed network, and nothing for strangers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from fleetui.core import clock
from nodes.hosts.errors import ConnectionRefused
from nodes.models import ImportPlan, Node, Sample
from nodes.services import census
from nodes.services.polling import Outcome
from nodes.services.polling.durations import count_durations
from nodes.tests.cast import Cast
from nodes.tests.make import make_cluster, make_heartbeat, make_host_key, make_node, make_pool, make_running, make_token

pytestmark = pytest.mark.django_db
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(token: str = "", **meta: Any) -> Values:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = Client().get("/metrics", headers=headers, **meta)
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def value(found: Values, name: str, **labels: str) -> float:
    return found[f"fleetui_{name}", tuple(sorted(labels.items()))]


def test_strangers_get_nothing(cast: Cast) -> None:
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", headers={"Authorization": "Bearer fleetui_no_no"}).status_code == 401


def test_the_fleet_by_axis_pool_and_version(cast: Cast) -> None:
    prod = make_cluster("prod")
    cast.db.cluster = prod
    cast.db.save()
    make_node("a", pool=cast.db, health="degraded", unread_sections=2)
    make_node("b", booted_version="43.1", failures=3, last_error_kind="refused", reachability="unreachable")
    make_node("c", lifecycle="retired", health="degraded", failures=1)
    make_node("d", lifecycle="maintenance", health="degraded")
    make_host_key(cast.web_node)
    found = scraped(make_token(cast.owner, "read"))
    assert value(found, "nodes", axis="health", value="degraded") == 2
    assert value(found, "nodes", axis="reachability", value="key_mismatch") == 0
    assert value(found, "lifecycle_nodes", lifecycle="retired") == 1
    assert value(found, "lifecycle_nodes", lifecycle="maintenance") == 1
    assert value(found, "nodes_needing_attention") == 2 == Node.objects.needing_attention().count()
    assert value(found, "pool_nodes", pool="db", cluster="prod") == 2
    assert value(found, "pool_nodes", pool="", cluster="") == 3
    assert value(found, "pool_axis_nodes", pool="db", axis="health", value="degraded") == 1
    assert value(found, "pool_axis_nodes", pool="db", axis="health", value="unknown") == 0
    assert value(found, "version_nodes", os="fcos", stream="stable", version="43.1") == 1
    assert value(found, "nodes_failing", kind="refused") == 1
    assert value(found, "ignition_nodes", state="unknown") == Node.objects.counted().count()
    assert value(found, "ignition_nodes", state="drifted") == 0
    assert value(found, "unread_sections") == 2
    assert value(found, "host_keys_waiting") == 1


def test_polls_that_wait(cast: Cast) -> None:
    now = clock.now()
    Node.objects.update(poll_due_at=now + timedelta(hours=1))
    Node.objects.filter(name="web-1").update(poll_due_at=now - timedelta(seconds=90))
    Node.objects.filter(name="db-1").update(poll_lease_until=now + timedelta(seconds=60), poll_due_at=now)
    make_node("stopped", reachability="key_mismatch", poll_due_at=now - timedelta(days=1))
    found = scraped(make_token(cast.owner, "read"))
    assert (value(found, "polls_due"), value(found, "polls_running")) == (1, 1)
    assert 90 <= value(found, "poll_lag_seconds") < 3600
    assert value(found, "queue_waiting", kind="polls") == 1


def test_fleetui_itself(cast: Cast) -> None:
    make_running()
    make_heartbeat("worker", queues=["poll"], document={"skew_s": -3.5, "disk_free_bytes": 5, "disk_total_bytes": 9})
    past = clock.now() - timedelta(minutes=10)
    ImportPlan.objects.create(owner="user:a", source="csv", state="applying", created_at=past)
    Sample.objects.create(at=past, resolution_s=60, kind="version", value="1", nodes=1)
    refused = Outcome(cast.db_node.pk, error=ConnectionRefused("192.0.2.1", 22), duration_s=30.0)
    count_durations([Outcome(cast.web_node.pk, duration_s=0.2), refused])
    found = scraped(make_token(cast.owner, "read"))
    assert value(found, "workers", queue="poll") == 2
    assert value(found, "workers", queue="ops") == 1
    assert value(found, "beats") == 1
    assert value(found, "clock_skew_seconds") == 3.5
    assert value(found, "disk_free_bytes", host="host-a") == 5
    assert value(found, "queue_age_seconds", kind="imports") >= 600
    assert value(found, "sample_age_seconds") >= 600
    assert value(found, "audit_events_total") >= 1
    assert value(found, "audit_anchor_age_seconds") < 60
    assert value(found, "poll_duration_seconds_bucket", result="ok", le="0.25") == 1
    assert value(found, "poll_duration_seconds_bucket", result="failed", le="25") == 0
    assert value(found, "poll_duration_seconds_count", result="failed") == 1
    assert [labels for name, labels in found if name == "fleetui_build_info"]


def test_a_token_of_one_pool_counts_that_pool_and_nothing_of_fleetui(cast: Cast) -> None:
    make_running()
    found = scraped(make_token(cast.viewer, "read"))
    assert {name for name, _ in found if "pool_nodes" in name}
    assert {labels[-1][1] for name, labels in found if name == "fleetui_pool_nodes"} == {"web"}
    assert value(found, "lifecycle_nodes", lifecycle="active") == 1
    assert not [name for name, _ in found if name.startswith(("fleetui_workers", "fleetui_audit", "fleetui_build"))]


def test_what_is_kept_for_seconds_is_kept_apart_for_each_right(cast: Cast) -> None:
    token = make_token(cast.owner, "read")
    before = scraped(token)
    make_node("late")
    assert value(scraped(token), "lifecycle_nodes", lifecycle="active") == value(
        before, "lifecycle_nodes", lifecycle="active"
    )
    assert value(scraped(make_token(cast.viewer, "read")), "lifecycle_nodes", lifecycle="active") == 1


def test_an_allowed_network_sees_everything(cast: Cast, settings: Any) -> None:
    settings.METRICS_NETWORKS = ["192.0.2.0/24"]
    found = scraped(REMOTE_ADDR="192.0.2.7")
    assert value(found, "lifecycle_nodes", lifecycle="active") == 3
    assert value(found, "beats") == 0
    assert Client().get("/metrics", REMOTE_ADDR="198.51.100.1").status_code == 401
    # A token that is given must be good, from wherever.
    bad = {"Authorization": "Bearer fleetui_no_no"}
    assert Client().get("/metrics", headers=bad, REMOTE_ADDR="192.0.2.7").status_code == 401
    # The network opens what Prometheus reads, and nothing else.
    assert Client().get("/api/v1/nodes/", REMOTE_ADDR="192.0.2.7").status_code == 401


def test_an_address_behind_a_proxy_is_believed_only_from_a_trusted_one(cast: Cast, settings: Any) -> None:
    settings.METRICS_NETWORKS = ["192.0.2.0/24", "127.0.0.1"]

    def status(forwarded: str) -> int:
        return Client().get("/metrics", REMOTE_ADDR="127.0.0.1", headers={"X-Forwarded-For": forwarded}).status_code

    # An unknown proxy on an allowed address would open the door for everybody behind it.
    assert status("192.0.2.7") == 401
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    assert status("192.0.2.7") == 200
    assert status("198.51.100.1") == 401
    assert status("192.0.2.7, 198.51.100.1") == 401
    # The proxy itself is not the client.
    assert Client().get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 401


def test_pools_and_versions_are_bounded(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "MOST_POOLS", 2)
    monkeypatch.setattr(census, "MOST_VERSIONS", 2)
    for number in range(4):
        pool = make_pool(f"p{number}")
        for _ in range(number + 1):
            make_node(pool=pool, booted_version=f"v{number}")
    found = scraped(make_token(cast.owner, "read"))
    pools = {dict(labels)["pool"]: n for (name, labels), n in found.items() if name == "fleetui_pool_nodes"}
    assert pools == {"p3": 4, "p2": 3, "other": 6}
    versions = {dict(labels)["version"]: n for (name, labels), n in found.items() if name == "fleetui_version_nodes"}
    assert sum(versions.values()) == 13
    assert versions["other"] == 13 - sum(n for version, n in versions.items() if version != "other")
    assert len(versions) == 3


def test_the_number_of_queries_does_not_grow(cast: Cast) -> None:
    token = make_token(cast.owner, "read")

    def queries() -> int:
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            scraped(token)
        return len(captured)

    # The first use of a token is noted.
    queries()
    before = queries()
    for number in range(30):
        make_heartbeat("worker")
        make_node(pool=make_pool(f"p{number}"), booted_version=f"v{number}")
    assert queries() == before
