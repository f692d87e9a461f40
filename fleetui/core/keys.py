"""Key files: what they are for, where they lie, and what is refused when one is gone.

In the embedded mode they are made on first start below `<data dir>/keys`, mode 0600. In a larger installation each comes
by its environment variable (or `<NAME>_FILE`). A key is 32 random bytes as hex; a file may hold several, newest first.
"""

from __future__ import annotations

import os
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


def key_folder(data_dir: Path) -> Path:
    return data_dir / "keys"


def ensure_keys(data_dir: Path, *, database_exists: bool) -> None:
    """Make missing key files on the very first start; refuse when one is gone beside a database that needs it."""
    folder = key_folder(data_dir)
    for variable, (name, loss) in KEYS.items():
        if os.environ.get(variable) or os.environ.get(f"{variable}_FILE"):
            continue
        path = folder / name
        if path.exists():
            continue
        if database_exists:
            raise StartError(
                f"The key file {path} is gone, and with it {loss}.",
                mend=f"Put the file back from your backup, or set {variable}. FleetUI does not make a new one beside an existing database.",
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")


def demand(variable: str, missing: list[str]) -> None:
    """Refuse to seal or sign with a key that dies with this process."""
    if variable in missing:
        raise StartError(
            f"There is no {KEYS[variable][0].replace('_', ' ')} yet: what is sealed or signed now could not be opened later.",
            mend=f"Run `manage.py up` once, name the right folder by FLEETUI_DATA_DIR, or set {variable}.",
        )


def read_keys(variable: str, data_dir: Path) -> list[str]:
    """The keys of one purpose, newest first; an empty list when there is none yet."""
    inline = os.environ.get(variable, "")
    if not inline:
        path = Path(os.environ.get(f"{variable}_FILE", "") or key_folder(data_dir) / KEYS[variable][0])
        try:
            inline = path.read_text()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StartError(
                f"The key file {path} cannot be read: {error.strerror}.",
                mend=f"Mend the owner and rights of it and of the folders above it, or set {variable}.",
            ) from error
    return [line.strip() for line in inline.replace(",", "\n").splitlines() if line.strip()]
