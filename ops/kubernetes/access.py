"""How an API server is reached and signed in to: out of a kubeconfig, or of address, authority and token. Pure.

What a kubeconfig names but does not hold (files, plugins that would be run) is refused by name: it lies on the machine of
whoever made it, and a plugin would run a program of somebody else's choice here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

MOST_CHARS = 200_000
_MOST_SERVER_CHARS = 300
_MOST_TOKEN_CHARS = 16_384
#: In `user`, with the code why it is refused.
_REFUSED_OF_USER: Final[Mapping[str, str]] = {
    "exec": "runs_program",
    "auth-provider": "runs_program",
    "client-certificate": "names_file",
    "client-key": "names_file",
    "tokenFile": "names_file",
    "username": "no_passwords",
    "password": "no_passwords",
    "as": "impersonates",
    "as-uid": "impersonates",
    "as-groups": "impersonates",
    "as-user-extra": "impersonates",
}
_REFUSED_OF_CLUSTER: Final[Mapping[str, str]] = {
    "certificate-authority": "names_file",
    "insecure-skip-tls-verify": "insecure",
    "proxy-url": "proxy",
}


class AccessRefused(ValueError):
    """What was given cannot be used: which field, a code that is worded for page and API, and what it is about."""

    def __init__(self, field: str, code: str, **params: Any) -> None:
        super().__init__(f"{field}: {code}")
        self.field, self.code, self.params = field, code, params


@dataclass(frozen=True)
class Access:
    """Everything that a connection needs. `ca`, `certificate` and `key` are PEM; without `ca` the system's authorities count."""

    server: str
    ca: str = ""
    token: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""

    def __repr__(self) -> str:
        return f"Access({self.server!r}, {self.how})"

    @property
    def how(self) -> str:
        """token or certificate."""
        return "certificate" if self.certificate else "token"

    def as_text(self) -> str:
        """One text to be sealed."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Access:
        found = json.loads(text)
        return cls(**{one.name: str(found.get(one.name, "")) for one in fields(cls)})


def by_token(*, server: str, ca: str, token: str) -> Access:
    """The address of the API, the certificate of its authority (PEM) and a token."""
    token = token.strip()
    _check_token(token, "token")
    return Access(_server(server.strip(), "server"), _authority(ca.strip(), "ca"), token)


def from_kubeconfig(text: str) -> Access:
    """The current context of a kubeconfig that holds all it needs, as `kubectl config view --raw --flatten --minify` prints it."""
    if len(text) > MOST_CHARS:
        raise _refused("too_long", most=MOST_CHARS)
    try:
        # An alias can stand for what unfolds into more than any memory holds; no kubeconfig needs one.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise _refused("no_kubeconfig")
        document = yaml.safe_load(text)
    except AccessRefused:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        raise _refused("not_yaml", line=line + 1 if line is not None else None) from error
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise _refused("no_kubeconfig")
    name = document.get("current-context") or ""
    context = _entry(document, "contexts", "context", str(name))
    cluster = _entry(document, "clusters", "cluster", str(context.get("cluster") or ""))
    user = _entry(document, "users", "user", str(context.get("user") or ""))
    for part, refused in ((cluster, _REFUSED_OF_CLUSTER), (user, _REFUSED_OF_USER)):
        for key, code in refused.items():
            if part.get(key):
                raise _refused(code, key=key)
    token = str(user.get("token") or "").strip()
    certificate, key = _decoded(user, "client-certificate-data"), _decoded(user, "client-key-data")
    if not token and not certificate:
        raise _refused("no_sign_in")
    if token:
        _check_token(token, "kubeconfig")
    if certificate:
        _check_pair(certificate, key)
    return Access(
        server=_server(str(cluster.get("server") or ""), "kubeconfig"),
        ca=_authority(_decoded(cluster, "certificate-authority-data"), "kubeconfig"),
        # Both together are allowed; the certificate would win, as in kubectl the token does: one of them is kept.
        token=token,
        certificate="" if token else certificate,
        key="" if token else key,
        server_name=str(cluster.get("tls-server-name") or ""),
    )


def _refused(code: str, **params: Any) -> AccessRefused:
    return AccessRefused("kubeconfig", code, **params)


def _entry(document: Mapping[str, Any], plural: str, singular: str, name: str) -> Mapping[str, Any]:
    rows = document.get(plural)
    named = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    found = next((row.get(singular) for row in named if str(row.get("name")) == name), None)
    if not name or not isinstance(found, dict):
        raise _refused("no_entry", what=singular, name=name or "–")
    return found


def _decoded(part: Mapping[str, Any], key: str) -> str:
    value = part.get(key) or ""
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _refused("not_base64", key=key) from error


def _server(text: str, field: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise AccessRefused(field, "no_server", value=text[:200]) from error
    if len(text) > _MOST_SERVER_CHARS or not text.isprintable():
        raise AccessRefused(field, "no_server", value=text[:200])
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username or port == 0:
        raise AccessRefused(field, "no_server", value=text[:200] or "–")
    return text.rstrip("/")


def _authority(pem: str, field: str) -> str:
    if not pem:
        return ""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise AccessRefused(field, "no_certificate") from error
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in found)


def _check_token(token: str, field: str) -> None:
    if not token or len(token) > _MOST_TOKEN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
        raise AccessRefused(field, "no_token")


def _check_pair(certificate: str, key: str) -> None:
    """The certificate and its key, of which neither is repeated in what is said."""
    try:
        public = x509.load_pem_x509_certificates(certificate.encode())[0].public_key()
        private = load_pem_private_key(key.encode(), None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _refused("no_pair") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != private.public_bytes(*form):
        raise _refused("no_pair")
