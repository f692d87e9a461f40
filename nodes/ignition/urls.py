"""URLs as Go's net/url parses them, as far as validation needs it."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import unquote_plus

_HEX = "0123456789abcdefABCDEF"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_PORT = re.compile(r"(:[0-9]*)?\Z")
_USER_INFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*\Z")
# Of ASCII, what a host may hold unescaped; Go is generous here.
_HOST = re.compile(r"[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]*\Z")


class UrlFailure(Exception):
    """The URL cannot be parsed."""


@dataclass(frozen=True)
class Url:
    """The parts that rules look at."""

    scheme: str
    opaque: str
    query: str

    def query_value(self, name: str) -> str | None:
        """The first value of a query parameter; None when it is not there."""
        for part in self.query.split("&"):
            if ";" in part or not part:
                continue
            key, _, value = part.partition("=")
            if _BAD_ESCAPE.search(key) or _BAD_ESCAPE.search(value):
                continue
            if unquote_plus(key) == name:
                return unquote_plus(value)
        return None


def parse(text: str) -> Url:
    """The parts of a URL. Raises UrlFailure where Go's `url.Parse` fails."""
    text, hash_, fragment = text.partition("#")
    if _CONTROL.search(text):
        raise UrlFailure("invalid control character in URL")
    if hash_ and _BAD_ESCAPE.search(fragment):
        raise UrlFailure("invalid URL escape")
    scheme, rest = _scheme(text)
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme, rest, query)
        if ":" in rest.partition("/")[0]:
            raise UrlFailure("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        _check_authority(authority)
    if _BAD_ESCAPE.search(rest):
        raise UrlFailure("invalid URL escape")
    return Url(scheme, "", query)


def _scheme(text: str) -> tuple[str, str]:
    if text.startswith(":"):
        raise UrlFailure("missing protocol scheme")
    match = _SCHEME.match(text)
    if match is None or text[match.end() : match.end() + 1] != ":":
        return "", text
    return match.group().lower(), text[match.end() + 1 :]


def _check_authority(authority: str) -> None:
    user, at, host = authority.rpartition("@")
    if at and (not _USER_INFO.match(user) or _BAD_ESCAPE.search(user)):
        raise UrlFailure("net/url: invalid userinfo")
    opening = host.rfind("[")
    if opening > 0:
        raise UrlFailure("invalid IP-literal")
    if opening == 0:
        closing = host.rfind("]")
        if closing < 0:
            raise UrlFailure("missing ']' in host")
        if not _PORT.match(host[closing + 1 :]):
            raise UrlFailure("invalid port")
        address, has_zone, zone = host[1:closing].partition("%25")
        if not _is_ipv6(address) or (has_zone and not zone):
            raise UrlFailure("invalid host")
        if has_zone:
            if _BAD_ESCAPE.search(zone) or not _HOST.match(zone):
                raise UrlFailure("invalid zone")
            host = address
    elif not _PORT.match(host[host.rfind(":") :] if ":" in host else ""):
        raise UrlFailure("invalid port")
    _check_host(host)


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return True


def _check_host(host: str) -> None:
    if not _HOST.match(host):
        raise UrlFailure("invalid character in host name")
    at = host.find("%")
    while at >= 0:
        pair = host[at + 1 : at + 3]
        if len(pair) < 2 or any(character not in _HEX for character in pair):
            raise UrlFailure("invalid URL escape")
        # Only bytes beyond ASCII may be escaped in a host.
        if int(pair[0], 16) < 8 and pair != "25":
            raise UrlFailure("invalid URL escape")
        at = host.find("%", at + 3)
