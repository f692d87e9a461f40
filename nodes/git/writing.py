"""The tree of a commit written out, for programs that need files. Whoever made the commit is a stranger.

Read from the mirror by our own reader: no hook, no filter and no attribute of the repository has a say. Submodules stay
empty folders.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from nodes.git.errors import GitProblem
from nodes.git.mirror import Mirror
from nodes.git.reading import REGULAR, blob_at, down, items

_GITLINK = 0o160000
_LONGEST_LINK = 4096


def write_out(mirror: Mirror, sha: str, into: Path) -> int:
    """The whole tree below a folder that is made for it, for its owner alone; returns how many files.

    Raises GitProblem, and leaves what it has written then to whoever asked.
    """
    try:
        return _write_out(mirror, sha, into)
    except FileExistsError:
        # Two of one name: Git itself makes no such tree.
        raise GitProblem("hostile", "names") from None
    except OSError as error:
        raise GitProblem("unreachable", "system", said=error.strerror or type(error).__name__) from None


def texts_in(mirror: Mirror, sha: str, folder: str, endings: tuple[str, ...]) -> dict[str, bytes]:
    """The regular files right in the folder whose names end so; `.` is the top."""
    found, left = {}, mirror.limits.files_bytes
    for name, mode, object_id in items(mirror, folder_at(mirror, sha, folder)):
        if mode in REGULAR and name.endswith(endings):
            found[name] = blob_at(mirror, object_id, name, left, "written")
            left -= len(found[name])
    return found


def names_in(mirror: Mirror, sha: str, folder: str) -> Collection[str]:
    return {name for name, _mode, _id in items(mirror, folder_at(mirror, sha, folder))}


def folder_at(mirror: Mirror, sha: str, folder: str) -> str:
    """The id of a folder; raises GitProblem when there is none."""
    root = mirror.commit(sha).tree
    if folder in ("", "."):
        top: str = root.decode()
        return top
    try:
        mode, found = down(mirror, root, folder)
    except GitProblem as problem:
        if problem.kind != "no_file":
            raise
        mode, found = 0, ""
    if not stat.S_ISDIR(mode):
        raise GitProblem("no_file", "is_no_folder", path=folder)
    return found


def _write_out(mirror: Mirror, sha: str, into: Path) -> int:
    into.mkdir(mode=0o700)
    links, files, left = list[Path](), 0, mirror.limits.written_bytes
    for path, mode, object_id in _everything(mirror, sha):
        at = into / path
        if stat.S_ISDIR(mode) or mode == _GITLINK:
            at.mkdir(mode=0o700)
            continue
        content = blob_at(mirror, object_id, path, left, "written")
        left -= len(content)
        if stat.S_ISLNK(mode):
            links.append(at)
            at.symlink_to(_target(content, path))
            continue
        if mode not in REGULAR:
            raise GitProblem("hostile", "names")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(at, flags, 0o700 if mode & 0o100 else 0o600), "wb") as file:
            file.write(content)
        files += 1
    # All of them together: where one leads may depend on another.
    root = Path(os.path.realpath(into))
    for link in links:
        if not Path(os.path.realpath(link)).is_relative_to(root):
            raise _leaves(posixpath.relpath(link, into))
    return files


def _everything(mirror: Mirror, sha: str) -> Iterator[tuple[str, int, str]]:
    """Path, mode and id of all there is, links last: nothing is written through one."""
    todo, links, count = [("", mirror.commit(sha).tree.decode())], list[tuple[str, int, str]](), 0
    limits = mirror.limits
    while todo:
        folder, tree_id = todo.pop()
        if folder.count("/") >= limits.depth:
            raise GitProblem("too_large", "depth", limit=limits.depth)
        for name, mode, object_id in items(mirror, tree_id):
            count += 1
            if count > limits.tree_entries:
                raise GitProblem("too_large", "all_entries", limit=f"{limits.tree_entries:,}")
            found = (posixpath.join(folder, name), mode, object_id)
            if stat.S_ISLNK(mode):
                links.append(found)
                continue
            yield found
            if stat.S_ISDIR(mode):
                todo.append((found[0], object_id))
    yield from links


def _target(content: bytes, path: str) -> str:
    target = os.fsdecode(content)
    if not target or "\0" in target or target.startswith("/") or len(content) > _LONGEST_LINK:
        raise _leaves(path)
    return target


def _leaves(path: str) -> GitProblem:
    return GitProblem("hostile", "link_leaves", path=path)
