"""Restarting a host and seeing it come back: the new boot id decides, and a lost connection is expected."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS
from nodes.hosts.errors import DECISIVE, HostError, told
from ops.actions.base import Context, Step, as_failure, effect
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import booted_of, named

_SETTLING = ("initializing", "starting")
SETTLE_WITHIN = timedelta(minutes=5)


def reboot(ctx: Context) -> Outcome:
    """Ask for the restart once, in the boot in which it was decided. `busy`: from here on nothing can be taken back."""
    asked_at = ctx.memory.get("reboot_at")
    if asked_at is None:
        # Written before the effect: whoever takes over knows that it may have happened.
        return Wait(ctx.now, "restarts", memory={"reboot_at": ctx.now.isoformat(), "busy": True})
    locked = ctx.memory.get("finalize")
    restart = ctx.driver.command("finalize", checksum=locked) if locked else ctx.driver.command("reboot")
    try:
        result = effect(ctx, restart)
    except HostError as error:
        # It may be on its way down because of an earlier try; once it answers, the boot id tells.
        return _away(ctx, error, _moment(asked_at))
    if result.exit_status == BOOT_CHANGED_STATUS:
        return Done("reboot_seen")
    if result.exit_status not in (0, None):
        return as_failure(result, "reboot_refused", again=True)
    ctx.log.note("reboot_asked")
    # Times count from here: the tries before may have taken minutes.
    return Done("reboot_asked", memory={"reboot_at": ctx.now.isoformat()})


def await_boot(ctx: Context) -> Outcome:
    """Wait for another boot id. Its services may still be starting: the update agent among them is held before they are up."""
    asked_at = _moment(ctx.memory["reboot_at"])
    try:
        facts, _measured = ctx.host.look()
    except HostError as error:
        return _away(ctx, error, asked_at)
    if not facts.boot.boot_id:
        return Fail("boot_id_unknown", again=True)
    if facts.boot.boot_id == ctx.boot_id:
        if ctx.now - asked_at > timedelta(minutes=3):
            return Fail("did_not_restart", {"minutes": 3}, {"busy": False})
        return Wait(ctx.now + timedelta(seconds=3), "goes_down")
    booted = booted_of(facts.as_json()) or {}
    seen: dict[str, Any] = {
        "boot_id": facts.boot.boot_id,
        "busy": False,
        "finalize": "",
        # Transient units end with the boot that they ran in.
        "units": [],
        "order": "",
        "cursors": {},
        "after": named(booted),
    }
    return Done("booted", {"version": booted.get("version") or ""}, seen)


def settle(ctx: Context) -> Outcome:
    """Wait for systemd to have started everything: only then what booted is known for certain, and health can be told.

    A host that restarts meanwhile is waited for again: so does one that gives up a version after some tries.
    """
    asked_at = _moment(ctx.memory["reboot_at"])
    waited = ctx.now - asked_at
    try:
        facts, _measured = ctx.host.look()
    except HostError as error:
        return _away(ctx, error, asked_at)
    booted = booted_of(facts.as_json()) or {}
    state = facts.health.system_state or ""
    may_wait = waited < ctx.return_within + SETTLE_WITHIN
    if facts.boot.boot_id != ctx.boot_id:
        if not may_wait:
            return Fail("restarted_again", {"version": booted.get("version") or ""})
        return Done("restarted", memory={"busy": True}, skip_to=ctx.step.replace("settle", "await_boot"))
    # Without it, a busy host that did not say in time what it runs would count as one that fell back.
    is_unread = not booted and bool(facts.unread) and any((ctx.memory.get("before") or {}).values())
    if (state in _SETTLING or is_unread) and may_wait:
        return Wait(ctx.now + timedelta(seconds=3), "settles", {"state": state})
    ctx.log.note("booted", version=booted.get("version") or "", state=state)
    return Done("settled", {"state": state}, {"after": named(booted)})


def _away(ctx: Context, error: HostError, asked_at: datetime) -> Outcome:
    """Expected of a host that restarts, for a while; that another key is shown in its place is not, and told at once."""
    if error.kind in DECISIVE:
        raise error
    until = asked_at + ctx.return_within
    if ctx.now <= until:
        return Wait(ctx.now + timedelta(seconds=3), "restarts", {"until": until.isoformat()})
    minutes = max(round(ctx.return_within / timedelta(minutes=1)), 1)
    return Fail("did_not_return", {"minutes": minutes, **told(error)}, attention=True)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


REBOOT = Step("reboot", reboot, offline_ok=True)
AWAIT_BOOT = Step("await_boot", await_boot, offline_ok=True)
BACK_REBOOT = Step("back_reboot", reboot, offline_ok=True)
SETTLE = Step("settle", settle, offline_ok=True)
BACK_AWAIT_BOOT = Step("back_await_boot", await_boot, offline_ok=True)
BACK_SETTLE = Step("back_settle", settle, offline_ok=True)
