"""One kind of operation each: its steps, and nothing else."""

from __future__ import annotations

from ops.actions.base import Action
from ops.actions.ostree import ROLLBACK, UPGRADE
from ops.actions.simple import RESTART, SIMPLE

_ALL: dict[str, Action] = {action.kind: action for action in (UPGRADE, ROLLBACK, RESTART, *SIMPLE)}


def get(kind: str) -> Action:
    return _ALL[kind]


def kinds() -> tuple[str, ...]:
    return tuple(_ALL)
