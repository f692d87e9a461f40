"""OpenPGP keys and signatures taken apart (RFC 4880), as far as it needs to name them and to hand nothing else to gpgv.

Pure, and verifies nothing: what a key says of its owner and its end is shown, and gpgv decides.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

MOST_KEYS = 100
MOST_TEXT = 262_144
#: A signature of a commit has some hundred bytes.
MOST_SIGNATURE = 16_384
LEAST_RSA_BITS: Final = 2048
_SIGNATURE, _SECRET, _KEY, _SECRET_SUBKEY, _TRUST, _IDENTITY, _SUBKEY, _ATTRIBUTE = 2, 5, 6, 7, 12, 13, 14, 17
_CURVES: Final = {
    "2b06010401da470f01": "ed25519",
    "2b6571": "ed448",
    "2a8648ce3d030107": "nistp256",
    "2b81040022": "nistp384",
    "2b81040023": "nistp521",
    "2b8104000a": "secp256k1",
    "2b2403030208010107": "brainpoolP256r1",
    "2b240303020801010b": "brainpoolP384r1",
    "2b240303020801010d": "brainpoolP512r1",
}
_RSA, _DSA, _ECDSA, _EDDSA, _ED25519, _ED448 = (1, 3), 17, 19, 22, 27, 28
_BEGIN = re.compile(r"-----BEGIN PGP ([A-Z ,/0-9]{1,60})-----\s*")
_MAIL = re.compile(r"[^\s<>@,\"]{1,64}@[^\s<>@,\"]{1,255}")


class Unreadable(ValueError):
    """`reason` in one word, and the line of the text, from 1, that it is about."""

    def __init__(self, reason: str, line: int, value: str = "") -> None:
        super().__init__(f"{reason} in line {line}")
        self.reason, self.line, self.value = reason, line, value[:100]


@dataclass(frozen=True)
class Material:
    """A primary key or a subkey."""

    fingerprint: str
    algorithm: str
    can_be_taken: bool

    @property
    def key_id(self) -> str:
        return self.fingerprint[-16:]


@dataclass(frozen=True)
class OpenPgpKey:
    """A public key with its subkeys. `raw` are its packets, `line` where its block begins.

    `identities`, `expires_at` and `is_revoked` are what the key says of itself.
    """

    primary: Material
    line: int
    created_at: datetime
    subkeys: list[Material] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    expires_at: datetime | None = None
    is_revoked: bool = False
    raw: bytes = b""

    @property
    def fingerprint(self) -> str:
        return self.primary.fingerprint

    @property
    def materials(self) -> list[Material]:
        return [self.primary, *self.subkeys]

    @property
    def emails(self) -> list[str]:
        return list(dict.fromkeys(mail for one in self.identities for mail in mails_in(one)))


def mails_in(text: str) -> list[str]:
    """E-mail addresses, in small letters."""
    return [found.lower() for found in _MAIL.findall(text)]


def keys_in(text: str) -> list[OpenPgpKey]:
    """The keys of all blocks of the text. Between blocks only empty lines and comments with # may stand."""
    found: list[OpenPgpKey] = []
    seen: set[str] = set()
    for kind, line, raw in _blocks(text):
        if kind != "PUBLIC KEY BLOCK":
            raise Unreadable("private" if "PRIVATE" in kind else "kind", line, kind)
        try:
            keys = list(_keys(raw, line))
        except (IndexError, ValueError, OverflowError) as error:
            raise error if isinstance(error, Unreadable) else Unreadable("damaged", line) from error
        for key in keys:
            if key.fingerprint in seen:
                raise Unreadable("twice", line, key.fingerprint)
            seen.add(key.fingerprint)
        found += keys
        if len(found) > MOST_KEYS:
            raise Unreadable("many", line)
    return found


@dataclass(frozen=True)
class DetachedSignature:
    """One signature of version 4 over bytes. `issuers` are fingerprints and key ids that claim to have made it."""

    raw: bytes
    issuers: frozenset[str]


def signature_in(armoured: bytes) -> DetachedSignature:
    """The one signature of the armour; ValueError for anything else or more: no other packet comes to gpgv."""
    if len(armoured) > MOST_SIGNATURE:
        raise ValueError("large")
    blocks = list(_blocks(armoured.decode("ascii")))
    if len(blocks) != 1 or blocks[0][0] != "SIGNATURE":
        raise ValueError("no signature")
    packets = list(_packets(blocks[0][2]))
    if len(packets) != 1 or packets[0][0] != _SIGNATURE:
        raise ValueError("not one signature")
    try:
        about = _about(packets[0][1])
    except IndexError as error:
        raise ValueError("damaged") from error
    return DetachedSignature(packets[0][2], about.issuers)


def _blocks(text: str) -> Iterator[tuple[str, int, bytes]]:
    """Kind, line and bytes of each armoured block."""
    kind, began, in_head, check = "", 0, False, ""
    body: list[str] = []
    for number, raw_line in enumerate(text.splitlines(), 1):
        line = raw_line.strip()
        if not kind:
            if matched := _BEGIN.fullmatch(line):
                kind, began, body, in_head, check = matched[1], number, [], True, ""
            elif line and not line.startswith("#"):
                raise Unreadable("outside", number, line)
        elif line == f"-----END PGP {kind}-----":
            yield kind, began, _bytes(body, check, began)
            kind = ""
        elif in_head and (not line or ": " in line or line.endswith(":")):
            in_head = bool(line)
        elif line.startswith("=") and len(line) == 5 and not check:
            check = line[1:]
        elif line:
            in_head = False
            if check or not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", line):
                raise Unreadable("base64", number, line)
            body.append(line)
    if kind:
        raise Unreadable("open", began)


def _bytes(lines: list[str], check: str, line: int) -> bytes:
    try:
        raw = base64.b64decode("".join(lines), validate=True)
        wanted = base64.b64decode(check, validate=True) if check else b""
    except binascii.Error as error:
        raise Unreadable("damaged", line) from error
    if not raw or (check and _crc24(raw).to_bytes(3, "big") != wanted):
        raise Unreadable("damaged", line)
    return raw


def _crc24(raw: bytes) -> int:
    crc = 0xB704CE
    for octet in raw:
        crc ^= octet << 16
        for _bit in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


def _packets(raw: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Tag, body and whole of each packet. Lengths that are not said at once are not taken: keys have none such."""
    at = 0
    while at < len(raw):
        first, head = raw[at], 1
        if not first & 0x80:
            raise ValueError("no packet")
        if first & 0x40:
            tag, length = first & 0x3F, raw[at + 1]
            if length < 192:
                head = 2
            elif length < 224:
                length, head = ((length - 192) << 8) + raw[at + 2] + 192, 3
            elif length == 255:
                length, head = int.from_bytes(raw[at + 2 : at + 6], "big"), 6
            else:
                raise ValueError("partial")
        else:
            tag, size = (first >> 2) & 0x0F, first & 0x03
            if size == 3:
                raise ValueError("without end")
            head = 1 + (1 << size)
            length = int.from_bytes(raw[at + 1 : at + head], "big")
        end = at + head + length
        if end > len(raw):
            raise ValueError("cut")
        yield tag, raw[at + head : end], raw[at:end]
        at = end


def _keys(raw: bytes, line: int) -> Iterator[OpenPgpKey]:
    groups: list[list[tuple[int, bytes, bytes]]] = []
    for packet in _packets(raw):
        if packet[0] in (_SECRET, _SECRET_SUBKEY):
            raise Unreadable("private", line)
        if packet[0] == _KEY:
            groups.append([])
        elif not groups or packet[0] not in (_SIGNATURE, _TRUST, _IDENTITY, _SUBKEY, _ATTRIBUTE):
            raise Unreadable("damaged", line)
        groups[-1].append(packet)
    for group in groups:
        yield _key(group, line)


def _key(packets: list[tuple[int, bytes, bytes]], line: int) -> OpenPgpKey:
    primary, created_at = _material(packets[0][1], line), _time(packets[0][1][1:5])
    subkeys, identities = [], []
    newest, lasts_s, is_revoked = -1, 0, False
    for tag, body, _whole in packets[1:]:
        if tag == _SUBKEY:
            subkeys.append(_material(body, line))
        elif tag == _IDENTITY:
            identities.append(body[:500].decode("utf-8", "replace"))
        elif tag == _SIGNATURE and body[0] == 4 and not subkeys:
            about = _about(body)
            if about.issuers & {primary.fingerprint, primary.key_id}:
                is_revoked |= about.kind == 0x20
                if about.kind in (0x10, 0x11, 0x12, 0x13, 0x1F) and about.made_s >= newest:
                    newest, lasts_s = about.made_s, about.lasts_s
    if not any(one.can_be_taken for one in [primary, *subkeys]):
        raise Unreadable("weak", line, primary.algorithm)
    return OpenPgpKey(
        primary=primary,
        line=line,
        created_at=created_at,
        subkeys=subkeys,
        identities=identities,
        expires_at=created_at + timedelta(seconds=lasts_s) if lasts_s else None,
        is_revoked=is_revoked,
        raw=b"".join(whole for _tag, _body, whole in packets),
    )


def _material(body: bytes, line: int) -> Material:
    if body[0] != 4:
        raise Unreadable("version", line, str(body[0]))
    fingerprint = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
    number = body[5]
    if number in _RSA:
        bits = int.from_bytes(body[6:8], "big")
        return Material(fingerprint, f"RSA {bits}", bits >= LEAST_RSA_BITS)
    if number in (_ECDSA, _EDDSA):
        curve = _CURVES.get(body[7 : 7 + body[6]].hex(), "")
        return Material(fingerprint, curve or "ECC", bool(curve))
    if number in (_ED25519, _ED448):
        return Material(fingerprint, "ed25519" if number == _ED25519 else "ed448", can_be_taken=True)
    return Material(fingerprint, "DSA" if number == _DSA else f"#{number}", can_be_taken=False)


@dataclass(frozen=True)
class _About:
    kind: int
    made_s: int
    lasts_s: int
    issuers: frozenset[str]


def _about(body: bytes) -> _About:
    """What a signature of version 4 says of itself."""
    if body[0] != 4:
        raise ValueError("version")
    hashed = int.from_bytes(body[4:6], "big")
    rest = body[6 + hashed :]
    unhashed = rest[2 : 2 + int.from_bytes(rest[:2], "big")]
    made_s = lasts_s = 0
    issuers = set()
    for is_signed, area in ((True, body[6 : 6 + hashed]), (False, unhashed)):
        for kind, content in _parts(area):
            if kind == 2 and is_signed:
                made_s = int.from_bytes(content[:4], "big")
            elif kind == 9 and is_signed:
                lasts_s = int.from_bytes(content[:4], "big")
            elif kind == 16 and len(content) == 8:
                issuers.add(content.hex().upper())
            elif kind == 33 and len(content) == 21:
                issuers.add(content[1:].hex().upper())
    return _About(body[1], made_s, lasts_s, frozenset(issuers))


def _parts(area: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(area):
        length, head = area[at], 1
        if 192 <= length < 255:
            length, head = ((length - 192) << 8) + area[at + 1] + 192, 2
        elif length == 255:
            length, head = int.from_bytes(area[at + 1 : at + 5], "big"), 5
        if length == 0 or at + head + length > len(area):
            raise ValueError("cut")
        yield area[at + head] & 0x7F, area[at + head + 1 : at + head + length]
        at += head + length


def _time(raw: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(raw, "big"), UTC)
