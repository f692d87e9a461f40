"""What a resource of an Ignition config holds: its bytes where they stand in the config, else where they come from."""

import hashlib
import zlib
from dataclasses import dataclass, field

from nodes.ignition import dataurl
from nodes.ignition.limits import DEFAULT, Limits
from nodes.ignition.record import Record
from nodes.ignition.urls import UrlFailure, parse

_GZIP_BITS = 31
_INSECURE = ("http", "tftp")


@dataclass(frozen=True)
class Content:
    """`body` is None for what is fetched at boot, or cannot be unpacked here; `url` is without passwords and query."""

    url: str = ""
    scheme: str = ""
    body: bytes | None = field(default=None, repr=False)
    hash: str | None = None
    problem: str | None = None

    @property
    def is_remote(self) -> bool:
        return self.scheme not in ("", "data")

    @property
    def is_insecure(self) -> bool:
        """Whether what is fetched can be changed on the way."""
        return self.scheme in _INSECURE

    @property
    def text(self) -> str | None:
        """The body as text; None when it is remote or no text."""
        if self.body is None or b"\0" in self.body:
            return None
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError:
            return None

    @property
    def size_bytes(self) -> int | None:
        return None if self.body is None else len(self.body)

    @property
    def identity(self) -> str:
        """Equal for equal content, as far as can be told without fetching."""
        if self.body is not None:
            return f"sha512-{hashlib.sha512(self.body).hexdigest()}"
        return f"{self.url} {self.hash or ''}"


EMPTY = Content(body=b"")


class Contents:
    """Reads the resources of one config, up to a number of unpacked bytes in all."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._left = limits.local_total_bytes

    def read(self, resource: Record) -> Content:
        """The content of a resource; an empty one when it has no source."""
        source = resource.text("source")
        hash_ = resource.record("verification").text("hash")
        if not source:
            return EMPTY
        if not source.startswith("data:"):
            return Content(shown_url(source), _scheme(source), hash=hash_)
        try:
            body = dataurl.decode(source)
        except dataurl.DataUrlFailure:
            return Content("data:", "data", hash=hash_, problem="unreadable")
        if resource.text("compression") == "gzip":
            unpacked = _unpacked(body, self._left)
            if unpacked is None:
                return Content("data:", "data", hash=hash_, problem="compression")
            body = unpacked
        self._left -= len(body)
        if self._left < 0:
            return Content("data:", "data", hash=hash_, problem="size")
        return Content("data:", "data", body, hash_)


def shown_url(url: str) -> str:
    """A URL as it may be shown: user names, passwords and queries may be secrets."""
    base = url.partition("#")[0].partition("?")[0]
    scheme, separator, rest = base.partition("://")
    if not separator:
        return base
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _scheme(url: str) -> str:
    try:
        return parse(url).scheme
    except UrlFailure:
        return ""


def _unpacked(body: bytes, most: int) -> bytes | None:
    """All members of a gzip file; None when it is damaged or longer than allowed."""
    unpacked = b""
    while body:
        member = zlib.decompressobj(_GZIP_BITS)
        try:
            unpacked += member.decompress(body, max(1, most - len(unpacked) + 1))
        except zlib.error:
            return None
        if not member.eof or len(unpacked) > most:
            return None
        body = member.unused_data
    return unpacked
