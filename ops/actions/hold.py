"""Keeping the host's own update agent still while we work, so that the two never fight.

The file lies in /run: a restart removes it by itself, and the step after each restart writes it again.
"""

from __future__ import annotations

from nodes.hosts.drivers.base import Command, Driver
from ops.actions.base import Context, Step, as_failure, effect
from ops.outcomes import Done, Outcome, Wait


def hold_commands(driver: Driver) -> list[Command]:
    """What keeps the agent of such a host still; nothing where there is none."""
    capability = driver.capabilities.get("hold")
    return [driver.command("hold")] if capability and capability.supported else []


def _hold(ctx: Context) -> Outcome:
    commands = hold_commands(ctx.driver)
    if not commands:
        return Done("no_agent")
    if not ctx.memory.get("hold") or ctx.memory.get("hold_in") != ctx.boot_id:
        # Written before the effect: a cancel removes what a worker wrote who died, or lost the host, right after it.
        return Wait(ctx.now, "holds", memory={"hold": True, "hold_in": ctx.boot_id})
    result = effect(ctx, commands[0])
    if result.exit_status:
        return as_failure(result, "hold_failed", again=True)
    ctx.log.note("held")
    return Done("held", memory={"hold": True})


HOLD = Step("hold", _hold)
HOLD_AGAIN = Step("hold_again", _hold)
