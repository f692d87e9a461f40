"""Connections that stay open between contacts: for one contact at a time, and only while nothing about their host changed."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from nodes.hosts.ssh.connection import Connection

#: More idle connections of one process burn a noticeable part of a core, whatever the transport does.
MOST = 800
#: One that was not used for so long is closed: its host is polled elsewhere, or not at all.
IDLE_S = 300.0
#: After this time a contact signs in anew, so that a host which lets nobody in any more does not look reachable for ever.
OLDEST_S = 1800.0


@dataclass(frozen=True)
class _Kept:
    connection: Connection
    way: object
    given_at_s: float


class KeptConnections:
    """At most so many open connections, by the id of their host. Safe from many threads.

    A connection is known by its way: everything that it was opened with. Another way closes it. One that is taken keeps its
    place until it is given back or dropped. When all places are taken a newcomer is closed, instead of the one that was
    used least recently: contacts go round in a circle, so that one would be the next to be asked for.
    """

    def __init__(self, most: int, *, idle_s: float = IDLE_S, oldest_s: float = OLDEST_S) -> None:
        if not 0 < most <= MOST:
            raise ValueError(f"A process keeps 1 to {MOST} connections open.")
        self.most, self._idle_s, self._oldest_s = most, idle_s, oldest_s
        # The least recently used first.
        self._waiting: OrderedDict[uuid.UUID, _Kept] = OrderedDict()
        self._taken: set[uuid.UUID] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def __len__(self) -> int:
        """Connections that wait for their next contact."""
        return len(self._waiting)

    def take(self, key: uuid.UUID, way: object) -> Connection | None:
        """The kept connection, which is the caller's until it is given back or dropped; None when there is none to use."""
        with self._lock:
            kept = self._waiting.pop(key, None)
            if kept is None:
                return None
            if kept.way == way and self._may_be_used(kept):
                self._taken.add(key)
                return kept.connection
        kept.connection.close()
        return None

    def give(self, key: uuid.UUID, way: object, connection: Connection) -> None:
        """Keep a connection whose contact went well, or close it when there is no place."""
        kept = _Kept(connection, way, time.monotonic())
        with self._lock:
            self._taken.discard(key)
            has_place = not self._is_closed and len(self._waiting) + len(self._taken) < self.most
            if has_place and key not in self._waiting and connection.is_alive:
                connection.rest()
                self._waiting[key] = kept
                return
        connection.close()

    def drop(self, key: uuid.UUID, connection: Connection) -> None:
        """Close a connection that was taken: something went wrong on it."""
        with self._lock:
            self._taken.discard(key)
        connection.close()

    def forget(self, key: uuid.UUID) -> None:
        """Close the connection of a key that is not to be kept any more."""
        with self._lock:
            kept = self._waiting.pop(key, None)
        if kept is not None:
            kept.connection.close()

    def keys(self) -> list[uuid.UUID]:
        """The keys of the connections that wait."""
        with self._lock:
            return list(self._waiting)

    def close_unless(self, right: Callable[[object], bool]) -> None:
        """Close those that wait and are idle for too long, too old, ended, or whose way is not right any more."""
        with self._lock:
            wrong = [key for key, kept in self._waiting.items() if not (self._may_be_used(kept) and right(kept.way))]
            closing = [self._waiting.pop(key) for key in wrong]
        for kept in closing:
            kept.connection.close()

    def close(self) -> None:
        """Close all that wait; those that are taken are closed when they come back. Nothing is kept afterwards."""
        with self._lock:
            self._is_closed = True
            closing, self._waiting = list(self._waiting.values()), OrderedDict()
        for kept in closing:
            kept.connection.close()

    def _may_be_used(self, kept: _Kept) -> bool:
        now_s, connection = time.monotonic(), kept.connection
        if now_s - kept.given_at_s > self._idle_s or now_s - connection.opened_at_s > self._oldest_s:
            return False
        return connection.is_alive and (connection.trusted_until is None or time.time() < connection.trusted_until)
