"""The tabs of the node page: which there are, what each shows, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from nodes.facts.containers import described, digest_of
from nodes.facts.keeping import is_late, kept_from
from nodes.hosts import drivers
from nodes.hosts.references import parse
from nodes.models import HostCertificate
from nodes.services.routes import authority_keys
from nodes.views import raw
from nodes.views.certificates import of_node
from nodes.views.containers import words_of
from nodes.views.timeline import node_timeline

if TYPE_CHECKING:
    from nodes.views.detail import Known

NAMES = ("health", "storage", "network", "containers", "certificates", "timeline", "host-key", "raw")


def bar(known: Known, current: str, url: str) -> list[dict[str, Any]]:
    """The tabs with the number that matters in each: failed units, containers, keys that wait, parts not read."""
    facts = known.document
    failed = len(_at(facts, "health", "failed_units") or [])
    containers = sum(len(runtime.get("containers") or []) for runtime in _at(facts, "containers", "runtimes") or [])
    waiting = 1 if known.key("offered") else None
    unread = len(facts.get("unread") or [])
    words = {
        "health": (_("Health"), failed or None, "warn"),
        "storage": (_("Storage"), None, ""),
        "network": (_("Network"), None, ""),
        "containers": (_("Containers"), containers or None, ""),
        "certificates": (_("Certificates"), None, ""),
        "timeline": (_("Timeline"), None, ""),
        "host-key": (_("Host key"), waiting, "warn"),
        "raw": (_("Raw"), unread or None, "none"),
    }
    return [
        {
            "label": words[name][0],
            "count": words[name][1],
            "level": words[name][2],
            "active": name == current,
            "url": url if name == NAMES[0] else f"{url}?tab={name}",
        }
        for name in NAMES
    ]


def context(tab: str, known: Known, query: QueryDict) -> dict[str, Any]:
    """What the template of a tab needs beside the facts themselves."""
    made: Mapping[str, Callable[[Known, QueryDict], dict[str, Any]]] = {
        "health": _health,
        "storage": _storage,
        "containers": _containers,
        "certificates": _certificates,
        "timeline": _timeline,
        "host-key": _host_key,
        "raw": _raw,
    }
    return made[tab](known, query) if tab in made else {}


def _at(facts: Mapping[str, Any], *path: str) -> Any:
    found: Any = facts
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _health(known: Known, query: QueryDict) -> dict[str, Any]:
    config = _at(known.document, "agent", "config") or {}
    measured = known.measurement
    used = None
    if measured and measured.memory_total_bytes and measured.memory_available_bytes is not None:
        used = 100 * (1 - measured.memory_available_bytes / measured.memory_total_bytes)
    return {
        "agent_settings": _flat(config),
        "memory_used_percent": used,
        "selinux_as_shipped": drivers.get(known.node.os_family or "unknown").selinux_as_shipped,
        "unread_reasons": {one.get("section"): one for one in known.document.get("unread") or []},
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as `updates.strategy` and value."""
    found: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", _plain(value)))
    return found


def _plain(value: object) -> str:
    """As the settings file writes it; what is not set is a dash."""
    if value is None or value == []:
        return "–"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return " · ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _storage(known: Known, query: QueryDict) -> dict[str, Any]:
    """Filesystems of the facts with their use from the last measurement, the fullest first."""
    facts = {one["mount"]: one for one in _at(known.document, "storage", "filesystems") or []}
    used = (
        {one["mount"]: one for one in (known.measurement.document.get("filesystems") or [])}
        if known.measurement
        else {}
    )
    rows = [{**facts.get(mount, {}), **used.get(mount, {}), "mount": mount} for mount in dict.fromkeys([*facts, *used])]
    rows.sort(key=lambda row: (-(row.get("used_percent") or 0), row["mount"]))
    return {"filesystems": rows}


def _containers(known: Known, query: QueryDict) -> dict[str, Any]:
    """Containers of all runtimes in one table, with the units that run them, then the images of each runtime."""
    runtimes = _at(known.document, "containers", "runtimes") or []
    units = {one["name"]: one for one in _at(known.document, "containers", "units") or []}
    found = described(known.document)
    used = {str(one.get("uses") or "").removeprefix("sha256:") for one in found} - {""}
    return {
        "containers_late": is_late(known.document),
        "containers_kept_from": kept_from(known.document),
        "runtimes": runtimes,
        "containers": [
            {
                **one,
                **words_of(one.get("state") or "", one.get("health") or "", one["managed_by"]),
                "tag": one["reference"].tag if one["reference"] else "",
                "repository": one["reference"].repository if one["reference"] else one.get("image") or "",
                "dropins": units.get(one["unit"], {}).get("dropins") or [],
            }
            for one in sorted(found, key=lambda one: (one.get("name") or "", one["runtime"]))
        ],
        "images": [
            {
                **image,
                "runtime": runtime["name"],
                "digest": digest_of(image, parse((image.get("names") or [""])[0])),
                "is_used": str(image.get("id") or "").removeprefix("sha256:") in used,
            }
            for runtime in runtimes
            for image in runtime.get("images") or []
        ],
    }


def _certificates(known: Known, query: QueryDict) -> dict[str, Any]:
    return of_node(known.node, known.now)


def _timeline(known: Known, query: QueryDict) -> dict[str, Any]:
    return node_timeline(known.node, query)


def _host_key(known: Known, query: QueryDict) -> dict[str, Any]:
    history = [key for key in known.keys if key.state in ("replaced", "refused")]
    pool = known.node.pool
    return {
        "pinned": known.key("pinned"),
        "offered": known.key("offered"),
        "key_history": history,
        "certificate": HostCertificate.objects.filter(node=known.node).first(),
        "authorities": authority_keys(pool.host_ca_keys) if pool else (),
        "now": known.now,
    }


def _raw(known: Known, query: QueryDict) -> dict[str, Any]:
    return raw.sections_of(known.node, known.document)
