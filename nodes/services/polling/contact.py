"""One contact with one node: network only, no database, so that it may run on any thread."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import TypeVar

from nodes.hosts import ssh
from nodes.hosts.errors import ChannelRefused, ConnectionLost, HostError, HostKeyUnknown, TimedOut
from nodes.hosts.look import Look, look

Result = TypeVar("Result")
CONNECT_TIMEOUT_S = 5.0
#: A live host greets within milliseconds; one that hangs still takes connections, and then says nothing.
GREETING_TIMEOUT_S = 8.0
CONTACT_TIMEOUT_S = 25.0


@dataclass(frozen=True)
class Target:
    """What a contact needs to know of a node. `pinned` None means that no key was accepted yet.

    `jumps` are the jump hosts on the way, the first one first, or why there is no way. `authorities` are those whose host
    certificates are trusted while no key is pinned. `again_soon`: its next poll comes so soon that its connection may stay open.
    """

    node_id: uuid.UUID
    endpoint: ssh.Endpoint
    identity: ssh.Identity | HostError
    pinned: ssh.HostKey | None
    family: str
    family_given: bool
    revision: int
    jumps: tuple[ssh.Hop, ...] | HostError = ()
    authorities: ssh.Authorities | None = None
    again_soon: bool = False

    @property
    def way(self) -> Target:
        """All that a connection was opened with, node and revision included. Where a part differs it is another connection."""
        return replace(self, family="", family_given=False)


@dataclass(frozen=True)
class Outcome:
    """What came of a contact: a look or an error, and the key that was seen when it is not the pinned one.

    `certificate` is the host certificate by which the host was trusted.

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
    certificate: ssh.HostCertificate | None = None


def contact(
    target: Target,
    *,
    now: datetime,
    turn: AbstractContextManager[object] | None = None,
    shared: ssh.SharedJumps | None = None,
    kept: ssh.KeptConnections | None = None,
) -> Outcome:
    """Look at a host. Without a pinned key only its key is asked for, and offered to a person.

    `turn` bounds how many threads exchange keys at once (see nodes.hosts.ssh.connect); `shared` are connections to jump
    hosts that the contacts of a batch use together; `kept` are connections that stay open between contacts.
    """
    start = monotonic()
    found: Look | None = None
    error: HostError | None = None
    certificate: ssh.HostCertificate | None = None
    deadline = ssh.Deadline.after(CONTACT_TIMEOUT_S)

    def looked(connection: ssh.Connection) -> tuple[Look, ssh.HostCertificate | None]:
        seen = look(connection, family=target.family, given=target.family_given, now=now, deadline=deadline)
        return seen, connection.certificate

    try:
        if kept is not None and may_be_kept(target):
            found, certificate = over_kept(target, looked, kept, deadline=deadline, turn=turn)
        else:
            if kept is not None:
                kept.forget(target.node_id)
            found, certificate = signed_in(target, looked, deadline=deadline, turn=turn, shared=shared)
    except HostError as problem:
        error = problem
    seen_key = getattr(error, "seen_key", None) or getattr(error, "seen", None)
    seen_key = seen_key if isinstance(seen_key, ssh.HostKey) else None
    return Outcome(target.node_id, found, error, seen_key, monotonic() - start, now, target.revision, certificate)


def signed_in(
    target: Target,
    work: Callable[[ssh.Connection], Result],
    *,
    deadline: ssh.Deadline,
    turn: AbstractContextManager[object] | None = None,
    shared: ssh.SharedJumps | None = None,
) -> Result:
    """Sign in to a host and do the work over that connection; raises HostError, also for what is known before.

    A connection that is lost over a shared way is tried once more over a way of its own: what was lost is perhaps the jump
    host, and then the second try says so.
    """
    if not target.jumps or shared is None or isinstance(target.jumps, HostError):
        with connected(target, deadline=deadline, turn=turn) as connection:
            return work(connection)
    with shared.turn(target.jumps, deadline):
        try:
            with connected(target, deadline=deadline, turn=turn, shared=shared) as connection:
                return work(connection)
        except ConnectionLost:
            pass
    with connected(target, deadline=deadline, turn=turn) as connection:
        return work(connection)


def may_be_kept(target: Target) -> bool:
    """Behind a jump host a batch shares one connection, which ends with it."""
    return target.again_soon and not target.jumps


def over_kept(
    target: Target,
    work: Callable[[ssh.Connection], Result],
    kept: ssh.KeptConnections,
    *,
    deadline: ssh.Deadline,
    turn: AbstractContextManager[object] | None = None,
) -> Result:
    """Do the work over the kept connection to a host, or over a fresh one that is kept then; raises HostError.

    A kept connection that turns out to be lost says nothing of the host: it is tried once more over a fresh one.
    """
    way = target.way
    connection = kept.take(target.node_id, way)
    if connection is not None:
        try:
            return _kept_after(target, work, connection, kept)
        except (ConnectionLost, ChannelRefused):
            pass
        except TimedOut as error:
            if error.phase != "channel":
                raise
    return _kept_after(target, work, connected(target, deadline=deadline, turn=turn), kept)


def _kept_after(
    target: Target,
    work: Callable[[ssh.Connection], Result],
    connection: ssh.Connection,
    kept: ssh.KeptConnections,
) -> Result:
    try:
        result = work(connection)
    except BaseException:
        kept.drop(target.node_id, connection)
        raise
    kept.give(target.node_id, target.way, connection)
    return result


def connected(
    target: Target,
    *,
    deadline: ssh.Deadline,
    turn: AbstractContextManager[object] | None = None,
    shared: ssh.SharedJumps | None = None,
) -> ssh.Connection:
    """A signed-in connection to a host, on its way and held against its pinned key or certificate; raises HostError."""
    if isinstance(target.jumps, HostError):
        raise target.jumps
    if target.pinned is None and target.authorities is None:
        seen = ssh.scan_host_key(
            target.endpoint,
            deadline=deadline,
            jumps=target.jumps,
            shared=shared,
            greeting_timeout_s=GREETING_TIMEOUT_S,
        )
        raise HostKeyUnknown(target.endpoint.address, seen)
    if isinstance(target.identity, HostError):
        raise target.identity
    return ssh.connect(
        target.endpoint,
        target.identity,
        host_key=target.pinned or (),
        deadline=deadline,
        jumps=target.jumps,
        shared=shared,
        authorities=target.authorities,
        connect_timeout_s=CONNECT_TIMEOUT_S,
        greeting_timeout_s=GREETING_TIMEOUT_S,
        turn=turn,
    )
