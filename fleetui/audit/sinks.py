"""Receivers of audit events: a signed webhook, and syslog. Each takes a batch or raises, and keeps nothing."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
from django.conf import settings

from fleetui.core.posting import LONGEST_S, TIMEOUT_S, NotSent, post, signature, why
from fleetui.core.time_limit import TimeLimit

Event = dict[str, Any]
#: Facility "log audit", severity "notice" (RFC 5424, 6.2.1).
_PRIORITY = 13 * 8 + 5


class Sink(Protocol):
    """`send` returns when the receiver has taken all of the events, in their order."""

    name: str

    def send(self, events: Sequence[Event]) -> None: ...


def sinks() -> list[Sink]:
    """Those that the settings name."""
    found: list[Sink] = []
    if settings.AUDIT_WEBHOOK_URL:
        found.append(Webhook(settings.AUDIT_WEBHOOK_URL, settings.AUDIT_WEBHOOK_SECRET))
    if settings.AUDIT_SYSLOG:
        found.append(Syslog(settings.AUDIT_SYSLOG))
    return found


class Webhook:
    """POST of `{"events": [...]}`; any 2xx is a receipt."""

    name = "webhook"

    def __init__(self, url: str, secret: str) -> None:
        self._url, self._secret = url, secret

    def send(self, events: Sequence[Event]) -> None:
        body = orjson.dumps({"events": list(events)})
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "FleetUI-audit",
            "X-FleetUI-First-Seq": str(events[0]["seq"]),
            "X-FleetUI-Last-Seq": str(events[-1]["seq"]),
            "X-FleetUI-Signature": signature(self._secret, int(time.time()), body),
        }
        post(self._url, body, headers)


class Syslog:
    """RFC 5424, one message an event, with the event as JSON; over TCP and TLS framed by length (RFC 6587, RFC 5425)."""

    name = "syslog"

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)
        self._host = socket.gethostname().encode("ascii", "replace").decode()[:255] or "-"

    def send(self, events: Sequence[Event]) -> None:
        is_stream = self._parts.scheme in ("tcp", "tls")
        with TimeLimit(LONGEST_S) as limit:
            try:
                with self._connected(limit) as connection:
                    for event in events:
                        message = self._message(event)
                        connection.sendall(f"{len(message)} ".encode() + message if is_stream else message)
                    if is_stream:
                        _drained(connection)
            except OSError as error:
                raise NotSent(why(error, limit)) from None

    @contextmanager
    def _connected(self, limit: TimeLimit) -> Iterator[socket.socket]:
        parts = self._parts
        if parts.scheme == "unix":
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            connection.settimeout(TIMEOUT_S)
            with connection:
                connection.connect(parts.path)
                yield connection
            return
        host, port = str(parts.hostname), int(parts.port or 0)
        if parts.scheme == "udp":
            family, kind, proto, _name, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            connection = socket.socket(family, kind, proto)
            connection.settimeout(TIMEOUT_S)
            with connection:
                connection.connect(where)
                yield connection
            return
        with limit.connect((host, port), TIMEOUT_S) as plain:
            if parts.scheme == "tcp":
                yield plain
                return
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured:
                limit.watch(secured)
                yield secured

    def _message(self, event: Event) -> bytes:
        head = f"<{_PRIORITY}>1 {event['at']} {self._host} fleetui - audit"
        data = f'[fleetui@32473 seq="{event["seq"]}" action="{_quoted(event["action"])}"]'
        return f"{head} {data} ".encode() + orjson.dumps(event)


def _drained(connection: socket.socket) -> None:
    """Close our half and wait for the other end to close: it has read all of it then, or a reset says that it has not."""
    connection.shutdown(socket.SHUT_WR)
    try:
        while connection.recv(1024):
            pass
    except (TimeoutError, ssl.SSLError):
        # A receiver that keeps its side open, or closes it without TLS's farewell, has taken what the kernel handed over.
        return


def _quoted(text: str) -> str:
    """A parameter value of structured data (RFC 5424, 6.3.3)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
