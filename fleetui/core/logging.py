"""Structured logs: one line per event, JSON on demand. Command output of hosts is never logged at INFO."""

from __future__ import annotations

import logging.config
import re
from typing import Any

import structlog

#: A token of any kind: what it is and its public part stay, the secret goes.
_TOKEN = re.compile(r"(fleetui(?:-[a-z]+)?_[0-9a-f]{12}_)[A-Za-z0-9_-]+")


class WithoutTokens(logging.Filter):
    """Libraries log addresses when something fails, and those at which machines fetch their configs hold a token."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _without_tokens(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_without_tokens(one) for one in record.args)
        return True


def _without_tokens(value: Any) -> Any:
    return _TOKEN.sub(r"\1***", value) if isinstance(value, str) else value


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
            "filters": {"without_tokens": {"()": WithoutTokens}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": "structured",
                    "filters": ["without_tokens"],
                }
            },
            "root": {"handlers": ["stderr"], "level": options.get("level", "INFO")},
            "loggers": {
                "paramiko": {"level": "CRITICAL"},
                "asyncssh": {"level": "WARNING"},
                "kombu": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                "celery.beat": {"level": "WARNING"},
                "celery.worker.consumer.connection": {"level": "WARNING"},
                "celery.apps.worker": {"level": "WARNING"},
                # A page that somebody may not see, or that is not there, is no fault of ours; failures are errors.
                "django.request": {"level": "ERROR"},
                "django.security": {"level": "ERROR"},
            },
        }
    )
