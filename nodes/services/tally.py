"""Keeps the tally of nodes: triggers on both databases, put back after every migrate and counted anew where they were gone.

SQLite's table rebuilds during a migration drop triggers silently. Rows are only ever added, so that writers of different
nodes never wait for each other; the sweep folds them together.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, connections, transaction

#: Goes up when what is counted changes: triggers of another name are not ours, and the tally is made anew.
VERSION = 1
AXES = ("reachability", "health", "update_state")
_COLUMNS = {"os": "os_family", "stream": "os_stream", "version": "booted_version"}
#: A change of any of these moves a node from one count to another.
_WATCHED = ("pool_id", "lifecycle", *AXES, *(f"{axis}_reason" for axis in AXES), *_COLUMNS.values())
_VERBS = ("insert", "update", "delete")
#: Rows beyond what is needed before they are folded together.
MOST_LOOSE_ROWS = 500


def _counts(row: str, sign: int) -> str:
    """A SELECT of (pool_id, kind, value, n) for one row of nodes: NEW, OLD, or an alias of the table."""
    kept = f"{row}.lifecycle <> 'retired'"
    parts = [f"SELECT {row}.pool_id AS pool_id, 'lifecycle' AS kind, {row}.lifecycle AS value, {sign} AS n{{of}}"]
    plain = {**{axis: axis for axis in AXES}, **_COLUMNS}
    parts += [f"SELECT {row}.pool_id, '{k}', {row}.{column}, {sign}{{of}} WHERE {kept}" for k, column in plain.items()]
    for place, axis in enumerate(AXES):
        # A node with one reason on two axes is one node with that reason.
        others = "".join(f" AND {row}.{axis}_reason <> {row}.{other}_reason" for other in AXES[:place])
        reason = f"{row}.{axis}_reason"
        parts.append(f"SELECT {row}.pool_id, 'reason', {reason}, {sign}{{of}} WHERE {kept} AND {reason} <> ''{others}")
    return " UNION ALL ".join(parts)


def _added(*selects: str) -> str:
    # Every part is a text of this module.
    return (
        "INSERT INTO nodes_tally (pool_id, kind, value, nodes) SELECT pool_id, kind, value, SUM(n)"  # noqa: S608
        f" FROM ({' UNION ALL '.join(selects)}) AS moved GROUP BY pool_id, kind, value HAVING SUM(n) <> 0"
    )


def _name(verb: str) -> str:
    return f"nodes_tally_{VERSION}_{verb}"


def _sqlite() -> list[str]:
    new, old = _counts("NEW", 1).format(of=""), _counts("OLD", -1).format(of="")
    before, after = (", ".join(f"{row}.{name}" for name in _WATCHED) for row in ("OLD", "NEW"))
    watched = ", ".join(_WATCHED)
    return [
        f"CREATE TRIGGER {_name('insert')} AFTER INSERT ON nodes_node BEGIN {_added(new)}; END",
        f"CREATE TRIGGER {_name('delete')} AFTER DELETE ON nodes_node BEGIN {_added(old)}; END",
        f"CREATE TRIGGER {_name('update')} AFTER UPDATE OF {watched} ON nodes_node"
        f" WHEN ({before}) IS NOT ({after}) BEGIN {_added(old, new)}; END",
    ]


def _postgresql() -> list[str]:
    """Whole statements at once where all their rows count; row by row where most rows of a statement do not change."""
    added, gone = _counts("t", 1).format(of=" FROM added AS t"), _counts("t", -1).format(of=" FROM gone AS t")
    new, old = _counts("NEW", 1).format(of=""), _counts("OLD", -1).format(of="")
    before, after = (", ".join(f"{row}.{name}" for name in _WATCHED) for row in ("OLD", "NEW"))
    bodies = {"insert": _added(added), "delete": _added(gone), "update": _added(old, new)}
    functions = [
        f"CREATE OR REPLACE FUNCTION {_name(verb)}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {body}; RETURN NULL; END $$"
        for verb, body in bodies.items()
    ]
    return [
        *functions,
        f"CREATE TRIGGER {_name('insert')} AFTER INSERT ON nodes_node REFERENCING NEW TABLE AS added"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {_name('insert')}()",
        f"CREATE TRIGGER {_name('delete')} AFTER DELETE ON nodes_node REFERENCING OLD TABLE AS gone"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {_name('delete')}()",
        f"CREATE TRIGGER {_name('update')} AFTER UPDATE OF {', '.join(_WATCHED)} ON nodes_node FOR EACH ROW"
        f" WHEN (({before}) IS DISTINCT FROM ({after})) EXECUTE FUNCTION {_name('update')}()",
    ]


def install(alias: str = "default") -> bool:
    """Put the triggers in place and count anew, unless they stand; whether anything was done."""
    database = connections[alias]
    tables = database.introspection.table_names()
    if "nodes_tally" not in tables or "nodes_node" not in tables:
        return False
    found = _found(alias)
    if found == {_name(verb) for verb in _VERBS}:
        return False
    with transaction.atomic(using=alias), database.cursor() as cursor:
        if database.vendor == "postgresql":
            # Nobody writes between the count and the triggers, nor folds rows into one that the count does not see.
            cursor.execute("LOCK TABLE nodes_node, nodes_tally IN SHARE ROW EXCLUSIVE MODE")
        for name in sorted(found):
            cursor.execute(f"DROP TRIGGER {name}{' ON nodes_node' if database.vendor == 'postgresql' else ''}")
        for statement in _sqlite() if database.vendor == "sqlite" else _postgresql():
            cursor.execute(statement)
        _count(cursor)
    return True


def recount() -> None:
    """Make the tally anew: for whoever wrote nodes past the triggers."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("LOCK TABLE nodes_node, nodes_tally IN SHARE ROW EXCLUSIVE MODE")
        _count(cursor)


def _count(cursor: Any) -> None:
    cursor.execute("DELETE FROM nodes_tally")
    cursor.execute(_added(_counts("t", 1).format(of=" FROM nodes_node AS t")))


def _found(alias: str) -> set[str]:
    database = connections[alias]
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if database.vendor == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'nodes_node'::regclass AND NOT tgisinternal"
    with database.cursor() as cursor:
        cursor.execute(query)
        return {str(name) for (name,) in cursor.fetchall() if str(name).startswith("nodes_tally_")}


def fold() -> None:
    """Put the rows of one count together, when there are many. Readers see the same sums before and after."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT COUNT(*) FROM nodes_tally), COUNT(*) FROM"
            " (SELECT 1 FROM nodes_tally GROUP BY pool_id, kind, value) AS counts"
        )
        rows, counts = cursor.fetchone()
        if rows - counts <= MOST_LOOSE_ROWS:
            return
        sums = "SELECT pool_id, kind, value, SUM(nodes) FROM {} GROUP BY pool_id, kind, value HAVING SUM(nodes) <> 0"
        into = "INSERT INTO nodes_tally (pool_id, kind, value, nodes) "
        if connection.vendor == "postgresql":
            # One statement: what others add meanwhile is neither summed nor deleted.
            cursor.execute(f"WITH gone AS (DELETE FROM nodes_tally RETURNING *) {into}{sums.format('gone')}")  # noqa: S608
            return
        with transaction.atomic():
            # SQLite has one writer at a time.
            cursor.execute(sums.format("nodes_tally"))
            kept = cursor.fetchall()
            cursor.execute("DELETE FROM nodes_tally")
            cursor.executemany(f"{into}VALUES (%s, %s, %s, %s)", kept)


def install_after_migrate(using: str = "default", **_: Any) -> None:
    """A flush empties tables one by one, and that of nodes perhaps after the tally: what it left is counted anew."""
    if not install(using) and "nodes_tally" in connections[using].introspection.table_names():
        with connections[using].cursor() as cursor:
            cursor.execute("DELETE FROM nodes_tally WHERE NOT EXISTS (SELECT 1 FROM nodes_node)")
