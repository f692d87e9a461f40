"""The Day-2 tasks of a pool: which operations do each, how often it should happen, and how it stands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ops import actions

MOST_DAYS = 1000
#: Part of the period that may pass after a task was due: what is scheduled daily does not end to the second.
GRACE = 0.1
BACKUP: Final = "backup"
RESTORE_DRILL: Final = "restore_drill"
#: How often is what backup policies say.
OF_POLICIES: Final = frozenset({BACKUP, RESTORE_DRILL})
OS_UPDATE: Final = "os_update"
CONTAINER_UPDATE: Final = "container_update"


@dataclass(frozen=True)
class Task:
    """One row of the table. `kinds` are the operations that do it, the first is what its button plans.

    `usual_days` is how often it should happen where nobody said otherwise and there is something to do it to; 0: then it is
    not asked for.
    """

    name: str
    kinds: tuple[str, ...]
    usual_days: int


_ALL: Final = (
    Task(OS_UPDATE, ("upgrade",), 30),
    Task(CONTAINER_UPDATE, ("container_update", "auto_update"), 30),
    # When one is due depends on the certificates, which are told of by themselves.
    Task("certificate_renewal", ("certbot_renew", "kubeadm_renew"), 0),
    Task(BACKUP, ("backup",), 0),
    Task(RESTORE_DRILL, ("restore_drill",), 0),
    Task("node_replacement", ("replace",), 0),
)
#: In the order of the table; a task that no kind of operation does is not there.
TASKS: Final[Mapping[str, Task]] = {
    task.name: task for task in _ALL if any(kind in actions.kinds() for kind in task.kinds)
}
KINDS: Final = tuple(kind for task in TASKS.values() for kind in task.kinds if kind in actions.kinds())


@dataclass(frozen=True)
class Stand:
    """How a task of a pool stands.

    `code` is off (nobody asks for it), empty (no node in service), settled (nothing is left to do), waits (never done, and
    not due), well, due, or overdue. `due_at` is when it should happen again; by policies, when the first of them is overdue.
    """

    task: Task
    code: str
    every_days: int
    is_usual: bool = True
    by_policies: bool = False
    nodes: int = 0
    last_good_at: datetime | None = None
    due_at: datetime | None = None

    @property
    def is_overdue(self) -> bool:
        return self.code == "overdue"


def stand(
    task: Task,
    *,
    days: int | None,
    applies: bool,
    last_good_at: datetime | None,
    since: datetime,
    now: datetime,
    nodes: int,
    settled: bool = False,
) -> Stand:
    """`days` is what was set, None for the usual; `since` counts where it was never done."""
    every = days if days is not None else task.usual_days if applies else 0
    due_at = (last_good_at or since) + timedelta(days=every) if every else None
    if not due_at:
        code = "off"
    elif not nodes:
        code, due_at = "empty", None
    elif settled:
        code, due_at = "settled", None
    elif now >= due_at + timedelta(days=every * GRACE):
        code = "overdue"
    elif now >= due_at:
        code = "due"
    else:
        code = "well" if last_good_at else "waits"
    return Stand(task, code, every, days is None, nodes=nodes, last_good_at=last_good_at, due_at=due_at)
