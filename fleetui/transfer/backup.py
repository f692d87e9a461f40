"""A backup of the installation into one file, made by hand while FleetUI runs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from fleetui.audit.log import Entry, record_alone
from fleetui.transfer.contents import Manifest, opened
from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.snapshot import pieces
from ops.backups.scratch import ScratchFailed, folder
from ops.services.backups.room import scratch


def back_up(path: Path) -> Manifest:
    """Write the backup to `path`, which must not exist. It appears under its name when it is whole and was read back."""
    if path.exists():
        raise TransferRefused(f"{path} exists already.", mend="Name a file that does not exist yet.")
    record_alone(Entry(actor="system:fleetui", action="installation.backup", subject="installation"))
    half = path.with_name(f"{path.name}.partial")
    try:
        half.unlink(missing_ok=True)
        with (
            folder(scratch()) as place,
            os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        ):
            for piece in pieces(place, _goes_on):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        with opened(half) as contents:
            contents.check(_goes_on)
        half.rename(path)
    except ScratchFailed as error:
        told = ", ".join(f"{name} {value}" for name, value in error.params.items())
        raise TransferRefused(
            f"The copy of the database has no place: {told}.",
            mend="Make room in the data folder, writable for this user.",
        ) from error
    except OSError as error:
        raise TransferRefused(f"{half} cannot be written: {error.strerror}.", mend="Name another folder.") from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
    return contents.manifest


def _goes_on() -> None:
    """By hand it goes on until it is done, or the process ends."""
