"""Looking for what is deployed on a host, where what is missing decides."""

from __future__ import annotations

from nodes.hosts.errors import CommandFailed
from nodes.hosts.facts import Facts
from ops.actions.base import Context


def look_at_deployments(ctx: Context) -> Facts:
    """A look that tells what is booted. Where a busy host did not say it in time, what is missing in it is not gone.

    Raises CommandFailed then, so that it is looked at again, as at a host that does not answer.
    """
    facts, _measured = ctx.host.look()
    if not any(one.booted for one in facts.deployments) and facts.unread:
        unread = facts.unread[0]
        raise CommandFailed(unread.section, unread.exit_status or 1, unread.message)
    return facts
