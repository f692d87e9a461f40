"""What a test of the connection finds, before anything is stored."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleetui.access.principals import Principal
from nodes.git.errors import GitProblem
from nodes.git.fetch import fetch, look
from nodes.git.mirror import Mirror
from nodes.git.reading import read
from nodes.models import GitFollow
from nodes.services.git import access
from nodes.services.git.syncing import wanted_of
from nodes.services.ignition.rights import require

TRIAL_S = 25.0


@dataclass(frozen=True)
class Trial:
    """What was found: the commit and the files that would be read, or the problem that is in the way."""

    head: str = ""
    branches: tuple[str, ...] = ()
    source_bytes: int = 0
    files: int = 0
    problem: GitProblem | None = None
    fingerprint: str = ""
    received: int = field(default=0, compare=False)

    @property
    def is_good(self) -> bool:
        return self.problem is None


def try_follow(*, follow: GitFollow, actor: Principal) -> Trial:
    """Fetch the branch into a folder that is gone thereafter, and read what the config would. Nothing is stored."""
    require(actor, "ignition.edit", follow.config)
    address = access.address_of(follow.url)
    # Somebody waits for the page.
    limits = replace(access.limits(), seconds=TRIAL_S)
    branches: tuple[str, ...] = ()
    try:
        sign_in = access.sign_in_of(follow)
        seen = look(address, follow.branch, sign_in, limits)
        branches = seen.names
        if not seen.head:
            raise GitProblem("no_branch", "gone", branch=follow.branch)
        root = access.mirrors()
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=access.TRIAL, dir=root.parent) as folder:
            got = fetch(address, follow.branch, Path(folder), sign_in, limits)
            mirror = Mirror(Path(folder), limits)
            try:
                found = read(mirror, got.head, wanted_of(follow))
            finally:
                mirror.close()
    except GitProblem as problem:
        fingerprint = problem.params.get("fingerprint", "")
        return Trial(branches=branches, problem=problem, fingerprint=fingerprint)
    return Trial(got.head, branches, len(found.source), len(found.files), received=got.received)
