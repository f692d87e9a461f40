"""How much of a repository is taken. What is beyond is refused, however it came to be."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class GitLimits:
    """`received_bytes` bounds what a server may send in one fetch, `inflated_bytes` what that may become in memory."""

    received_bytes: int = 128 * MIB
    inflated_bytes: int = 512 * MIB
    object_bytes: int = 32 * MIB
    objects: int = 200_000
    refs: int = 20_000
    commits: int = 100_000
    depth: int = 16
    tree_entries: int = 5_000
    files: int = 500
    files_bytes: int = 4 * MIB
    source_bytes: int = MIB
    #: Of a tree that is written out whole, for a program that needs files; `tree_entries` bounds how many.
    written_bytes: int = 64 * MIB
    seconds: float = 120.0
    #: A mirror of more packs than this is made anew: each fetch adds one.
    packs: int = 40


DEFAULT = GitLimits()
