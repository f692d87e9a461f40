"""Pools of urllib3 whose connections a TimeLimit watches, and that lead to no link-local address: give them `limit=`."""

from __future__ import annotations

import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from fleetui.core.posting import refuse_link_local
from fleetui.core.time_limit import TimeLimit


class _Plain(HTTPConnection):
    def __init__(self, *args: Any, limit: TimeLimit, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._limit = limit

    def _new_conn(self) -> socket.socket:
        # Before TLS begins, which would be the first that is said there.
        connection = super()._new_conn()
        self._limit.watch(connection)
        try:
            refuse_link_local(connection.getpeername()[0])
        except OSError:
            connection.close()
            raise
        return connection

    def connect(self) -> None:
        super().connect()
        self._limit.watch(self.sock)


class _Secured(_Plain, HTTPSConnection):
    """TLS is begun by the second of the parents, and watched by the first."""


class PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class SecuredPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secured
