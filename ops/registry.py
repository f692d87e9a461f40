"""What a registry of container images says of a reference: whether it is there, and at which digest. It only reads.

Registry HTTP API v2: HEAD of the manifest, with the anonymous token that a registry hands out where it asks for one.
Sign-in of hosts is not known here, so that a registry which asks for it is no reason against an operation.
"""

from __future__ import annotations

import hashlib
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
from nodes.hosts.references import Reference

TIMEOUT_S = 5.0
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
    """`state` is there, absent or unknown; `digest` is known where it is there, `said` says why it is unknown."""

    state: str
    digest: str = ""
    said: str = ""


def ask(reference: Reference) -> Found:
    """One or two requests, with a few seconds for each. Never raises on what a registry does."""
    if not reference.registry:
        return Found("unknown", said="its registry is not named")
    url = f"{_base(reference.registry)}/v2/{_path(reference)}/manifests/{reference.digest or reference.tag or 'latest'}"
    try:
        return _manifest(url, reference)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _ABSENT:
                return Found("absent")
            if error.code in (_UNAUTHORIZED, 403):
                return Found("unknown", said="it asks for a sign-in")
            return Found("unknown", said=f"it answered with status {error.code}")
    except (OSError, ValueError) as error:
        return Found("unknown", said=why(error))


def _base(registry: str) -> str:
    host = "registry-1.docker.io" if registry in ("docker.io", "index.docker.io") else registry
    return f"{'http' if _is_plain(registry) else 'https'}://{host}"


def _is_plain(registry: str) -> bool:
    """Without TLS only on this machine, and where the settings name the registry."""
    name = urlsplit(f"//{registry}").hostname or ""
    try:
        is_here = ipaddress.ip_address(name).is_loopback
    except ValueError:
        is_here = name == "localhost"
    return is_here or registry in settings.PLAIN_REGISTRIES


def _path(reference: Reference) -> str:
    is_official = reference.registry in ("docker.io", "index.docker.io") and "/" not in reference.path
    return f"library/{reference.path}" if is_official else reference.path


def _manifest(url: str, reference: Reference) -> Found:
    headers = {"Accept": _ACCEPT}
    try:
        answer = _open("HEAD", url, headers)
    except urllib.error.HTTPError as error:
        token = _token(error, url) if error.code == _UNAUTHORIZED else ""
        if not token:
            raise
        error.close()
        headers["Authorization"] = f"Bearer {token}"
        answer = _open("HEAD", url, headers)
    with answer:
        digest = str(answer.headers.get("Docker-Content-Digest") or "")
    if not _DIGEST.fullmatch(digest):
        with _open("GET", url, headers) as answer:
            body = answer.read(_MOST_MANIFEST_BYTES + 1)
        if len(body) > _MOST_MANIFEST_BYTES:
            return Found("unknown", said="its manifest is larger than a manifest is")
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if reference.digest and reference.digest != digest:
        return Found("absent")
    return Found("there", digest)


def _token(error: urllib.error.HTTPError, url: str) -> str:
    """The anonymous token of the place that the registry names; empty where there is none."""
    scheme, _space, rest = str(error.headers.get("WWW-Authenticate") or "").partition(" ")
    given = dict(_CHALLENGE.findall(rest))
    realm = given.pop("realm", "")
    parts = urlsplit(realm)
    is_same = (parts.scheme, parts.netloc) == tuple(urlsplit(url)[:2])
    if scheme.lower() != "bearer" or not (parts.scheme == "https" or is_same):
        return ""
    with _open("GET", f"{realm}{'&' if parts.query else '?'}{urlencode(given)}", {}) as answer:
        body = json.loads(answer.read(_MOST_TOKEN_BYTES))
    found = body.get("token") or body.get("access_token") if isinstance(body, dict) else ""
    return found if isinstance(found, str) and found.isascii() and found.isprintable() else ""


def _open(method: str, url: str, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310  (http and https only, made above)
    return opener().open(request, timeout=TIMEOUT_S)
