"""A backup is proven: read back from its target, its SHA-256 compared, and restored or read through as far as its kind allows.

What a drill needs on the disk lies in one folder of its own on the machine of the worker, and goes in every ending: what a
worker left that was killed is taken away by the next drill.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any, Final, cast

from ops.backups.age import SUFFIX, Envelope, NotOpened
from ops.backups.base import READ_BYTES, Counted, Stored, Target
from ops.backups.installation import registered
from ops.backups.scratch import PID, ScratchFailed, folder, require_room

#: kind of backup -> what a drill of it proves.
PROVES: Final[Mapping[str, str]] = {
    "etcd": "restored",
    "path": "listed",
    "volume": "listed",
    "postgresql": "read_through",
    "fleetui": "opened",
}
START_WITHIN_S = 60.0
#: Of a snapshot there are two on the disk at once, the second with its log beside it.
ROOM_FACTOR, ROOM_BYTES = 3, 256 * 1024 * 1024
_PROGRAMS: Final[Mapping[str, Sequence[tuple[str, ...]]]] = {
    # etcd 3.6 restores by etcdutl alone, 3.4 by etcdctl alone.
    "etcd": (("etcd",), ("etcdctl",), ("etcdutl", "etcdctl")),
    "postgresql": (("pg_restore",),),
}


class DrillFailed(Exception):
    """The backup is not proven, or could not be tried; `code` is worded where it is shown."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code, self.params = code, params


@dataclass(frozen=True)
class Chosen:
    """The backup that is tried. `found` is what was read on the host when it was made."""

    run: str
    kind: str
    key: str
    stored: Stored
    location: str
    found: Mapping[str, Any]


def missing_program(kind: str) -> str:
    """The first program that a drill of this kind needs and this machine does not have; empty when all are there."""
    for known in _PROGRAMS.get(kind, ()):
        if not any(shutil.which(name) for name in known):
            return known[0]
    return ""


def prove(
    chosen: Chosen, target: Target, scratch: Path, held: Callable[[], None], envelope: Envelope
) -> dict[str, Any]:
    """What the backup was found to hold; raises DrillFailed, TargetError, and what `held` raises."""
    reading = _Reading(chosen, target, held, envelope)
    if chosen.kind in ("etcd", "fleetui"):
        try:
            with folder(scratch) as place:
                return (_etcd if chosen.kind == "etcd" else _own)(chosen, reading, place, held)
        except ScratchFailed as error:
            raise DrillFailed(f"drill_{error.code}", **error.params) from error
    try:
        found = _archive(reading) if chosen.kind in ("path", "volume") else _dump(reading)
        reading.rest()
    except (OSError, EOFError, tarfile.TarError, DrillFailed) as error:
        reading.skip()
        _same(chosen, reading)  # other bytes explain it better than what they looked like
        raise error if isinstance(error, DrillFailed) else DrillFailed("drill_unreadable", said=str(error)) from error
    _same(chosen, reading)
    return found


class _Reading(io.RawIOBase):
    """What a backup holds as a file that is read once. What lies at the target is counted and hashed as it passes."""

    def __init__(self, chosen: Chosen, target: Target, held: Callable[[], None], envelope: Envelope) -> None:
        self.counted = Counted()
        self.content_bytes = 0
        self._lies = self._count(target.read(chosen.key), held)
        try:
            self._chunks = envelope.opened(self._lies) if chosen.key.endswith(SUFFIX) else self._lies
        except NotOpened as error:  # its identity went since the drill began
            raise DrillFailed(f"drill_{error.code}") from error
        self._left = b""

    def _count(self, chunks: Iterator[bytes], held: Callable[[], None]) -> Iterator[bytes]:
        for chunk in chunks:
            self.counted.add(chunk)
            held()
            yield chunk

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            try:
                self._left = next(self._chunks, b"")
            except NotOpened as error:
                raise DrillFailed(f"drill_{error.code}") from error
            self.content_bytes += len(self._left)
        size = READ_BYTES if size is None or size < 0 else size
        piece, self._left = self._left[:size], self._left[size:]
        return piece

    def rest(self) -> None:
        while self.read():
            pass
        self.skip()

    def skip(self) -> None:
        """To the end of what lies there, also when it could not be opened."""
        for _chunk in self._lies:
            pass


def _same(chosen: Chosen, reading: _Reading) -> None:
    found = reading.counted.stored()
    if found != chosen.stored:
        raise DrillFailed("drill_other_bytes", size_bytes=found.size_bytes, sha256=found.sha256)


def _archive(reading: _Reading) -> dict[str, Any]:
    """Every member and its bytes are read; the checksum of the compression is compared at the end."""
    files, total = 0, 0
    with gzip.GzipFile(fileobj=reading) as packed:
        with tarfile.open(fileobj=packed, mode="r|") as archive:
            for member in archive:
                files, total = files + 1, total + member.size
                archive.members.clear()  # type: ignore[attr-defined]  # else it keeps all of them
        while packed.read(READ_BYTES):
            pass
    if not files:
        raise DrillFailed("drill_empty")
    return {"files": files, "content_bytes": total}


def _dump(reading: _Reading) -> dict[str, Any]:
    """pg_restore makes SQL of all of it, which nobody keeps."""
    with tempfile.TemporaryFile() as errors:
        argv = ("pg_restore", "--file=/dev/null")
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=errors, env=_environment())
        try:
            with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as given:  # it ended; its status says why
                while piece := reading.read():
                    given.write(piece)
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        errors.seek(0)
        said = errors.read(4096).decode("utf-8", "replace").strip()
    if status:
        raise DrillFailed("drill_unreadable", said=said[:300])
    return {"content_bytes": reading.content_bytes}


def _etcd(chosen: Chosen, reading: _Reading, place: Path, held: Callable[[], None]) -> dict[str, Any]:
    require_room(place, chosen.stored.size_bytes * ROOM_FACTOR + ROOM_BYTES)
    _fetch(chosen, reading, place / "snapshot.db")
    _restore(place, held)
    return _compared(chosen, _served(place, held))


def _own(chosen: Chosen, reading: _Reading, place: Path, held: Callable[[], None]) -> dict[str, Any]:
    require_room(place, chosen.stored.size_bytes + ROOM_BYTES)
    _fetch(chosen, reading, place / "backup.zip")
    return dict(registered().prove(place / "backup.zip", place, held))


def _fetch(chosen: Chosen, reading: _Reading, path: Path) -> None:
    try:
        with path.open("wb") as file:
            while piece := reading.read():
                file.write(piece)
        reading.skip()
    except OSError as error:
        said = error.strerror or str(error)
        raise DrillFailed("drill_no_folder", path=str(path.parent), said=said) from error
    except DrillFailed:
        reading.skip()
        _same(chosen, reading)  # other bytes explain it better than that they do not open
        raise
    _same(chosen, reading)


def _restore(place: Path, held: Callable[[], None]) -> None:
    program = "etcdutl" if shutil.which("etcdutl") else "etcdctl"
    argv = (program, "snapshot", "restore", "snapshot.db", "--data-dir=data", *_MEMBER)
    _run(argv, place, held, "drill_not_restored")


#: The one member; nobody connects to its address, since it listens on sockets of its folder alone.
_MEMBER = (
    "--name=drill",
    "--initial-cluster=drill=http://127.0.0.1:1",
    "--initial-advertise-peer-urls=http://127.0.0.1:1",
)
_CLIENT = "unix://client.sock:0"


def _served(place: Path, held: Callable[[], None]) -> dict[str, Any]:
    """What a real etcd says of what was restored. It listens on no port, so that nobody else reads what it holds."""
    leash = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
    listens = (f"--listen-client-urls={_CLIENT}", "--advertise-client-urls=http://127.0.0.1:1")
    argv = (*leash, "etcd", "--data-dir=data", *_MEMBER, *listens, "--listen-peer-urls=unix://peer.sock:0")
    with (place / "etcd.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=place, stdout=log, stderr=log, env=_environment())
    try:
        (place / PID).write_text(str(process.pid))
        until = monotonic() + START_WITHIN_S
        while True:
            held()
            ask = (
                "etcdctl",
                f"--endpoints={_CLIENT}",
                "get",
                "",
                "--prefix",
                "--limit=1",
                "--keys-only",
                "--write-out=json",
            )
            with suppress(DrillFailed, ValueError, KeyError):
                told = json.loads(_run(ask, place, held, "drill_silent"))
                return {"revision": int(told["header"]["revision"]), "live_keys": int(told.get("count", 0))}
            if process.poll() is not None or monotonic() > until:
                raise DrillFailed("drill_silent", said=_end_of(place / "etcd.log"))
            sleep(0.2)
    finally:
        process.kill()
        process.wait()


def _compared(chosen: Chosen, served: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of the restored one are those of the snapshot. Backups of before did not record how many keys are alive."""
    for name in ("revision", "live_keys"):
        expected = chosen.found.get(name)
        if expected is not None and expected != served[name]:
            raise DrillFailed("drill_differs", what=name, expected=expected, seen=served[name])
    return {**served, **({"keys": chosen.found["keys"]} if "keys" in chosen.found else {})}


def _run(argv: Sequence[str], place: Path, held: Callable[[], None], code: str) -> str:
    """Run a program to its end while the lease is held."""
    with (place / "out").open("w+b") as out, (place / "err").open("w+b") as err:
        process = subprocess.Popen(argv, cwd=place, stdout=out, stderr=err, env=_environment())
        try:
            while True:
                try:
                    status = process.wait(1.0)
                    break
                except subprocess.TimeoutExpired:
                    held()
        except BaseException:
            process.kill()
            process.wait()
            raise
    if status:
        raise DrillFailed(code, said=_end_of(place / "err"))
    return (place / "out").read_text("utf-8", "replace")


def _end_of(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-2:])[-300:]


def _environment() -> dict[str, str]:
    """Of the worker's own only where programs are: its variables hold keys."""
    return {"PATH": os.environ.get("PATH", os.defpath), "ETCDCTL_API": "3"}
