"""Contacts with hosts over SSH. This package is the only one that knows paramiko."""

from collections.abc import Callable

from nodes.hosts.ssh.certificates import HostCertificate, parse_authority
from nodes.hosts.ssh.command import CommandResult
from nodes.hosts.ssh.deadline import Deadline, Interrupted
from nodes.hosts.ssh.exchange import Exchange
from nodes.hosts.ssh.handshake import Authorities, Endpoint
from nodes.hosts.ssh.host_keys import HostKey, known_hosts_lookup
from nodes.hosts.ssh.identity import Identity, generate_identity, load_identity, private_text

# Set by the program: returns why no host may be contacted right now (such as inside a transaction), or None.
forbid: Callable[[], str | None] | None = None

from nodes.hosts.ssh.connection import Connection, ContactForbidden, connect, scan_host, scan_host_key  # noqa: E402
from nodes.hosts.ssh.jumps import Hop, SharedJumps  # noqa: E402
from nodes.hosts.ssh.kept import KeptConnections  # noqa: E402

__all__ = [
    "Authorities",
    "CommandResult",
    "Connection",
    "ContactForbidden",
    "Deadline",
    "Endpoint",
    "Exchange",
    "Hop",
    "HostCertificate",
    "HostKey",
    "Identity",
    "Interrupted",
    "KeptConnections",
    "SharedJumps",
    "connect",
    "generate_identity",
    "known_hosts_lookup",
    "load_identity",
    "parse_authority",
    "private_text",
    "scan_host",
    "scan_host_key",
]
