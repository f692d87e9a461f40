"""Who vouches for a commit, where only signed ones are taken."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from nodes.git.history import CommitInfo
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
    return Vouched(is_good=False, reason=_("No signature of it was checked."))
