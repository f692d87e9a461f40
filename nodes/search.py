"""The index behind NodeQuerySet.search: groups of three characters, kept by the database itself.

PostgreSQL: an index with pg_trgm, which the planner uses for LIKE. SQLite: an FTS5 table that triggers fill. Both are put
in place after every migrate, so that they come when an extension is installed later, and come back when SQLite rebuilt
the table of nodes. Without them search finds the same and reads every node for it (a system check says so).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError, connections, transaction

log = structlog.get_logger(__name__)
#: The index knows nothing of shorter words.
SHORTEST_WORD = 3
#: Of a word that many nodes hold, a list in order is filled from a few rows; the index would bring all of them.
MOST_FOUND = 1000
VERSION = 1
_TRIGGERS = tuple(f"nodes_search_{VERSION}_{verb}" for verb in ("insert", "update", "delete"))
_ROW = "(SELECT id FROM nodes_search_row WHERE node_id = {}.id)"
_SQLITE = (
    "CREATE TABLE nodes_search_row (id INTEGER PRIMARY KEY, node_id TEXT NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE nodes_search USING fts5(search_text, tokenize = 'trigram')",
    "INSERT INTO nodes_search_row (node_id) SELECT id FROM nodes_node",
    "INSERT INTO nodes_search (rowid, search_text) SELECT r.id, n.search_text FROM nodes_search_row AS r"
    " JOIN nodes_node AS n ON n.id = r.node_id",
    f"CREATE TRIGGER {_TRIGGERS[0]} AFTER INSERT ON nodes_node BEGIN"  # noqa: S608
    " INSERT INTO nodes_search_row (node_id) VALUES (NEW.id);"
    f" INSERT INTO nodes_search (rowid, search_text) VALUES ({_ROW.format('NEW')}, NEW.search_text); END",
    f"CREATE TRIGGER {_TRIGGERS[1]} AFTER UPDATE OF search_text ON nodes_node"  # noqa: S608
    " WHEN OLD.search_text IS NOT NEW.search_text BEGIN"
    f" UPDATE nodes_search SET search_text = NEW.search_text WHERE rowid = {_ROW.format('NEW')}; END",
    f"CREATE TRIGGER {_TRIGGERS[2]} AFTER DELETE ON nodes_node BEGIN"  # noqa: S608
    f" DELETE FROM nodes_search WHERE rowid = {_ROW.format('OLD')};"
    " DELETE FROM nodes_search_row WHERE node_id = OLD.id; END",
)
_POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX IF NOT EXISTS nodes_search ON nodes_node USING gin (search_text gin_trgm_ops)",
)


def few(words: Sequence[str], alias: str = "default") -> list[uuid.UUID] | None:
    """On SQLite the nodes that hold all of the words, as long as they are few; None when the database does it by itself."""
    known = [word for word in words if len(word) >= SHORTEST_WORD]
    connection = connections[alias]
    if connection.vendor != "sqlite" or not known:
        return None
    # A quoted phrase of a trigram index is a part of the text, whatever characters it holds.
    phrases = " AND ".join('"{}"'.format(word.replace('"', '""')) for word in known)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = %s", [_TRIGGERS[0]])
        if not cursor.fetchone():
            return None
        cursor.execute(
            "SELECT r.node_id FROM nodes_search AS s JOIN nodes_search_row AS r ON r.id = s.rowid"
            " WHERE s.search_text MATCH %s LIMIT %s",
            [phrases, MOST_FOUND + 1],
        )
        found = cursor.fetchall()
    return [uuid.UUID(node) for (node,) in found] if len(found) <= MOST_FOUND else None


def install(alias: str = "default") -> None:
    """Put the index in place; does nothing where it stands or cannot be had."""
    connection = connections[alias]
    if "nodes_node" not in connection.introspection.table_names() or not missing(alias):
        return
    try:
        with transaction.atomic(using=alias), connection.cursor() as cursor:
            for statement in _POSTGRESQL if connection.vendor == "postgresql" else [*_removal(cursor), *_SQLITE]:
                cursor.execute(statement)
    except DatabaseError as error:
        log.warning("search_not_indexed", error=str(error).strip(), what_to_do=_mend(connection.vendor))


def install_after_migrate(using: str = "default", **_: Any) -> None:
    install(using)


def missing(alias: str = "default") -> bool:
    """Whether search has to read every node."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT to_regclass('nodes_search') IS NULL")
            return bool(cursor.fetchone()[0])
        cursor.execute("SELECT COUNT(*) FROM sqlite_master WHERE name IN (%s, %s, %s)", _TRIGGERS)
        return bool(cursor.fetchone()[0] != len(_TRIGGERS))


def _removal(cursor: Any) -> list[str]:
    """What is left of an index whose triggers are gone."""
    cursor.execute(
        "SELECT type, name FROM sqlite_master WHERE name LIKE 'nodes_search%' AND type IN ('table', 'trigger')"
    )
    found = [(kind, name) for kind, name in cursor.fetchall() if kind == "trigger" or name in _TABLES]
    return [f"DROP {kind.upper()} {name}" for kind, name in found]


#: FTS5 keeps further tables of its own beside them, which go with it.
_TABLES = ("nodes_search_row", "nodes_search")


def _mend(vendor: str) -> str:
    if vendor == "postgresql":
        return "As a superuser: CREATE EXTENSION pg_trgm; then start FleetUI again."
    return "Use a Python whose SQLite has FTS5 with the trigram tokenizer (SQLite 3.34 or newer), then start FleetUI again."


@register(Tags.database)
def search_is_indexed(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """`check --database default`: says when search reads every node, and what to do."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if "nodes_node" in connection.introspection.table_names() and missing(alias):
            lack = "PostgreSQL has no pg_trgm" if connection.vendor == "postgresql" else "SQLite has no trigram index"
            text = f"Search reads every node, which is slow in a large fleet: {lack}."
            found.append(Warning(text, hint=_mend(connection.vendor), id="nodes.W001"))
    return found
