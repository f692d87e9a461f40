"""The matrix is whole. This one is quick: who adds a kind adds it there too."""

from __future__ import annotations

from ops import actions
from tests.soak.matrix_kinds import CASES, ONLY_WHEN_IT_CRASHES, ONLY_WHEN_UNHEALTHY


def test_every_step_of_every_kind_is_in_the_matrix() -> None:
    steps = {(kind, step.name) for kind in actions.kinds() for step in actions.get(kind).steps}
    shown = set[tuple[str, str]]().union(*(case.cells for case in CASES))
    # A restore waits for people in each of its steps: its deaths are those of ops/tests/test_guided_restore.py.
    steps = {cell for cell in steps if cell[0] not in ("restore", "restore_beside")}
    left = {cell for cell in steps - shown if not cell[1].startswith(ONLY_WHEN_UNHEALTHY)}
    assert left == {("container_rollback", step) for step in ONLY_WHEN_IT_CRASHES}
