"""What every page says about operations: that all of them are stopped."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.core.frame import Banner
from ops.models import Stop


def everything_stopped(request: HttpRequest) -> list[Banner]:
    """One look at one row."""
    stop = Stop.objects.filter(stopped_at__isnull=False).first()
    if stop is None:
        return []
    text = _("No operation starts: %(who)s stopped all: %(why)s") % {
        "who": stop.stopped_by.partition(":")[2],
        "why": stop.reason or "-",
    }
    return [Banner(level="warn", text=text, url=reverse("operations"), action=_("Operations"))]
