"""One contact with one node: network only, no database, so that it may run on any thread."""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from nodes.hosts import ssh
from nodes.hosts.errors import HostError, HostKeyUnknown
from nodes.hosts.look import Look, look

CONNECT_TIMEOUT_S = 5.0
#: A live host greets within milliseconds; one that hangs still takes connections, and then says nothing.
GREETING_TIMEOUT_S = 8.0
CONTACT_TIMEOUT_S = 25.0


@dataclass(frozen=True)
class Target:
    """What a contact needs to know of a node. `pinned` None means that no key was accepted yet."""

    node_id: uuid.UUID
    endpoint: ssh.Endpoint
    identity: ssh.Identity | HostError
    pinned: ssh.HostKey | None
    family: str
    family_given: bool
    revision: int


@dataclass(frozen=True)
class Outcome:
    """What came of a contact: a look or an error, and the key that was seen when it is not the pinned one.

    `began_at` is when the contact began: what was asked for after that, it does not answer. `revision` is the node's at
    that time: a node that was edited since may be another host.
    """

    node_id: uuid.UUID
    look: Look | None = None
    error: HostError | None = None
    seen_key: ssh.HostKey | None = None
    duration_s: float = 0.0
    began_at: datetime | None = None
    revision: int | None = None


def contact(target: Target, *, now: datetime, turn: AbstractContextManager[object] | None = None) -> Outcome:
    """Look at a host. Without a pinned key only its key is asked for, and offered to a person.

    `turn` bounds how many threads exchange keys at once (see nodes.hosts.ssh.connect).
    """
    start = monotonic()
    found: Look | None = None
    error: HostError | None = None
    seen: ssh.HostKey | None = None
    deadline = ssh.Deadline.after(CONTACT_TIMEOUT_S)
    try:
        if target.pinned is None:
            seen = ssh.scan_host_key(target.endpoint, deadline=deadline, greeting_timeout_s=GREETING_TIMEOUT_S)
            raise HostKeyUnknown(target.endpoint.address, seen)
        if isinstance(target.identity, HostError):
            raise target.identity
        with ssh.connect(
            target.endpoint,
            target.identity,
            host_key=target.pinned,
            deadline=deadline,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            greeting_timeout_s=GREETING_TIMEOUT_S,
            turn=turn,
        ) as connection:
            found = look(connection, family=target.family, given=target.family_given, now=now, deadline=deadline)
    except HostError as problem:
        error = problem
        seen = getattr(problem, "seen_key", None) or seen
    return Outcome(target.node_id, found, error, seen, monotonic() - start, now, target.revision)
