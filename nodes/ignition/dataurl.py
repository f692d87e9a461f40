"""`data:` URLs: checked, decoded and made as the real tool does it (vincent-petithory/dataurl)."""

import base64
import contextlib
import re
import zlib
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from nodes.ignition.deflate import LONGEST_BODY, Looks, TooSlow, deflate
from nodes.ignition.limits import DEFAULT

_ESCAPE_KEEPS = "!*'()"
_ZLIB_BEST, _ZLIB_QUICK = 9, 6
_GZIP_FRAME_BYTES = 18
_NEAR_CHARACTERS = 24
_MEDIA_CHARACTERS = r"!#$%&'*+\-.^_`{|}~0-9A-Za-z"
_MEDIA_TYPES = ("text", "image", "audio", "video", "application", "message", "multipart")
_IS_TOKEN = re.compile(f"[{_MEDIA_CHARACTERS}]*")
_URL_DATA = re.compile(r"[!$-;=?-Z_a-z~%]*\Z")
_BASE64_DATA = re.compile(r"[a-zA-Z0-9+/=\n]*\Z")
_WHOLE_BASE64 = re.compile(r"[a-zA-Z0-9+/]*={0,2}\Z")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_QUOTED = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_GO_QUOTED = re.compile(
    r"(?:[^\\\n\"]|\\(?:[abfnrtv\\\"]|[0-3][0-7]{2}|x[0-9a-fA-F]{2}|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    r"|U(?:000(?!0[dD][89a-fA-F])[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})))*\Z"
)


class DataUrlFailure(Exception):
    """The URL cannot be decoded. The text is the real tool's."""


@dataclass(frozen=True)
class Encoded:
    """A URL, and the compression that goes with it; None where the given one stays."""

    url: str
    compression: str | None


class Encoder:
    """Makes the URLs of one config.

    Bodies are compressed as Go does it as long as that takes no more than a few seconds for all of them,
    then with zlib: the same once it is unpacked.
    """

    def __init__(self, *, chooses_compression: bool = True, looks: int = DEFAULT.compression_looks) -> None:
        self._chooses_compression = chooses_compression
        self._looks = Looks(looks)

    def encode(self, body: bytes, compression: str | None) -> Encoded:
        """The shortest of percent-escapes, base64 and gzipped base64.

        What is compressed already is not compressed again, and in the first version nothing is.
        """
        opaque = "," + quote(body, safe=_ESCAPE_KEEPS)
        if not self._chooses_compression:
            return Encoded("data:" + opaque, None)
        if _base64_length(len(body)) + len(";base64,") < len(opaque):
            opaque = ";base64," + base64.b64encode(body).decode("ascii")
        if compression:
            return Encoded("data:" + opaque, None)
        packed = self._gzip(body, len(opaque))
        if packed is not None:
            candidate = ";base64," + base64.b64encode(packed).decode("ascii")
            if len(candidate) + len("gzip") < len(opaque):
                return Encoded("data:" + candidate, "gzip")
        return Encoded("data:" + opaque, "")

    def _gzip(self, body: bytes, most: int) -> bytes | None:
        """A gzip file as Go writes it; None where it is far from being shorter than `most` characters of base64."""
        as_go = len(body) <= LONGEST_BODY and self._looks.left >= 0
        # The best level takes seconds for a megabyte of few different characters.
        quick = zlib.compressobj(_ZLIB_BEST if as_go else _ZLIB_QUICK, zlib.DEFLATED, -zlib.MAX_WBITS)
        stream = quick.compress(body) + quick.flush()
        if _base64_length(_GZIP_FRAME_BYTES + len(stream)) > most + max(_NEAR_CHARACTERS, most // 8):
            return None
        if as_go:
            with contextlib.suppress(TooSlow):
                stream = deflate(body, self._looks)
        # Of no time and an unknown system.
        header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
        trailer = zlib.crc32(body).to_bytes(4, "little") + (len(body) & 0xFFFFFFFF).to_bytes(4, "little")
        return header + stream + trailer


def _base64_length(count: int) -> int:
    return 4 * ((count + 2) // 3)


def decode(url: str) -> bytes:
    """The bytes of a URL, not decompressed. Raises DataUrlFailure."""
    if not url.startswith("data:"):
        raise DataUrlFailure("missing data prefix")
    at, is_base64 = _media_type(url, len("data:"))
    data = url[at:]
    if not (_BASE64_DATA if is_base64 else _URL_DATA).match(data):
        raise DataUrlFailure("invalid data character")
    return _decode_base64(data) if is_base64 else _unescape(data)


def _media_type(url: str, at: int) -> tuple[int, bool]:
    """Where the data begins, and whether it is base64."""
    start = at
    character = url[at : at + 1]
    if not character:
        raise DataUrlFailure("missing comma before data")
    if character not in ";,":
        at = _after_media_type(url, start)
        if url[at : at + 1] not in (";", ","):
            raise DataUrlFailure("incomplete media type" if at >= len(url) else "invalid character for media subtype")
    while url[at] == ";":
        at, is_base64 = _parameter(url, at + 1)
        if is_base64:
            return at + 1, True
    return at + 1, False


def _after_media_type(url: str, start: int) -> int:
    if _token_end(url, start) == start:
        raise DataUrlFailure("invalid character after data prefix")
    # An x- type may have any name; the character after the x is taken whatever it is.
    begins_with_x = url[start] in "xX"
    is_x = begins_with_x and url[start + 1 : start + 2] == "-"
    slash = _token_end(url, start + 2 if begins_with_x and not is_x and len(url) > start + 1 else start)
    if slash >= len(url):
        raise DataUrlFailure("missing media type slash")
    if url[slash] != "/":
        raise DataUrlFailure("invalid character for media type")
    if not is_x and not url.startswith(_MEDIA_TYPES, start, slash):
        raise DataUrlFailure("invalid media type")
    return _token_end(url, slash + 1)


def _token_end(url: str, start: int) -> int:
    match = _IS_TOKEN.match(url, start)
    return match.end() if match else start


def _parameter(url: str, start: int) -> tuple[int, bool]:
    """The end of a parameter, and whether it was the word base64 before the comma."""
    end = _token_end(url, start)
    character = url[end : end + 1]
    if character == "" or (end == start and character in "=,"):
        raise DataUrlFailure("unterminated parameter sequence")
    if end == start or character not in "=,":
        raise DataUrlFailure("invalid character for parameter attribute")
    if character == ",":
        if url[start:end] != "base64":
            raise DataUrlFailure(f"expected base64, got {url[start:end]}")
        return end, True
    return _parameter_value(url, end + 1), False


def _parameter_value(url: str, start: int) -> int:
    if url[start : start + 1] == '"':
        return _quoted_value(url, start + 1)
    end = _token_end(url, start)
    if end >= len(url):
        raise DataUrlFailure("missing comma before data")
    if end == start or url[end] not in ";,":
        raise DataUrlFailure("invalid character for parameter value")
    _unescape(url[start:end])
    return end


def _quoted_value(url: str, start: int) -> int:
    match = _QUOTED.match(url, start)
    end = match.end() if match else start
    if not url[start:end].isascii():
        raise DataUrlFailure("invalid character for parameter value")
    if end >= len(url):
        raise DataUrlFailure("unclosed quoted string")
    if url[end] != '"':
        raise DataUrlFailure("unexpected eof")
    if not _GO_QUOTED.match(url, start, end):
        raise DataUrlFailure("invalid syntax")
    following = url[end + 1 : end + 2]
    if following not in (";", ","):
        raise DataUrlFailure("expected semicolon or comma" if following else "missing comma before data")
    return end + 1


def _unescape(text: str) -> bytes:
    at = text.find("%")
    while at >= 0:
        pair = text[at + 1 : at + 3]
        for character in pair:
            if character not in "0123456789abcdefABCDEF":
                raise DataUrlFailure("rfc2396: invalid char 0x25 in unescape sequence")
        if len(pair) < 2:
            raise DataUrlFailure("rfc2396: unexpected end of unescape sequence")
        at = text.find("%", at + 3)
    return unquote_to_bytes(text)


def _decode_base64(text: str) -> bytes:
    plain = text.replace("\n", "")
    if len(plain) % 4 or not _WHOLE_BASE64.match(plain):
        offset = _corrupt_at(text.encode("ascii"))
        if offset is not None:
            raise DataUrlFailure(f"illegal base64 data at input byte {offset}")
    return base64.b64decode(plain)


def _corrupt_at(source: bytes) -> int | None:
    """Where Go's decoder stops."""
    at = 0
    while True:
        filled = 0
        while filled < 4:
            if at == len(source):
                return None if filled == 0 else at - filled
            byte = source[at]
            at += 1
            if byte in b"\r\n":
                continue
            if byte in _BASE64:
                filled += 1
                continue
            if byte != ord("=") or filled < 2:
                return at - 1
            if filled == 2:
                while at < len(source) and source[at] in b"\r\n":
                    at += 1
                if at == len(source):
                    return at
                if source[at] != ord("="):
                    return at
                at += 1
            while at < len(source) and source[at] in b"\r\n":
                at += 1
            return at if at < len(source) else None
