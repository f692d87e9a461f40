"""Two writers on PostgreSQL: begin one only when the other waits for a lock."""

from __future__ import annotations

import threading
import time

from django.db import connection


def until_it_waits(other: threading.Thread) -> None:
    """Return as soon as the thread waits for a lock that this one holds."""
    query = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    for _look in range(6000):
        with connection.cursor() as cursor:
            cursor.execute(query)
            if cursor.fetchone()[0]:
                return
        assert other.is_alive()
        time.sleep(0.01)
    raise AssertionError("the other never waited")
