"""Who vouches for a commit, where only signed ones are taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from fleetui.core import clock
from nodes.git import gpgv
from nodes.git.history import CommitInfo
from nodes.git.people import Hand
from nodes.git.signatures import Signature, Verdict, verify
from nodes.models.git_source import GitSource
from nodes.services.git import access
from nodes.services.git.signers import keys_of
from nodes.wording.git import Detail


@dataclass(frozen=True)
class Vouched:
    """Whether the commit may be taken, who signed it, and otherwise why not: a reason and what its sentence names."""

    is_good: bool
    signer: str = ""
    why_not: Detail = field(default_factory=dict)
    emails: tuple[str, ...] = ()

    @property
    def hands(self) -> list[Hand]:
        return [Hand("signer", self.signer, self.emails)] if self.signer else []


def vouch(source: GitSource, commit: CommitInfo) -> Vouched:
    if not source.require_signed:
        return Vouched(is_good=True)
    found = verify(commit.raw, source.allowed_signers, at=clock.now(), openpgp=partial(_by_openpgp, source))
    if found.verdict == Verdict.GOOD:
        return Vouched(is_good=True, signer=found.signer[:200], emails=found.emails)
    return Vouched(is_good=False, why_not=_why_not(found))


def _by_openpgp(source: GitSource, payload: bytes, armoured: bytes) -> Signature:
    root = access.mirrors()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    # What a worker that was killed leaves is thrown away with what tests of a connection left.
    with TemporaryDirectory(prefix=access.TRIAL, dir=root.parent) as folder:
        return gpgv.verify(payload, armoured, keys_of(source), folder=Path(folder))


def _why_not(found: Signature) -> Detail:
    kind = "ssh" if found.fingerprint.startswith("SHA256:") else "openpgp"
    reason = found.verdict.value
    if found.verdict in (Verdict.UNKNOWN_KEY, Verdict.EXPIRED):
        reason = f"{reason}_{kind}"
    return {
        "kind": "signature",
        "reason": reason,
        "key": found.fingerprint,
        "signer": found.signer[:200],
        "detail": found.detail,
    }
