"""Files that a source embeds: kept beside it by path, and laid out in a folder of their own while it is converted."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from nodes.ignition.files import FilesDirectory
from nodes.ignition.limits import Limits

MOST_FILES = 500
MOST_FILES_BYTES = 4 * 1024 * 1024
MOST_PATH_CHARACTERS = 300
#: What messages call the folder, as `--files-dir` would.
SHOWN_AS = "files"
_STEP = re.compile(r"[^/\x00-\x1f\x7f]{1,255}\Z")

Files = Mapping[str, Mapping[str, Any]]


def file_of(content: bytes, *, executable: bool = False) -> dict[str, Any]:
    """A file as versions keep it."""
    return {"base64": base64.b64encode(content).decode(), "executable": executable}


def checked_files(files: Files) -> dict[str, dict[str, Any]]:
    """The files in the order of their paths, if they are within bounds. Paths lead nowhere but down."""
    if len(files) > MOST_FILES:
        raise InvalidInput(
            _("%(count)s files are too many.") % {"count": len(files)},
            field="files",
            value=len(files),
            mend=_("Give at most %(limit)s.") % {"limit": MOST_FILES},
        )
    found: dict[str, dict[str, Any]] = {}
    total = 0
    for path in sorted(files):
        _check_path(path)
        content = content_of(files[path], path)
        total += len(content)
        found[path] = file_of(content, executable=bool(files[path].get("executable", False)))
    require_size(total)
    for path in found:
        parts = path.split("/")
        if any("/".join(parts[:depth]) in found for depth in range(1, len(parts))):
            raise _refused(path, _("A file stands where this path needs a folder. Rename one of them."))
    return found


def require_size(total: int) -> None:
    """Refuse files that have more bytes together than a version keeps."""
    if total > MOST_FILES_BYTES:
        raise InvalidInput(
            _("The files have %(size)s bytes together.") % {"size": f"{total:,}"},
            field="files",
            value=total,
            mend=_("Give at most %(limit)s bytes, and let the machine fetch the rest by its hash.")
            % {"limit": f"{MOST_FILES_BYTES:,}"},
        )


def content_of(file: Mapping[str, Any], path: str) -> bytes:
    try:
        return base64.b64decode(file["base64"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise _refused(path, _("Its content is no base64. Encode the bytes of the file.")) from error


def _check_path(path: str) -> None:
    steps = path.split("/")
    if len(path) > MOST_PATH_CHARACTERS or any(step in (".", "..") or not _STEP.match(step) for step in steps):
        raise _refused(
            path, _("Give a relative path below the folder of files, such as etc/motd, without . and .. in it.")
        )
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise _refused("", _("A path is no text. Rename the file.")) from error


def _refused(path: str, mend: str) -> InvalidInput:
    return InvalidInput(
        _("The file %(path)s cannot be used.") % {"path": path[:100]}, field="files", value=path, mend=mend
    )


@contextmanager
def laid_out(files: Files, limits: Limits) -> Iterator[FilesDirectory]:
    """The files in a folder that is gone thereafter."""
    with tempfile.TemporaryDirectory(prefix="fleetui-ignition-") as folder:
        for path, file in files.items():
            target = Path(folder, *path.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content_of(file, path))
            target.chmod(0o755 if file.get("executable") else 0o644)
        yield FilesDirectory(folder, shown_as=SHOWN_AS, limits=limits)
