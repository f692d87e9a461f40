"""Which commits are new: those on the first-parent line since the one that was seen last."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from nodes.git.errors import GitProblem
from nodes.git.mirror import Mirror, taken_apart

#: Encodings of text that a commit may name (i18n.commitEncoding). Python has others by which bytes are no text of a person.
_ENCODINGS: Final = re.compile(
    r"(iso-?8859-\d{1,2}|latin-?1|(windows-|cp)125\d|cp874|tis-620|koi8-[ru]|euc-(jp|kr)|shift_jis|gbk|gb2312|gb18030|big5)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class CommitInfo:
    """What a commit says of itself. None of it is proved."""

    sha: str
    author: str
    committer: str
    message: str
    committed_at: datetime
    raw: bytes


def new_commits(mirror: Mirror, seen: str, head: str) -> list[str] | None:
    """The new commits, oldest first; None when the history was rewritten: what was seen does not lead to the head.

    Without a commit that was seen it is the head alone: the past is not made up for.
    """
    if not seen:
        return [head]
    if seen == head:
        return []
    try:
        old = reachable(mirror, seen, frozenset())
    except GitProblem as problem:
        if problem.reason == "missing":
            # A mirror that was made anew after the history was rewritten does not have it.
            return None
        raise
    if head in old or seen not in reachable(mirror, head, frozenset(old - {seen})):
        return None
    found, at = [], head
    while at not in old:
        found.append(at)
        parents = mirror.parents(at)
        if not parents:
            break
        at = parents[0]
    return found[::-1]


def reachable(mirror: Mirror, start: str, without: AbstractSet[str]) -> set[str]:
    """The commit and all that it comes from, without these and what is behind them."""
    found, todo = {start}, [start]
    while todo:
        for parent in mirror.parents(todo.pop()):
            if parent not in found and parent not in without:
                found.add(parent)
                todo.append(parent)
        if len(found) > mirror.limits.commits:
            raise GitProblem("too_large", "commits", limit=f"{mirror.limits.commits:,}")
    return found


def info_of(mirror: Mirror, sha: str) -> CommitInfo:
    commit = mirror.commit(sha)
    with taken_apart():
        return CommitInfo(
            sha=sha,
            author=_text(commit.author, 200, commit.encoding),
            committer=_text(commit.committer, 200, commit.encoding),
            message=_text(commit.message, 2000, commit.encoding),
            committed_at=_time(commit.commit_time, commit.commit_timezone),
            raw=commit.as_raw_string(),
        )


def _text(raw: bytes, most: int, encoding: bytes | None) -> str:
    named = (encoding or b"").decode("ascii", "replace")
    codec = named if _ENCODINGS.fullmatch(named) else "utf-8"
    begin = bytes(raw)[: 4 * most]
    try:
        text = begin.decode(codec, "replace")
    except LookupError:
        text = begin.decode("utf-8", "replace")
    return text.replace("\0", " ").strip()[:most]


def _time(seconds: float, offset_s: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone(timezone(timedelta(seconds=offset_s)))
    except (ValueError, OverflowError, OSError):
        # A commit may claim any time, also one that no calendar has.
        return datetime.fromtimestamp(0, UTC)
