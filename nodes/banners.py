"""What every page must say when it is so: nobody polls, so what the pages show grows old."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.frame import Banner
from nodes.models import Node

#: A node that has been due for longer than this waits for a worker that is not there.
OVERDUE = timedelta(minutes=3)


def polling_stands_still(request: HttpRequest) -> list[Banner]:
    """One indexed look at the node that has been due the longest."""
    now = clock.now()
    oldest = Node.objects.due(now - OVERDUE).order_by("poll_due_at").values_list("poll_due_at", flat=True).first()
    if oldest is None:
        return []
    text = _("Nodes have not been polled for %(time)s: the worker is not running or cannot keep up.")
    return [Banner(level="bad", text=text % {"time": timesince(oldest, now)})]
