"""Certificates of cert-manager in our API server, and what its controllers do beside it.

As cert-manager 1.18: the condition Issuing starts an issuance; a CertificateRequest of the next revision is made, and holds what
was signed. When that is there, the revision and the dates change and Issuing goes, in one update; when it failed, Issuing
is False with the reason, and lastFailureTime is set.
"""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.kubeapi import Api

Document = dict[str, Any]


def _told(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class CertManager:
    """Its controllers. `refuses`: what the issuer says of every request; `is_away`: nobody works."""

    api: Api
    now: dt.datetime
    refuses: str = ""
    is_away: bool = False
    #: The private key of each request.
    keys: dict[str, str] = field(default_factory=dict)

    def add(self, space: str, name: str, *names: str, days: int = 90) -> Document:
        """A Certificate that was issued for the first time."""
        self.api.has_cert_manager = True
        issuer = {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt"}
        spec = {
            "secretName": f"{name}-tls",
            "dnsNames": list(names),
            "issuerRef": issuer,
            "duration": f"{days * 24}h0m0s",
        }
        body = {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": name, "namespace": space, "generation": 1},
            "spec": spec,
        }
        self.api._made("certificates", f"{space}/{name}", body)
        row = self.api.certificates[f"{space}/{name}"]
        row["status"] = {"conditions": [self._condition("Issuing", "True", "DoesNotExist", "Secret does not exist")]}
        self.step()
        self.step()
        return row

    def step(self) -> None:
        for row in list(self.api.certificates.values()):
            conditions: list[Document] = row["status"].get("conditions", [])
            issuing = next((one for one in conditions if one["type"] == "Issuing"), {})
            if issuing.get("status") == "True" and not self.is_away:
                self._issue(row)

    def pem_of(self, row: Document) -> str:
        """The certificate in its Secret now."""
        request = self.api.certificaterequests[self._key(row, row["status"]["revision"])]
        return base64.b64decode(request["status"]["certificate"]).decode()

    def secret_of(self, row: Document) -> str:
        """The key and the certificate in its Secret now."""
        return self.keys[self._key(row, row["status"]["revision"])] + self.pem_of(row)

    def _key(self, row: Document, revision: int) -> str:
        return f"{row['metadata']['namespace']}/{row['metadata']['name']}-{revision}"

    def _issue(self, row: Document) -> None:
        revision = row["status"].get("revision", 0) + 1
        key = self._key(row, revision)
        if key not in self.api.certificaterequests:
            self._request(row, key, revision)
            return
        conditions = [one for one in row["status"]["conditions"] if one["type"] != "Issuing"]
        if self.refuses:
            del self.api.certificaterequests[key]
            said = f"The certificate request has failed to complete and will be retried: {self.refuses}"
            row["status"]["conditions"] = [*conditions, self._condition("Issuing", "False", "Failed", said)]
            row["status"] |= {"lastFailureTime": _told(self.now), "failedIssuanceAttempts": 1}
        else:
            begins, days = self.now - dt.timedelta(hours=1), int(row["spec"]["duration"].split("h")[0]) // 24
            ends = begins + dt.timedelta(days=days)
            self._sign(row, self.api.certificaterequests[key], begins, ends)
            ready = self._condition("Ready", "True", "Ready", "Certificate is up to date and has not expired")
            row["status"] = {
                "conditions": [ready],
                "notBefore": _told(begins),
                "notAfter": _told(ends),
                "renewalTime": _told(ends - dt.timedelta(days=days // 3)),
                "revision": revision,
            }
        self.api._changed(row)

    def _request(self, row: Document, key: str, revision: int) -> None:
        owner = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": row["metadata"]["name"]}
        name = row["metadata"]["name"]
        metadata = {
            "name": key.partition("/")[2],
            "namespace": row["metadata"]["namespace"],
            "annotations": {
                "cert-manager.io/certificate-name": name,
                "cert-manager.io/certificate-revision": str(revision),
            },
            "ownerReferences": [{**owner, "uid": row["metadata"]["uid"], "controller": True}],
        }
        self.api._made("certificaterequests", key, {"kind": "CertificateRequest", "metadata": metadata})
        pending = self._condition(
            "Ready", "False", "Pending", f"Waiting on certificate issuance from order {name}: pending"
        )
        self.api.certificaterequests[key]["status"] = {"conditions": [pending]}

    def _sign(self, row: Document, request: Document, begins: dt.datetime, ends: dt.datetime) -> None:
        key, issuer = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.keys[f"{request['metadata']['namespace']}/{request['metadata']['name']}"] = pem.decode()
        names = row["spec"]["dnsNames"]
        built = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "R11")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
            .sign(issuer, None)
        )
        ready = self._condition("Ready", "True", "Issued", "Certificate fetched from issuer successfully")
        request["status"] = {
            "certificate": base64.b64encode(built.public_bytes(Encoding.PEM)).decode(),
            "conditions": [ready],
        }

    def _condition(self, kind: str, status: str, reason: str, message: str) -> Document:
        moment = _told(self.now)
        return {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": moment,
            "observedGeneration": 1,
        }
