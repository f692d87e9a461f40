"""URLs as Go's net/url parses them, as far as validation needs it."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

_HEX = "0123456789abcdefABCDEF"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_PORT = re.compile(r"(:[0-9]*)?\Z")
_USER_INFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*\Z")
# Of ASCII, what a host may hold unescaped; Go is generous here.
_HOST = re.compile(r"[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]*\Z")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+\Z")


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
    if host.startswith("["):
        closing = host.rfind("]")
        if closing < 0:
            raise UrlFailure("missing ']' in host")
        if not _PORT.match(host[closing + 1 :]):
            raise UrlFailure("invalid port")
        address, zone, _ = host[1:closing].partition("%25")
        if ":" not in address or not _is_ipv6(address):
            raise UrlFailure("invalid host")
        host = "" if zone else host
    elif not _PORT.match(host[host.rfind(":") :] if ":" in host else ""):
        raise UrlFailure("invalid port")
    _check_host(host)


def _is_ipv6(address: str) -> bool:
    if not _IPV6.match(address) or address.count("::") > 1 or ":::" in address:
        return False
    head, dots, tail = address.rpartition(":")
    groups = 0
    if "." in tail:
        octets = tail.split(".")
        if len(octets) != 4 or not all(one.isdigit() and int(one) < 256 and str(int(one)) == one for one in octets):
            return False
        address, groups = head + dots.replace(":", ""), 2
        address = head if not head.endswith(":") else head + ":"
    parts = [part for part in address.split(":") if part]
    if any(len(part) > 4 or "." in part for part in parts):
        return False
    groups += len(parts)
    if "::" in address:
        return groups <= 7
    return groups == 8 and not address.startswith(":") and not address.endswith(":")


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
