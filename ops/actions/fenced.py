"""Long commands on a host: started once as a transient unit, then watched until they end."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS, Command
from nodes.hosts.drivers.systemd import parse_show
from nodes.hosts.errors import OutputTooLarge
from ops.actions.base import LOOK_AGAIN, Context, as_failure, said, start_unit
from ops.outcomes import Fail, Outcome, Wait

#: What is kept of the output of a command whose answer is in it.
PRINTED_CHARS = 4000
#: Where there is more than a contact takes; a line of a journal is at most 48 KiB.
LINES_OF_MANY = 50


@dataclass(frozen=True)
class UnitState:
    """A transient unit of ours. `status` is the exit status once it has ended."""

    state: Literal["absent", "runs", "ended"]
    status: int = 0
    result: str = ""


def unit_state(ctx: Context) -> UnitState:
    """What became of this step's unit on the host."""
    shown = ctx.host.run(ctx.driver.fence.state(ctx.operation_id, _name(ctx)))
    found: dict[str, str] = next(iter(parse_show(shown.stdout.decode("utf-8", "replace"))), {})
    if found.get("LoadState") != "loaded":
        return UnitState("absent")
    if found.get("ActiveState") in ("active", "activating", "reloading", "deactivating") and found.get(
        "SubState"
    ) not in (
        "exited",
        "failed",
    ):
        return UnitState("runs")
    status = int(found.get("ExecMainStatus") or 0)
    return UnitState("ended", status, found.get("Result", ""))


def run_fenced(
    ctx: Context,
    command: Command,
    *,
    waits: str,
    fails: str,
    done: Callable[[int, Mapping[str, Any]], Outcome],
    look_first: Callable[[], Outcome | None] = lambda: None,
    leaves: Mapping[str, Any] | None = None,
    keep_printed: bool = False,
) -> Outcome:
    """Start the command if nobody did, else watch it. `look_first` may say that it is not needed (any more).

    `leaves` is remembered before it may have begun. `done` decides what its exit status means; a status that the
    command does not call good is a failure with what it said. With `keep_printed` all that it printed is in `printed`.
    """
    leftover = {"units": sorted({*ctx.memory.get("units", ()), _name(ctx)}), **(leaves or {})}
    found = unit_state(ctx)
    if found.state == "absent":
        if (early := look_first()) is not None:
            return early
        if _name(ctx) not in ctx.memory.get("units", ()):
            # Written before the effect: a cancel takes back what a worker began who died, or lost the host, in the middle.
            return Wait(ctx.now, waits, memory=leftover)
        return _start(ctx, command, waits, leftover)
    cursor, text = _copy_journal(ctx)
    seen = {"units": leftover["units"], "began": _name(ctx), **cursor}
    if keep_printed:
        seen["printed"] = (str(ctx.memory.get("printed", "")) + text)[-PRINTED_CHARS:]
    if found.state == "runs":
        return Wait(ctx.now + LOOK_AGAIN, waits, memory=seen)
    if text.strip():
        # What follows may take a slow host longer than a step has: then this would be copied into the log again and again.
        return Wait(ctx.now, waits, memory=seen)
    if found.status and found.status not in command.unchanged_statuses:
        last = str(ctx.memory.get("last_said") or seen.get("last_said", ""))
        return Fail(fails, {"status": found.status, "said": seen.get("last_said") or last}, seen)
    return done(found.status, seen)


def _start(ctx: Context, command: Command, waits: str, leftover: Mapping[str, Any]) -> Outcome:
    result = start_unit(ctx, command, _name(ctx))
    if result.exit_status == BOOT_CHANGED_STATUS:
        # It may be that boot in which it ran already: then it ended with it, and is not said never to have begun.
        began = ctx.memory.get("began") == _name(ctx)
        return Fail("boot_changed", {"command": shlex.join(command.argv)} if began else {}, leftover)
    if result.exit_status not in (0, None) and not _exists(said(result)):
        return as_failure(result, "start_failed", again=True)
    ctx.log.note("command_started", command=list(command.argv))
    return Wait(ctx.now + LOOK_AGAIN, waits, memory={**leftover, "began": _name(ctx)})


def _exists(text: str) -> bool:
    """systemd-run refuses a name that is taken: then the command was started before, and that is what counts."""
    return "already" in text.lower()


def _copy_journal(ctx: Context) -> tuple[dict[str, Any], str]:
    """Copy what the unit printed since the last look into the log; gives the new cursor, the last line, and the text."""
    cursors: dict[str, str] = dict(ctx.memory.get("cursors", {}))
    fence, since = ctx.driver.fence, cursors.get(_name(ctx), "")
    try:
        result = ctx.host.run(fence.journal(ctx.operation_id, _name(ctx), since))
    except OutputTooLarge:
        # Asked in the same way again it would be too much for ever.
        ctx.log.note("output_left_out", lines=LINES_OF_MANY)
        result = ctx.host.run(fence.journal(ctx.operation_id, _name(ctx), since, LINES_OF_MANY))
    text = result.stdout.decode("utf-8", "replace")
    body, marker, cursor = text.rpartition("-- cursor: ")
    if not marker:
        body, cursor = text, since
    if body.strip():
        ctx.log.output("out", body)
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    found: dict[str, Any] = {"cursors": {**cursors, _name(ctx): cursor.strip()}}
    # What systemd says of our unit comes last, and tells nothing beside what the command said.
    mark = ctx.operation_id.replace("-", "")
    own = [line for line in lines if mark not in line and not _EVENT.match(line)]
    if own or (lines and not ctx.memory.get("last_said")):
        found["last_said"] = _why(own or lines)
    if own:
        found["wrote"] = _name(ctx)
    return found, body


#: What Podman and conmon note of a container in the journal of whoever started it, after that one's own words.
_EVENT = re.compile(r"conmon [0-9a-f]+ <|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* \S+ \S+ m=\+\S+ (container|image|volume) ")


def _why(lines: Sequence[str]) -> str:
    """The last line that is called an error, also in Certbot's way before its closing advice, else the last two."""
    errors = [line for line in lines if line.lower().startswith("error:") or " with error: " in line]
    return (errors[-1] if errors else " ".join(lines[-2:]))[:400]


def _name(ctx: Context) -> str:
    return f"{ctx.step.replace('_', '-')}-{ctx.attempt}"
