"""Where the web process listens: HOST:PORT as a person writes it, and whether the port is free."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from fleetui.core.errors import StartError

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here, only known by name


@dataclass(frozen=True)
class Bind:
    """A host (name or address, without brackets) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Bind:
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
            raise StartError(f"{text!r} is not an address to listen on. Write HOST:PORT, for example 127.0.0.1:8000.")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        return self.host in WILDCARDS

    @property
    def local(self) -> Bind:
        """The same port under an address that this machine can call."""
        return Bind(WILDCARDS.get(self.host, self.host), self.port)

    @property
    def url(self) -> str:
        return f"http://{self.local}/"


def require_free(bind: Bind) -> None:
    """Refuse a port that another process holds, or an address that this machine does not have."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the web server does: connections of an earlier run that still time out are no reason to refuse.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise StartError(_sentence(bind, error)) from error


def _sentence(bind: Bind, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {bind.port} on {bind.host} is taken by another program. "
            f"Choose another one: BIND={Bind(bind.host, bind.port % 65535 + 1)}"
        )
    if error.errno == errno.EACCES:
        return f"Port {bind.port} needs more rights than this user has. Choose one above 1023: BIND={bind.host}:8000"
    return f"This machine cannot listen on {bind}: {error.strerror or error}. Choose another one: BIND=127.0.0.1:8000"
