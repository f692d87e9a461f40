"""Structured logs: one line per event, JSON on demand. Command output of hosts is never logged at INFO."""

from __future__ import annotations

import logging.config
import re
import sys
import threading
from time import monotonic
from typing import Any

import structlog

#: A token of any kind: what it is and its public part stay, the secret goes.
_TOKEN = re.compile(r"(fleetui(?:-[a-z]+)?_[0-9a-f]{12}_)[A-Za-z0-9_-]+")
#: A kind of outage is said so often in each process.
OUTAGE_LINE_EVERY_S = 60.0
#: Errors of the drivers that stand for a server which is away, where there is no other code.
_AWAY = {
    "psycopg": ("OperationalError", "InterfaceError"),
    "kombu.exceptions": ("OperationalError",),
    "redis.exceptions": ("ConnectionError", "TimeoutError"),
    "amqp.exceptions": ("ConnectionError",),
}
#: Of PostgreSQL: the connection is gone; the server was shut down, or starts.
_AWAY_CODES = ("08", "57P")


class WithoutTokens(logging.Filter):
    """Libraries log addresses when something fails, and those at which machines fetch their configs hold a token."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _without_tokens(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_without_tokens(one) for one in record.args)
        return True


def _without_tokens(value: Any) -> Any:
    return _TOKEN.sub(r"\1***", value) if isinstance(value, str) else value


class OncePerOutage(logging.Filter):
    """A database or broker that is away is one line for each kind of failure and minute, not a stack trace per task.

    What is logged while such an error is handled belongs to it, whoever logs it. Other failures pass as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        #: When a kind was said last, and how often it was left out since.
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else sys.exc_info()[1]
        if not is_away(error):
            return True
        event = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        kind, now = (record.name, str(event)), monotonic()
        with self._lock:
            at_s, left_out = self._said.get(kind, (-OUTAGE_LINE_EVERY_S, 0))
            is_due = now - at_s >= OUTAGE_LINE_EVERY_S
            self._said[kind] = (now, 0) if is_due else (at_s, left_out + 1)
        if is_due:
            _without_trace(record, left_out)
        return is_due


def _without_trace(record: logging.LogRecord, left_out: int) -> None:
    """One line; the next like it comes after a while and says how many there were in between."""
    more = {"like_it_left_out": left_out} if left_out else {}
    record.exc_info = record.exc_text = None
    if isinstance(record.msg, dict):
        error = record.msg.pop("exc_info", None) and sys.exc_info()[1]
        told = {"error": _first_line(str(error))} if error else {}
        record.msg = {**record.msg, **told, **more}
    else:
        record.msg, record.args = _first_line(record.getMessage()), ()
        if more:
            record.msg += f" ({left_out} like it were left out)"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def is_away(error: BaseException | None) -> bool:
    """Whether a database or broker that cannot be reached, or has just gone, is behind a failure."""
    kinds = tuple(kind for module, names in _AWAY.items() for kind in _loaded(module, names))
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        # PostgreSQL gives a reason with a code for all else, such as a deadlock.
        code = getattr(error, "sqlstate", None) or ""
        if isinstance(error, kinds) and (not code or code.startswith(_AWAY_CODES)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _loaded(module: str, names: tuple[str, ...]) -> list[type[BaseException]]:
    """Drivers take their time to load; an error of one that was not loaded there cannot be."""
    found = sys.modules.get(module)
    return [getattr(found, name) for name in names] if found else []


def configure(options: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG callable; options: json (bool), level (str)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The plain formatter, never the rich one: that prints local variables, and those may hold keys.
    text = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    renderers: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()] if options.get("json") else [text]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
                }
            },
            "filters": {"without_tokens": {"()": WithoutTokens}, "once_per_outage": {"()": OncePerOutage}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": "structured",
                    "filters": ["once_per_outage", "without_tokens"],
                }
            },
            "root": {"handlers": ["stderr"], "level": options.get("level", "INFO")},
            "loggers": {
                "paramiko": {"level": "CRITICAL"},
                "asyncssh": {"level": "WARNING"},
                "kombu": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                # Of each nudge that came too late, as after a start; the next one does the same work.
                "celery.worker.request": {"level": "WARNING"},
                "celery.beat": {"level": "WARNING"},
                "celery.worker.consumer.connection": {"level": "WARNING"},
                "celery.apps.worker": {"level": "WARNING"},
                # A page that somebody may not see, or that is not there, is no fault of ours; failures are errors.
                "django.request": {"level": "ERROR"},
                "django.security": {"level": "ERROR"},
            },
        }
    )
