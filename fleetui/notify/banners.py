"""What every page says when messages were given up."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.frame import Banner
from fleetui.core.heartbeats import signs_of
from fleetui.notify.models import Delivery
from fleetui.notify.sender import GAVE_UP

SHOWN_FOR = timedelta(days=1)


def deliveries_given_up(request: HttpRequest) -> list[Banner]:
    """For those who can mend it; asked of the deliveries only after the sender gave one up, so that other pages cost nothing."""
    if not request.principal.may("settings.write"):  # type: ignore[attr-defined]
        return []
    sign = signs_of(request).job(GAVE_UP)
    if sign is None or sign.age_s > SHOWN_FOR.total_seconds():
        return []
    since = clock.now() - SHOWN_FOR
    dead = Delivery.objects.filter(state="dead", ended_at__gt=since).order_by("-ended_at").select_related("channel")
    found = dead.first()
    if found is None:
        return []
    text = _("Messages to %(channel)s were given up: %(why)s") % {"channel": found.channel.name, "why": found.said}
    return [Banner(level="warn", text=text, url=reverse("notifications"), action=_("Notifications"))]
