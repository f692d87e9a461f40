"""What every page says when messages were given up."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.frame import Banner
from fleetui.notify.models import Delivery

SHOWN_FOR = timedelta(days=1)


def deliveries_given_up(request: HttpRequest) -> list[Banner]:
    """One indexed look, for those who can mend it."""
    if not request.principal.may("settings.write"):  # type: ignore[attr-defined]
        return []
    since = clock.now() - SHOWN_FOR
    dead = Delivery.objects.filter(state="dead", ended_at__gt=since).order_by("-ended_at").select_related("channel")
    found = dead.first()
    if found is None:
        return []
    text = _("Messages to %(channel)s were given up: %(why)s") % {"channel": found.channel.name, "why": found.said}
    return [Banner(level="warn", text=text, url=reverse("notifications"), action=_("Notifications"))]
