"""Search: the same nodes with and without its index, in any script, and kept right by the database."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.db import connection

from nodes import search
from nodes.models import Node
from nodes.tests.make import make_node, make_pool

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
TEXTS = [
    "web",
    "WEB-1",
    "10.0",
    "เชียงใหม่",
    "ใหม่",
    "site:เชียง",
    "44.2026 stable",
    '"',
    "%",
    "db_3",
    "a\\b",
    "no-such",
    "b",
    "wé",
    "“x”",
    "or and",
]


@pytest.fixture
def fleet() -> None:
    make_node("web-1", labels={"site": "เชียงใหม่", "note": 'a\\b "x" 100%'})
    make_node("web-2", pool=make_pool("stable"), labels={"site": "Zürich", "wé": "“x”", "or": "and"})
    make_node("db_3", address="db3.example.org", booted_version="44.20269999.3.0")


def names(text: str) -> list[str]:
    return sorted(Node.objects.search(text).values_list("name", flat=True))


def uninstall() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DROP INDEX nodes_search")
            return
        for statement in search._removal(cursor):
            cursor.execute(statement)


@pytest.mark.usefixtures("fleet")
def test_the_index_finds_what_reading_every_node_finds() -> None:
    assert not search.missing()
    indexed = {text: names(text) for text in TEXTS}
    uninstall()
    assert search.missing()
    assert {text: names(text) for text in TEXTS} == indexed
    assert indexed["ใหม่"] == ["web-1"]
    assert indexed["WEB-1"] == ["web-1"]
    assert indexed["44.2026 stable"] == ["db_3", "web-1", "web-2"]
    assert indexed["%"] == ["web-1"]
    assert indexed["db_3"] == ["db_3"]
    assert indexed["no-such"] == []


@pytest.mark.usefixtures("fleet")
def test_it_follows_every_write() -> None:
    node = Node.objects.get(name="web-1")
    Node.objects.filter(pk=node.pk).update(search_text="quite different")
    assert names("quite differ") == ["web-1"]
    assert names("เชียงใหม่") == []
    Node.objects.bulk_create([Node(name="bulk", address="x", search_text="made in bulk")])
    assert names("in bulk") == ["bulk"]
    node.delete()
    assert names("quite differ") == []


@pytest.mark.usefixtures("fleet")
def test_it_comes_back_when_it_is_lost() -> None:
    uninstall()
    make_node("later", address="later.example.org")
    [warning] = [one for one in run_checks(databases=["default"]) if one.id == "nodes.W001"]
    assert "Search reads every node" in warning.msg
    assert warning.hint
    with connection.cursor() as cursor:
        # No index is made while keys wait to be checked at the end of the test's transaction.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE" if connection.vendor == "postgresql" else "SELECT 1")
    search.install()
    assert not search.missing()
    assert names("later.exam") == ["later"]
    assert names("web-1") == ["web-1"]
    assert "nodes.W001" not in [one.id for one in run_checks(databases=["default"])]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's planner decides by itself")
@pytest.mark.usefixtures("fleet")
def test_many_are_found_by_reading_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert search.few(["web"]) is not None
    monkeypatch.setattr(search, "MOST_FOUND", 1)
    assert search.few(["web"]) is None
    assert names("web") == ["web-1", "web-2"]
    assert search.few(["we"]) is None


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is asked for the index by name")
@pytest.mark.usefixtures("fleet")
def test_postgresql_can_use_it_for_search_and_labels() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    for found in (Node.objects.search("web-1"), Node.objects.labelled("site:เชียงใหม่")):
        assert "nodes_search" in found.order_by().explain()


def test_a_database_that_cannot_index_is_told_apart_from_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall()
    monkeypatch.setattr(search, "_POSTGRESQL", ("CREATE EXTENSION no_such_extension",))
    monkeypatch.setattr(search, "_SQLITE", ("CREATE VIRTUAL TABLE nodes_search USING no_such_module(x)",))
    search.install()
    assert search.missing()
    make_node("web-9", address="nine.example.org")
    assert names("nine.exam") == ["web-9"]


def test_short_words_are_not_found_in_checksums() -> None:
    make_node("web-9", booted={"checksum": "f2073db814ebc0bf"})
    make_node("db-9", booted={"checksum": "0" * 16})
    make_node("bare", booted=None, labels={"rack": "db"})
    assert names("db") == ["bare", "db-9"]
    assert names("2073") == []
    assert names("2073db8") == ["web-9"]
