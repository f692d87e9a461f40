"""/sd/prometheus: every node that one may see as a target, in the form that Prometheus reads."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from nodes.api import discovery
from nodes.models import Node
from nodes.tests.cast import Cast
from nodes.tests.make import make_cluster, make_node, make_token

pytestmark = pytest.mark.django_db


def asked(token: str, query: str = "", **headers: str) -> Any:
    return Client().get(f"/sd/prometheus{query}", headers={"Authorization": f"Bearer {token}", **headers})


def listed(token: str, query: str = "") -> dict[str, dict[str, Any]]:
    answer = asked(token, query)
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.getvalue()
    assert int(answer.headers["Content-Length"]) == len(body)
    return {group["labels"]["__meta_fleetui_name"]: group for group in json.loads(body)}


def test_targets_and_labels(cast: Cast) -> None:
    cast.web.cluster, cast.web.role = make_cluster("prod"), "worker"
    cast.web.save()
    labels = {"rack": "r1", "app.io/part-of": "shop", "app_io/part_of": "other", "empty": ""}
    Node.objects.filter(name="web-1").update(labels=labels, address="192.0.2.1")
    group = listed(make_token(cast.owner, "read"))["web-1"]
    assert group["targets"] == ["192.0.2.1:9100"]
    assert group["labels"] == {
        "__meta_fleetui_name": "web-1",
        "__meta_fleetui_pool": "web",
        "__meta_fleetui_cluster": "prod",
        "__meta_fleetui_role": "worker",
        "__meta_fleetui_os": "fcos",
        "__meta_fleetui_version": "44.20261101.3.0",
        "__meta_fleetui_stream": "stable",
        "__meta_fleetui_arch": "x86_64",
        "__meta_fleetui_lifecycle": "active",
        "__meta_fleetui_reachability": "reachable",
        "__meta_fleetui_health": "healthy",
        "__meta_fleetui_update_state": "up_to_date",
        "__meta_fleetui_label_rack": "r1",
        "__meta_fleetui_label_app_io_part_of": "shop",
    }
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in group["labels"])


def test_ports_and_addresses(cast: Cast) -> None:
    token = make_token(cast.owner, "read")
    Node.objects.filter(name="web-1").update(address="2001:db8::1")
    assert listed(token, "?port=9256")["web-1"]["targets"] == ["[2001:db8::1]:9256"]
    for wrong in ("0", "65536", "ssh", "-1", "9" * 5000):
        assert asked(token, f"?port={wrong}").status_code == 400
    assert asked(token, "?pol=web").status_code == 400


def test_filters_and_retired_nodes(cast: Cast) -> None:
    token = make_token(cast.owner, "read")
    make_node("old", lifecycle="retired")
    assert set(listed(token)) == {"web-1", "db-1", "loose-1"}
    assert set(listed(token, "?lifecycle=retired")) == {"old"}
    assert set(listed(token, "?pool=web,db")) == {"web-1", "db-1"}
    assert asked(token, "?pool=none").getvalue() == b"[]"


def test_rights_are_those_of_nodes(cast: Cast, settings: Any) -> None:
    assert Client().get("/sd/prometheus").status_code == 401
    assert set(listed(make_token(cast.viewer, "read"))) == {"web-1"}
    settings.METRICS_NETWORKS = ["127.0.0.1"]
    assert len(json.loads(Client().get("/sd/prometheus").getvalue())) == 3


def test_an_unchanged_list_is_not_sent_again(cast: Cast) -> None:
    token = make_token(cast.owner, "read")
    etag = asked(token).headers["ETag"]
    again = asked(token, **{"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    Node.objects.filter(name="web-1").update(health="degraded")
    assert asked(token, **{"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_pieces_join_to_one_list_in_one_query(cast: Cast, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(discovery, "ROWS_AT_ONCE", at_once)
    with CaptureQueriesContext(connection) as queries:
        assert len(listed(make_token(cast.owner, "read"))) == 3
    assert sum('FROM "nodes_node"' in query["sql"] for query in queries) == 1
