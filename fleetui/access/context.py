"""What every page of the frame needs: the rail, the banners and the principal."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.core.frame import banners, tools

#: (url name, key for `g` then letter, icon, permission); labels are translated at request time.
_RAIL = [
    ("overview", "o", "layout-dashboard", "nodes.read"),
    ("nodes:list", "n", "server-2", "nodes.read"),
    ("nodes:pools", "p", "stack-2", "pools.read"),
    ("nodes:ignition", "i", "file-text", "ignition.read"),
    ("nodes:images", "k", "box", "nodes.read"),
    ("operations", "x", "activity", "operations.read"),
    ("backups", "b", "database", "backups.read"),
    ("nodes:certificates", "e", "certificate", "nodes.read"),
    ("nodes:credentials", "c", "key", "credentials.read"),
    ("access:tokens", "t", "api", "tokens.own"),
    ("audit", "a", "history", "audit.read"),
    ("settings", "s", "settings", "settings.read"),
]

#: Pages that stand below an item of the rail without its address.
_BELOW = {"overview": ("/history/", "/timeline/"), "nodes:pools": ("/clusters/",)}


def frame(request: HttpRequest) -> dict[str, Any]:
    """`nav`, `banners`, `tools` and `principal` for base.html; nothing for strangers."""
    principal = getattr(request, "principal", None)
    if principal is None or not principal.is_authenticated:
        return {"nav": [], "banners": []}
    labels = {
        "overview": _("Overview"),
        "nodes:list": _("Nodes"),
        "nodes:pools": _("Pools"),
        "nodes:ignition": _("Ignition"),
        "nodes:images": _("Containers"),
        "operations": _("Operations"),
        "backups": _("Backups"),
        "nodes:certificates": _("Certificates"),
        "nodes:credentials": _("Credentials"),
        "access:tokens": _("Tokens"),
        "audit": _("Audit"),
        "settings": _("Settings"),
    }
    shown = tools(request)
    badges = {name: count for tool in shown for name, count in tool.badges.items()}
    rail: list[dict[str, Any]] = []
    for name, key, icon, permission in _RAIL:
        # The audit log is one for all: a role on a pool does not open it.
        if not (principal.may(permission) if name == "audit" else principal.may_somewhere(permission)):
            continue
        url = reverse(name)
        below = (*_BELOW.get(name, ()), *((url,) if url != "/" else ()))
        active = request.path == url or request.path.startswith(below)
        item = {"label": labels[name], "url": url, "icon": icon, "key": key, "active": active}
        rail.append({**item, "count": badges.get(name, 0)})
    return {"nav": rail, "banners": banners(request), "tools": shown, "principal": principal}
