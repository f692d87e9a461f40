"""The archive: a ZIP file, mode 0600, with a part of JSON lines per table and a manifest that counts and hashes each part."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fleetui.transfer.errors import TransferRefused

FORMAT = 1
MANIFEST = "manifest.json"
#: Of `manage.py backup`, to tell the two apart.
OF_A_BACKUP = "backup.json"
ANCHORS = "audit-anchor.jsonl"
KEYS = "keys.json"
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Part:
    """One table: the file of its rows, what its columns are, how many rows, and the SHA-256 of the unpacked file."""

    model: str
    file: str
    columns: list[str]
    rows: int
    sha256: str


@dataclass(frozen=True)
class KeysNeeded:
    """Ids of the keys without which what is in the archive cannot be used. An id tells nothing about its key."""

    encryption: list[str] = field(default_factory=list)
    peppers: list[str] = field(default_factory=list)
    audit: str = ""


@dataclass(frozen=True)
class Manifest:
    fleetui: str
    made_at: str
    database: str
    migrations: list[str]
    keys_needed: KeysNeeded
    with_keys: bool
    audit_seq: int
    parts: list[Part]
    format: int = FORMAT

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=2, sort_keys=True).encode() + b"\n"

    @classmethod
    def read(cls, text: bytes) -> Manifest:
        found: Any = json.loads(text)
        if found.get("format") != FORMAT:
            raise TransferRefused(
                f"The archive has the format {found.get('format')}, and this FleetUI reads {FORMAT}.",
                mend="Import it with the version that made it.",
            )
        parts = [Part(**part) for part in found.pop("parts")]
        return cls(**{**found, "parts": parts, "keys_needed": KeysNeeded(**found["keys_needed"])})


class Writer:
    """Writes an archive part by part; nothing but the line at hand is held in memory."""

    def __init__(self, pack: zipfile.ZipFile) -> None:
        self._pack = pack

    def part(self, model: str, columns: list[str], lines: Iterable[bytes]) -> Part:
        digest, rows, name = hashlib.sha256(), 0, f"rows/{model}.jsonl"
        with self._open(name) as file:
            for line in lines:
                file.write(line)
                digest.update(line)
                rows += 1
        return Part(model, name, columns, rows, digest.hexdigest())

    def whole(self, name: str, content: bytes) -> None:
        with self._open(name) as file:
            file.write(content)

    def _open(self, name: str) -> Any:
        entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        return self._pack.open(entry, "w", force_zip64=True)


@contextmanager
def written(path: Path) -> Iterator[Writer]:
    """A new archive. It appears under its name when it is whole; a file that is there already is not touched."""
    half = path.with_name(f"{path.name}.partial")
    if path.exists():
        raise TransferRefused(f"{path} exists already.", mend="Name a file that does not exist yet.")
    try:
        half.unlink(missing_ok=True)
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise TransferRefused(f"{half} cannot be written: {error.strerror}.", mend="Name another folder.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w") as pack:
                yield Writer(pack)
            file.flush()
            os.fsync(file.fileno())
        half.rename(path)
    finally:
        with suppress(FileNotFoundError):
            half.unlink()


class Reader:
    """Reads an archive that was checked first."""

    def __init__(self, pack: zipfile.ZipFile, manifest: Manifest) -> None:
        self._pack, self.manifest = pack, manifest

    def lines(self, part: Part) -> Iterator[bytes]:
        with self._pack.open(part.file) as file:
            yield from file

    def whole(self, name: str) -> bytes:
        """A file of the archive; empty when it holds none of this name."""
        return self._pack.read(name) if name in self._pack.namelist() else b""

    def keys(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = json.loads(self.whole(KEYS) or b"{}")
        return found

    def check(self) -> None:
        """Every part is there, whole and as it was written."""
        for part in self.manifest.parts:
            digest, rows = hashlib.sha256(), 0
            with self._pack.open(part.file) as file:
                while chunk := file.read(_READ_BYTES):
                    digest.update(chunk)
                    rows += chunk.count(b"\n")
            if digest.hexdigest() != part.sha256 or rows != part.rows:
                raise TransferRefused(
                    f"The part {part.file} of the archive is not what its manifest says.", mend=_ANOTHER
                )


_ANOTHER = "Copy the archive again, or export once more. Nothing was written."


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """An archive to read; a damaged one is refused wherever the damage shows."""
    try:
        with zipfile.ZipFile(path) as pack:
            names = pack.namelist()
            if MANIFEST not in names:
                if OF_A_BACKUP in names:
                    raise TransferRefused(f"{path} is a backup of FleetUI.", mend="Use `manage.py restore`.")
                raise TransferRefused(f"{path} is no archive of `manage.py export`.", mend=_ANOTHER)
            yield Reader(pack, Manifest.read(pack.read(MANIFEST)))
    except FileNotFoundError as error:
        raise TransferRefused(f"There is no file {path}.") from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, zlib.error) as error:
        raise TransferRefused(f"{path} is damaged, or no archive of `manage.py export`.", mend=_ANOTHER) from error
    except (KeyError, TypeError, ValueError) as error:
        raise TransferRefused(
            f"The manifest or a row of {path} cannot be read ({type(error).__name__}: {error}).", mend=_ANOTHER
        ) from error
