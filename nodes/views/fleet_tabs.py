"""The tabs above the fleet as a whole: now, over time, and what happened."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _


def fleet_tabs(request: HttpRequest) -> list[dict[str, Any]]:
    known = [
        (reverse("overview"), _("Now")),
        (reverse("nodes:history"), _("Over time")),
        (reverse("nodes:timeline"), _("Timeline")),
    ]
    return [{"url": url, "label": label, "active": request.path == url} for url, label in known]
