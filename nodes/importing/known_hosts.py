"""A known_hosts file over a whole inventory: plain names by a table, hashed and wildcard ones line by line."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.hosts.errors import N_
from nodes.hosts.ssh import HostKey, known_hosts_lookup
from nodes.importing.rows import MAX_BYTES, SPLIT, TOO_LARGE, Refused

#: Each odd line is tried on each host: with more of them a large import would take minutes.
MAX_ODD_LINES = 2_000
_ORDER = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


@dataclass
class KnownHosts:
    """The lines of a file by the name that they are about."""

    plain: dict[str, list[str]] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> KnownHosts:
        if len(text) > MAX_BYTES:
            raise Refused(TOO_LARGE, SPLIT, limit=MAX_BYTES // 1024 // 1024)
        found = cls()
        for raw in text.splitlines():
            words = raw.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0].startswith(("@", "|")) or set(words[0]) & set("*?!"):
                found.odd.append(raw)
                continue
            for name in words[0].lower().split(","):
                found.plain.setdefault(name, []).append(raw)
        if len(found.odd) > MAX_ODD_LINES:
            raise Refused(
                N_("known_hosts has more than %(limit)s hashed or wildcard lines."), SPLIT, limit=MAX_ODD_LINES
            )
        return found

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
        lines = self.plain.get(bare if port == 22 else f"[{bare}]:{port}", [])
        return known_hosts_lookup("\n".join([*lines, *self.odd]), bare, port) if lines or self.odd else []
