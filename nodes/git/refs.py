"""What of a repository is wanted: the newest commit of a branch, what a tag names, or one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from dulwich.objects import Tag

from nodes.git.errors import GitProblem
from nodes.git.mirror import SHA, Mirror, taken_apart

RefKind = Literal["branch", "tag", "commit"]
REF_KINDS: Final[tuple[RefKind, ...]] = ("branch", "tag", "commit")
_HEADS, _TAGS = b"refs/heads/", b"refs/tags/"
#: A tag may name a tag. Nobody means more of them.
_MOST_TAGS = 5


@dataclass(frozen=True)
class Ref:
    """`name` is that of the branch or the tag, without what Git puts before it, or the whole id of the commit."""

    kind: RefKind
    name: str

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """What a server has to name so that it can be found."""
        if self.kind == "commit":
            return (_HEADS, _TAGS)
        return ((_HEADS if self.kind == "branch" else _TAGS) + self.name.encode(),)

    def found_in(self, refs: Mapping[Any, Any]) -> str:
        """The object that it names among those of a server; of a commit its own id. Raises GitProblem."""
        if self.kind == "commit":
            return self.name
        sha = refs.get(self.prefixes[0])
        if sha is None:
            reason = "gone" if self.kind == "branch" else "no_tag"
            raise GitProblem("no_branch", reason, **{self.kind: self.name})
        return sha_of(sha)

    def tips(self, refs: Mapping[Any, Any]) -> list[Any]:
        """What to ask for to get it. A commit that no branch ends with comes with the branches: servers give no other."""
        if self.kind != "commit":
            return [refs[self.prefixes[0]]]
        named = {bytes(sha): sha for name, sha in refs.items() if not bytes(name).endswith(b"^{}")}
        wanted = self.name.encode()
        return [named[wanted]] if wanted in named else list(named.values())


def sha_of(found: bytes) -> str:
    text = bytes(found).decode("ascii", "replace")
    if text and not SHA.match(text):
        raise GitProblem("hostile", "sha256" if len(text) == 64 else "protocol")
    return text


def commit_at(mirror: Mirror, ref: Ref, sha: str) -> str:
    """The commit that the object is, or that a tag leads to."""
    try:
        found = mirror.get(sha)
    except GitProblem as problem:
        if ref.kind == "commit" and problem.reason == "missing":
            raise GitProblem("no_branch", "no_commit", commit=sha[:10]) from None
        raise
    for _tag in range(_MOST_TAGS):
        if not isinstance(found, Tag):
            break
        with taken_apart():
            sha = sha_of(found.object[1])
        found = mirror.get(sha)
    mirror.commit(sha)
    return sha
