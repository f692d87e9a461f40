"""What a database or broker that is away leaves in the log: a line for each kind of failure, without stack traces."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import psycopg
import pytest
import structlog
from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerError
from psycopg.errors import AdminShutdown, DeadlockDetected
from redis.exceptions import ConnectionError as RedisGone

from fleetui.core.logging import OUTAGE_LINE_EVERY_S, OncePerOutage, is_away


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.addFilter(OncePerOutage())

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    logging.getLogger("outage").addHandler(handler)
    yield handler
    logging.getLogger("outage").removeHandler(handler)


def of_django(error: Exception) -> OperationalError:
    wrapped = OperationalError(str(error))
    wrapped.__cause__ = error
    return wrapped


AWAY = of_django(psycopg.OperationalError("connection refused\nIs the server running?"))


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (AWAY, True),
        (of_django(AdminShutdown("terminating connection")), True),
        (of_django(DeadlockDetected("deadlock detected")), False),
        (BrokerError("refused"), True),
        (RedisGone("refused"), True),
        (OperationalError("no such table: nodes"), False),
        (ValueError("ours"), False),
        (None, False),
    ],
)
def test_only_a_server_that_is_away_counts(error: Exception | None, away: bool) -> None:
    assert is_away(error) is away


def test_a_kind_is_said_once_a_minute_with_the_number_left_out(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("fleetui.core.logging.monotonic", lambda: now)
    log = logging.getLogger("outage")
    for _ in range(3):
        log.error("Task %s failed", "ops.tick", exc_info=AWAY)
    log.error("Another kind", exc_info=AWAY)
    now += OUTAGE_LINE_EVERY_S
    log.error("Task %s failed", "ops.tick", exc_info=AWAY)
    said = [(record.getMessage(), record.exc_info) for record in kept.records]
    assert said == [
        ("Task ops.tick failed", None),
        ("Another kind", None),
        ("Task ops.tick failed (2 like it were left out)", None),
    ]


def test_what_is_said_while_an_outage_is_handled_belongs_to_it(kept: Kept) -> None:
    log = structlog.get_logger("outage")
    for _ in range(2):
        try:
            raise AWAY
        except OperationalError:
            log.exception("contact_failed", node="web-01")
    (record,) = kept.records
    assert isinstance(record.msg, dict)
    assert record.msg["event"] == "contact_failed"
    assert record.msg["error"] == "connection refused"
    assert "exc_info" not in record.msg


def test_other_failures_keep_their_traces(kept: Kept) -> None:
    for _ in range(2):
        try:
            raise ValueError("ours")
        except ValueError:
            logging.getLogger("outage").exception("failed")
    assert len(kept.records) == 2
    assert all(record.exc_info for record in kept.records)
    assert sys.exc_info() == (None, None, None)
