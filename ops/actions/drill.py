"""Restore drill: the newest good backup of a policy is read from its target and restored where the worker runs, or read through.

It touches no host: what lies at the target is what has to be enough.
"""

from __future__ import annotations

from ops.actions.backup import backup_params, renewing, target_failed
from ops.actions.base import Action, Context, Step
from ops.backups.age import SUFFIX
from ops.backups.base import TargetError
from ops.backups.drill import PROVES, DrillFailed, missing_program, prove
from ops.backups.job import NoJob
from ops.outcomes import Done, Fail, Outcome


def check(ctx: Context) -> Outcome:
    """Looks before anything is fetched: there is a backup to try, and this machine has what it takes."""
    try:
        chosen = ctx.vault.newest()
        target = ctx.vault.target_of(chosen.run)
    except NoJob as error:
        return Fail(error.code, error.params)
    if chosen.key.endswith(SUFFIX) and not ctx.vault.envelope_of(chosen.run).identity:
        return Fail("drill_no_identity")
    if program := missing_program(chosen.kind):
        return Fail("drill_no_program", {"program": program})
    ctx.log.note("drill_begins", location=target.location(chosen.key), size_bytes=chosen.stored.size_bytes)
    return Done("drill_ready", memory={"run": chosen.run})


def try_it(ctx: Context) -> Outcome:
    """The same backup also when it is run again: one that is made meanwhile is not what was said."""
    try:
        chosen = ctx.vault.chosen(str(ctx.memory["run"]))
        target, envelope = ctx.vault.target_of(chosen.run), ctx.vault.envelope_of(chosen.run)
        found = prove(chosen, target, ctx.vault.scratch(), renewing(ctx), envelope)
    except NoJob as error:
        return Fail(error.code, error.params)
    except DrillFailed as error:
        return Fail(error.code, error.params)
    except TargetError as error:
        return target_failed(ctx, error)
    proves = PROVES[chosen.kind]
    ctx.vault.proven(chosen.run, proves, found)
    return Done(f"drill_{proves}", {"location": chosen.location, **found}, finish=True)


RESTORE_DRILL = Action(
    kind="restore_drill",
    steps=(Step("drill_check", check, is_stream=True), Step("drill_try", try_it, is_stream=True)),
    changes=False,
    beside_changes=True,
    needs_facts=False,
    permission="backups.run",
    check_params=backup_params,
)
