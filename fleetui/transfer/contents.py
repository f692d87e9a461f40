"""What a backup of the installation holds: a ZIP file with the database, the anchors of the audit log, and a manifest of both.

`manage.py backup` and backup policies of the kind `fleetui` make it, `manage.py restore` reads it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleetui.transfer.archive import MANIFEST as OF_AN_EXPORT
from fleetui.transfer.archive import OF_A_BACKUP, KeysNeeded
from fleetui.transfer.errors import TransferRefused

FORMAT = 1
MANIFEST = OF_A_BACKUP
ANCHORS = "audit-anchor.jsonl"
#: database -> the file that holds it.
DATABASES = {"sqlite": "db.sqlite3", "postgresql": "database.pgdump"}
_READ_BYTES = 1024 * 1024
_ANOTHER = "Fetch the backup again and compare its SHA-256 with the ledger, or take another one. Nothing was changed."


@dataclass(frozen=True)
class File:
    """A file of a backup as it was put in."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """`audit_seq`: the log holds at least that many events. `keys_needed` names keys by ids that tell nothing about them."""

    fleetui: str
    made_at: str
    database: str
    migrations: list[str]
    keys_needed: KeysNeeded
    audit_seq: int
    files: list[File]
    format: int = FORMAT

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=2, sort_keys=True).encode() + b"\n"

    @classmethod
    def read(cls, text: bytes) -> Manifest:
        found: Any = json.loads(text)
        if found.get("format") != FORMAT:
            raise TransferRefused(
                f"The backup has the format {found.get('format')}, and this FleetUI reads {FORMAT}.",
                mend="Restore it with the version that made it.",
            )
        files = [File(**one) for one in found.pop("files")]
        return cls(**{**found, "files": files, "keys_needed": KeysNeeded(**found["keys_needed"])})


class Contents:
    """A backup that can be read. `pieces` of a file are compared with the manifest as they pass."""

    def __init__(self, path: Path, pack: zipfile.ZipFile, manifest: Manifest) -> None:
        self._path, self._pack, self.manifest = path, pack, manifest
        self._files = {one.name: one for one in manifest.files}
        self.database = DATABASES.get(manifest.database, "")
        if self.database not in self._files:
            raise TransferRefused(f"{path} holds no database.", mend=_ANOTHER)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Raises TransferRefused at the end when it is not what was put in."""
        digest, size = hashlib.sha256(), 0
        with _damage_of(self._path), self._pack.open(name) as file:
            while piece := file.read(_READ_BYTES):
                digest.update(piece)
                size += len(piece)
                yield piece
        if (size, digest.hexdigest()) != (self._files[name].size_bytes, self._files[name].sha256):
            raise TransferRefused(f"The file {name} in {self._path} is not what was backed up.", mend=_ANOTHER)

    def anchors(self) -> bytes:
        return b"".join(self.pieces(ANCHORS)) if ANCHORS in self._files else b""

    def size_of(self, name: str) -> int:
        return self._files[name].size_bytes

    def check(self, going_on: Callable[[], None]) -> None:
        """Every file is there, whole and as it was put in; raises TransferRefused."""
        for name in self._files:
            for _piece in self.pieces(name):
                going_on()


@contextmanager
def opened(path: Path) -> Iterator[Contents]:
    """A backup to read; what is none, or damaged, is refused."""
    with _damage_of(path):
        pack = zipfile.ZipFile(path)
    with pack:
        names = pack.namelist()
        if MANIFEST not in names and OF_AN_EXPORT in names:
            raise TransferRefused(f"{path} is an archive of `manage.py export`.", mend="Use `manage.py import`.")
        yield Contents(path, pack, _manifest(path, pack))


def _manifest(path: Path, pack: zipfile.ZipFile) -> Manifest:
    try:
        with _damage_of(path):
            return Manifest.read(pack.read(MANIFEST))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TransferRefused(
            f"{path} is no backup of `manage.py backup` or of a policy of the kind fleetui.", mend=_ANOTHER
        ) from error


#: As targets with recipients have them.
_AGE = b"age-encryption.org/"


def _begins_with(path: Path, head: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(head)) == head


@contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise TransferRefused(f"There is no file {path}.", mend="Name the file of a backup.") from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, zlib.error) as error:
        if _begins_with(path, _AGE):
            mend = f"Open it first: age --decrypt -i KEYFILE -o backup.zip {path}"
            raise TransferRefused(f"{path} is encrypted with age.", mend=mend) from error
        raise TransferRefused(f"{path} is damaged, or no backup of FleetUI: {error}.", mend=_ANOTHER) from error
    except OSError as error:
        raise TransferRefused(
            f"{path} cannot be read: {error.strerror or error}.", mend="Look at its owner and rights."
        ) from error
