"""Adding, editing and deleting through the API."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from fleetui.audit.models import AuditEvent
from nodes.hosts.ssh import generate_identity
from nodes.models import Credential, Node, Pool, Release
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_credential, make_node


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.owner)


def test_only_a_maintenance_has_an_end(cast: Cast) -> None:
    api = Api(cast.owner)
    end = {"maintenance_until": "2090-01-01T00:00:00Z"}
    for change in (end, {**end, "lifecycle": "retired"}):
        refused = api.patch("nodes/web-1/", change).json()
        assert (refused["field"], refused["detail"]) == ("maintenance_until", "Only a maintenance has an end.")
    assert api.patch("nodes/web-1/", {"maintenance_until": None}).json()["lifecycle"] == "active"
    api.patch("nodes/web-1/", {"lifecycle": "maintenance", "reason": "disk"})
    for until in (end["maintenance_until"], None):
        shown = api.patch("nodes/web-1/", {"maintenance_until": until}).json()
        assert (shown["lifecycle_reason"], shown["maintenance_until"]) == ("disk", until)


def test_a_node_is_added_read_edited_and_forgotten(api: Api) -> None:
    line = generate_identity()[1].public_line
    body = {"name": "new-1", "address": "10.1.1.1", "pool": "web", "labels": {"rack": "r9"}, "host_key": line}
    added = api.post("nodes/", body)
    assert added.status_code == 201, added.content
    assert added.headers["Location"] == "/api/v1/nodes/new-1/"
    assert added.json()["labels"] == {"rack": "r9"}
    assert added.json()["reachability"] == "never_seen"
    assert api.get("nodes/new-1/host-keys/").json()["results"][0]["state"] == "pinned"
    patched = api.patch("nodes/new-1/", {"port": 2222, "lifecycle": "maintenance", "reason": "disk"})
    assert (patched.json()["port"], patched.json()["lifecycle"], patched.json()["pool"]) == (2222, "maintenance", "web")
    replaced = api.put("nodes/new-1/", {"name": "new-1", "address": "10.1.1.2"})
    assert (replaced.json()["pool"], replaced.json()["labels"], replaced.json()["port"]) == (None, {}, 22)
    assert api.delete("nodes/new-1/").status_code == 204
    assert api.get("nodes/new-1/").status_code == 404
    actions = list(AuditEvent.objects.filter(subject="node:new-1").order_by("seq").values_list("action", flat=True))
    assert actions == ["nodes.add", "nodes.edit", "nodes.set_lifecycle", "nodes.edit", "nodes.delete"]


def test_an_edit_of_a_stale_revision_is_refused(api: Api) -> None:
    tag = api.get("nodes/web-1/").headers["ETag"]
    assert api.patch("nodes/web-1/", {"port": 23}, if_match=tag).status_code == 200
    for method, body in (("PATCH", {"port": 24}), ("PUT", {"name": "web-1", "address": "10.0.0.1"}), ("DELETE", None)):
        stale = api.call(method, "nodes/web-1/", body, if_match=tag)
        assert stale.status_code == 412
        assert stale.json()["field"] == "If-Match"
    assert Node.objects.get(name="web-1").port == 23
    assert api.patch("nodes/web-1/", {"port": 24}, if_match="*").status_code == 200
    assert (
        api.patch("nodes/web-1/", {"port": 24}, if_match="W/" + api.get("nodes/web-1/").headers["ETag"]).status_code
        == 412
    )
    assert api.patch("nodes/web-1/", {"port": 24}, if_match="nonsense").status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x"}, "address"),
        ({"name": "x", "address": "10.0.0.1", "port": 0}, "port"),
        ({"name": "x", "address": "10.0.0.1", "port": "22"}, "port"),
        ({"name": "x", "address": "10.0.0.1", "port": True}, "port"),
        ({"name": "x", "address": "10.0.0.1", "colour": 1}, "colour"),
        ({"name": "x y", "address": "10.0.0.1"}, "name"),
        ({"name": 5, "address": "10.0.0.1"}, "name"),
        ({"name": "x", "address": "core@host:22"}, "address"),
        ({"name": "x", "address": "10.0.0.1", "pool": "nope"}, "pool"),
        ({"name": "x", "address": "10.0.0.1", "labels": {"!": "v"}}, "labels"),
        ({"name": "x", "address": "10.0.0.1", "labels": []}, "labels"),
        ({"name": "x", "address": "10.0.0.1", "os_family_given": "beos"}, "os_family_given"),
        ({"name": "x", "address": "10.0.0.1", "host_key": "ssh-rsa !!"}, "host_key"),
        ({"name": "a\0b", "address": "10.0.0.1"}, "name"),
    ],
)
def test_a_wrong_field_is_named(api: Api, body: dict[str, Any], field: str) -> None:
    response = api.post("nodes/", body)
    assert response.status_code == 400, response.content
    problem = response.json()
    assert field in [error["field"] for error in problem["errors"]]
    assert problem["mend"]


def test_all_wrong_fields_are_named_at_once(api: Api) -> None:
    errors = api.post("nodes/", {"port": 0, "colour": 1}).json()["errors"]
    assert {error["field"] for error in errors} == {"name", "address", "port", "colour"}


def test_all_names_that_nothing_has_are_named_at_once(api: Api) -> None:
    sent = {"name": "x", "address": "10.0.0.1", "pool": "no", "credential": "none", "jump_host": "never"}
    errors = api.post("nodes/", sent).json()["errors"]
    assert [(error["field"], error["value"]) for error in errors] == [
        ("pool", "no"),
        ("credential", "none"),
        ("jump_host", "never"),
    ]


@pytest.mark.parametrize("raw", [b"{", b"[1]", b"1", b"[" * 100_000, b'{"name": NaN}', b'"\\ud800"', b"\xff", b""])
def test_broken_bodies_are_problems(api: Api, raw: bytes) -> None:
    response = api.client.post("/api/v1/nodes/", raw, content_type="application/json", headers=api.headers)
    assert response.status_code == 400, response.content
    assert response.headers["Content-Type"] == "application/problem+json"


def test_other_media_types_are_refused(api: Api) -> None:
    assert api.client.post("/api/v1/nodes/", {"name": "x"}, headers=api.headers).status_code == 415


def test_a_name_twice_is_a_conflict(api: Api) -> None:
    response = api.post("nodes/", {"name": "web-1", "address": "10.0.0.1"})
    assert response.status_code == 409
    assert response.json()["field"] == "name"
    for kind in ("pools", "clusters"):
        api.post(f"{kind}/", {"name": "same"})
        assert api.post(f"{kind}/", {"name": "same"}).status_code == 409


def test_pools_and_clusters(api: Api) -> None:
    assert api.post("clusters/", {"name": "k8s"}).status_code == 201
    pool = api.post("pools/", {"name": "workers", "cluster": "k8s", "role": "worker", "poll_interval_s": 30})
    assert pool.status_code == 201, pool.content
    assert pool.json()["nodes"] == 0
    assert api.get("clusters/k8s/").json()["pools"] == 1
    assert api.delete("clusters/k8s/").status_code == 409
    assert api.patch("pools/workers/", {"cluster": None}, if_match=pool.headers["ETag"]).json()["cluster"] is None
    assert api.patch("pools/workers/", {"role": ""}, if_match=pool.headers["ETag"]).status_code == 412
    assert api.delete("pools/workers/").status_code == 204
    assert api.delete("clusters/k8s/").status_code == 204
    assert api.delete("pools/web/").status_code == 409
    assert api.get("pools/web/").json()["nodes"] == 1
    make_node("gone", pool=Pool.objects.get(name="web"), lifecycle="retired")
    assert api.get("pools/web/").json()["nodes"] == 1


def test_secrets_go_in_and_never_come_out(api: Api) -> None:
    text, identity = generate_identity("test")
    added = api.post("credentials/", {"name": "mine", "private_key": text})
    assert added.status_code == 201, added.content
    assert added.json()["public_key"].split()[1] == identity.public_line.split()[1]
    made = api.post("credentials/", {"name": "made"})
    assert made.json()["public_key"].startswith("ssh-ed25519 ")
    everything = added.content + made.content + api.get("credentials/").content + api.get("credentials/mine/").content
    everything += json.dumps(list(AuditEvent.objects.values_list("before", "after"))).encode()
    assert b"PRIVATE" not in everything
    assert text.splitlines()[2].encode() not in everything
    assert "PRIVATE" not in Credential.objects.get(name="mine").sealed_private_key


def test_a_wrong_key_is_refused_without_an_echo(api: Api) -> None:
    response = api.post("credentials/", {"name": "bad", "private_key": "TOPSECRET", "passphrase": 5})
    assert response.status_code == 400
    assert b"TOPSECRET" not in response.content
    response = api.post("credentials/", {"name": "bad", "private_key": "TOPSECRET"})
    assert response.status_code == 400
    assert response.json()["field"] == "private_key"
    assert b"TOPSECRET" not in response.content


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("name", {"name": "a/b"}),
        ("name", {"name": "a b"}),
        ("username", {"name": "c", "username": "-oProxyCommand=x"}),
        ("username", {"name": "c", "username": "core; reboot"}),
        ("passphrase", {"name": "c", "passphrase": "secret"}),
    ],
)
def test_a_credential_that_could_not_be_used_is_refused(api: Api, field: str, body: dict[str, Any]) -> None:
    answer = api.post("credentials/", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert b"secret" not in answer.content


def test_a_passphrase_without_its_key_changes_nothing(api: Api) -> None:
    make_credential("fleet")
    assert api.patch("credentials/fleet/", {"passphrase": "secret"}).json()["field"] == "passphrase"


def test_a_wrong_certificate_is_named(api: Api) -> None:
    response = api.post("credentials/", {"name": "bad", "certificate": "nonsense"})
    assert response.status_code == 400
    assert response.json()["field"] == "certificate"


def test_a_credential_in_use_stays(api: Api, cast: Cast) -> None:
    Node.objects.filter(name="web-1").update(credential=make_credential("used"))
    assert api.delete("credentials/used/").status_code == 409


def test_releases_are_imported(api: Api) -> None:
    document = {
        "stream": "stable",
        "releases": [
            {
                "version": "44.20261101.3.0",
                "commits": [{"architecture": "x86_64", "checksum": "c" * 64}],
                "metadata": "",
            }
        ],
    }
    response = api.post("releases/import/", {"text": json.dumps(document)})
    assert response.status_code in (200, 400), response.content
    refused = api.post("releases/import/", {"text": "<html>"})
    assert refused.status_code == 400
    assert refused.json()["field"] == "text"
    missing = api.post("releases/import/", {"text": '{"stream": "stable"}'}).json()
    assert (missing["field"], missing["value"]) == ("releases", None)
    assert api.get("releases/").status_code == 200


def test_a_node_that_nobody_has_contacted_says_so(api: Api) -> None:
    assert api.post("nodes/", {"name": "new-1", "address": "10.1.1.1"}).status_code == 201
    assert api.names("nodes/?reason=not_contacted") == ["new-1"]
    told = api.get("nodes/new-1/").json()["reasons"]
    assert [told[axis]["code"] for axis in ("reachability", "health", "update_state")] == [
        "not_contacted",
        "no_facts",
        "no_facts",
    ]


def test_nodes_that_were_there_say_it_after_the_migration(cast: Cast) -> None:
    row = make_node("old", reachability="never_seen", health="unknown", update_state="unknown")
    seen = make_node("seen")
    migration = importlib.import_module("nodes.migrations.0023_reasons_of_new_nodes")
    migration.say_why(apps, SimpleNamespace(connection=connection))
    found = Node.objects.filter(pk__in=[row.pk, seen.pk]).order_by("name")
    reasons = found.values_list("reachability_reason", "health_reason", "update_state_reason")
    assert list(reasons) == [("not_contacted", "no_facts", "no_facts"), ("", "", "")]


GRAPH: dict[str, Any] = {
    "nodes": [{"version": "1.0", "payload": "aa"}, {"version": "1.0", "payload": "bb"}],
    "edges": [],
}
STABLE: dict[str, Any] = {"stream": "stable", "releases": [{"version": "1.0", "metadata": {}}]}
TWICE = {"streams": ["a"], "releases": [{"stream": "a", "version": "1.0"}, {"stream": "a", "version": "1.0"}]}


@pytest.mark.parametrize(
    ("document", "given", "field", "value", "mend"),
    [
        ({**GRAPH, "nodes": GRAPH["nodes"][:1]}, {"stream": "../x"}, "stream", '"../x"', "a letter or digit first"),
        ({**STABLE, "stream": "../x"}, {}, "stream", '"../x"', "a letter or digit first"),
        ({**TWICE, "streams": ["a", "b/c"]}, {}, "streams[1]", '"b/c"', "a letter or digit first"),
        (STABLE, {"stream": "testing"}, "stream", "testing", "Leave the stream out"),
        (GRAPH, {"stream": "stable"}, "nodes[1].version", '"1.0"', "Name it once: nodes[0]"),
        (TWICE, {}, "releases[1].version", '"1.0"', "Name it once: releases[0]"),
        ({**STABLE, "releases": STABLE["releases"] * 2}, {}, "releases[1].version", '"1.0"', "Name it once"),
        (STABLE, {"os_family": "windows"}, "os_family", "windows", "Use "),
        (
            {**TWICE, "streams": [{"name": "a", "os_family": "flatcar"}]},
            {},
            "streams[0].os_family",
            '"flatcar"',
            "Import it as releases of that system (os_family), not of fcos.",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    api: Api, document: dict[str, Any], given: dict[str, str], field: str, value: str, mend: str
) -> None:
    response = api.post("releases/import/", {"text": json.dumps(document), **given})
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert (error["field"], error["value"]) == (field, value)
    assert mend in error["mend"]
    assert not Release.objects.exists()


def test_counts(api: Api) -> None:
    stats = api.get("stats/").json()
    assert stats["nodes"] == 3
    assert stats["reachability"]["reachable"] == 3
    assert {pool["name"]: pool["nodes"] for pool in stats["pools"]} == {"web": 1, "db": 1, None: 1}
    assert stats["versions"][0]["nodes"] == 3
    assert stats["polls"]["due"] == 3
    assert stats["unread"] == {"nodes": 0, "sections": 0}


@pytest.mark.parametrize("name", [".", "..", "-", "add", "export", "compare"])
def test_words_of_addresses_are_no_names(cast: Cast, name: str) -> None:
    answer = Api(cast.owner).post("pools/", {"name": name})
    assert answer.status_code == 400
    assert answer.json()["field"] == "name"


def test_allow_names_only_methods_that_do_something(cast: Cast) -> None:
    answer = Api(cast.owner).call("OPTIONS", "stats/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
