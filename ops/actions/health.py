"""After a restart: does the host work as it did before, and for long enough?"""

from __future__ import annotations

from datetime import datetime, timedelta

from nodes.hosts.drivers.base import Command
from ops.actions.base import Context, Step
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import booted_of, is_unconfirmed

LOOK_EVERY = timedelta(seconds=10)
DEFAULT_SOAK_S = 60
#: A unit may need some tries to come up after a boot; who asks for a short soak gets a quick answer.
LONGEST_GRACE_S = 120
_JOURNAL_LINES = 60
#: update_engine marks a boot as good two minutes after it.
CONFIRMED_WITHIN = timedelta(minutes=10)


def soak(ctx: Context) -> Outcome:
    """Healthy for the whole soak time; a unit that failed before does not count, a fall back does."""
    facts, _measured = ctx.host.look()
    if facts.boot.boot_id != ctx.boot_id:
        return Fail("restarted_again", {"version": (booted_of(facts.as_json()) or {}).get("version") or ""})
    began = datetime.fromisoformat(ctx.memory["soak_from"]) if ctx.memory.get("soak_from") else ctx.now
    fresh = sorted({unit.name for unit in facts.health.failed_units} - set(ctx.memory.get("failed_before", ())))
    if fresh:
        grace = timedelta(seconds=min(LONGEST_GRACE_S, 20 + 2 * int(ctx.params.get("soak_s", DEFAULT_SOAK_S))))
        if ctx.now - ctx.since < grace:
            return Wait(ctx.now + LOOK_EVERY, "units_failed", {"units": fresh}, {"soak_from": None})
        _keep_journal(ctx, fresh[0])
        return Fail("unhealthy", {"units": fresh})
    soak_s = int(ctx.params.get("soak_s", DEFAULT_SOAK_S))
    left = timedelta(seconds=soak_s) - (ctx.now - began)
    if left > timedelta(0):
        wait = min(left, LOOK_EVERY)
        return Wait(ctx.now + wait, "soaks", {"until": (ctx.now + left).isoformat()}, {"soak_from": began.isoformat()})
    booted = booted_of(facts.as_json())
    if is_unconfirmed(booted):
        # Until then the next restart, whoever asks for it, goes back to the other slot.
        if ctx.now - began > CONFIRMED_WITHIN + timedelta(seconds=soak_s):
            return Fail("not_confirmed", {"minutes": CONFIRMED_WITHIN // timedelta(minutes=1)})
        return Wait(ctx.now + LOOK_EVERY, "confirms", memory={"soak_from": began.isoformat()})
    return Done("healthy", {"seconds": soak_s}, finish=True)


def _keep_journal(ctx: Context, unit: str) -> None:
    """The failing unit's journal of this boot stays with the operation."""
    argv = ("sudo", "-n", "journalctl", "-b", "-u", unit, "-n", str(_JOURNAL_LINES), "-o", "cat", "-q", "--no-pager")
    found = ctx.host.run(Command(argv, changes=False))
    ctx.log.note("unit_journal", unit=unit)
    ctx.log.output("out", found.stdout.decode("utf-8", "replace"))


SOAK = Step("soak", soak)
