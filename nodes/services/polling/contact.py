"""One contact with one node: network only, no database, so that it may run on any thread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from nodes.hosts import ssh
from nodes.hosts.errors import HostError, HostKeyUnknown
from nodes.hosts.look import Look, look

CONNECT_TIMEOUT_S = 5.0
CONTACT_TIMEOUT_S = 25.0


@dataclass(frozen=True)
class Target:
    """What a contact needs to know of a node. `pinned` None means that no key was accepted yet."""

    node_id: object
    endpoint: ssh.Endpoint
    identity: ssh.Identity | HostError
    pinned: ssh.HostKey | None
    family: str
    family_given: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a contact: a look or an error, and the key that was seen when it is not the pinned one."""

    node_id: object
    look: Look | None = None
    error: HostError | None = None
    seen_key: ssh.HostKey | None = None
    duration_s: float = 0.0


def contact(target: Target, *, now: datetime) -> Outcome:
    """Look at a host. Without a pinned key only its key is asked for, and offered to a person."""
    start = monotonic()
    found: Look | None = None
    error: HostError | None = None
    seen: ssh.HostKey | None = None
    deadline = ssh.Deadline.after(CONTACT_TIMEOUT_S)
    try:
        if target.pinned is None:
            seen = ssh.scan_host_key(target.endpoint, deadline=deadline)
            raise HostKeyUnknown(target.endpoint.address, seen)
        if isinstance(target.identity, HostError):
            raise target.identity
        with ssh.connect(
            target.endpoint,
            target.identity,
            host_key=target.pinned,
            deadline=deadline,
            connect_timeout_s=CONNECT_TIMEOUT_S,
        ) as connection:
            found = look(connection, family=target.family, given=target.family_given, now=now, deadline=deadline)
    except HostError as problem:
        error = problem
        seen = getattr(problem, "seen_key", None) or seen
    return Outcome(target.node_id, found, error, seen, monotonic() - start)
