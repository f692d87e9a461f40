"""The product's worker with one more kind of operation, whose steps do nothing, and one more task, which does nothing.

`python -m bench.engine_worker THREADS`; started by bench.engine. The task carries how many more of it follow, and writes
a line into the file BENCH_DONE when none does.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

KIND = "bench"
STEPS = 5
WAITS_S = 3600


def register() -> None:
    """Make the kind known to this process: five steps that are done at once, and one that waits for an hour."""
    from ops import actions
    from ops.actions.base import Action, Context, Step
    from ops.outcomes import Done, Outcome, Wait

    def done(_ctx: Context) -> Outcome:
        return Done()

    def wait(ctx: Context) -> Outcome:
        return Wait(ctx.now + timedelta(seconds=WAITS_S), "turn")

    steps = tuple(Step(f"noop{number}", done) for number in range(STEPS))
    actions._ALL[KIND] = Action(kind=KIND, steps=steps)
    actions._ALL[f"{KIND}_waits"] = Action(kind=f"{KIND}_waits", steps=(Step("wait", wait),))


def main() -> None:
    import django

    django.setup()
    from fleetui.celery import app
    from fleetui.start import embedded

    register()

    @app.task(name="bench.bare", ignore_result=True)  # type: ignore[untyped-decorator]  # celery has no types
    def bare(left: int) -> None:
        if left > 1:
            bare.delay(left - 1)
        else:
            with Path(os.environ["BENCH_DONE"]).open("a") as file:
                file.write(".")

    app.finalize()
    sys.exit(embedded.work(int(sys.argv[1])))


if __name__ == "__main__":
    main()
