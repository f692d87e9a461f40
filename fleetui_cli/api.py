"""HTTP with the API: one token, JSON both ways, attempts that make nothing twice, and answers that are sentences."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from fleetui_cli import __version__
from fleetui_cli.codes import Code, Problem
from fleetui_cli.settings import Settings

TIMEOUT_S = 30.0
ATTEMPTS = 5
LONGEST_PAUSE_S = 30.0
_AGAIN = {429, 502, 503, 504}
_MOST_BYTES = 64 * 1024 * 1024
_NO_API = "What answers at this address is not FleetUI's API."


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is told, not followed: the token is for the server that was named."""

    def redirect_request(self, *_details: Any, **_more: Any) -> None:
        return None


class Api:
    """Calls below /api/v1/. Raises Problem for whatever is not a good answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        context = ssl.create_default_context()
        if settings.ca_file:
            try:
                context.load_verify_locations(settings.ca_file)
            except OSError as error:
                raise Problem(
                    Code.USAGE, f"The certificate file {settings.ca_file} cannot be used: {error.strerror or error}."
                ) from error
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect)

    def get(self, path: str, query: Mapping[str, str] | None = None, *, timeout_s: float = TIMEOUT_S) -> Any:
        """Reading may always be tried again."""
        return self._call("GET", path, query=query, timeout_s=timeout_s, may_repeat=True)

    def post(self, path: str, body: Mapping[str, Any], *, key: str = "") -> Any:
        """With a key the same call may be sent again; without one only when it has certainly not arrived."""
        return self._call("POST", path, body=body, key=key, may_repeat=bool(key))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("PUT", path, body=body, may_repeat=True)

    def every(self, path: str, most: int | None, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The rows of a list, page after page, at most so many."""
        limit = min(most or 500, 500)
        page = self.get(path, {**query, "limit": str(limit)})
        count = 0
        while True:
            for row in page["results"]:
                yield row
                count += 1
                if most is not None and count >= most:
                    return
            if not page.get("next"):
                return
            parts = urlsplit(page["next"])
            page = self._call("GET", path, raw_query=parts.query, may_repeat=True)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        raw_query: str = "",
        body: Mapping[str, Any] | None = None,
        key: str = "",
        timeout_s: float = TIMEOUT_S,
        may_repeat: bool,
    ) -> Any:
        wanted = raw_query or urlencode({name: value for name, value in (query or {}).items() if value != ""})
        url = f"{self._settings.url}/api/v1/{path}{'?' + wanted if wanted else ''}"
        headers = {
            "Authorization": f"Bearer {self._settings.token}",
            "Accept": "application/json",
            "User-Agent": f"fleetui-cli/{__version__}",
            **({"Idempotency-Key": key} if key else {}),
            **({"Content-Type": "application/json"} if body is not None else {}),
        }
        sent = json.dumps(body).encode() if body is not None else None
        for attempt in range(1, ATTEMPTS + 1):
            request = urllib.request.Request(url, data=sent, headers=headers, method=method)  # noqa: S310  (checked)
            is_last = attempt == ATTEMPTS
            try:
                with self._opener.open(request, timeout=timeout_s) as answer:
                    return _read(answer)
            except urllib.error.HTTPError as error:
                with error:
                    may_wait = error.code in (429, 503) or (may_repeat and error.code in _AGAIN)
                    if is_last or not may_wait:
                        raise _refusal(error) from None
                    pause_s = _retry_after(error.headers.get("Retry-After", "")) or _back_off(attempt)
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ssl.SSLCertVerificationError):
                    raise Problem(
                        Code.UNREACHABLE,
                        f"The certificate of {self._settings.url} is not trusted: {reason.verify_message}.",
                        "Name its authority with --ca-file.",
                    ) from None
                if is_last or not (may_repeat or isinstance(reason, ConnectionRefusedError)):
                    raise self._unreachable(reason, may_repeat=may_repeat) from None
                pause_s = _back_off(attempt)
            time.sleep(min(pause_s, LONGEST_PAUSE_S))
        raise AssertionError("not reached")

    def _unreachable(self, reason: object, *, may_repeat: bool) -> Problem:
        why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        mend = "" if may_repeat else "Whether it arrived is not known: look before you repeat it."
        return Problem(Code.UNREACHABLE, f"{self._settings.url} cannot be reached: {why}.", mend)


def _back_off(attempt: int) -> float:
    return float(min(0.5 * 2 ** (attempt - 1), 8.0)) * random.uniform(0.7, 1.3)  # noqa: S311  (not a secret)


def _retry_after(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def _read(answer: Any) -> Any:
    raw = answer.read(_MOST_BYTES)
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise Problem(Code.UNREACHABLE, _NO_API, "Look at --url or FLEETUI_URL.") from error


def _refusal(error: urllib.error.HTTPError) -> Problem:
    """What the server said, with the code of its status."""
    status = error.code
    if 300 <= status < 400:
        target = error.headers.get("Location", "elsewhere")
        return Problem(Code.USAGE, f"The server sends to {target}.", "Give that address as --url.")
    try:
        found = json.loads(error.read(_MOST_BYTES))
    except (ValueError, OSError, http.client.HTTPException):
        found = {}
    found = found if isinstance(found, dict) else {}
    if status == 404 and not found:
        return Problem(Code.UNREACHABLE, _NO_API, "Look at --url or FLEETUI_URL: it ends before /api/v1/.")
    message = str(found.get("detail") or f"The server answered with status {status}.")
    code = {401: Code.AUTH, 403: Code.AUTH, 404: Code.NOT_FOUND}.get(
        status, Code.UNREACHABLE if status >= 500 or status == 429 else Code.REFUSED
    )
    if status == 400 and found.get("field") == "nodes" and isinstance(found.get("value"), str):
        code = Code.NOT_FOUND  # a node that was named in the body
    if status == 401:
        message = message if found else "The token is not valid."
    return Problem(code, message, str(found.get("mend") or ""))
