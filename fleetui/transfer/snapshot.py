"""A backup of the installation is made: the database as its own tools copy it, at one moment, packed while it passes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.db import connection

import fleetui
from fleetui.audit.chain import iso
from fleetui.audit.models import AuditHead
from fleetui.audit.verify import anchor_path
from fleetui.core import clock
from fleetui.transfer import contents, postgresql, sqlite
from fleetui.transfer.archive import KeysNeeded
from fleetui.transfer.export import migrations
from fleetui.transfer.keys import needed
from ops.backups.scratch import require_room

#: As an export has it: everybody signs in again, and processes show their signs of life anew.
LEFT_OUT = ("django_session", "core_heartbeat")
_READ_BYTES = 1024 * 1024
_ROOM_BYTES = 64 * 1024 * 1024


def pieces(place: Path, going_on: Callable[[], None]) -> Iterator[bytes]:
    """The file, piece by piece. `place` is a folder that goes afterwards: the copy of SQLite lies there meanwhile.

    Raises TransferRefused and ScratchFailed, and what `going_on` raises.
    """
    before, made_at = needed(), clock.now()
    head = AuditHead.objects.filter(id=1).first()
    sink, files = _Sink(), list[contents.File]()
    with zipfile.ZipFile(sink, "w") as pack:
        # Before the database: an anchor of an event that the copy does not hold would read as a cut.
        if anchor_path().exists():
            with anchor_path().open("rb") as anchors:
                yield from _packed(pack, sink, contents.ANCHORS, _read(anchors), files)
        yield from _packed(pack, sink, contents.DATABASES[connection.vendor], _database(place, going_on), files)
        manifest = contents.Manifest(
            fleetui=fleetui.__version__,
            made_at=iso(made_at),
            database=connection.vendor,
            migrations=migrations(),
            keys_needed=_both(before, needed()),
            audit_seq=head.seq if head else 0,
            files=files,
        )
        pack.writestr(_entry(contents.MANIFEST), manifest.as_bytes())
    yield sink.taken()


def _database(place: Path, going_on: Callable[[], None]) -> Iterator[bytes]:
    if connection.vendor != "sqlite":
        yield from postgresql.dump(LEFT_OUT, place, going_on)
        return
    database, copy = sqlite.database_path(), place / "copy.sqlite3"
    require_room(place, database.stat().st_size + _ROOM_BYTES)
    sqlite.copy_to(copy, LEFT_OUT, going_on)
    with copy.open("rb") as file:
        for piece in _read(file):
            going_on()
            yield piece


def _packed(
    pack: zipfile.ZipFile, sink: _Sink, name: str, content: Iterable[bytes], files: list[contents.File]
) -> Iterator[bytes]:
    """What the ZIP file grows by, while a file is put in; at its end it stands in `files`."""
    digest, size = hashlib.sha256(), 0
    with pack.open(_entry(name), "w", force_zip64=True) as file:
        for piece in content:
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            if sink.is_full:
                yield sink.taken()
    files.append(contents.File(name, size, digest.hexdigest()))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    # A dump of PostgreSQL is compressed already.
    is_packed = name == contents.DATABASES["postgresql"]
    entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


def _read(file: io.BufferedReader) -> Iterator[bytes]:
    while piece := file.read(_READ_BYTES):
        yield piece


def _both(one: KeysNeeded, other: KeysNeeded) -> KeysNeeded:
    """Secrets may be sealed anew while the database is copied: with the one key before, with the other after."""
    return KeysNeeded(
        sorted({*one.encryption, *other.encryption}), sorted({*one.peppers, *other.peppers}), other.audit or one.audit
    )


class _Sink(io.RawIOBase):
    """What the ZIP file writes, until somebody takes it."""

    FULL_BYTES = 256 * 1024

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        before = len(self._held)
        self._held += piece  # type: ignore[arg-type]  # bytes, or a view of them
        return len(self._held) - before

    @property
    def is_full(self) -> bool:
        return len(self._held) >= self.FULL_BYTES

    def taken(self) -> bytes:
        found = bytes(self._held)
        self._held.clear()
        return found
