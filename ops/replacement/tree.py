"""The tree of a commit on the disk of a worker, for one operation, and where its Terraform keeps its state: not there."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.replacement.base import NotReady
from ops.replacement.jobs import Jobs
from ops.replacement.repository import Repository

LOCK_FILE: Final = ".terraform.lock.hcl"
_STATE_FILE: Final = "terraform.tfstate"
_CODE: Final = (".tf", ".tf.json", ".tofu", ".tofu.json")
#: Whatever the form of the code, a backend is not declared without one of these words. What it means, init says.
_NAMES_BACKEND: Final = re.compile(rb"\b(backend|cloud)\b")


@dataclass(frozen=True)
class Tree:
    """`folder` is for its owner alone; in it `code`, the tree as it is in Git, and `data`, what init makes of it."""

    folder: Path
    path: str

    @property
    def directory(self) -> Path:
        return self.folder / "code" / self.path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def write(self, repository: Repository, commit: str) -> int:
        """Whole or not at all, and once; how many files were written. Raises NotReady."""
        if self.folder.exists():
            return 0
        part = self.folder.with_name(f"{self.folder.name}.{uuid.uuid4().hex}")
        part.mkdir(mode=0o700)
        try:
            files = repository.write(commit, part / "code")
            (part / "data").mkdir(mode=0o700)
            part.rename(self.folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            # Another worker, which was thought dead, has written the same.
            if not self.folder.exists():
                raise
            return 0
        return files

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def checked_code(repository: Repository, commit: str) -> dict[str, Any]:
    """What the repository decides; refuse, before anything is drained, what would be refused after init."""
    source, texts = repository.decide(commit, (*_CODE, _STATE_FILE))
    if texts.pop(_STATE_FILE, None) is not None:
        # Init would have it moved into the backend.
        raise NotReady("tf_state_committed", path=_STATE_FILE, **_named(source))
    if not texts:
        raise NotReady("tf_no_code", **_named(source))
    if not any(_NAMES_BACKEND.search(text) for text in texts.values()):
        raise NotReady("tf_no_backend", **_named(source))
    return source


def check_state(tree: Tree, source: Mapping[str, Any], jobs: Jobs) -> None:
    """Refuse a state that would go with the tree; by what init has written down."""
    try:
        backend = json.loads((tree.data / _STATE_FILE).read_text())["backend"]
        kind, config = str(backend["type"]), backend.get("config") or {}
    except (OSError, ValueError, KeyError, TypeError):
        raise NotReady("tf_no_backend", **_named(source)) from None
    if kind == "inmem":
        raise NotReady("tf_no_backend", **_named(source))
    if kind != "local":
        return
    paths = [str(config.get("path") or _STATE_FILE)]
    if jobs.env.get("TF_WORKSPACE", "default") not in ("", "default"):
        paths.append(str(config.get("workspace_dir") or "terraform.tfstate.d"))
    for path in paths:
        if not path.startswith("/") or Path(path).resolve().is_relative_to(jobs.folder.resolve()):
            raise NotReady("tf_state_in_tree", path=path, **_named(source))


def _named(source: Mapping[str, Any]) -> dict[str, str]:
    return {"directory": str(source["directory"]), "commit": str(source["commit"])[:10]}
