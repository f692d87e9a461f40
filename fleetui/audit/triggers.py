"""Triggers that refuse UPDATE and DELETE on audit events, on both databases.

SQLite's table rebuilds during a migration drop triggers silently, so they are put back after every migrate and looked for at start.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections

_SQLITE = {
    f"audit_event_no_{verb.lower()}": f"CREATE TRIGGER IF NOT EXISTS audit_event_no_{verb.lower()} BEFORE {verb} ON audit_event "
    "BEGIN SELECT RAISE(ABORT, 'audit events are never changed or deleted'); END"
    for verb in ("UPDATE", "DELETE")
}
#: Retention names, for its own transaction only, up to which event it deletes.
_SETTING = "fleetui.audit_prune_through"
_POSTGRESQL = [
    "CREATE OR REPLACE FUNCTION audit_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"IF TG_OP = 'DELETE' THEN IF OLD.seq <= coalesce(nullif(current_setting('{_SETTING}', true), ''), '0')::bigint "
    "THEN RETURN OLD; END IF; END IF; "
    "RAISE EXCEPTION 'audit events are never changed or deleted'; END $$",
    "DROP TRIGGER IF EXISTS audit_event_no_change ON audit_event",
    "CREATE TRIGGER audit_event_no_change BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_event_refuse()",
    "DROP TRIGGER IF EXISTS audit_event_no_truncate ON audit_event",
    "CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_event_refuse()",
]
_POSTGRESQL_NAMES = {"audit_event_no_change", "audit_event_no_truncate"}


def install(alias: str = "default") -> None:
    """Put the triggers in place; does nothing where they stand."""
    connection = connections[alias]
    if "audit_event" not in connection.introspection.table_names():
        return
    statements = list(_SQLITE.values()) if connection.vendor == "sqlite" else _POSTGRESQL
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def remove(alias: str = "default") -> None:
    """Take the triggers away (tests that flush tables)."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in _SQLITE:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        else:
            for name in sorted(_POSTGRESQL_NAMES):
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON audit_event")


@contextmanager
def deletion_allowed(through_seq: int, alias: str = "default") -> Iterator[None]:
    """Let events up to this number be deleted, within the transaction at hand and seen by nobody else.

    SQLite has no settings of a transaction, but its schema changes belong to one: the trigger is away for this writer only.
    """
    connection = connections[alias]
    if not connection.in_atomic_block:
        raise RuntimeError("audit events are deleted in a transaction, together with their checkpoint")
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            name = "audit_event_no_delete"
            stands = name not in missing(alias)
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            yield
            if stands:
                cursor.execute(_SQLITE[name])
        else:
            cursor.execute("SELECT set_config(%s, %s, true)", [_SETTING, str(through_seq)])
            yield
            cursor.execute("SELECT set_config(%s, '0', true)", [_SETTING])


def missing(alias: str = "default") -> set[str]:
    """Names of triggers that are not there."""
    connection = connections[alias]
    if connection.vendor == "sqlite":
        wanted, query = set(_SQLITE), "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        wanted, query = _POSTGRESQL_NAMES, "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
    with connection.cursor() as cursor:
        cursor.execute(query)
        return wanted - {str(row[0]) for row in cursor.fetchall()}


def install_after_migrate(using: str = "default", **_: Any) -> None:
    if settings.AUDIT_TRIGGERS:
        install(using)
