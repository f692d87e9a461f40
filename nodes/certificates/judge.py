"""What is wrong with a certificate in its place: time, names, chain, strength. Pure functions of what was read and of now."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from nodes.certificates.chains import is_named_issuer, is_same_authority, issued, out_of_order
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


#: Files out of which a chain is sent to clients as it stands there.
_SENT = frozenset({Use.CERTBOT, Use.HAPROXY, Use.NGINX})


def time_finding(not_before: datetime | None, not_after: datetime | None, now: datetime) -> Finding | None:
    """The only finding that changes while nothing changes: it is asked for when it is shown."""
    if not_after is not None and not_after <= now:
        return Finding("expired", Level.BAD, {"at": not_after.isoformat()})
    if not_before is not None and not_before > now:
        return Finding("not_yet_valid", Level.BAD, {"at": not_before.isoformat()})
    return None


def days_left(not_after: datetime, now: datetime) -> int:
    """A begun day counts as one: what ends within a day has one day left, and none when it has expired."""
    return max(-((now - not_after) // timedelta(days=1)), 0)


def judge(
    found: Sequence[Found],
    *,
    authorities: Iterable[Certificate] = (),
    wanted_names: Sequence[str] = (),
    is_served: bool = False,
) -> list[list[Finding]]:
    """The findings of each, without those of time.

    `authorities` are what is trusted. The issuer of what an endpoint sent is looked for among them and what it sent itself; of
    one on a host in the same file, and in files of authorities there. `wanted_names`: of an endpoint, the name or address
    that clients ask for; of a host, the names of which its SSH certificate has to hold one. `is_served`: what one endpoint
    sent, first the one of its own, then the chain.
    """
    trusted = [one for one in authorities if one.form is Form.X509]
    groups: dict[str, list[int]] = {}
    for number, one in enumerate(found):
        groups.setdefault("" if is_served else one.place, []).append(number)
    if is_served:
        shared = trusted
    else:
        of_authorities = [
            numbers for numbers in groups.values() if all(found[number].certificate.is_ca for number in numbers)
        ]
        shared = [*trusted, *(found[number].certificate for numbers in of_authorities for number in numbers)]
    by_subject = _by_subject(shared)
    judged: list[list[Finding]] = [[] for _one in found]
    for numbers in groups.values():
        beside = _by_subject(found[number].certificate for number in numbers)
        faults = _order([found[number] for number in numbers], is_served=is_served)
        for at, number in enumerate(numbers):
            issuer = found[number].certificate.issuer
            known = _Known((*beside.get(issuer, ()), *by_subject.get(issuer, ())), trusted if is_served else ())
            judged[number] = _judge(found[number], known, wanted_names, faults.get(at), is_served=is_served)
    return judged


@dataclass(frozen=True)
class _Known:
    """What one is judged by: those with the name of its issuer; and what is trusted, where that counts."""

    issuers: Sequence[Certificate]
    trusted: Sequence[Certificate]


def _by_subject(certificates: Iterable[Certificate]) -> dict[str, list[Certificate]]:
    found: dict[str, list[Certificate]] = {}
    for one in certificates:
        if one.form is Form.X509:
            found.setdefault(one.subject, []).append(one)
    return found


def _order(group: Sequence[Found], *, is_served: bool) -> dict[int, Finding]:
    """What is wrong with the order of a chain as it is sent, or as it lies in a file that is sent: by place in the group."""
    chain = [one.certificate for one in group]
    if len(chain) < 2 or not (is_served or group[0].use in _SENT) or all(one.is_self_signed for one in chain):
        return {}
    # A file of nothing but authorities is one to check others by, and has no order.
    own = 0 if is_served else next((number for number, one in enumerate(chain) if not one.is_ca), None)
    if own is None:
        return {}
    is_wrong, strangers = out_of_order(chain, own)
    found = {number: Finding("not_in_chain", Level.INFO, {}) for number in strangers}
    return found | {own: Finding("wrong_order", Level.WARN, {})} if is_wrong else found


def _judge(
    one: Found, known: _Known, wanted_names: Sequence[str], fault: Finding | None, *, is_served: bool
) -> list[Finding]:
    read = one.certificate
    if read.form is Form.SSH:
        return _ssh(read, wanted_names)
    found = []
    if is_served and one.position == 0 and wanted_names and (bad := _endpoint_name(read, wanted_names[0])):
        found.append(bad)
    if fault is not None:
        found.append(fault)
    # Who issued what is no part of the chain matters to nobody.
    if (fault is None or fault.code != "not_in_chain") and (bad := _chain(one, known, is_served=is_served)):
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


def _chain(one: Found, known: _Known, *, is_served: bool) -> Finding | None:
    read = one.certificate
    if is_served and one.position == 0 and read.is_self_signed:
        return Finding("self_signed", Level.WARN, {})
    if is_served and one.position and any(is_same_authority(other, read) for other in known.trusted):
        # The chain ends here for clients, also where somebody else has signed this authority too.
        return None
    if read.is_self_signed:
        return Finding("root_not_known", Level.WARN, {"subject": read.subject}) if is_served else None
    candidates = [other for other in known.issuers if other.fingerprint != read.fingerprint]
    same_key = [other for other in candidates if is_named_issuer(other, read)]
    issuers = [other for other in same_key if issued(other, read)]
    if not issuers:
        if same_key:
            return Finding("bad_signature", Level.BAD, {"issuer": read.issuer})
        if candidates:
            return Finding(
                "other_issuer_key", Level.BAD if _belongs(one, is_served=is_served) else Level.INFO, _named(read)
            )
        if not is_served and one.use not in _CHAINED_HERE:
            return None
        return Finding("issuer_not_found", Level.WARN, _named(read))
    # Of an authority that is there more than once, such as one that two others signed, the one that holds longest counts.
    issuer = max(issuers, key=lambda other: (other.is_ca, other.not_after.timestamp() if other.not_after else 0))
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
