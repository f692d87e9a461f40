"""Who vouches for a commit, where only signed ones are taken."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from fleetui.core import clock
from nodes.git.history import CommitInfo
from nodes.git.signatures import Signature, Verdict, verify
from nodes.models import GitFollow


@dataclass(frozen=True)
class Vouched:
    """Whether the commit may be taken, who signed it, and otherwise why not."""

    is_good: bool
    signer: str = ""
    reason: str = ""


def vouch(follow: GitFollow, commit: CommitInfo) -> Vouched:
    if not follow.require_signed:
        return Vouched(is_good=True)
    found = verify(commit.raw, follow.allowed_signers, at=clock.now())
    if found.verdict == Verdict.GOOD:
        return Vouched(is_good=True, signer=found.signer[:200])
    return Vouched(is_good=False, reason=_why_not(found))


def _why_not(found: Signature) -> str:
    if found.verdict == Verdict.UNSIGNED:
        return _("The commit is not signed.")
    if found.verdict == Verdict.UNKNOWN_KEY:
        return _("No line of the allowed signers lets the key %(key)s sign for Git.") % {"key": found.fingerprint}
    if found.verdict == Verdict.EXPIRED:
        values = {"key": found.fingerprint, "signer": found.signer[:200]}
        return _("The key %(key)s of %(signer)s is not valid now, by the dates of the allowed signers.") % values
    if found.verdict == Verdict.UNSUPPORTED:
        values = {"detail": found.detail}
        return _("Signatures of the kind %(detail)s are not taken: sign with an SSH key.") % values
    return _("The signature does not belong to this commit, or is damaged.")
