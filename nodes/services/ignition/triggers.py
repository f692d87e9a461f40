"""Triggers that keep an Ignition version as it was written, let nobody approve it but by a review of somebody else, and let a
pool intend approved ones only; on both databases.

SQLite's table rebuilds during a migration drop triggers silently, or fail on those of another table that name the rebuilt
one: so they are taken away before every migrate, and put back after it.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction

from nodes.models import IgnitionVersion

#: Goes up when what the triggers do changes: those of another name are taken away.
VERSION = 6
_PREFIX = "nodes_ignition_"
_TABLES = {what: "nodes_ignitionversion" for what in ("fixed", "replaced", "kept", "gone", "approved", "approved_new")}
_TABLES |= {"intended_new": "nodes_pool", "intended_change": "nodes_pool"}
_FIXED = "an Ignition version is never changed"
_KEPT = "a pool intends this Ignition version: it stays approved"
_GONE = "a withdrawn Ignition version stays withdrawn"
_UNREVIEWED = "an Ignition version is approved by a review of somebody who did not write it"
_INTENDED = "a pool intends an approved Ignition version only"
_USED = "EXISTS (SELECT 1 FROM nodes_pool WHERE intended_version_id = OLD.id)"
_THERE = "EXISTS (SELECT 1 FROM nodes_ignitionversion WHERE id = NEW.id)"
_APPROVED = "EXISTS (SELECT 1 FROM nodes_ignitionversion WHERE id = NEW.intended_version_id AND state = 'approved')"


def _owner(column: str, strpos: str) -> str:
    """The person behind a principal: a token is named after its owner, `token:anna/laptop`."""
    name = f"substr({column}, 7, {strpos}({column}, '/') - 7)"
    return f"CASE WHEN {column} LIKE 'token:%/%' THEN 'user:' || {name} ELSE {column} END"


def _reviewed(strpos: str) -> str:
    reviewer, author = _owner("reviewer", strpos), _owner("NEW.author", strpos)
    return (
        "EXISTS (SELECT 1 FROM nodes_ignitionreview"  # noqa: S608
        f" WHERE version_id = NEW.id AND verdict = 'approved' AND ({reviewer}) <> ({author}))"
    )


def _name(what: str) -> str:
    return f"{_PREFIX}{VERSION}_{what}"


def _heads(strpos: str) -> dict[str, tuple[str, str, str, str]]:
    """What each trigger watches, on what condition, when it refuses, and with which sentence."""
    # With its id a version would take over the reviews of another one.
    fixed = ("id", *IgnitionVersion.FIXED)
    old, new = (", ".join(f"{row}.{column}" for column in fixed) for row in ("OLD", "NEW"))
    differs = f"({old}) IS DISTINCT FROM ({new})"
    left = "OLD.state = 'approved' AND NEW.state <> 'approved'"
    comes = "NEW.state = 'approved' AND OLD.state <> 'approved'"
    intends = "NEW.intended_version_id IS NOT NULL"
    return {
        "fixed": (f"UPDATE OF {', '.join(fixed)}", differs, "", _FIXED),
        # SQLite's INSERT OR REPLACE is no UPDATE.
        "replaced": ("INSERT", "NEW.id IS NOT NULL", _THERE, _FIXED),
        "kept": ("UPDATE OF state", left, _USED, _KEPT),
        "gone": ("UPDATE OF state", "OLD.state = 'withdrawn' AND NEW.state <> 'withdrawn'", "", _GONE),
        "approved": ("UPDATE OF state", comes, f"NOT {_reviewed(strpos)}", _UNREVIEWED),
        # An archive of another database brings the reviews first: their table comes first by name.
        "approved_new": ("INSERT", "NEW.state = 'approved'", f"NOT {_reviewed(strpos)}", _UNREVIEWED),
        "intended_new": ("INSERT", intends, f"NOT {_APPROVED}", _INTENDED),
        "intended_change": ("UPDATE OF intended_version_id", intends, f"NOT {_APPROVED}", _INTENDED),
    }


def _sqlite() -> list[str]:
    return [
        f"CREATE TRIGGER {_name(what)} BEFORE {watched} ON {_TABLES[what]} FOR EACH ROW"
        f" WHEN {condition.replace('IS DISTINCT FROM', 'IS NOT')}"
        f" BEGIN SELECT RAISE(ABORT, '{sentence}'){f' WHERE {refused}' if refused else ''}; END"
        for what, (watched, condition, refused, sentence) in _heads("instr").items()
    ]


def _postgresql() -> list[str]:
    found = []
    for what, (watched, condition, refused, sentence) in _heads("strpos").items():
        refuse = f"RAISE EXCEPTION '{sentence}' USING ERRCODE = 'integrity_constraint_violation';"
        body = f"IF {refused} THEN {refuse} END IF;" if refused else refuse
        found += [
            f"CREATE OR REPLACE FUNCTION {_name(what)}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {body} RETURN NEW; END $$",
            f"CREATE TRIGGER {_name(what)} BEFORE {watched} ON {_TABLES[what]} FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION {_name(what)}()",
        ]
    return found


def install(alias: str = "default") -> bool:
    """Put the triggers in place unless they stand; whether anything was done."""
    database = connections[alias]
    tables = {"nodes_ignitionversion", "nodes_ignitionreview", "nodes_pool"}
    if not tables <= set(database.introspection.table_names()) or not _pool_intends(alias):
        return False
    found = _found(alias)
    if set(found) == {_name(what) for what in _TABLES}:
        return False
    with transaction.atomic(using=alias), database.cursor() as cursor:
        for statement in _gone(alias, found):
            cursor.execute(statement)
        for statement in _sqlite() if database.vendor == "sqlite" else _postgresql():
            cursor.execute(statement)
    return True


def _gone(alias: str, found: dict[str, str]) -> list[str]:
    on_table = connections[alias].vendor == "postgresql"
    return [f"DROP TRIGGER {name}{f' ON {table}' if on_table else ''}" for name, table in sorted(found.items())]


def _pool_intends(alias: str) -> bool:
    """Whether the migration that made the column has run: tests migrate back and forth."""
    with connections[alias].cursor() as cursor:
        found = connections[alias].introspection.get_table_description(cursor, "nodes_pool")
    return any(column.name == "intended_version_id" for column in found)


def _found(alias: str) -> dict[str, str]:
    """The triggers of ours that stand, with their tables."""
    database = connections[alias]
    query = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
    if database.vendor == "postgresql":
        query = "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
    with database.cursor() as cursor:
        cursor.execute(query)
        return {str(name): str(table) for name, table in cursor.fetchall() if str(name).startswith(_PREFIX)}


def remove_before_migrate(using: str = "default", **_: Any) -> None:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        for statement in _gone(using, _found(using)):
            cursor.execute(statement)


def install_after_migrate(using: str = "default", **_: Any) -> None:
    install(using)
