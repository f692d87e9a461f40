"""A backup is proven: read back from its target, its SHA-256 compared, and restored or read through as far as its kind allows.

What a drill needs on the disk lies in one folder of its own on the machine of the worker, and goes in every ending: what a
worker left that was killed is taken away by the next drill.
"""

from __future__ import annotations

import fcntl
import gzip
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any, Final, cast

from ops.backups.base import READ_BYTES, Counted, Stored, Target

#: kind of backup -> what a drill of it proves.
PROVES: Final[Mapping[str, str]] = {"etcd": "restored", "path": "listed", "postgresql": "read_through"}
START_WITHIN_S = 60.0
#: Of a snapshot there are two on the disk at once, the second with its log beside it.
ROOM_FACTOR, ROOM_BYTES = 3, 256 * 1024 * 1024
_LOCK, _PID = "lock", "etcd.pid"
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


def prove(chosen: Chosen, target: Target, scratch: Path, held: Callable[[], None]) -> dict[str, Any]:
    """What the backup was found to hold; raises DrillFailed, TargetError, and what `held` raises."""
    if chosen.kind == "etcd":
        return _etcd(chosen, target, scratch, held)
    reading = _Reading(target.read(chosen.key), held)
    try:
        found = _archive(reading) if chosen.kind == "path" else _dump(reading)
    except (OSError, EOFError, tarfile.TarError, DrillFailed) as error:
        reading.rest()
        _same(chosen, reading)  # other bytes explain it better than what they looked like
        raise error if isinstance(error, DrillFailed) else DrillFailed("drill_unreadable", said=str(error)) from error
    reading.rest()
    _same(chosen, reading)
    return found


@contextmanager
def folder(scratch: Path) -> Iterator[Path]:
    """A folder of one's own, which goes; and with it those of drills whose worker is gone. Raises DrillFailed."""
    try:
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (scratch / _LOCK).open("w") as gate:
            # Else the sweep of another could come between making the folder and locking it.
            fcntl.flock(gate, fcntl.LOCK_EX)
            sweep(scratch)
            place = scratch / secrets.token_hex(8)
            place.mkdir(mode=0o700)
            lock = (place / _LOCK).open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise DrillFailed("drill_no_folder", path=str(scratch), said=error.strerror or str(error)) from error
    with lock:
        try:
            yield place
        finally:
            _remove(place)


def sweep(scratch: Path) -> int:
    """Take away what killed workers left; a folder whose lock is held belongs to a drill that goes on."""
    count = 0
    for place in scratch.iterdir():
        if not place.is_dir():
            continue
        with suppress(FileNotFoundError), (place / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove(place)
            count += 1
    return count


def _remove(place: Path) -> None:
    with suppress(OSError, ValueError):
        pid = int((place / _PID).read_text())
        # By its working directory, so that nothing else is ended which has this number now.
        if Path(f"/proc/{pid}/cwd").resolve() == place.resolve():
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(place, ignore_errors=True)


class _Reading(io.RawIOBase):
    """The bytes of a backup as a file that is read once; counts and hashes them as they pass."""

    def __init__(self, chunks: Iterator[bytes], held: Callable[[], None]) -> None:
        self._chunks, self._held, self._left = chunks, held, b""
        self.counted = Counted()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            self._left = next(self._chunks, b"")
            self.counted.add(self._left)
            self._held()
        size = READ_BYTES if size is None or size < 0 else size
        piece, self._left = self._left[:size], self._left[size:]
        return piece

    def rest(self) -> None:
        while self.read():
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
    return {"content_bytes": reading.counted.size_bytes}


def _etcd(chosen: Chosen, target: Target, scratch: Path, held: Callable[[], None]) -> dict[str, Any]:
    with folder(scratch) as place:
        needs = chosen.stored.size_bytes * ROOM_FACTOR + ROOM_BYTES
        free = shutil.disk_usage(place).free
        if free < needs:
            raise DrillFailed("drill_no_room", path=str(scratch), free_bytes=free, needed_bytes=needs)
        reading = _Reading(target.read(chosen.key), held)
        try:
            with (place / "snapshot.db").open("wb") as file:
                while piece := reading.read():
                    file.write(piece)
        except OSError as error:
            raise DrillFailed("drill_no_folder", path=str(scratch), said=error.strerror or str(error)) from error
        _same(chosen, reading)
        _restore(place, held)
        return _compared(chosen, _served(place, held))


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
        (place / _PID).write_text(str(process.pid))
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
