"""Contact with a host or a cluster inside a transaction would hold the database's only writer for seconds: refused."""

from __future__ import annotations

from django.db import connection

from nodes.hosts import ssh


def in_transaction() -> str | None:
    """A sentence when a transaction is open on this thread."""
    if connection.in_atomic_block:
        return "Another machine was asked for inside a database transaction."
    return None


def install() -> None:
    ssh.forbid = in_transaction
