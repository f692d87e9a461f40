"""One way to POST to an address that somebody set: signed where there is a secret, no redirect followed, little of the answer read."""

from __future__ import annotations

import functools
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleetui.core.time_limit import TimeLimit

TIMEOUT_S = 10.0
#: All of an exchange, whatever the receiver sends meanwhile.
LONGEST_S = 30.0
#: How far the time of a signature may be off.
MOST_SKEW_S = 300
#: So much of an answer is read and shown.
SHOWN_CHARS = 250


class NotSent(Exception):
    """The receiver did not take it; the text says why. Nothing is known of what it kept of it. `status` 0: it gave none."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What a receiver said, cut where the caller's patience for it ends."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The begin of it, to be shown."""
        return " ".join(self.body.decode("utf-8", "replace").replace("\0", "").split())[:SHOWN_CHARS]


def signature(secret: str, at: int, body: bytes) -> str:
    """What proves to a receiver that a body is ours, and when it was sent: HMAC-SHA-256 over time and body."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


def is_proven(given: str, secret: str, body: bytes, now_s: float) -> bool:
    """Whether a body comes from somebody who knows the secret and sent it just now, as `signature` says it."""
    at = given.partition(",")[0].removeprefix("t=")
    if not (at.isascii() and at.isdecimal() and len(at) < 12) or abs(now_s - int(at)) > MOST_SKEW_S:
        return False
    return hmac.compare_digest(given.encode("utf-8", "replace"), signature(secret, int(at), body).encode())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """It goes where it was said to, and nowhere else."""

    def redirect_request(self, *_details: Any, **_more: Any) -> None:
        return None


def opener(limit: TimeLimit) -> urllib.request.OpenerDirector:
    """What opens addresses that somebody set: no redirect is followed, and nothing goes to link-local addresses.

    What it opens is cut by `limit`, which the caller has entered.
    """
    return urllib.request.build_opener(_NoRedirect, _Plain(limit), _Secured(limit))


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_s: float = TIMEOUT_S,
    longest_s: float = LONGEST_S,
    most_bytes: int = 1024,
) -> Answer:
    """The answer with the first `most_bytes` of its body, when it is a 2xx; raises NotSent otherwise."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310  (checked where it was set)
    with TimeLimit(longest_s) as limit:
        try:
            with opener(limit).open(request, timeout=timeout_s) as answer:
                limit.check()
                return Answer(answer.status, _read(answer, most_bytes))
        except urllib.error.HTTPError as error:
            with error:
                said = Answer(error.code, _read(error, 1024)).text
                why_not = f"It answered with status {error.code}.{' ' if said else ''}{said}"
                raise NotSent(why_not, error.code) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            # ValueError: a name of a host that no DNS could hold, say.
            raise NotSent(why(error, limit)) from None


def _read(answer: Any, most_bytes: int) -> bytes:
    """The begin of what was said. The status is known by then, so that what breaks off later is no failure."""
    try:
        body: bytes = answer.read(most_bytes)
    except (OSError, ValueError, http.client.HTTPException):
        return b""
    return body


def why(error: BaseException, limit: TimeLimit | None = None) -> str:
    """A failure of the network in words."""
    if limit is not None and limit.is_over:
        return f"It had not answered after {limit.seconds:g} s."
    found: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"Its certificate is not accepted: {found.verify_message}"[:SHOWN_CHARS]
    return (getattr(found, "strerror", None) or str(found) or type(found).__name__)[:SHOWN_CHARS]


class LinkLocal(ConnectionRefusedError):
    """An address of the own segment, where nothing is sent."""


def refuse_link_local(peer: str) -> None:
    """Clouds serve the credentials of a machine at link-local addresses. Looked at once connected, so that no name leads there."""
    address = ipaddress.ip_address(peer.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if (mapped or address).is_link_local or (mapped or address).is_multicast:
        raise LinkLocal(f"{peer} is a link-local address; nothing is sent there")


def _dial(limit: TimeLimit, address: tuple[str, int], timeout_s: float, _source: object = None) -> socket.socket:
    connection = limit.connect(address, timeout_s)
    try:
        # Before TLS begins, which would be the first that is said there.
        refuse_link_local(connection.getpeername()[0])
    except OSError:
        connection.close()
        raise
    return connection


class _PlainConnection(http.client.HTTPConnection):
    def __init__(self, host: str, *, limit: TimeLimit, **settings: Any) -> None:
        super().__init__(host, **settings)
        self._limit = limit
        self._create_connection = functools.partial(_dial, limit)

    def connect(self) -> None:
        super().connect()
        self._limit.watch(self.sock)


class _SecuredConnection(_PlainConnection, http.client.HTTPSConnection):
    """TLS is begun by the second of the parents; the first looks at what was connected."""


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, limit: TimeLimit) -> None:
        super().__init__()
        self._limit = limit

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(functools.partial(_PlainConnection, limit=self._limit), request)


class _Secured(urllib.request.HTTPSHandler):
    def __init__(self, limit: TimeLimit) -> None:
        super().__init__()
        self._limit = limit

    def https_open(self, request: urllib.request.Request) -> Any:
        connection = functools.partial(_SecuredConnection, limit=self._limit)
        return self.do_open(connection, request, context=ssl.create_default_context())
