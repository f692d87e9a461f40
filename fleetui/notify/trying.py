"""The test button: by those who may change channels, and noted in the audit log."""

from __future__ import annotations

from datetime import datetime

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, record_alone
from fleetui.notify import sender
from fleetui.notify.channels import PERMISSION
from fleetui.notify.models import Channel


def try_channel(*, channel: Channel, actor: Principal, now: datetime) -> tuple[bool, str]:
    """Whether the receiver took a message, and what it said."""
    require(actor, PERMISSION)
    taken, said = sender.try_channel(channel, by=actor.name, now=now)
    outcome = "done" if taken else "failed"
    record_alone(
        Entry(str(actor), "notifications.test", f"channel:{channel.name}", after={"said": said}, outcome=outcome)
    )
    return taken, said
