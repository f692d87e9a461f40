"""How long histories are kept. Apps register theirs; one task removes what is too old, a little at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING

from fleetui.core.models import Retention

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as LazyText

#: Between two transactions, so that whoever waits to write gets in.
PAUSE_S = 0.05
#: Of one history in one run. What is left comes next time.
LONGEST_RUN_S = 20.0
#: Counts of what would go stop here.
COUNT_LIMIT = 100_000


@dataclass(frozen=True)
class History:
    """One kind of rows that grow for ever. No `default_days` means that they are kept unless somebody says otherwise.

    `count(before, limit)` says how many would go, at most `limit`. `prune(before, limit)` removes at most `limit` of them in
    one short transaction and says how many; it may be killed and run again at any point. `oldest()` is the age of the first.
    """

    subject: str
    label: LazyText | str
    about: LazyText | str
    default_days: int | None
    least_days: int
    oldest: Callable[[], datetime | None]
    count: Callable[[datetime, int], int]
    prune: Callable[[datetime, int], int]
    rows_at_once: int = 1000
    #: Whether part of it goes even when it is kept for ever.
    has_short_lived: bool = False


#: Before any of our rows.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_HISTORIES: dict[str, History] = {}


def register(history: History) -> None:
    """Called from an AppConfig.ready."""
    _HISTORIES[history.subject] = history


def histories() -> list[History]:
    return list(_HISTORIES.values())


def history(subject: str) -> History | None:
    return _HISTORIES.get(subject)


def keep_days() -> dict[str, int | None]:
    """Days by subject as they are set, else the default; None: for ever. One query."""
    told = dict(Retention.objects.values_list("subject", "keep_days"))
    return {one.subject: told.get(one.subject, one.default_days) for one in histories()}


def cutoff(days: int | None, now: datetime) -> datetime | None:
    """What is older goes; None: nothing does."""
    return None if days is None else now - timedelta(days=days)


def prune(now: datetime, *, stop: Callable[[], bool] = lambda: False) -> dict[str, int]:
    """Remove what is too old of every history; returns how many rows by subject.

    One history that cannot be pruned does not keep the others from it: its error is raised when they are done.
    """
    removed: dict[str, int] = {}
    failed: list[Exception] = []
    days = keep_days()
    for one in histories():
        before = cutoff(days[one.subject], now)
        if before is None and not one.has_short_lived:
            continue
        try:
            removed[one.subject] = _prune(one, before or LONG_AGO, stop)
        except Exception as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return removed


def _prune(one: History, before: datetime, stop: Callable[[], bool]) -> int:
    until_s, total = monotonic() + LONGEST_RUN_S, 0
    while not stop() and monotonic() < until_s:
        count = one.prune(before, one.rows_at_once)
        total += count
        if count == 0:
            break
        sleep(PAUSE_S)
    return total
