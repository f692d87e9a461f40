"""What is wrong with a certificate in its place: time, names, chain, strength. Pure functions of what was read and of now."""

from __future__ import annotations

import base64
import ipaddress
import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from nodes.certificates.record import Certificate, Finding, Form, Found, Level, Use

LEAST_RSA_BITS = 2048
_WEAK_HASHES = frozenset({"md5", "sha1"})
#: Of these it is known that whoever signed them is on the same host too.
_CHAINED_HERE = frozenset(
    {
        Use.KUBE_APISERVER,
        Use.KUBE_APISERVER_KUBELET,
        Use.KUBE_APISERVER_ETCD,
        Use.FRONT_PROXY,
        Use.ETCD_SERVER,
        Use.ETCD_PEER,
        Use.ETCD_CLIENT,
        Use.KUBELET_CLIENT,
        Use.KUBECONFIG,
    }
)


def time_finding(not_before: datetime | None, not_after: datetime | None, now: datetime) -> Finding | None:
    """The only finding that changes while nothing changes: it is asked for when it is shown."""
    if not_after is not None and not_after <= now:
        return Finding("expired", Level.BAD, {"at": not_after.isoformat()})
    if not_before is not None and not_before > now:
        return Finding("not_yet_valid", Level.BAD, {"at": not_before.isoformat()})
    return None


def judge(
    found: Sequence[Found],
    *,
    authorities: Iterable[Certificate] = (),
    wanted_names: Sequence[str] = (),
    is_served: bool = False,
) -> list[list[Finding]]:
    """The findings of each, without those of time.

    `authorities` are trusted roots; issuers are looked for among them and among all that was found. `wanted_names`: of an
    endpoint, the name or address that clients ask for; of a host, the names of which its SSH certificate has to hold one.
    `is_served`: what an endpoint sent, first the one of its own, then the chain.
    """
    by_subject: dict[str, list[Certificate]] = {}
    for one in [*(one.certificate for one in found), *authorities]:
        if one.form is Form.X509:
            by_subject.setdefault(one.subject, []).append(one)
    return [_judge(one, by_subject, wanted_names, is_served=is_served) for one in found]


def _judge(
    one: Found, by_subject: dict[str, list[Certificate]], wanted_names: Sequence[str], *, is_served: bool
) -> list[Finding]:
    read = one.certificate
    if read.form is Form.SSH:
        return _ssh(read, wanted_names)
    found = []
    if is_served and one.position == 0 and wanted_names and (bad := _endpoint_name(read, wanted_names[0])):
        found.append(bad)
    if bad := _chain(one, by_subject, is_served=is_served):
        found.append(bad)
    if (read.key_type == "RSA" and 0 < read.key_bits < LEAST_RSA_BITS) or read.key_type == "DSA":
        found.append(Finding("weak_key", Level.WARN, {"key": read.key_type, "bits": read.key_bits}))
    # The signature of a root says nothing: it is trusted by being there.
    if read.signature in _WEAK_HASHES and not read.is_self_signed:
        found.append(Finding("weak_signature", Level.WARN, {"hash": read.signature}))
    return found


def _endpoint_name(read: Certificate, wanted: str) -> Finding | None:
    if any(holds_for(name, wanted) for name in read.names):
        return None
    if not read.names:
        # Browsers and Go have not looked at the common name for years.
        return Finding("no_names", Level.BAD, {"wanted": wanted})
    return Finding("wrong_name", Level.BAD, {"wanted": wanted, "names": ", ".join(read.names[:5])})


def holds_for(name: str, wanted: str) -> bool:
    """Whether a name of a certificate is that of an endpoint: whole, or with one label for a leading star."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(wanted)
    except ValueError:
        pass
    name, wanted = name.lower().rstrip("."), wanted.lower().rstrip(".")
    if not name.startswith("*."):
        return name == wanted
    label, dot, rest = wanted.partition(".")
    return bool(label and dot) and rest == name[2:] and "." in rest


def _chain(one: Found, by_subject: dict[str, list[Certificate]], *, is_served: bool) -> Finding | None:
    read = one.certificate
    if read.is_self_signed:
        if is_served and one.position == 0:
            return Finding("self_signed", Level.WARN, {})
        return None
    candidates = [other for other in by_subject.get(read.issuer, ()) if other.fingerprint != read.fingerprint]
    # Roots of the same name with other keys are not the issuer, unless nothing says which key it was.
    same_key = [other for other in candidates if read.authority_key in ("", other.subject_key) or not other.subject_key]
    issuer = next((other for other in same_key if _issued(other, read)), None)
    if issuer is None:
        if same_key:
            return Finding("bad_signature", Level.BAD, {"issuer": read.issuer})
        if candidates:
            return Finding(
                "other_issuer_key", Level.BAD if _belongs(one, is_served=is_served) else Level.INFO, _named(read)
            )
        if not is_served and one.use not in _CHAINED_HERE:
            return None
        return Finding("issuer_not_found", Level.WARN, _named(read))
    if not issuer.is_ca:
        return Finding("issuer_is_no_ca", Level.BAD, _named(read))
    if read.not_after and issuer.not_after and read.not_after > issuer.not_after:
        ends = {"issuer": read.issuer, "at": issuer.not_after.isoformat()}
        return Finding("outlives_issuer", Level.WARN, ends)
    return None


def _belongs(one: Found, *, is_served: bool) -> bool:
    return is_served or one.use in _CHAINED_HERE


def _named(read: Certificate) -> dict[str, str]:
    return {"issuer": read.issuer}


def _issued(issuer: Certificate, read: Certificate) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            signed, by = (x509.load_der_x509_certificate(one.blob) for one in (read, issuer))
            signed.verify_directly_issued_by(by)
        except UnsupportedAlgorithm:
            # Too old to be checked here, which is said of the signature itself.
            return True
        except (ValueError, TypeError, InvalidSignature):
            return False
    return True


def _ssh(read: Certificate, wanted_names: Sequence[str]) -> list[Finding]:
    found = []
    if read.signature != "host":
        found.append(Finding("ssh_user_certificate", Level.BAD, {}))
    names = {name.lower() for name in read.names}
    if wanted_names and not names & {name.lower() for name in wanted_names if name}:
        words = {"wanted": wanted_names[0], "names": ", ".join(read.names[:5]) or "–"}
        found.append(Finding("ssh_wrong_name", Level.WARN, words))
    if not _ssh_signed(read):
        found.append(Finding("bad_signature", Level.BAD, {"issuer": read.issuer}))
    return found


def _ssh_signed(read: Certificate) -> bool:
    kind = read.blob[4 : 4 + int.from_bytes(read.blob[:4], "big")]
    try:
        loaded = load_ssh_public_identity(kind + b" " + base64.b64encode(read.blob))
        if isinstance(loaded, SSHCertificate):
            loaded.verify_cert_signature()
            return True
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        pass
    return False
