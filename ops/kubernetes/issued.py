"""Certificates of cert-manager: what it says of each, what it got signed, and how it is asked for a new one. Pure.

Shapes: https://cert-manager.io/docs/reference/api-docs/. What is signed stands in CertificateRequests, so that no Secret is
read. A new one is asked for as `cmctl renew` does: by the condition Issuing in the status; it goes when cert-manager has the
certificate, and is False when that failed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nodes.axes import reading
from nodes.axes.reading import at, flag, mapping, number, objects
from ops.kubernetes.objects import text

ISSUING: Final = "Issuing"
_REVISION: Final = "cert-manager.io/certificate-revision"
#: Whose the condition is stands in its message: of a status, annotations are not changed.
_BY: Final = "Re-issuance asked for by FleetUI, operation "
_SAID_CHARS: Final = 300


@dataclass(frozen=True)
class Issued:
    """A Certificate as cert-manager has it. `issuing` is True while a new one is under way; `failed` why the last try failed.

    `failed_at` tells one failure from the next; `conditions` are all of them, as they would be written again.
    """

    namespace: str
    name: str
    uid: str
    version: str
    generation: int
    revision: int
    is_ready: bool
    said: str
    issuing: bool
    issuing_by: str
    failed: str
    failed_at: str
    not_before: str
    not_after: str
    renews_at: str
    issuer: str
    secret: str
    names: tuple[str, ...]
    conditions: tuple[Mapping[str, Any], ...]

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Issued:
        conditions = {text(one, "type"): one for one in objects(document, "status", "conditions")}
        ready, issuing = conditions.get("Ready", {}), conditions.get(ISSUING, {})
        message = text(issuing, "message")
        names = at(document, "spec", "dnsNames")
        return cls(
            # As it is asked for, so that nothing is taken from it.
            namespace=reading.text(document, "metadata", "namespace"),
            name=reading.text(document, "metadata", "name"),
            uid=text(document, "metadata", "uid"),
            version=text(document, "metadata", "resourceVersion"),
            generation=max(int(number(document, "metadata", "generation") or 0), 0),
            revision=max(int(number(document, "status", "revision") or 0), 0),
            is_ready=text(ready, "status") == "True",
            said=text(ready, "message")[:_SAID_CHARS],
            issuing=text(issuing, "status") == "True",
            issuing_by=message.removeprefix(_BY) if message.startswith(_BY) else "",
            failed=message[:_SAID_CHARS] if text(issuing, "status") == "False" else "",
            failed_at=text(document, "status", "lastFailureTime"),
            not_before=text(document, "status", "notBefore"),
            not_after=text(document, "status", "notAfter"),
            renews_at=text(document, "status", "renewalTime"),
            issuer="/".join(
                filter(None, (text(document, "spec", "issuerRef", "kind"), text(document, "spec", "issuerRef", "name")))
            ),
            secret=text(document, "spec", "secretName"),
            names=tuple(str(one)[:253] for one in names[:100]) if isinstance(names, list) else (),
            conditions=tuple(objects(document, "status", "conditions")),
        )

    def asked_again(self, by: str, now: datetime) -> dict[str, Any]:
        """The patch of its status that asks for a new certificate; a conflict where it has changed since it was read."""
        asks = {
            "type": ISSUING,
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": f"{_BY}{by}",
            "lastTransitionTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "observedGeneration": self.generation,
        }
        others = [dict(one) for one in self.conditions if text(one, "type") != ISSUING]
        return {
            "metadata": {"uid": self.uid, "resourceVersion": self.version},
            "status": {"conditions": [*others, asks]},
        }


@dataclass(frozen=True)
class Signed:
    """What was signed for a Certificate: `pem` is the chain of that revision, `said` what a request says that is not done."""

    owner: str
    revision: int
    pem: bytes
    said: str

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Signed:
        owners = [one for one in objects(document, "metadata", "ownerReferences") if flag(one, "controller")]
        number_of = text(mapping(document, "metadata", "annotations"), _REVISION)
        ready = next((one for one in objects(document, "status", "conditions") if text(one, "type") == "Ready"), {})
        # Longer than a text of a sentence.
        given = at(document, "status", "certificate")
        try:
            pem = base64.b64decode(given, validate=True) if isinstance(given, str) else b""
        except (binascii.Error, ValueError):
            pem = b""
        return cls(
            owner=text(owners[0], "uid") if owners else "",
            revision=int(number_of) if number_of.isascii() and number_of.isdigit() and len(number_of) < 10 else 0,
            pem=pem,
            said="" if text(ready, "status") == "True" else text(ready, "message")[:_SAID_CHARS],
        )
