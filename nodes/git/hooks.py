"""Webhooks of forges: whether the sender knows the secret, and of which branch it speaks. Nothing else of one is used."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qs

import orjson

#: `unsigned`: nothing that could be checked came with it; `stale`: signed at another time than now; `in_clear`: GitLab
#: sends the secret itself, and sent it without TLS.
Proof = Literal["good", "unsigned", "wrong", "stale", "in_clear"]
_PREFIX: Final = "whsec_"
#: The hex HMAC-SHA-256 of the body: GitHub's name, which Gitea and Forgejo send too, and theirs.
_OF_BODY: Final = ("X-Hub-Signature-256", "X-Forgejo-Signature", "X-Gitea-Signature")
_EVENTS: Final = ("X-GitHub-Event", "X-Forgejo-Event", "X-Gitea-Event", "X-Gitlab-Event")
#: How far a signed time may be off, as Standard Webhooks says.
MOST_SKEW_S: Final = 300
#: GitLab sends a push of a system hook under the name of that; without a name it is somebody's own script.
_PUSHES: Final = ("push", "Push Hook", "Tag Push Hook", "System Hook", "")


def new_secret() -> str:
    """A secret in the form of Standard Webhooks, which GitLab asks of a signing token and the others take too."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def proof_of(headers: Mapping[str, str], body: bytes, secret: str, *, now_s: float, is_private: bool) -> Proof:
    """The best of what came with it: each right one alone proves that the sender knows the secret."""
    found: list[Proof] = []
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    for name in _OF_BODY:
        if given := headers.get(name, ""):
            found.append("good" if _same(given.removeprefix("sha256="), digest) else "wrong")
    if headers.get("webhook-signature", ""):
        found.append(_standard(headers, body, secret, now_s))
    if given := headers.get("X-Gitlab-Token", ""):
        is_right = _same(given, secret)
        found.append("wrong" if not is_right else "good" if is_private else "in_clear")
    order: tuple[Proof, ...] = ("good", "in_clear", "stale", "wrong")
    return next((one for one in order if one in found), "unsigned")


def _standard(headers: Mapping[str, str], body: bytes, secret: str, now_s: float) -> Proof:
    """Standard Webhooks: id, time and body are signed, by the key that stands in the secret as base64."""
    at = headers.get("webhook-timestamp", "")
    signed = f"{headers.get('webhook-id', '')}.{at}.".encode("utf-8", "replace") + body
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # While its secret is exchanged, a sender may give several.
    given = [one.removeprefix("v1,") for one in headers["webhook-signature"].split()[:10] if one.startswith("v1,")]
    if not any([_same(one, digest) for one in given]):
        return "wrong"
    is_time = at.isascii() and at.isdecimal() and len(at) < 12
    return "good" if is_time and abs(now_s - int(at)) <= MOST_SKEW_S else "stale"


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected.encode())


@dataclass(frozen=True)
class Event:
    """What a forge tells of. `ref` is empty where it is no push, and then `is_ping` says whether it only tries the address."""

    name: str
    ref: str = ""
    is_ping: bool = False


def name_of(headers: Mapping[str, str]) -> str:
    """How the forge calls the event."""
    return next((found for name in _EVENTS if (found := headers.get(name, ""))), "")


def event_of(headers: Mapping[str, str], body: bytes) -> Event:
    """What it tells; ValueError when nobody can read that."""
    name = name_of(headers)
    if name == "ping":
        return Event(name, is_ping=True)
    if name not in _PUSHES:
        return Event(name)
    if headers.get("Content-Type", "").lower().startswith("application/x-www-form-urlencoded"):
        body = parse_qs(body.decode(), max_num_fields=10).get("payload", [""])[0].encode()
    told: Any = orjson.loads(body)
    if not isinstance(told, dict):
        raise ValueError("A push is an object.")
    ref = told.get("ref")
    return Event(name, ref=ref if isinstance(ref, str) else "")
