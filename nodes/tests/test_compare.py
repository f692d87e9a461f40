"""Two nodes side by side, and one node at two times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from nodes.facts.compare import compare
from nodes.models import Facts, Node
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, deployment, make_facts
from nodes.tests.pages import signed_in

URL = "/nodes/-/compare/"
FCOS: dict[str, Any] = {
    "os": {"family": "fcos", "version": "44", "stream": "stable"},
    "deployments": [deployment("44", layered=["htop", "vim"]), deployment("43", booted=False, rollback=True)],
    "boot": {"kernel": "6.17.5", "boot_id": "b1", "arguments": ["quiet", "rw"]},
    "network": {"interfaces": [{"name": "ens3", "driver": "virtio_net", "mac": "52:54:00:00:00:01"}]},
    "storage": {"filesystems": [{"mount": "/var", "type": "xfs"}, {"mount": "/boot", "type": "ext4"}]},
}
FLATCAR: dict[str, Any] = {
    "os": {"family": "flatcar", "version": "4230.2.3", "stream": "stable"},
    "deployments": [{**deployment("4230.2.3"), "slot": {"name": "USR-A", "priority": 1}}],
    "boot": {"kernel": "6.6.100", "boot_id": "b2", "arguments": ["rw", "mount.usr=/dev/mapper/usr"]},
    "network": {"interfaces": [{"name": "ens3", "driver": "ixgbe", "mac": "52:54:00:00:00:02"}, {"name": "ens4"}]},
    "storage": {"filesystems": [{"mount": "/boot", "type": "vfat"}]},
}


def test_lists_are_sets_and_members_go_by_name() -> None:
    found = {one.name: one for one in compare(FCOS, FLATCAR)}
    by_label = {row.label: row for section in found.values() for row in section.differences}
    arguments = by_label["arguments"]
    assert (arguments.only_left, arguments.only_right, arguments.in_both) == (
        ("quiet",), ("mount.usr=/dev/mapper/usr",), 1,
    )  # fmt: skip
    assert by_label["booted · layered"].only_left == ("htop", "vim")
    assert by_label["interfaces"].only_right == ("ens4",)
    assert (by_label["ens3 · interfaces.driver"].left, by_label["ens3 · interfaces.driver"].right) == (
        "virtio_net",
        "ixgbe",
    )
    assert by_label["filesystems"].only_left == ("/var",)
    assert by_label["/boot · filesystems.type"].right == "vfat"
    assert by_label["deployments"].only_left == ("rollback",)
    assert by_label["booted · slot.name"].right == "USR-A"
    assert ("stream", "stable") in found["os"].same
    assert [row.path for row in found["network"].expected] == ["network.interfaces.mac"]
    assert [row.path for row in found["boot"].expected] == ["boot.boot_id"]


def test_order_and_absence_are_no_differences() -> None:
    left = {"boot": {"arguments": ["a", "b", "b"]}, "hardware": {"model": None}, "time": {"ntp": True}}
    right = {"boot": {"arguments": ["b", "b", "a"]}, "hardware": {"model": ""}, "time": {"ntp": True}}
    assert all(section.is_same for section in compare(left, right))
    assert not compare({"time": {"ntp": True}}, {"time": {"ntp": 1}})[0].is_same


_documents = st.dictionaries(
    st.sampled_from(["os", "deployments", "boot", "network", "other"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "mount", "x"]), inner, max_size=3),
        max_leaves=8,
    ),
)  # fmt: skip


@given(_documents, _documents)
def test_any_two_documents_can_be_compared(left: dict[str, Any], right: dict[str, Any]) -> None:
    compare(left, right)
    assert all(section.is_same for section in compare(left, left))


@pytest.fixture
def two(cast: Cast) -> Cast:
    make_facts(cast.web_node, **FCOS)
    make_facts(cast.db_node, **FLATCAR)
    return cast


def test_the_page_shows_differences_first_and_what_is_alike_folded(two: Cast) -> None:
    page = signed_in(two.owner).get(URL, {"a": "web-1", "b": "db-1"})
    text = page.content.decode()
    assert page.status_code == 200
    assert text.index("mount.usr=/dev/mapper/usr") < text.index('<details class="n-compare-more"')
    assert "2 differences that any two hosts have" in text
    assert "Operating system: 1 alike" in text
    assert "style=" not in text


def test_one_node_at_two_times(two: Cast) -> None:
    node = two.web_node
    old = {**FCOS, "boot": {**FCOS["boot"], "kernel": "6.16.0"}}
    Facts.objects.filter(node=node).delete()
    Facts.objects.create(node=node, generation=1, read_at=NOW - timedelta(days=2), hash="o", document=old)
    newest = Facts.objects.create(node=node, generation=1, read_at=NOW, hash="n", document=FCOS)
    Node.objects.filter(pk=node.pk).update(facts=newest)
    client = signed_in(two.owner)
    page = client.get(URL, {"a": "web-1", "a_at": "2026-11-21"}).content.decode()
    assert "web-1 at two times" in page
    assert "6.16.0" in page
    assert "Nothing differs" in client.get(URL, {"a": "web-1", "a_at": "2026-11-23"}).content.decode()
    early = client.get(URL, {"a": "web-1", "a_at": "2020-01-01"})
    assert early.status_code == 422
    assert 'id="compare-a-at-error"' in early.content.decode()
    body = Api(two.owner).get("nodes/compare/?a=web-1&a_at=2026-11-21").json()
    changed = [row for section in body["sections"] for row in section["differences"]]
    assert [(row["path"], row["a"], row["b"]) for row in changed] == [("boot.kernel", "6.16.0", "6.17.5")]


def test_what_cannot_be_compared_is_told_at_its_field(two: Cast) -> None:
    client = signed_in(two.viewer)
    for query, field in (
        ({"a": "web-1", "b": "db-1"}, "compare-b-error"), ({"a": "nope"}, "compare-a-error"),
        ({"a": "web-1", "a_at": "yesterday"}, "compare-a-at-error"), ({"a": "web\0"}, "compare-a-error"),
    ):  # fmt: skip
        response = client.get(URL, query)
        assert response.status_code == 422, query
        assert f'id="{field}"' in response.content.decode()
    assert "Two nodes side by side" in client.get(URL).content.decode()
    loose = signed_in(two.owner).get(URL, {"a": "web-1", "b": "loose-1"})
    assert "No facts have been read from loose-1 yet." in loose.content.decode()


def test_the_api_refuses_alike(two: Cast) -> None:
    api = Api(two.viewer)
    odd = api.get("nodes/compare/?a=web-1&a_at=yesterday").json()
    assert (odd["field"], odd["mend"]) == ("a_at", "Write it like 2026-11-22T10:00:00Z or 2026-11-22.")
    assert api.get("nodes/compare/?a=web-1&b=db-1").status_code == 404
    assert api.get("nodes/compare/").status_code == 400
    assert api.get("nodes/compare/?a=web-1&b_at=soon").json()["field"] == "b_at"


def test_two_are_selected_in_the_list(two: Cast) -> None:
    client = signed_in(two.owner)
    done = client.post(URL, {"id": [str(two.db_node.pk), str(two.web_node.pk)]})
    assert done["Location"] == f"{URL}?a=db-1&b=web-1"
    assert client.post(URL, {"id": [str(two.db_node.pk)]})["Location"] == "/nodes/"
    assert client.post(URL, {"id": [], "filter": "?pool=web"})["Location"] == "/nodes/?pool=web"
    assert client.post(URL, {"all": "1", "filter": "pool=web,db"})["Location"] == f"{URL}?a=db-1&b=web-1"


def test_what_a_host_says_is_escaped(two: Cast) -> None:
    make_facts(two.loose, **{**FLATCAR, "boot": {"arguments": ["<script>alert(1)</script>"]}})
    page = signed_in(two.owner).get(URL, {"a": "web-1", "b": "loose-1"}).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_comparison_is_a_fixed_number_of_queries(two: Cast) -> None:
    client = signed_in(two.owner)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(URL, {"a": "web-1", "b": "db-1"})
        return len(queries)

    count()
    few = count()
    Facts.objects.filter(node=two.db_node).update(
        document={**FLATCAR, "boot": {"arguments": [f"a{number}" for number in range(200)]}}
    )
    assert count() == few
