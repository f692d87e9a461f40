"""Columns that are chosen and remembered, and lists as files."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fleetui.audit.models import AuditEvent
from fleetui.core.export import cell, file_name
from nodes.columns import DEFAULT, MAX_COLUMNS, PLAIN, columns
from nodes.models import (
    Certificate,
    CertificateSource,
    ColumnChoice,
    ContainerOnNode,
    Pool,
    Release,
    Stream,
    TimelineEvent,
)
from nodes.services.terms import replace_terms
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import (
    NOW,
    make_cluster,
    make_config,
    make_credential,
    make_facts,
    make_host_key,
    make_jump_host,
    make_node,
    make_version,
)
from nodes.tests.pages import signed_in
from nodes.views.cells import column_word
from ops.models import Operation, OperationRequest


def body(response: Any) -> str:
    return b"".join(response.streaming_content).decode("utf-8-sig")


def heads(page: str) -> list[str]:
    table = page[page.index("<thead>") : page.index("</thead>")]
    return [re.sub(r"<[^>]+>", "", head).strip() for head in re.findall(r"<th[^>]*>(.*?)</th>", table, re.DOTALL)]


@pytest.fixture
def owner(cast: Cast) -> Client:
    facts = {"network": {"interfaces": [{"driver": "ixgbe", "state": "UP"}, {"driver": "e1000", "state": "UP"}]}}
    make_facts(cast.web_node, **facts)
    replace_terms({cast.web_node.pk: facts})
    cast.web_node.labels = {"rack": "r1"}
    cast.web_node.save()
    return signed_in(cast.owner)


def test_columns_of_the_address_are_shown_in_their_order(owner: Client) -> None:
    page = owner.get(
        "/nodes/?columns=kernel,network.interfaces.driver,label:rack,network.interfaces.state,pool"
    ).content.decode()
    assert heads(page)[1:] == ["Name", "Kernel", "interfaces.driver", "Label rack", "interfaces.state", "Pool"]
    assert "e1000, ixgbe" in page
    assert re.search(r'data-label="Label rack"[^>]*>r1<', page)
    assert 'name="columns" value="kernel,network' in page


def test_every_column_has_a_word_and_draws(owner: Client) -> None:
    assert all(column_word(name) != name for name in PLAIN)
    names = list(PLAIN)
    for start in range(0, len(names), MAX_COLUMNS):
        part = names[start : start + MAX_COLUMNS]
        assert heads(owner.get(f"/nodes/?columns={','.join(part)}").content.decode())[2:] == [
            column_word(name) for name in part
        ]


def test_the_usual_columns_without_a_choice(owner: Client) -> None:
    assert heads(owner.get("/nodes/").content.decode())[2:] == [column_word(name) for name in DEFAULT]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("colour", "is not a column"),
        ("os.nam", "Facts have no path os.nam"),
        (",".join(f"label:k{number}" for number in range(MAX_COLUMNS + 1)), "too many columns"),
        (",".join(f"agent.config.k{number}" for number in range(21)), "too many columns"),
        ("<script>", "is not a column"),
    ],
)
def test_what_is_no_column_is_left_out_and_told(owner: Client, names: str, said: str) -> None:
    page = owner.get("/nodes/", {"columns": f"pool,{names}"}).content.decode()
    assert said in page
    assert "<script>" not in page.replace("<script ", "")
    assert "Pool" in heads(page)


def test_only_what_is_shown_is_read(owner: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        owner.get("/nodes/?columns=arch")
    listed = [one["sql"] for one in queries if '"nodes_node"."arch"' in one["sql"]]
    assert len(listed) == 1
    for name in ("booted", "kernel", "health", "pool"):
        assert f'"nodes_node"."{name}' not in listed[0].split(" WHERE ")[0]


def test_queries_do_not_grow_with_nodes_or_columns_of_facts(owner: Client) -> None:
    def count(names: str) -> int:
        owner.get(f"/nodes/?columns={names}")
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(f"/nodes/?columns={names}").status_code == 200
        return len(queries)

    few = count("pool,cluster,credential,network.interfaces.driver")
    for number in range(30):
        make_node(f"n-{number}")
    assert count("pool,cluster,credential,network.interfaces.driver") == few
    assert count("pool,cluster,credential,network.interfaces.driver,hardware.cpus,network.interfaces.state") == few + 1


def test_columns_are_moved_removed_added_and_kept(owner: Client, cast: Cast) -> None:
    url, names = "/nodes/-/columns/", "pool,version,health"

    def after(step: str, **more: str) -> Any:
        return owner.post(url, {"columns": names, "query": "q=web", "step": step, **more})

    assert after("up:version").context["names"] == "version,pool,health"
    assert after("down:version").context["names"] == "pool,health,version"
    assert after("up:pool").context["names"] == names
    assert after("remove:version").context["names"] == "pool,health"
    assert after("add", add="network.interfaces.driver").context["names"] == f"{names},network.interfaces.driver"
    wrong = after("add", add="driver.nonsense")
    assert wrong.status_code == 422
    assert 'aria-describedby="column-problem"' in wrong.content.decode()
    assert "autofocus" in after("down:pool").content.decode()
    assert not ColumnChoice.objects.exists()
    done = owner.post(url, {"columns": "health,pool", "query": "q=web", "show": "1"})
    assert done["Location"] == "/nodes/?q=web&columns=health%2Cpool"
    assert heads(owner.get("/nodes/").content.decode())[2:] == ["Health", "Pool"]
    assert heads(owner.get("/nodes/?columns=arch").content.decode())[2:] == ["Architecture"]
    assert heads(signed_in(cast.viewer).get("/nodes/").content.decode())[1:] == [column_word(name) for name in DEFAULT]
    owner.post(url, {"columns": "pool", "query": "", "show": "1"})
    assert ColumnChoice.objects.get().columns == ["pool"]


def test_csv_has_the_filter_the_order_and_the_columns(owner: Client) -> None:
    response = owner.get(
        "/nodes/-/export/?pool=web&pool=db&sort=-name&columns=pool,network.interfaces.driver,labels&format=csv"
    )
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="nodes_[0-9-]{10}T[0-9]{4}Z_pool=web_pool=db\.csv"', response["Content-Disposition"]
    )
    assert list(csv.reader(io.StringIO(body(response)))) == [
        ["name", "pool", "network.interfaces.driver", "labels"],
        ["web-1", "web", "e1000; ixgbe", "rack=r1"],
        ["db-1", "db", "", ""],
    ]
    event = AuditEvent.objects.order_by("-seq")[0]
    assert (event.action, event.actor, event.subject) == ("nodes.export", "user:owner", "nodes")
    told = json.loads(event.after)
    assert told["rows"] == 2
    assert told["columns"] == ["name", "pool", "network.interfaces.driver", "labels"]
    assert "pool=web" in told["filter"]


def test_json_lines_keep_types(owner: Client) -> None:
    response = owner.get(
        "/nodes/-/export/?q=web&columns=port,network.interfaces.driver,facts_at,labels,maintenance_until&format=jsonl"
    )
    assert json.loads(body(response)) == {
        "name": "web-1",
        "port": 22,
        "network.interfaces.driver": ["e1000", "ixgbe"],
        "facts_at": "2026-11-22T10:00:00Z",
        "labels": {"rack": "r1"},
        "maintenance_until": None,
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(owner: Client, cast: Cast, text: str) -> None:
    cast.web_node.labels = {"rack": text}
    cast.web_node.save()
    rows = list(
        csv.reader(io.StringIO(body(owner.get("/nodes/-/export/?q=web-1&columns=label:rack&format=csv")), newline=""))
    )
    assert rows[1][1] == f"'{text}"


def test_cells_are_plain() -> None:
    assert [cell(value) for value in (None, True, -5, 1.5, NOW, ["=a", 1], {"b": "=x"}, {"": 2})] == [
        "", "true", "-5", "1.5", "2026-11-22T10:00:00Z", "'=a; 1", "b='=x", "unknown=2",
    ]  # fmt: skip
    assert file_name("nodes", 'q="/../etc" \r\n', NOW) == "nodes_2026-11-22T1000Z_q=-..-etc"


@pytest.mark.parametrize("query", ["health=sick&format=csv", "columns=colour&format=csv", "format=xml"])
def test_no_file_of_other_rows_than_asked(owner: Client, query: str) -> None:
    before = AuditEvent.objects.count()
    response = owner.get(f"/nodes/-/export/?{query}")
    assert response.status_code == 302
    assert response["Location"].startswith("/nodes/?")
    assert AuditEvent.objects.count() == before


def test_a_viewer_takes_what_he_sees(cast: Cast) -> None:
    rows = list(csv.reader(io.StringIO(body(signed_in(cast.viewer).get("/nodes/-/export/?format=csv")))))
    assert [row[0] for row in rows] == ["name", "web-1"]
    assert signed_in(cast.outsider).get("/nodes/-/export/").status_code == 403


def test_a_file_is_read_in_few_queries(owner: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            body(owner.get("/nodes/-/export/?columns=pool,network.interfaces.driver&format=csv"))
        return len(queries)

    few = count()
    for number in range(100):
        make_node(f"n-{number}")
    assert count() == few


def test_a_file_reads_every_column_without_asking_again(owner: Client) -> None:
    names = list(PLAIN)
    for start in range(0, len(names), MAX_COLUMNS):
        part = ",".join(names[start : start + MAX_COLUMNS])
        with CaptureQueriesContext(connection) as queries:
            lines = body(owner.get(f"/nodes/-/export/?columns={part}&format=jsonl")).splitlines()
        assert list(json.loads(lines[0])) == ["name", *part.split(",")]
        assert sum('FROM "nodes_node"' in one["sql"] for one in queries) == 2, part


def test_the_api_gives_the_same_file(owner: Client, cast: Cast) -> None:
    api = Api(cast.operator)
    response = api.get("nodes/export/?format=jsonl&columns=pool,network.interfaces.driver&nic_driver=ixgbe")
    assert json.loads(body(response)) == {
        "name": "web-1",
        "pool": "web",
        "network.interfaces.driver": ["e1000", "ixgbe"],
    }
    assert AuditEvent.objects.order_by("-seq")[0].action == "nodes.export"
    for query, field in (
        ("format=xml", "format"),
        ("columns=colour", "columns"),
        ("sort=colour", "sort"),
        ("health=sick", "health"),
    ):
        problem = api.get(f"nodes/export/?{query}")
        assert problem.status_code == 400
        assert problem.json()["field"] == field


def test_names_of_columns_never_repeat() -> None:
    found, wrong = columns(["pool", "name", "pool", "hardware.cpus", "hardware.cpus"])
    assert [one.name for one in found] == ["pool", "hardware.cpus"]
    assert not wrong


LISTS = (
    *(
        "pools",
        "clusters",
        "credentials",
        "jump-hosts",
        "host-keys",
        "users",
        "tokens",
        "releases",
        "audit",
        "timeline",
    ),
    *("certificates", "containers", "operations"),
)
PAGES = {
    "releases": "/settings/releases/",
    "audit": "/audit/?outcome=done",
    "containers": "/containers/list/",
    "jump-hosts": "/credentials/jump-hosts/",
    "credentials": "/credentials/",
    "clusters": "/clusters/",
    "host-keys": "/nodes/-/host-keys/",
    "users": "/settings/users/?q=",
    "tokens": "/tokens/",
}


@pytest.mark.parametrize("what", LISTS)
def test_other_lists_are_files_too(cast: Cast, what: str) -> None:
    stream = Stream.objects.create(os_family="fcos", name="stable", imported_at=NOW)
    Release.objects.create(stream=stream, version="44.1", released_at=NOW, checksums={"x86_64": "c"})
    TimelineEvent.objects.create(node=cast.web_node, at=NOW, kind="rebooted", params={"version": "44.1"})
    ContainerOnNode.objects.create(node=cast.web_node, runtime="podman", name="shop", managed_by="none")
    source = CertificateSource.objects.get_or_create(kind="host", node=cast.web_node)[0]
    Certificate.objects.create(
        source=source, place="/etc/a.pem", use="kube_ca", form="x509", not_after=NOW, fingerprint="f"
    )
    asked = OperationRequest.objects.create(kind="reboot", requester="user:anna")
    Operation.objects.create(
        request=asked, kind="reboot", subject="node:1", node_name="web-1", state="succeeded", deadline=NOW
    )
    make_cluster("prod")
    make_credential("spare")
    make_jump_host("door")
    make_host_key(cast.web_node)
    api = Api(cast.owner)
    before = AuditEvent.objects.count()
    listed = api.get(f"{what}/").json()["results"]
    lines = [json.loads(line) for line in body(api.get(f"{what}/export/?format=jsonl")).splitlines()]
    assert lines[-len(listed) :] == listed if what == "audit" else lines == listed
    assert AuditEvent.objects.count() == before + 1
    assert AuditEvent.objects.order_by("-seq")[0].action == f"{what.replace('-', '_')}.export"
    rows = list(csv.reader(io.StringIO(body(api.get(f"{what}/export/")))))
    assert rows[0] == list(lines[0])
    assert api.get(f"{what}/export/?format=xml").json()["field"] == "format"
    assert api.get(f"{what}/export/?colour=red").status_code == 400
    text = signed_in(cast.owner).get(PAGES.get(what, f"/{what}/")).content.decode()
    url = re.search(rf'href="(/api/v1/{what}/export/\?[^"]*format=csv)"', text)
    assert url
    assert signed_in(cast.owner).get(url[1].replace("&amp;", "&")).status_code == 200


def test_files_of_other_lists_go_by_rights(cast: Cast) -> None:
    assert Api(cast.viewer).get("audit/export/").status_code == 403
    rows = list(csv.reader(io.StringIO(body(Api(cast.viewer).get("pools/export/?fields=name")))))
    assert rows == [["name"], ["web"]]


def test_applied_and_intended_ignition_are_columns_filters_and_links(cast: Cast) -> None:
    config = make_config("edge", cast.web)
    first, second = make_version(config, state="approved"), make_version(config, state="approved")
    Pool.objects.filter(pk=cast.web.pk).update(intended_version=second)
    make_node("born-1", pool=cast.web, applied_version=first, applied_how="fetch", applied_at=NOW)
    make_node("loose")
    client = signed_in(cast.owner)

    def named(query: str) -> set[str]:
        page = body(client.get(f"/nodes/-/export/?format=csv&columns=applied_ignition,intended_ignition&{query}"))
        return {",".join(line) for line in list(csv.reader(io.StringIO(page)))[1:]}

    assert named("ignition=edge/1") == named("ignition=edge") == {"born-1,edge/1,edge/2"}
    assert named("ignition=edge/2") == named("ignition=edge/x") == named("intended_ignition=other") == set()
    assert {"web-1,,edge/2", "born-1,edge/1,edge/2"} <= named("intended_ignition=edge/2")
    assert named("intended_ignition=none&ignition=none") >= {"loose,,"}
    assert named("ignition=edge/1,none") > named("ignition=edge/1")
    page = client.get("/nodes/?columns=applied_ignition,intended_ignition").content.decode()
    assert '?columns=applied_ignition%2Cintended_ignition&amp;ignition=edge%2F1">edge/1</a>' in page
