"""Guided restores of a database of a real PostgreSQL, which a real sshd reaches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.actions import restore, restoring
from ops.models import BackupPolicy
from ops.states import State
from ops.tests.test_guided_restore import Site, folders, said
from tests import services
from tests.conftest import missing

pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("backups")]


class Server:
    def __init__(self, url: str) -> None:
        self.url = url
        place = psycopg.conninfo.conninfo_to_dict(url)
        self.host, self.port, self.user = str(place["host"]), int(str(place["port"])), str(place["user"])
        self.sql('CREATE DATABASE "app"', "postgres")
        self.sql("CREATE TABLE hosts AS SELECT 'as it was' AS name")

    def sql(self, query: str, database: str = "app") -> list[Any]:
        with psycopg.connect(self.url, dbname=database, autocommit=True) as connection:
            done = connection.execute(query.encode())
            return done.fetchall() if done.description else []

    def names(self, database: str = "app") -> list[Any]:
        return self.sql("SELECT name FROM hosts", database)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    try:
        with services.postgresql() as found:
            yield found
    except services.ServiceMissing as error:
        missing(str(error))


@pytest.fixture
def site(transactional_db: None, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, tmp_path)


@pytest.fixture
def server(url: str) -> Iterator[Server]:
    yield (found := Server(url))
    for name in ("app", "app_before", "app_restored"):
        found.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', "postgres")


@pytest.fixture
def policy(site: Site, server: Server) -> BackupPolicy:
    settings = {"database": "app", "runs_in": "host", "user": server.user, "host": server.host, "port": server.port}
    policy = site.policy("postgresql", settings, node=site.nodes[0])
    site.back_up(policy)
    server.sql("UPDATE hosts SET name = 'spoilt'")
    return policy


def test_a_database_is_loaded_beside_and_swapped_when_a_person_lets_it(
    site: Site, server: Server, policy: BackupPolicy
) -> None:
    operation = site.work(site.ask(policy))
    assert (operation.step, operation.wait_reason) == ("restore_swap", "restore_asks_go_on"), said(operation)
    assert (server.names(), server.names("app_restored")) == ([("spoilt",)], [("as it was",)])
    # Somebody is in it: nothing is renamed, and a person is told.
    with psycopg.connect(server.url, dbname="app"):
        site.say(operation)
        assert operation.state == State.NEEDS_ATTENTION
        assert "other session using the database" in said(operation)
    site.say(operation)
    assert operation.state == State.SUCCEEDED, said(operation)
    assert (server.names(), server.names("app_before")) == ([("as it was",)], [("spoilt",)])
    assert "app_before" in said(operation)
    assert folders(operation) == []


def test_a_database_that_was_there_before_is_never_dropped(site: Site, server: Server, policy: BackupPolicy) -> None:
    server.sql('CREATE DATABASE "app_restored" TEMPLATE "app"', "postgres")
    operation = site.work(site.ask(policy))
    assert operation.state == State.FAILED
    assert "there is a database app_restored already" in said(operation)
    assert server.names("app_restored") == [("spoilt",)]
    assert folders(operation) == []


def test_one_that_came_while_the_backup_was_sent_is_not_dropped_either(
    site: Site, server: Server, policy: BackupPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = restoring.fenced

    def comes(*given: Any) -> Any:
        server.sql('CREATE DATABASE "app_restored" TEMPLATE "app"', "postgres")
        return real(*given)

    monkeypatch.setattr(restore, "fenced", comes)
    operation = site.work(site.ask(policy))
    assert (operation.state, operation.result) == (State.FAILED, "restore_not_now"), said(operation)
    assert server.names("app_restored") == [("spoilt",)]
