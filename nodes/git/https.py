"""dulwich's client over HTTP, kept to one origin: no redirects elsewhere, no dumb protocol, nothing unbounded."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3
from dulwich.client import Urllib3HttpGitClient

from fleetui.core.limited_http import PlainPool, SecuredPool
from fleetui.core.posting import LinkLocal
from fleetui.core.time_limit import TimeLimit
from nodes.git.errors import GitProblem
from nodes.git.meter import Meter

_MOST_REDIRECTS = 3
_CONNECT_S = 10.0
_READ_S = 20.0
_PIECE = 65536
#: What OpenSSL finds wrong with a certificate, as far as something else is to be done about it.
_CERTIFICATE = {10: "certificate_over", 62: "certificate_name", 64: "certificate_name"}


class HttpsClient(Urllib3HttpGitClient):
    """One origin, one sign-in. What the server says of an error is never repeated."""

    def __init__(self, url: str, meter: Meter, username: str = "", password: str = "") -> None:
        self._meter = meter
        self._limit = TimeLimit(meter.remaining_s)
        self._root = _origin(url)
        #: The answer ended within what was read of it.
        self.is_cut = False
        headers = {"User-Agent": "git/fleetui", "Accept-Encoding": "identity"}
        if password:
            headers["Authorization"] = f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
        pool = urllib3.PoolManager(headers=headers, retries=False, num_pools=1)
        pool.pool_classes_by_scheme = {
            "http": partial(PlainPool, limit=self._limit),  # type: ignore[dict-item]  # it makes pools
            "https": partial(SecuredPool, limit=self._limit),  # type: ignore[dict-item]
        }
        self._limit.start()
        super().__init__(url, pool_manager=pool, thin_packs=False, quiet=True)

    def close(self) -> None:
        self._limit.stop()
        self.pool_manager.clear()

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: FBT001, FBT002  # dulwich's signature
    ) -> tuple[Any, Callable[[int], bytes]]:
        asked = url
        for _ in range(_MOST_REDIRECTS):
            if _origin(url) != self._root:
                raise GitProblem("unreachable", "redirected", place=_place(url))
            response = self._ask(url, headers or {}, data)
            if response.status not in (301, 302, 303, 307, 308):
                break
            url = urljoin(url, response.headers.get("Location", ""))
            response.close()
        else:
            raise GitProblem("unreachable", "redirects")
        _check_status(response)
        kind = response.headers.get("Content-Type") or ""
        if not kind.startswith("application/x-git-"):
            raise GitProblem("unreachable", "no_git")
        response.content_type = kind  # type: ignore[attr-defined]  # what dulwich reads
        response.redirect_location = url if url != asked else ""  # type: ignore[attr-defined]
        return response, self._reader(response)

    def _ask(self, url: str, headers: dict[str, str], data: Any) -> urllib3.BaseHTTPResponse:
        wait = min(_READ_S, max(0.1, self._meter.remaining_s))
        # Not merged by urllib3: headers that are given stand in for those of the pool.
        sent = {**self.pool_manager.headers, **headers, "Pragma": "no-cache"}
        try:
            response: urllib3.BaseHTTPResponse = self.pool_manager.request(
                "GET" if data is None else "POST",
                url,
                body=data,
                headers=sent,
                preload_content=False,
                decode_content=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=min(_CONNECT_S, wait), read=wait),
            )
        except urllib3.exceptions.HTTPError as error:
            self._meter.check_time()
            raise _unreachable(error) from None
        self._meter.check_time()
        return response

    def _reader(self, response: urllib3.BaseHTTPResponse) -> Callable[[int], bytes]:
        held = bytearray()

        def read(size: int = _PIECE) -> bytes:
            while len(held) < size:
                self._meter.check_time()
                try:
                    # What is there: a server that sends a byte at a time does not get past the deadline.
                    piece = response.read1(_PIECE, decode_content=False)
                except urllib3.exceptions.HTTPError as error:
                    self._meter.check_time()
                    raise _unreachable(error) from None
                if not piece:
                    self._meter.check_time()
                    break
                self._meter.count(len(piece))
                held.extend(piece)
            found = bytes(held[:size])
            del held[:size]
            self.is_cut |= 0 < len(found) < size
            return found

        return read


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise GitProblem("unreachable", "redirects") from None
    return parts.scheme, (parts.hostname or "").lower(), port or (443 if parts.scheme == "https" else 80)


def _place(url: str) -> str:
    """Scheme and server, without what else a redirect may hold."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"[:200]


def _check_status(response: urllib3.BaseHTTPResponse) -> None:
    status = response.status
    if status == 200:
        return
    response.close()
    if status in (401, 403):
        raise GitProblem("refused", "sign_in", status=status)
    if status in (404, 410):
        raise GitProblem("refused", "not_found")
    raise GitProblem("unreachable", "status", status=status)


def _verify_code(error: BaseException) -> int:
    """Why OpenSSL does not accept a certificate; 0 where it does not say."""
    found = next((one for one in error.args if isinstance(one, ssl.SSLCertVerificationError)), None)
    return found.verify_code if found is not None else 0


def _unreachable(error: Exception) -> GitProblem:
    """By kind alone: the text of an error may hold what a server made up."""
    reason = error
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        reason = error.reason
    if isinstance(reason, urllib3.exceptions.SSLError):
        return GitProblem("unreachable", _CERTIFICATE.get(_verify_code(reason), "certificate"))
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return GitProblem("unreachable", "name")
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return GitProblem("unreachable", "connect")
    if any(isinstance(one, LinkLocal) for one in reason.args):
        return GitProblem("unreachable", "link_local")
    # After those above, which urllib3 derives from it.
    if isinstance(reason, urllib3.exceptions.TimeoutError):
        return GitProblem("unreachable", "timed_out")
    return GitProblem("unreachable", "broke_off")
