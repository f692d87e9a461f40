"""HTTPS to one API server: its own authority, no proxy, no redirect, everything bounded.

Nothing of it comes from the environment: where an own authority is given, REQUESTS_CA_BUNDLE and SSL_CERT_FILE change nothing.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3 import exceptions

from fleetui.core.limited_http import SecuredPool
from fleetui.core.time_limit import TimeLimit
from ops.kubernetes.access import Access
from ops.kubernetes.errors import ClusterError

CONNECT_S, READ_S = 5.0, 15.0
#: A server that sends byte by byte keeps nobody for longer, be it within its headers.
ANSWER_S = 60.0
#: A page of 250 pods is about 2 MB.
MOST_BYTES = 32 * 1024 * 1024
_PIECE = 65_536

# Set by the program: returns why no cluster may be asked right now (such as inside a transaction), or None.
forbid: Callable[[], str | None] | None = None


class ContactForbidden(RuntimeError):
    """A cluster was asked where it must not be: a fault of ours."""


class Transport(Protocol):
    """Sends one request; gives the status and the body. Raises ClusterError when there is no answer."""

    def send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b"", kind: str = ""
    ) -> tuple[int, bytes]: ...

    def close(self) -> None: ...


class HttpsTransport:
    """One connection that is kept open between requests."""

    def __init__(self, access: Access) -> None:
        self._limit = TimeLimit(ANSWER_S)
        parts = urlsplit(access.server)
        named: dict[str, Any] = {}
        if access.server_name:
            named = {"server_hostname": access.server_name, "assert_hostname": access.server_name}
        self._pool = SecuredPool(
            parts.hostname or "",
            parts.port or 443,
            ssl_context=_context(access),
            retries=False,
            maxsize=1,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
            limit=self._limit,
            **named,
        )
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "fleetui"}
        if access.token:
            self._headers["Authorization"] = f"Bearer {access.token}"

    def close(self) -> None:
        self._pool.close()

    def send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b"", kind: str = ""
    ) -> tuple[int, bytes]:
        if forbid is not None and (why := forbid()):
            raise ContactForbidden(why)
        url = f"{self._prefix}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {**self._headers, "Content-Type": kind} if kind else self._headers
        with self._limit as limit:
            try:
                response = self._pool.urlopen(
                    method, url, body=body or None, headers=headers, redirect=False, preload_content=False
                )
                try:
                    found = _read(response)
                finally:
                    response.release_conn()
            except exceptions.HTTPError as error:
                raise ClusterError("timed_out") if limit.is_over else _no_answer(error) from error
            if limit.is_over:
                # An answer without a length ends where it is cut.
                response.close()
                raise ClusterError("timed_out")
            return response.status, found


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    found = bytearray()
    while piece := response.read1(_PIECE):
        found += piece
        if len(found) > MOST_BYTES:
            response.close()
            raise ClusterError("garbled", said=f"more than {MOST_BYTES} bytes")
    return bytes(found)


def _no_answer(error: exceptions.HTTPError) -> ClusterError:
    reason = error.reason if isinstance(error, exceptions.MaxRetryError) and error.reason else error
    if isinstance(reason, exceptions.SSLError):
        return ClusterError("certificate", said=_of_tls(reason))
    if isinstance(reason, exceptions.NameResolutionError):
        return ClusterError("no_name")
    if isinstance(reason, exceptions.NewConnectionError):
        return ClusterError("unreachable")
    if isinstance(reason, exceptions.TimeoutError):
        return ClusterError("timed_out")
    return ClusterError("broke_off")


def _of_tls(error: Exception) -> str:
    """What OpenSSL has against it, without the line of its source."""
    cause = error.args[0] if error.args and isinstance(error.args[0], ssl.SSLError) else error
    said = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or str(cause)
    return str(said)[:200]


def _context(access: Access) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=access.ca or None)
        # Python 3.13 asks for extensions that authorities made by older kubeadm and k3s do not have.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", ssl.VerifyFlags(0))
        if access.certificate:
            with _readable(f"{access.certificate}\n{access.key}") as path:
                context.load_cert_chain(path)
    except ssl.SSLError as error:
        raise ClusterError("certificate", said=_of_tls(error)) from error
    return context


@contextmanager
def _readable(text: str) -> Iterator[str]:
    """OpenSSL reads a key from a path only. It lies in memory, and where the system has no such file, for a moment in a private one."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("fleetui")
        path = f"/proc/self/fd/{handle}"
    else:
        handle, path = tempfile.mkstemp()
    try:
        os.write(handle, text.encode())
        yield path
    finally:
        os.close(handle)
        if not path.startswith("/proc/"):
            os.unlink(path)  # noqa: PTH108
