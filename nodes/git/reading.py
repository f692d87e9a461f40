"""The files of a commit that a config is made of. Nothing is checked out, no link is followed."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dulwich.objects import Blob, Tree

from nodes.git.errors import GitProblem
from nodes.git.mirror import Mirror

_LFS = b"version https://git-lfs.github.com/spec/"
REGULAR = (0o100644, 0o100755, 0o100664)


@dataclass(frozen=True)
class Wanted:
    """What a config reads: its main file and, of a folder, the files whose path there matches. `.` is the whole of it."""

    path: str
    files_dir: str = ""
    files_pattern: str = ""


@dataclass(frozen=True)
class Found:
    """Contents by path below the folder, and which of them are executable. `key` names all of it."""

    source: bytes
    files: dict[str, tuple[bytes, bool]]
    key: tuple[tuple[str, int, str], ...]


def key_of(mirror: Mirror, sha: str, wanted: Wanted) -> tuple[tuple[str, int, str], ...] | None:
    """Names of what the config would read, without reading it; None where the main file is not there."""
    try:
        return tuple(_entries(mirror, sha, wanted))
    except GitProblem as problem:
        if problem.kind == "no_file":
            return None
        raise


def read(mirror: Mirror, sha: str, wanted: Wanted) -> Found:
    entries = tuple(_entries(mirror, sha, wanted))
    (_, _, source_id), *others = entries
    limits = mirror.limits
    source = blob_at(mirror, source_id, wanted.path, limits.source_bytes, "source")
    if source.startswith(_LFS):
        raise GitProblem("no_file", "lfs", path=wanted.path)
    files, left = {}, limits.files_bytes
    for path, mode, blob_id in others:
        content = blob_at(mirror, blob_id, path, left, "files")
        left -= len(content)
        files[path] = (content, bool(mode & 0o100))
    return Found(source, files, entries)


def blob_at(mirror: Mirror, blob_id: str, path: str, most: int, what: str) -> bytes:
    """The content of a file of at most so many bytes; `what` says of which sentence it is when it has more."""
    try:
        found = mirror.get(blob_id)
    except GitProblem as problem:
        if problem.reason == "missing":
            # Left out by the filter of the fetch: it is larger than anything that is kept.
            raise GitProblem("too_large", what, path=path) from None
        raise
    if not isinstance(found, Blob):
        raise GitProblem("hostile", "objects")
    if found.raw_length() > most:
        raise GitProblem("too_large", what, path=path)
    return found.data


def _entries(mirror: Mirror, sha: str, wanted: Wanted) -> Iterator[tuple[str, int, str]]:
    """Path, mode and id of the main file, and then of the others in order."""
    root = mirror.commit(sha).tree
    mode, blob_id = down(mirror, root, wanted.path)
    if stat.S_ISLNK(mode):
        raise GitProblem("no_file", "link", path=wanted.path)
    if mode not in REGULAR:
        raise GitProblem("no_file", "no_regular", path=wanted.path)
    yield wanted.path, mode, blob_id
    if not wanted.files_dir:
        return
    start = root.decode()
    if wanted.files_dir != ".":
        mode, start = down(mirror, root, wanted.files_dir)
        if not stat.S_ISDIR(mode):
            raise GitProblem("no_file", "no_folder", path=wanted.files_dir)
    yield from _files(mirror, start, wanted)


def _files(mirror: Mirror, start: str, wanted: Wanted) -> Iterator[tuple[str, int, str]]:
    """Regular files only: links, submodules and what is not named by the pattern are not there."""
    count, looked, todo = 0, 0, [("", start)]
    while todo:
        folder, tree_id = todo.pop()
        if folder.count("/") >= mirror.limits.depth:
            raise GitProblem("too_large", "depth", limit=mirror.limits.depth)
        for name, mode, object_id in reversed(items(mirror, tree_id)):
            looked += 1
            if looked > mirror.limits.tree_entries:
                raise GitProblem("too_large", "entries", limit=f"{mirror.limits.tree_entries:,}")
            path = posixpath.join(folder, name)
            if stat.S_ISDIR(mode):
                todo.append((path, object_id))
            elif mode in REGULAR and (not wanted.files_pattern or fnmatchcase(path, wanted.files_pattern)):
                count += 1
                if count > mirror.limits.files:
                    raise GitProblem("too_large", "file_count", limit=mirror.limits.files)
                yield path, mode, object_id


def down(mirror: Mirror, tree_id: bytes, path: str) -> tuple[int, str]:
    """Mode and id of what is at the path."""
    at, mode = tree_id.decode(), stat.S_IFDIR
    for step in path.strip("/").split("/"):
        if not stat.S_ISDIR(mode):
            raise GitProblem("no_file", "gone", path=path)
        found = next((one for one in items(mirror, at) if one[0] == step), None)
        if found is None:
            raise GitProblem("no_file", "gone", path=path)
        _, mode, at = found
    return mode, at


def items(mirror: Mirror, tree_id: str) -> list[tuple[str, int, str]]:
    """Name, mode and id of what is in a folder. No name leads out of it."""
    tree = mirror.get(tree_id)
    if not isinstance(tree, Tree):
        raise GitProblem("hostile", "objects")
    if len(tree) > mirror.limits.tree_entries:
        raise GitProblem("too_large", "entries", limit=f"{mirror.limits.tree_entries:,}")
    found = []
    for entry in tree.iteritems():
        name = bytes(entry.path).decode("utf-8", "replace")
        # Such names lead out of a folder once somebody joins them to one.
        if name in ("", ".", "..") or name.lower() == ".git" or "/" in name or "\\" in name or "\0" in name:
            raise GitProblem("hostile", "names")
        found.append((name, entry.mode, entry.sha.decode("ascii")))
    return found
