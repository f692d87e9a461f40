"""Receivers of audit events: a signed webhook, and syslog. Each takes a batch or raises, and keeps nothing."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
from django.conf import settings

Event = dict[str, Any]
TIMEOUT_S = 10.0
#: Facility "log audit", severity "notice" (RFC 5424, 6.2.1).
_PRIORITY = 13 * 8 + 5
_SHOWN_CHARS = 250


class NotSent(Exception):
    """The receiver did not take it; the text says why. Nothing is known of what it kept of it."""


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


def signature(secret: str, at: int, body: bytes) -> str:
    """What proves to a receiver that a body is ours, and when it was sent: HMAC-SHA-256 over time and body."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Events go where the settings say, and nowhere else."""

    def redirect_request(self, *_details: Any, **_more: Any) -> None:
        return None


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
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310  (checked in settings)
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            with error:
                raise NotSent(f"It answered with status {error.code}.") from None
        except (OSError, http.client.HTTPException) as error:
            raise NotSent(_why(error)) from None


class Syslog:
    """RFC 5424, one message an event, with the event as JSON; over TCP and TLS framed by length (RFC 6587, RFC 5425)."""

    name = "syslog"

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)
        self._host = socket.gethostname().encode("ascii", "replace").decode()[:255] or "-"

    def send(self, events: Sequence[Event]) -> None:
        is_stream = self._parts.scheme in ("tcp", "tls")
        try:
            with self._connected() as connection:
                for event in events:
                    message = self._message(event)
                    connection.sendall(f"{len(message)} ".encode() + message if is_stream else message)
                if is_stream:
                    _drained(connection)
        except OSError as error:
            raise NotSent(_why(error)) from None

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
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
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as plain:
            if parts.scheme == "tcp":
                yield plain
                return
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured:
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


def _why(error: BaseException) -> str:
    found: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"Its certificate is not accepted: {found.verify_message}"[:_SHOWN_CHARS]
    return (getattr(found, "strerror", None) or str(found) or type(found).__name__)[:_SHOWN_CHARS]
