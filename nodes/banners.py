"""What every page must say when it is so: polls wait for too long, so what the pages show grows old."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.frame import Banner
from fleetui.core.heartbeats import signs_of
from nodes.models import Node

#: A node that has been due for longer than this waits for a worker that is not there.
OVERDUE = timedelta(minutes=3)


def polling_stands_still(request: HttpRequest) -> list[Banner]:
    """One indexed look at the node that has been due the longest. Where no worker or beat runs, their banner says it."""
    signs = signs_of(request)
    if not signs.of("worker") or not signs.of("beat"):
        return []
    now = clock.now()
    oldest = Node.objects.due(now - OVERDUE).order_by("poll_due_at").values_list("poll_due_at", flat=True).first()
    if oldest is None:
        return []
    text = _("Nodes have been waiting for a poll for %(time)s: the workers cannot keep up.")
    may_open = request.principal.may_somewhere("health.read")  # type: ignore[attr-defined]
    url, action = (reverse("health"), _("Health of FleetUI")) if may_open else ("", "")
    return [Banner(level="bad", text=text % {"time": timesince(oldest, now)}, url=url, action=action)]
