"""What a host says of a bad boot stays with the operation: failing units, and the journal. Never a reason to fail."""

from __future__ import annotations

from collections.abc import Sequence

from nodes.hosts.drivers.base import Command
from nodes.hosts.errors import HostError
from ops.actions.base import Context

MOST_UNITS = 3
_LINES = {"unit": "400", "boot": "3000"}
_PLAIN = ("-o", "short-iso", "-q", "--no-pager")


def keep_failure(ctx: Context, units: Sequence[str]) -> None:
    """The status and the journal of what failed, and the journal of this boot: after going back it is harder to find."""
    for unit in units[:MOST_UNITS]:
        _keep(ctx, "unit_status", unit, ("systemctl", "status", "--no-pager", "--full", "--lines=50", "--", unit))
        _keep(ctx, "unit_journal", unit, ("journalctl", "-b", "-u", unit, "-n", _LINES["unit"], *_PLAIN))
    _keep(ctx, "boot_journal", "", ("journalctl", "-b", "-n", _LINES["boot"], *_PLAIN))


def keep_fall_back(ctx: Context) -> None:
    """What the host wrote before this boot, and why the staged deployment was not finished, where that is so."""
    finalize = ("journalctl", "-b", "-1", "-u", "ostree-finalize-staged.service", "-n", _LINES["unit"], *_PLAIN)
    _keep(ctx, "finalize_journal", "", finalize)
    _keep(ctx, "boot_journal", "", ("journalctl", "-b", "-1", "-n", _LINES["boot"], *_PLAIN))


def _keep(ctx: Context, kind: str, title: str, argv: Sequence[str]) -> None:
    try:
        result = ctx.host.run(Command(("sudo", "-n", *argv), changes=False))
    except HostError as error:
        ctx.log.note("not_kept", kind=kind, title=title, message=error.message)
        return
    text = result.stdout.decode("utf-8", "replace")
    if text.strip():
        ctx.log.attach(kind, title, text)
        ctx.log.note("kept", kind=kind, title=title)
