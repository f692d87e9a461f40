"""Key files: what they are for, where they lie, and what is refused when one is gone.

In the embedded mode they are made on first start below `<data dir>/keys`, mode 0600. In a larger installation each comes
by its environment variable (or `<NAME>_FILE`). A key is 32 random bytes as hex; a file may hold several, newest first.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

from fleetui.core.errors import StartError

#: environment variable -> (file name, what is lost without it)
KEYS: dict[str, tuple[str, str]] = {
    "FLEETUI_SECRET_KEY": ("secret_key", "sessions"),
    "FLEETUI_ENCRYPTION_KEYS": ("encryption_keys", "the sealed SSH keys"),
    "FLEETUI_TOKEN_PEPPERS": ("token_peppers", "every API token"),
    "FLEETUI_AUDIT_KEY": ("audit_key", "the proof that the audit log was not changed"),
}
KEY = re.compile(r"[0-9a-fA-F]{64}")
#: Django takes any text; one that is short can be guessed, and with it what is signed can be forged.
FREE_TEXT = "FLEETUI_SECRET_KEY"
SHORTEST_TEXT = 32


def key_folder(data_dir: Path) -> Path:
    return data_dir / "keys"


def ensure_keys(data_dir: Path, *, database_exists: bool) -> None:
    """Make missing key files on the very first start; refuse when one is gone beside a database that needs it."""
    folder = key_folder(data_dir)
    for variable, (name, loss) in KEYS.items():
        if read_keys(variable, data_dir):
            make_private(folder / name)
            continue
        named = os.environ.get(f"{variable}_FILE", "")
        path = Path(named or folder / name)
        if named or database_exists:
            never = "in the place of one that is named" if named else "beside an existing database"
            raise StartError(
                f"The key file {path} is {'empty' if path.exists() else 'gone'}, and with it {loss}.",
                mend=f"Put the file back from your backup, or set {variable}. FleetUI does not make a new one {never}.",
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One that is empty is left from a first start that found the disk full.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")


def make_private(path: Path) -> None:
    """A file of ours is read by its owner alone, also after it was copied back by hand; one that is not there stays so."""
    with contextlib.suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def demand(variable: str, missing: list[str]) -> None:
    """Refuse to seal or sign with a key that dies with this process."""
    if variable in missing:
        raise StartError(
            f"There is no {KEYS[variable][0].replace('_', ' ')} yet: what is sealed or signed now could not be opened later.",
            mend=f"Run `manage.py up` once, name the right folder by FLEETUI_DATA_DIR, or set {variable}.",
        )


def read_keys(variable: str, data_dir: Path) -> list[str]:
    """The keys of one purpose, newest first; an empty list when there is none yet."""
    keys = _listed(os.environ.get(variable, ""))
    place = variable
    if not keys:
        path = Path(os.environ.get(f"{variable}_FILE", "") or key_folder(data_dir) / KEYS[variable][0])
        place = f"The key file {path}"
        try:
            keys = _listed(path.read_bytes().decode(errors="replace"))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StartError(
                f"The key file {path} cannot be read: {error.strerror}.",
                mend=f"Mend the owner and rights of it and of the folders above it, or set {variable}.",
            ) from error
    if variable == FREE_TEXT and any(len(key) < SHORTEST_TEXT for key in keys):
        raise StartError(
            f"{place} holds something that is not a key: it has fewer than {SHORTEST_TEXT} characters.",
            mend="Put back what was there, from your backup, or put 32 random bytes in hex in its place: then everybody signs in again.",
        )
    if variable != FREE_TEXT and not all(KEY.fullmatch(key) for key in keys):
        # What it holds may be most of a key, so it is not repeated.
        raise StartError(
            f"{place} holds something that is not a key: a key is 32 bytes in hex, 64 letters and digits.",
            mend="Put back what was there, from your backup. Several keys stand on lines of their own, or with commas between.",
        )
    return keys


def _listed(text: str) -> list[str]:
    return [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]
