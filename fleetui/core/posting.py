"""One way to POST to an address that somebody set: signed where there is a secret, no redirect followed, little of the answer read."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 10.0
#: So much of an answer is read and shown.
SHOWN_CHARS = 250


class NotSent(Exception):
    """The receiver did not take it; the text says why. Nothing is known of what it kept of it."""


@dataclass(frozen=True)
class Answer:
    """What a receiver said."""

    status: int
    text: str


def signature(secret: str, at: int, body: bytes) -> str:
    """What proves to a receiver that a body is ours, and when it was sent: HMAC-SHA-256 over time and body."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """It goes where it was said to, and nowhere else."""

    def redirect_request(self, *_details: Any, **_more: Any) -> None:
        return None


def opener() -> urllib.request.OpenerDirector:
    """What opens addresses that somebody set: no redirect is followed, and nothing goes to link-local addresses."""
    return urllib.request.build_opener(_NoRedirect, _Plain, _Secured)


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Answer:
    """The answer, when it is a 2xx; raises NotSent otherwise."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310  (checked where it was set)
    try:
        with opener().open(request, timeout=timeout_s) as answer:
            return Answer(answer.status, _shown(answer.read(1024)))
    except urllib.error.HTTPError as error:
        with error:
            said = _shown(error.read(1024))
            raise NotSent(f"It answered with status {error.code}.{' ' if said else ''}{said}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        # ValueError: a name of a host that no DNS could hold, say.
        raise NotSent(why(error)) from None


def _shown(body: bytes) -> str:
    return " ".join(body.decode("utf-8", "replace").replace("\0", "").split())[:SHOWN_CHARS]


def why(error: BaseException) -> str:
    """A failure of the network in words."""
    found: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"Its certificate is not accepted: {found.verify_message}"[:SHOWN_CHARS]
    return (getattr(found, "strerror", None) or str(found) or type(found).__name__)[:SHOWN_CHARS]


def refuse_link_local(peer: str) -> None:
    """Clouds serve the credentials of a machine at link-local addresses. Looked at once connected, so that no name leads there."""
    address = ipaddress.ip_address(peer.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if (mapped or address).is_link_local or (mapped or address).is_multicast:
        raise ConnectionRefusedError(f"{peer} is a link-local address; nothing is sent there")


class _PlainConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        refuse_link_local(self.sock.getpeername()[0])


class _SecuredConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        refuse_link_local(self.sock.getpeername()[0])


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_PlainConnection, request)


class _Secured(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_SecuredConnection, request, context=ssl.create_default_context())
