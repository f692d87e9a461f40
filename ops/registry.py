"""What a registry of container images says of a reference: whether it is there, and at which digest. It only reads.

Registry HTTP API v2: HEAD of the manifest, with the anonymous token that a registry hands out where it asks for one.
Sign-in of hosts is not known here, so that a registry which asks for it is no reason against an operation.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings

from fleetui.core.posting import opener, why
from fleetui.core.text import clean
from fleetui.core.time_limit import TimeLimit
from nodes.hosts.references import Reference

TIMEOUT_S = 5.0
#: A registry that answers byte by byte holds nobody up for longer.
LONGEST_S = 15.0
_PIECE = 65_536
_MOST_MANIFEST_BYTES = 4 * 1024 * 1024
_MOST_TOKEN_BYTES = 64 * 1024
_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.v2",
    )
)
_CHALLENGE = re.compile(r'(realm|service|scope)="([^"]{1,500})"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ABSENT = 404
_UNAUTHORIZED = 401


@dataclass(frozen=True)
class Found:
    """`state` is there, absent or unknown; `digest` is known where it is there.

    Why it is unknown is `why`: unnamed, here, sign_in or status (then `said` is the number); else `said` is what a
    machine said of it.
    """

    state: str
    digest: str = ""
    said: str = ""
    why: str = ""


def ask(reference: Reference) -> Found:
    """One or two requests, with a few seconds for each. Never raises on what a registry does."""
    if not reference.registry:
        return Found("unknown", why="unnamed")
    if _is_here(reference.registry) and reference.registry not in settings.PLAIN_REGISTRIES:
        # To each host that is the host itself, and not this machine.
        return Found("unknown", why="here")
    url = f"{_base(reference.registry)}/v2/{_path(reference)}/manifests/{reference.digest or reference.tag or 'latest'}"
    with TimeLimit(LONGEST_S) as limit:
        try:
            return _manifest(url, reference, limit)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _ABSENT:
                    return Found("absent")
                if error.code in (_UNAUTHORIZED, 403):
                    return Found("unknown", why="sign_in")
                return Found("unknown", said=str(error.code), why="status")
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            return Found("unknown", said="it took too long to answer" if limit.is_over else clean(why(error)))


def _base(registry: str) -> str:
    """Without TLS only where the settings name the registry."""
    host = "registry-1.docker.io" if registry in ("docker.io", "index.docker.io") else registry
    return f"{'http' if registry in settings.PLAIN_REGISTRIES else 'https'}://{host}"


def _is_here(registry: str) -> bool:
    name = urlsplit(f"//{registry}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _path(reference: Reference) -> str:
    is_official = reference.registry in ("docker.io", "index.docker.io") and "/" not in reference.path
    return f"library/{reference.path}" if is_official else reference.path


def _manifest(url: str, reference: Reference, limit: TimeLimit) -> Found:
    headers = {"Accept": _ACCEPT}
    try:
        answer = _open("HEAD", url, headers, limit)
    except urllib.error.HTTPError as error:
        token = _token(error, url, limit) if error.code == _UNAUTHORIZED else ""
        if not token:
            raise
        error.close()
        headers["Authorization"] = f"Bearer {token}"
        answer = _open("HEAD", url, headers, limit)
    with answer:
        digest = str(answer.headers.get("Docker-Content-Digest") or "")
    if not _DIGEST.fullmatch(digest):
        body = _got(url, headers, _MOST_MANIFEST_BYTES, limit)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if reference.digest and reference.digest != digest:
        return Found("absent")
    return Found("there", digest)


def _token(error: urllib.error.HTTPError, url: str, limit: TimeLimit) -> str:
    """The anonymous token of the place that the registry names; empty where there is none."""
    scheme, _space, rest = str(error.headers.get("WWW-Authenticate") or "").partition(" ")
    given = dict(_CHALLENGE.findall(rest))
    realm = given.pop("realm", "")
    parts = urlsplit(realm)
    is_same = (parts.scheme, parts.netloc) == tuple(urlsplit(url)[:2])
    if scheme.lower() != "bearer" or not (parts.scheme == "https" or is_same):
        return ""
    asked = f"{realm}{'&' if parts.query else '?'}{urlencode(given)}"
    try:
        body = json.loads(_got(asked, {}, _MOST_TOKEN_BYTES, limit))
    except urllib.error.HTTPError as refused:
        # What the place of tokens says of itself is not said of the image.
        refused.close()
        return ""
    found = body.get("token") or body.get("access_token") if isinstance(body, dict) else ""
    return found if isinstance(found, str) and found.isascii() and found.isprintable() else ""


def _got(url: str, headers: dict[str, str], most: int, limit: TimeLimit) -> bytes:
    """The whole of an answer. A part of a manifest has another digest than the manifest."""
    found = bytearray()
    with _open("GET", url, headers, limit) as answer:
        while piece := answer.read1(_PIECE):
            found += piece
            if len(found) > most:
                raise ValueError(f"it sent more than {most} bytes")
        if answer.length:
            raise ConnectionResetError("its answer broke off")
    return bytes(found)


def _open(method: str, url: str, headers: dict[str, str], limit: TimeLimit) -> Any:
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310  (http and https only, made above)
    answer = opener(limit).open(request, timeout=TIMEOUT_S)
    limit.check()
    return answer
