"""The connections that this process keeps open between polls, and the watch over them."""

from __future__ import annotations

import threading

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from nodes.hosts import ssh
from nodes.models import Node
from nodes.services.polling.contact import Target

log = structlog.get_logger(__name__)
#: How long a connection to a node that was retired or edited may live on, besides the time of a look.
WATCH_EVERY_S = 15.0


class Keeper:
    """Makes the kept connections when the first contact asks for them, and closes those that have become wrong."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: ssh.KeptConnections | None = None
        self._ended = threading.Event()

    def connections(self) -> ssh.KeptConnections | None:
        """None unless FLEETUI_POLL_KEEP_OPEN says how many."""
        if not settings.POLL_KEEP_OPEN:
            return None
        with self._lock:
            if self._connections is None:
                self._connections, self._ended = ssh.KeptConnections(settings.POLL_KEEP_OPEN), threading.Event()
                watch = (self._connections, self._ended)
                threading.Thread(target=self._watch, args=watch, name="ssh-kept", daemon=True).start()
            return self._connections

    def close(self) -> None:
        """Close all of them: the process ends."""
        with self._lock:
            closing, self._connections = self._connections, None
            self._ended.set()
        if closing is not None:
            closing.close()

    def _watch(self, connections: ssh.KeptConnections, ended: threading.Event) -> None:
        while not ended.wait(WATCH_EVERY_S):
            try:
                close_outdated(connections)
            except DatabaseError as error:
                log.warning("kept_connections_not_checked", error=str(error).strip())
            finally:
                connection.close()


KEEPER = Keeper()


def close_outdated(connections: ssh.KeptConnections) -> None:
    """Close connections to nodes that were retired, deleted or edited since, and those that ended or rest for too long."""
    waiting = connections.keys()
    rows = Node.objects.filter(pk__in=waiting).exclude(lifecycle="retired")
    revisions = dict(rows.order_by().values_list("pk", "revision")) if waiting else {}

    def is_right(way: object) -> bool:
        return isinstance(way, Target) and revisions.get(way.node_id) == way.revision

    connections.close_unless(is_right)
