"""The general tab of the settings, and what a person sets for themselves."""

from __future__ import annotations

import platform
import sqlite3
from typing import Any

import django
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

import fleetui
from fleetui.access.forms import INSTALLATION, TimeZoneForm
from fleetui.access.guards import needs
from fleetui.access.services import set_time_zone
from fleetui.access.settings_tabs import settings_tabs
from fleetui.access.views.subject import principal_of, signed_in_user


@require_safe
@needs("settings.read")
def general(request: HttpRequest) -> HttpResponse:
    """What this installation is and how it was started. All of it comes from the environment."""
    context = {"cards": _cards(), "tabs": settings_tabs(request), "zone": _zone_of(request)}
    return render(request, "access/settings.html", context)


def _zone_of(request: HttpRequest) -> str:
    return str(getattr(request.user, "time_zone", "") or settings.TIME_ZONE)


def _cards() -> list[dict[str, Any]]:
    database = "SQLite" if settings.IS_SQLITE else connection.vendor.replace("postgresql", "PostgreSQL")
    broker = settings.CELERY_BROKER_URL.split(":", 1)[0]
    return [
        {
            "title": _("Versions"),
            "rows": [
                {"label": "FleetUI", "value": fleetui.__version__},
                {"label": "Python", "value": platform.python_version()},
                {"label": "Django", "value": django.get_version()},
                {"label": _("Database"), "value": f"{database} {_database_version()}".strip()},
            ],
        },
        {
            "title": _("Where its state is"),
            "rows": [
                {
                    "label": _("Data folder"),
                    "value": str(settings.DATA_DIR),
                    "copyable": True,
                    "length": 44,
                    "note": "FLEETUI_DATA_DIR",
                },
                {"label": _("Database"), "value": database, "note": "DATABASE_URL"},
                {"label": _("Broker"), "value": broker, "note": "CELERY_BROKER_URL"},
                {
                    "label": _("Cache"),
                    "value": settings.CACHES["default"]["BACKEND"].rsplit(".", 1)[-1],
                    "note": "CACHE_URL",
                },
            ],
        },
        {
            "title": _("Polling"),
            "rows": [
                {
                    "label": _("Interval"),
                    "value": _("%(n)s s") % {"n": settings.POLL_INTERVAL_S},
                    "note": "FLEETUI_POLL_INTERVAL_S",
                },
                {
                    "label": _("Contacts at once per worker"),
                    "value": settings.POLL_THREADS,
                    "note": "FLEETUI_POLL_THREADS",
                },
            ],
        },
        {
            "title": _("Time and language"),
            "rows": [
                {"label": _("Time zone"), "value": settings.TIME_ZONE, "note": "FLEETUI_TIME_ZONE"},
                {"label": _("Languages"), "value": ", ".join(name for _code, name in settings.LANGUAGES)},
            ],
        },
        {
            "title": _("Access"),
            "rows": [
                {"label": _("Answers to"), "value": ", ".join(settings.ALLOWED_HOSTS), "note": "FLEETUI_ALLOWED_HOSTS"},
                {
                    "label": "TLS",
                    "value": _("in front of it") if settings.BEHIND_TLS else _("not used"),
                    "note": "FLEETUI_BEHIND_TLS",
                },
                {
                    "label": _("A sign-in lasts"),
                    "value": _("%(n)s h") % {"n": settings.SESSION_COOKIE_AGE // 3600},
                },
            ],
        },
    ]


def _database_version() -> str:
    if settings.IS_SQLITE:
        return sqlite3.sqlite_version
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0]).split(" ", 1)[0]


@require_http_methods(["GET", "HEAD", "POST"])
@needs("settings.read")
def preferences(request: HttpRequest) -> HttpResponse:
    """Language, time zone, theme, and the way to password and two-factor sign-in."""
    user = signed_in_user(request)
    form = TimeZoneForm(request.POST or None, initial={"time_zone": user.time_zone or INSTALLATION})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            set_time_zone(user=user, time_zone=form.cleaned_data["time_zone"], actor=principal_of(request))
            messages.info(request, _("Times are shown in %(zone)s.") % {"zone": _zone_of(request)})
            return redirect("access:preferences")
    context = {
        "form": form,
        "tabs": settings_tabs(request),
        "has_second_factor": is_mfa_enabled(user),
        "bindings": user.bindings.select_related("pool").all(),
    }
    return render(request, "access/preferences.html", context, status=status)
