"""The tabs of the settings. Each is a page of its own, so that a link names it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _


def settings_tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """The tabs that this person may open. The releases tab is served by the nodes app."""
    principal = request.principal  # type: ignore[attr-defined]
    known = [
        (reverse("settings"), _("General"), "settings.read", True),
        (reverse("access:users"), _("Users and roles"), "users.read", principal.may("users.read")),
        (reverse("nodes:releases"), _("Releases"), "releases.read", True),
        (reverse("access:retention"), _("Retention"), "settings.read", True),
        (reverse("notifications"), _("Notifications"), "settings.write", principal.may("settings.write")),
        (reverse("provisioners"), _("Provisioners"), "settings.write", principal.may("settings.write")),
        (reverse("health"), _("Health"), "health.read", principal.may("health.read")),
        (reverse("access:preferences"), _("My preferences"), "settings.read", True),
    ]
    here, general = request.path, reverse("settings")
    return [
        {"url": url, "label": label, "active": here == url or (url != general and here.startswith(url))}
        for url, label, permission, is_open in known
        if is_open and principal.may_somewhere(permission)
    ]
