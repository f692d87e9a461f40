"""One batch at work: its contacts on the threads of its lane, and their outcomes once a second."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from queue import Empty, SimpleQueue
from time import monotonic

import structlog
from django.conf import settings

from fleetui.core import clock
from nodes.hosts import ssh
from nodes.hosts.errors import HostError
from nodes.services.polling.claim import Lane
from nodes.services.polling.contact import Outcome, Target, contact
from nodes.services.polling.kept import KEEPER

log = structlog.get_logger(__name__)
#: Threads that wait for dead hosts cost next to nothing, those that exchange keys a core: many of these for each of those.
WAITING_PER_TURN = 8


@cache
def _threads(lane: Lane, turns: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(turns * WAITING_PER_TURN, thread_name_prefix=f"ssh-{lane}")


@cache
def _turns(lane: Lane, turns: int) -> threading.Semaphore:
    return threading.Semaphore(turns)


class Countdown:
    """Calls `done` when it was called `count` times: the last contact closes what all of them shared."""

    def __init__(self, count: int, done: Callable[[], object]) -> None:
        self._count, self._done, self._lock = count, done, threading.Lock()

    def __call__(self, _ended: object) -> None:
        with self._lock:
            self._count -= 1
            is_last = self._count == 0
        if is_last:
            self._done()


class Contacts:
    """The contacts of one batch. Every one ends by its own deadline, or is cancelled before it starts."""

    def __init__(self, targets: Sequence[Target], lane: Lane) -> None:
        self._ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
        threads, turns = _threads(lane, settings.POLL_THREADS), _turns(lane, settings.POLL_THREADS)
        self._shared = ssh.SharedJumps()
        self._left = Countdown(len(targets), self._shared.close)
        self._futures = {threads.submit(_contact, target, turns, self._shared): target.node_id for target in targets}
        for future in self._futures:
            future.add_done_callback(self._ended.put)
            future.add_done_callback(self._left)

    def slices(self, every_s: float) -> Iterator[list[Outcome]]:
        """Outcomes as they come, all that came within each slice of time; a slice may be empty."""
        left = len(self._futures)
        while left:
            ended = self._within(every_s, left)
            left -= len(ended)
            for future in ended:
                # What a look read is large: it is let go as soon as it is stored, not when the batch ends.
                del self._futures[future]
            yield [future.result() for future in ended if not future.cancelled()]

    def cancel(self) -> list[uuid.UUID]:
        """Start no further contact; gives the nodes that were not contacted."""
        return [node_id for future, node_id in self._futures.items() if future.cancel()]

    def _within(self, seconds: float, most: int) -> list[Future[Outcome]]:
        ended: list[Future[Outcome]] = []
        until = monotonic() + seconds
        while len(ended) < most:
            try:
                ended.append(self._ended.get(timeout=max(0.0, until - monotonic())))
            except Empty:
                break
        return ended


def _contact(target: Target, turns: threading.Semaphore, shared: ssh.SharedJumps) -> Outcome:
    now = clock.now()
    try:
        return contact(target, now=now, turn=turns, shared=shared, kept=KEEPER.connections())
    except Exception as error:  # a fault of ours on one host must not take the other 199 with it
        log.exception("contact_failed", node=str(target.node_id))
        problem = HostError(
            f"FleetUI failed while it read the host: {type(error).__name__}.",
            "Report this with the log of the worker.",
            error=type(error).__name__,
        )
        return Outcome(target.node_id, error=problem, began_at=now, revision=target.revision)
