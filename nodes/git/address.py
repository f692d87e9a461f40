"""Addresses of repositories: https, ssh, or a path below the folder that the operator allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from nodes.git.errors import GitProblem

#: user@host:path, as people copy it from a forge.
_SCP = re.compile(r"^(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):(?!//)([^\s]+)$")
_HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$")
_PRINTABLE = re.compile(r"^[\x21-\x7e]+$")


@dataclass(frozen=True)
class Allowed:
    """What the operator allows beyond https and ssh: hosts that are reached without TLS, and one folder of repositories."""

    http_hosts: frozenset[str] = frozenset()
    local_root: Path | None = None


@dataclass(frozen=True)
class Address:
    """A repository. It never holds a password."""

    scheme: Literal["https", "http", "ssh", "file"]
    host: str
    port: int | None
    user: str
    path: str

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{host}{f':{self.port}' if self.port else ''}{self.path}"


def parse(text: str, allowed: Allowed) -> Address:
    """The address, if it may be used. Raises GitProblem of the kind `address`."""
    text = text.strip()
    if not _PRINTABLE.match(text) or len(text) > 500:
        raise GitProblem("address", "unreadable")
    if text.startswith(("/", "file:")):
        return _local(text, allowed)
    if "://" not in text and (match := _SCP.match(text)):
        user, host, path = match[1] or "git", match[2].strip("[]"), match[3]
        return Address("ssh", host, None, user, path if path.startswith("/") else f"/~/{path}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise GitProblem("address", "unreadable") from None
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("https", "http", "ssh"):
        raise GitProblem("address", "scheme", scheme=parts.scheme or text.split(":", 1)[0])
    if parts.password is not None or (parts.username and parts.scheme != "ssh"):
        raise GitProblem("address", "credentials")
    if not _HOST.match(host) or not parts.path.strip("/") or parts.query or parts.fragment:
        raise GitProblem("address", "unreadable")
    if parts.scheme == "http" and host not in allowed.http_hosts:
        raise GitProblem("address", "http", host=host)
    if parts.scheme == "ssh":
        return Address("ssh", host, port, parts.username or "git", parts.path)
    return Address("https" if parts.scheme == "https" else "http", host, port, "", parts.path)


def _local(text: str, allowed: Allowed) -> Address:
    if allowed.local_root is None:
        raise GitProblem("address", "local_off")
    path = Path(text.removeprefix("file://"))
    # Resolved: neither `..` nor a symbolic link leads out of the folder.
    real = path.resolve()
    if not real.is_relative_to(allowed.local_root.resolve()) or not path.is_absolute():
        raise GitProblem("address", "local_outside", root=allowed.local_root)
    return Address("file", "", None, "", str(real))
