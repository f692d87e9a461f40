"""A limit of time for a whole exchange with another machine.

A timeout of a socket counts from byte to byte: who sends one byte now and then keeps a thread for hours, most easily within
headers, which libraries read to their end before anybody else sees them.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock, Timer
from time import monotonic
from typing import Self


class TimeLimit:
    """Within `with limit:` the watched connection is cut after `seconds`; may be used again, such as for a connection that is kept.

    What reads or writes then meets an end of data or an error, whichever its library makes of it: headers that were cut read
    as whole ones. `is_over` says why.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_over = False
        self._ends_s = monotonic() + seconds
        self._lock = Lock()
        self._connection: socket.socket | None = None
        self._timer: Timer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.stop()

    def start(self) -> None:
        self.is_over, self._ends_s = False, monotonic() + self.seconds
        self._timer = Timer(self.seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def left_s(self) -> float:
        """For timeouts: never zero, which would mean not to wait at all."""
        return max(0.01, self._ends_s - monotonic())

    def check(self) -> None:
        if self.is_over:
            raise TimeoutError(f"It took longer than {self.seconds:g} s.")

    def watch(self, connection: socket.socket | None) -> None:
        """Call it once connected, and again when TLS began on the same connection."""
        with self._lock:
            self._connection = connection
            if self.is_over:
                self._cut()

    def connect(self, address: tuple[str, int], timeout_s: float) -> socket.socket:
        """Like socket.create_connection, which would wait `timeout_s` for each of the addresses that a name has."""
        failure: OSError | None = None
        for family, kind, protocol, _name, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            if failure is not None and monotonic() > self._ends_s:
                break
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(min(timeout_s, self.left_s))
            try:
                connection.connect(where)
            except OSError as error:
                connection.close()
                failure = error
                continue
            connection.settimeout(timeout_s)
            self.watch(connection)
            return connection
        raise failure or OSError(f"{address[0]} has no address")

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            self._cut()

    def _cut(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                # Of the plain socket: that of TLS would also drop what the other thread is reading with.
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
