"""Which certificate issued which, and whether those of one place stand in an order that clients follow."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nodes.certificates.record import Certificate


def is_named_issuer(other: Certificate, read: Certificate) -> bool:
    """By names and key ids: roots of the same name with other keys are not it, unless nothing says which key it was."""
    if other.subject != read.issuer or other.fingerprint == read.fingerprint:
        return False
    return read.authority_key in ("", other.subject_key) or not other.subject_key


def issued(issuer: Certificate, read: Certificate) -> bool:
    """Whether the signature holds."""
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


def is_same_authority(one: Certificate, other: Certificate) -> bool:
    """By name and key: what one signed holds by the other too. A root that another one signed as well is the same root."""
    if one.fingerprint == other.fingerprint:
        return True
    key = _public_key(one)
    return one.subject == other.subject and key != b"" and key == _public_key(other)


def _public_key(read: Certificate) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            key = x509.load_der_x509_certificate(read.blob).public_key()
            return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return b""


def out_of_order(chain: Sequence[Certificate], first: int) -> tuple[bool, frozenset[int]]:
    """Whether an issuer stands before what it issued, seen from `first`; and those that issued nothing of its chain.

    Where two hold for one, such as a root and itself signed by an older one, it is enough that one of them comes later.
    """
    is_wrong, reached, left = False, {first}, [first]
    while left:
        at = left.pop()
        if chain[at].is_self_signed:
            continue
        issuers = [
            number for number, one in enumerate(chain) if is_named_issuer(one, chain[at]) and issued(one, chain[at])
        ]
        is_wrong = is_wrong or (bool(issuers) and max(issuers) < at)
        left += [number for number in issuers if number not in reached]
        reached.update(issuers)
    return is_wrong, frozenset(range(len(chain))) - reached
