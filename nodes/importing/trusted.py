"""A pasted list of keys that a person trusts: fingerprints, the output of ssh-keygen -l, or a known_hosts file."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from nodes.importing.known_hosts import KnownHosts
from nodes.importing.rows import N_, Refused

Verdict = Literal["match", "mismatch", "unknown"]
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_KINDS = {"ED25519": "ssh-ed25519", "RSA": "ssh-rsa", "ECDSA": "ecdsa-"}


@dataclass
class Trusted:
    """`bare` fingerprints stand for any host, `named` ones for the host of that name and (where it is said) that type."""

    bare: set[str] = field(default_factory=set)
    named: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    known: KnownHosts = field(default_factory=KnownHosts)
    unread: int = 0

    @classmethod
    def parse(cls, text: str, hosts: int = 0) -> Trusted:
        """Each line for itself; raises nodes.importing.rows.Refused for a text that is too large for so many hosts."""
        found, rest = cls(), []
        for line in text.splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            place = next((number for number, word in enumerate(words) if _FINGERPRINT.fullmatch(word)), None)
            if place is None:
                rest.append(line)
                found.unread += len(words) < 3
                continue
            found._take(words[place], words[:place], words[place + 1 :])
        found.known = KnownHosts.parse("\n".join(rest), hosts)
        if text.strip() and not (found.bare or found.named or found.known.has_keys):
            raise Refused(
                N_("The list holds neither a fingerprint nor a host key."),
                N_("Give lines of ssh-keygen -l or of known_hosts, or fingerprints that begin with SHA256:."),
            )
        return found

    def _take(self, fingerprint: str, before: list[str], after: list[str]) -> None:
        """`NAME SHA256:...`, or `256 SHA256:... COMMENT (ED25519)` as ssh-keygen -l prints it."""
        kind = ""
        if after and (shown := re.fullmatch(r"\((\w+)\)", after[-1])):
            kind = _KINDS.get(shown[1], "")
            after = after[:-1]
        names = [word for word in before if not word.isdigit()] or after
        if not names or names == ["no", "comment"]:
            self.bare.add(fingerprint)
        for word in names if names != ["no", "comment"] else []:
            for name in word.split(","):
                self.named[name.rpartition("@")[2].strip("[]").lower()].add((kind, fingerprint))

    def verdict(self, *, name: str, address: str, port: int, key_type: str, fingerprint: str) -> Verdict:
        """Whether the offered key is one that is trusted for this host, contradicts one, or is not spoken of."""
        listed = {pair for word in (name, address, f"{address}]:{port}") for pair in self.named.get(word.lower(), ())}
        keys = self.known.all_of(address, name, port)
        trusted = self.bare | {shown for _kind, shown in listed} | {key.fingerprint for key in keys}
        if fingerprint in trusted:
            return "match"
        contradicted = any(key_type.startswith(kind) for kind, _shown in listed)
        return "mismatch" if contradicted or any(key.type == key_type for key in keys) else "unknown"
