"""What a guided restore does on its hosts: one task on one host at a time, fenced there, and heard to its end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from nodes.hosts.drivers.base import TOO_LATE_STATUS, Command, Fence
from nodes.hosts.errors import HostError
from ops.actions.base import SAID_CHARS, Context, Host, LeaseLost
from ops.backups import guide as guides
from ops.backups.job import NoJob
from ops.outcomes import Fail, Outcome, Wait

LOOK_AGAIN = timedelta(seconds=5)
_FENCE = Fence("boot_id", "Every command names the boot and the up-time until which it may begin.")


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    said: str


def fenced(ctx: Context, host: Host, argv: tuple[str, ...]) -> Command:
    """As every effect is fenced; whoever lost the lease does nothing."""
    shown = host.run(Command(("cat", "/proc/sys/kernel/random/boot_id", "/proc/uptime"), changes=False))
    boot_id, _newline, up = shown.stdout.decode("ascii", "replace").partition("\n")
    up_s = up.partition(".")[0]
    before_s = int(up_s) + ctx.lease_s if up_s.isdigit() else None
    command = _FENCE.guarded(Command(argv), boot_id.strip(), before_s)
    if not ctx.held():
        raise LeaseLost
    return command


def run_there(ctx: Context, host: Host, argv: tuple[str, ...]) -> Ran:
    with host.stream(fenced(ctx, host, argv)) as talk:
        kept = bytearray()
        for piece in talk.chunks():
            kept += piece[: max(guides.MOST_SHOWN_BYTES - len(kept), 0)]
        status = talk.status()
        if status == TOO_LATE_STATUS:
            raise LeaseLost
        out = kept.decode("utf-8", "replace")
        return Ran(status, out, _last(talk.said or out))


def read_there(host: Host, argv: tuple[str, ...]) -> Ran:
    """What only looks."""
    done = host.run(Command(argv, changes=False))
    out, errors = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    return Ran(done.exit_status or 0, out, _last(errors or out))


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-2:])[-SAID_CHARS:]


def failed(ctx: Context, reason: str, told: Mapping[str, Any], memory: Mapping[str, Any] | None = None) -> Fail:
    """Before anything was changed it is over; afterwards a person decides, who is told what is there now."""
    is_changed = bool(ctx.memory.get("changed"))
    seen = stand(ctx) if is_changed else {}
    return Fail(reason, {"task": ctx.step, **told}, {**(memory or {}), **seen}, attention=is_changed)


def unfinished(ctx: Context, name: str, ran: Ran) -> Outcome:
    """A command that did not do what it was to do."""
    told = {"host": name, "said": ran.said, "status": ran.status}
    if ran.status == guides.BUSY_STATUS:
        return Wait(ctx.now + LOOK_AGAIN, "restore_at_work", told)
    if ran.status == guides.LATE_STATUS:
        return failed(ctx, "restore_too_long", told)
    return failed(ctx, "restore_not_now" if ran.status == guides.NOT_NOW_STATUS else "restore_failed", told)


def stand(ctx: Context) -> dict[str, Any]:
    """What is on each host now: where the data lies, what lies aside, and what is done there."""
    found: dict[str, Any] = {}
    for name in ctx.restoring.guide.nodes:
        found[name] = {"silent": True}
        with suppress(HostError, NoJob), ctx.restoring.opened(name) as host:
            ran = read_there(host, guides.stands(ctx.restoring.guide.folder(ctx.operation_id, name)))
            found[name] = guides.read_stand(ran.out) if not ran.status else {"gone": True}
    return {"stand": found}


def folder_left(ctx: Context) -> Outcome:
    """Take away the private folders, on every host that answers; the others are tried again."""
    guide, rest, problem = ctx.restoring.guide, list(ctx.memory["folders"]), None
    for name in list(rest):
        folder = guide.folder(ctx.operation_id, name)
        try:
            with ctx.restoring.opened(name) as host:
                ran = run_there(ctx, host, guides.left(folder, guide))
        except NoJob:
            # Another machine stands there: what was on the old one is none of its matter.
            rest.remove(name)
            continue
        except HostError as error:
            problem = error
            continue
        if ran.status:
            ctx.log.note("restore_folder_stays", host=name, folder=folder, said=ran.said)
            continue
        rest.remove(name)
        ctx.log.note("restore_folder_gone", host=name, folder=folder)
    if problem is not None and len(rest) == len(ctx.memory["folders"]):
        raise problem
    until = ctx.now + timedelta(seconds=15) if rest else ctx.now
    return Wait(until, "tidies", memory={"folders": rest})
