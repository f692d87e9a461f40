"""Where the server is and with which token: options, then the environment, then the config file."""

from __future__ import annotations

import argparse
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fleetui_cli.codes import Code, Problem

_KNOWN = {"url", "token", "token_file", "ca_file"}


@dataclass(frozen=True)
class Settings:
    """`ca_file` is a bundle of certificate authorities beside those of the system."""

    url: str
    token: str
    ca_file: str = ""

    @property
    def is_readable_on_the_way(self) -> bool:
        """Whether the token goes over a network without TLS."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")


def default_config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fleetui" / "cli.toml"


def read_settings(given: argparse.Namespace) -> Settings:
    """Raises Problem with what is missing or unsafe."""
    kept = _config(given.config)
    url = given.url or os.environ.get("FLEETUI_URL") or kept.get("url", "")
    if not url:
        raise Problem(
            Code.USAGE,
            "No server is named.",
            f'Give --url, set FLEETUI_URL, or write url = "https://…" into {given.config or default_config()}.',
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Problem(Code.USAGE, f"{url!r} is not the address of a server.", "Give it as https://fleet.example.org.")
    if parts.username or parts.password:
        raise Problem(Code.USAGE, "The address holds a user name or password.", "FleetUI takes a token instead.")
    return Settings(
        url=url.rstrip("/").removesuffix("/api/v1"),
        token=_token(given.token_file, kept),
        ca_file=given.ca_file or os.environ.get("FLEETUI_CA_FILE") or kept.get("ca_file", ""),
    )


def _token(option: str, kept: Mapping[str, str]) -> str:
    # On a command line a token could be read by every user of the machine, so there is no option for it.
    if option:
        return _secret(Path(option))
    if found := os.environ.get("FLEETUI_TOKEN"):
        return _one_word(found, "FLEETUI_TOKEN")
    if path := os.environ.get("FLEETUI_TOKEN_FILE") or kept.get("token_file"):
        return _secret(Path(path).expanduser())
    if found := kept.get("token"):
        return _one_word(found, "token in the config file")
    raise Problem(
        Code.AUTH,
        "No token is given.",
        'Set FLEETUI_TOKEN or FLEETUI_TOKEN_FILE, or write token = "fleetui_…" into the config file. '
        "The Tokens page of FleetUI makes one.",
    )


def _secret(path: Path) -> str:
    return _one_word(_private(path), str(path))


def _one_word(text: str, where: str) -> str:
    """A token, which goes into a header: two of them, or a file with more in it, are none."""
    found = text.strip()
    if not (found.isascii() and found.isprintable() and found) or " " in found:
        raise Problem(Code.USAGE, f"{where} does not hold one token.", "Write the token alone into it.")
    return found


def _config(option: str) -> dict[str, str]:
    path = Path(option) if option else default_config()
    if not option and not path.exists():
        return {}
    try:
        found = tomllib.loads(_private(path))
    except tomllib.TOMLDecodeError as error:
        raise Problem(Code.USAGE, f"{path} cannot be read: {error}.", 'A line reads: url = "https://…"') from error
    if unknown := sorted(set(found) - _KNOWN):
        raise Problem(Code.USAGE, f"{path} has an unknown setting: {unknown[0]}.", f"Use {', '.join(sorted(_KNOWN))}.")
    if wrong := [name for name, value in found.items() if not isinstance(value, str)]:
        raise Problem(Code.USAGE, f"{wrong[0]} in {path} is not text.", "Put it between quotes.")
    return found


def _private(path: Path) -> str:
    """What a file holds that nobody else may read."""
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
                raise Problem(
                    Code.USAGE, f"{path} can be read by others ({found.st_mode & 0o777:04o}).", f"chmod 600 {path}"
                )
            return file.read(65_536)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise Problem(Code.USAGE, f"{path} cannot be read: {why}.") from error
