"""The Ignition config of one machine: what was rendered for it, its own host key, and a note of where it came from. Pure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from fleetui.core.errors import Conflict
from nodes.hosts.drivers.sections import MARKER_PATH

KEY_PATH = "/etc/ssh/ssh_host_ed25519_key"


def for_machine(rendered: str, *, private_key: str, public_key: str, marker: dict[str, Any]) -> str:
    """The document with host key and marker in it. Raises Conflict when the config writes one of these files itself."""
    document = json.loads(rendered)
    storage = document.setdefault("storage", {})
    files = storage.setdefault("files", [])
    taken = {entry.get("path") for kind in ("files", "links", "directories") for entry in storage.get(kind, [])}
    added = [
        _file(KEY_PATH, private_key, 0o600),
        _file(f"{KEY_PATH}.pub", public_key, 0o644),
        _file(MARKER_PATH, json.dumps(marker, sort_keys=True) + "\n", 0o644),
    ]
    for one in added:
        if one["path"] in taken:
            raise Conflict(
                _("The config writes %(path)s itself.") % {"path": one["path"]},
                field="version",
                value=one["path"],
                mend=_("Take the file out of the config: each machine gets one of its own here."),
            )
    files.extend(added)
    return json.dumps(document, separators=(",", ":"))


def _file(path: str, text: str, mode: int) -> dict[str, Any]:
    return {"path": path, "mode": mode, "overwrite": True, "contents": {"source": f"data:,{quote(text, safe='')}"}}
