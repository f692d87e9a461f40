"""What is known of the request or task at hand: bound once at the edge, read by the audit log and the logger."""

from __future__ import annotations

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
source_address: ContextVar[str] = ContextVar("source_address", default="")
