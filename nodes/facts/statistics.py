"""What PostgreSQL's planner has to know of terms: a value belongs to its path.

Taken apart, "path is network.interfaces.driver" and "value is ixgbe" look so rare together that the planner fetches every
node with it to sort them, instead of walking nodes in order until a page is full (390 ms against 7 with 100,000 nodes).
"""

from __future__ import annotations

from typing import Any

from django.db import connections


def install_after_migrate(using: str = "default", **_: Any) -> None:
    """Put the statistics in place; does nothing on SQLite and where they stand."""
    connection = connections[using]
    if connection.vendor == "postgresql" and "nodes_factterm" in connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute("CREATE STATISTICS IF NOT EXISTS nodes_term (mcv) ON path, value FROM nodes_factterm")
