"""Who vouches for a commit, where only signed ones are taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from django.utils.translation import gettext as _

from fleetui.core import clock
from nodes.git import gpgv
from nodes.git.history import CommitInfo
from nodes.git.people import Hand
from nodes.git.signatures import Signature, Verdict, verify
from nodes.models import GitFollow
from nodes.services.git import access
from nodes.services.git.signers import keys_of


@dataclass(frozen=True)
class Vouched:
    """Whether the commit may be taken, who signed it, and otherwise why not."""

    is_good: bool
    signer: str = ""
    reason: str = ""
    emails: tuple[str, ...] = ()

    @property
    def hands(self) -> list[Hand]:
        return [Hand("signer", self.signer, self.emails)] if self.signer else []


def vouch(follow: GitFollow, commit: CommitInfo) -> Vouched:
    if not follow.require_signed:
        return Vouched(is_good=True)
    found = verify(commit.raw, follow.allowed_signers, at=clock.now(), openpgp=partial(_by_openpgp, follow))
    if found.verdict == Verdict.GOOD:
        return Vouched(is_good=True, signer=found.signer[:200], emails=found.emails)
    return Vouched(is_good=False, reason=_why_not(found))


def _by_openpgp(follow: GitFollow, payload: bytes, armoured: bytes) -> Signature:
    root = access.mirrors()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    # What a worker that was killed leaves is thrown away with what tests of a connection left.
    with TemporaryDirectory(prefix=access.TRIAL, dir=root.parent) as folder:
        return gpgv.verify(payload, armoured, keys_of(follow), folder=Path(folder))


def _why_not(found: Signature) -> str:
    named = {"key": found.fingerprint, "signer": found.signer[:200], "detail": found.detail}
    is_ssh = found.fingerprint.startswith("SHA256:")
    if found.verdict == Verdict.UNSIGNED:
        return _("The commit is not signed.")
    if found.verdict == Verdict.UNKNOWN_KEY and is_ssh:
        return _("No line of the allowed signers lets the key %(key)s sign for Git.") % named
    if found.verdict == Verdict.UNKNOWN_KEY:
        return _("The OpenPGP key %(key)s, which signed it, is not among those that are allowed.") % named
    if found.verdict == Verdict.EXPIRED and is_ssh:
        return _("The key %(key)s of %(signer)s is not valid now, by the dates of the allowed signers.") % named
    if found.verdict == Verdict.EXPIRED:
        return _("The OpenPGP key %(key)s of %(signer)s, or the signature, has expired.") % named
    if found.verdict == Verdict.REVOKED:
        return _("The OpenPGP key %(key)s of %(signer)s was revoked.") % named
    if found.verdict == Verdict.UNSUPPORTED:
        return _("Signatures of the kind %(detail)s are not taken: sign with an SSH or an OpenPGP key.") % named
    return _("The signature does not belong to this commit, or is damaged.")
