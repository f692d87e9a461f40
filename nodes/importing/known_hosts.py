"""A known_hosts file over a whole inventory: plain names by a table, hashed and wildcard ones line by line."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field

from nodes.hosts.errors import N_
from nodes.hosts.ssh import HostKey, known_hosts_lookup
from nodes.importing.rows import MAX_BYTES, SPLIT, TOO_LARGE, Refused

#: Each hashed or wildcard line is tried on each host, by address and by name: about a second per million.
MAX_CHECKS = 5_000_000
_ORDER = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


@dataclass
class KnownHosts:
    """The lines of a file by the name that they are about."""

    plain: dict[str, list[str]] = field(default_factory=dict)
    hashed: list[tuple[bytes, bytes, str]] = field(default_factory=list)
    wild: list[tuple[re.Pattern[str], str]] = field(default_factory=list)
    has_keys: bool = False

    @classmethod
    def of_file(cls, text: str, hosts: int) -> KnownHosts:
        """Likewise of a file that was given as one: without any key in it, it is another one."""
        found = cls.parse(text, hosts)
        if text.strip() and not found.has_keys:
            raise Refused(N_("known_hosts has no line with a host key."), N_("Give what ssh-keyscan writes."))
        return found

    @classmethod
    def parse(cls, text: str, hosts: int = 0) -> KnownHosts:
        """`hosts` says for how many hosts it will be asked: what would take minutes is refused."""
        if len(text) > MAX_BYTES:
            raise Refused(TOO_LARGE, SPLIT, limit=MAX_BYTES // 1024 // 1024)
        found = cls()
        for raw in text.splitlines():
            words = raw.split()
            if words and words[0].startswith("@"):
                del words[0]
            if words and not words[0].startswith("#"):
                found._take(words[0], raw)
                found.has_keys |= len(words) > 2 and words[1].startswith(("ssh-", "ecdsa-", "sk-"))
        tried = len(found.hashed) + len(found.wild)
        if tried * hosts * 2 > MAX_CHECKS:
            raise Refused(
                N_("known_hosts has %(lines)s hashed or wildcard lines, which is too many for %(hosts)s hosts."),
                N_("Make one with plain names: ssh-keyscan -f FILE, where FILE lists the addresses."),
                lines=f"{tried:,}",
                hosts=f"{hosts:,}",
            )
        return found

    def _take(self, names: str, raw: str) -> None:
        for name in names.split(","):
            if name.startswith("|"):
                if (parts := _hash(name)) is not None:
                    self.hashed.append((*parts, raw))
            elif set(name) & set("*?"):
                pattern = re.escape(name.lstrip("!").lower()).replace(r"\*", ".*").replace(r"\?", ".")
                self.wild.append((re.compile(pattern), raw))
            elif name:
                self.plain.setdefault(name.lstrip("!").lower(), []).append(raw)

    def of(self, address: str, name: str, port: int) -> HostKey | None:
        """The key of a host by its address or its name; of several the one that FleetUI asks for first."""
        for word in dict.fromkeys((address, name)):
            if keys := self._named(word, port):
                return min(keys, key=lambda key: _ORDER.index(key.type) if key.type in _ORDER else len(_ORDER))
        return None

    def all_of(self, address: str, name: str, port: int) -> list[HostKey]:
        """Every key of a host, by its address and by its name."""
        return [key for word in dict.fromkeys((address, name)) for key in self._named(word, port)]

    def _named(self, word: str, port: int) -> list[HostKey]:
        bare = word.strip("[]").lower()
        wanted = bare if port == 22 else f"[{bare}]:{port}"
        lines = [
            *self.plain.get(wanted, ()),
            *(raw for salt, digest, raw in self.hashed if hmac.digest(salt, wanted.encode(), "sha1") == digest),
            *(raw for pattern, raw in self.wild if pattern.fullmatch(wanted)),
        ]
        # The lookup decides what a line means: a name may be excluded in it, or its key revoked.
        return known_hosts_lookup("\n".join(dict.fromkeys(lines)), bare, port) if lines else []


def _hash(name: str) -> tuple[bytes, bytes] | None:
    """Salt and digest of |1|SALT|DIGEST."""
    parts = name.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return None
    try:
        return base64.b64decode(parts[2]), base64.b64decode(parts[3])
    except (binascii.Error, ValueError):
        return None
