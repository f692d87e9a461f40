"""Whose the files in the data folder are."""

from __future__ import annotations

import os
from pathlib import Path


def give_to_owner_of_folder(path: Path) -> None:
    """What root makes by hand in the folder of another user is theirs: else the processes of that user cannot write it."""
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)
