"""Who had a hand in what a commit brings: its own people, and those of commits that came in with it, by a merge or after
one that was not taken, as far as they touched what the config reads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nodes.git.errors import GitProblem
from nodes.git.history import CommitInfo, info_of, reachable
from nodes.git.mirror import Mirror
from nodes.git.openpgp import mails_in
from nodes.git.reading import Wanted, key_of

#: Of more commits that come in at once it is not looked what they touched: all of their people count.
MOST_LOOKED_AT = 300
MOST_PEOPLE = 300


@dataclass(frozen=True)
class Hand:
    """`role` is author, committer, signer or merged; `who` as the commit or the key writes it."""

    role: str
    who: str
    emails: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return {"role": self.role, "who": self.who, "emails": list(self.emails)}


class Arrivals:
    """Commits that came since the last one that was taken, gathered along the first-parent line."""

    def __init__(self, mirror: Mirror, base: str | None) -> None:
        """`base` is the commit that was taken last, empty for the beginning of the history; without one, or one that is
        gone, the next that is taken counts alone."""
        self.mirror = mirror
        self._new: set[str] = set()
        self._known: set[str] | None = None
        try:
            self._known = None if base is None else reachable(mirror, base, frozenset()) if base else set()
        except GitProblem as problem:
            if problem.reason != "missing":
                raise

    def add(self, sha: str) -> None:
        if self._known is not None:
            found = reachable(self.mirror, sha, self._known)
            self._known |= found
            self._new |= found

    def taken(self, sha: str) -> list[str]:
        """Those that came with this one, which is taken; the gathering begins anew."""
        found = sorted(self._new - {sha})
        self._new = set()
        if self._known is None:
            self._known = reachable(self.mirror, sha, frozenset())
        return found


def hands_in(mirror: Mirror, commit: CommitInfo, others: Collection[str], wanted: Wanted) -> list[Hand]:
    """The people of the commit, and of the others that touched what is read."""
    found = [_hand("author", commit.author), _hand("committer", commit.committer)]
    seen = {(one.who, one.emails) for one in found}
    all_count = len(others) > MOST_LOOKED_AT
    for sha in others:
        if all_count or _touches(mirror, sha, wanted):
            other = info_of(mirror, sha)
            for one in (_hand("merged", other.author), _hand("merged", other.committer)):
                if (one.who, one.emails) not in seen and len(found) < MOST_PEOPLE:
                    seen.add((one.who, one.emails))
                    found.append(one)
    return found


def _hand(role: str, who: str) -> Hand:
    return Hand(role, who, tuple(mails_in(who)))


def _touches(mirror: Mirror, sha: str, wanted: Wanted) -> bool:
    """Whether what is read is another than in each of its parents; what cannot be told counts."""
    try:
        key = key_of(mirror, sha, wanted)
        parents = mirror.parents(sha)
        return all(key_of(mirror, parent, wanted) != key for parent in parents) if parents else key is not None
    except GitProblem:
        return True
