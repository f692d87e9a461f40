"""What a look could not read in time of the containers, and of the role in Kubernetes, stays as it was read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

#: The host may well have it: it was too busy to say so. Elsewhere the reason itself says something of the host.
_LATE = ("timeout", "missing")
#: Podman has no service that would have to run: where its lists fail, as on a full disk, its containers run on.
_FAILS = ("podman_root_ps", "podman_root_images", "podman_user_ps", "podman_user_images")
_RUNTIMES = {"podman_root": "podman", "podman_user": "podman-user", "docker": "docker", "crictl": "containerd"}
#: Whether it is a control plane: else one that is slow would be replaced like any node.
_ROLE = "kubernetes_paths"
_PARTS = {"ps": "containers", "images": "images"}
_VERSIONS = {
    "podman_version": ("podman", "podman-user"),
    "docker_version": ("docker",),
    "crictl_version": ("containerd",),
}


def with_kept(
    before: Mapping[str, Any] | None, fresh: Mapping[str, Any], read_at: datetime | None
) -> dict[str, Any] | None:
    """Facts `fresh` with what they lack of `before`, which were read at `read_at`; None where they lack nothing of them.

    `kept_from` of what is unread says when it was read, also when it is missed several times in a row.
    """
    if before is None or read_at is None:
        return None
    # A restart ends containers, and where Podman fails it starts none.
    has_restarted = (before.get("boot") or {}).get("boot_id") != (fresh.get("boot") or {}).get("boot_id")
    late = {
        one["section"]
        for one in fresh["unread"]
        if _may_be_there(one) and not (has_restarted and one["reason"] == "failed")
    }
    if not late:
        return None
    missed = {one["section"]: one.get("kept_from") for one in before["unread"]}
    # What was not read the last time either is known from earlier, or not at all.
    since = {section: missed[section] if section in missed else read_at.isoformat() for section in late}
    kept = {section for section, at in since.items() if at}
    if not (parts := {section: part for section in kept if (part := _part_of(section))}):
        return None
    section = dict(fresh["containers"])
    known = {one["name"]: one for one in before["containers"].get("runtimes") or []}
    # A runtime that was not there, and does not say now that it is, is not there.
    section["runtimes"] = [
        {**runtime, **{name: known[runtime["name"]][name] for name in _missing(runtime["name"], parts)}}
        if runtime["name"] in known
        else runtime
        for runtime in section["runtimes"]
        if runtime["name"] in known or "containers" not in _missing(runtime["name"], parts)
    ]
    if "podman_units" in kept:
        section["units"] = before["containers"].get("units") or []
    unread = [
        {**one, "kept_from": since[one["section"]]} if one["section"] in parts else one for one in fresh["unread"]
    ]
    kubernetes = dict(fresh["kubernetes"])
    if _ROLE in kept:
        kubernetes |= {
            name: (before.get("kubernetes") or {}).get(name) or kubernetes[name] for name in ("role", "hints")
        }
    return {**fresh, "containers": section, "kubernetes": kubernetes, "unread": unread}


def is_role_unread(document: Mapping[str, Any]) -> bool:
    """Whether it never said, as the machine that it is now, what it is for Kubernetes."""
    return any(one["section"] == _ROLE and not one.get("kept_from") for one in document.get("unread") or [])


def kept_from(document: Mapping[str, Any]) -> str | None:
    """Since when the oldest part of what is known of containers was not read any more; None when all of it is of now."""
    unread = document.get("unread") or []
    times = [one["kept_from"] for one in unread if one.get("kept_from") and one["section"] != _ROLE]
    return min(times, default=None)


def is_late(document: Mapping[str, Any]) -> bool:
    """Whether a part of the containers was not read at the last look."""
    unread = [one for one in document.get("unread") or [] if one["section"] != _ROLE]
    return any(_may_be_there(one) and _part_of(one["section"]) for one in unread)


def _may_be_there(unread: Mapping[str, Any]) -> bool:
    return unread["reason"] in _LATE or (unread["reason"] == "failed" and unread["section"] in _FAILS)


def _part_of(section: str) -> str:
    """What a section fills: `units`, `role`, or a field of runtimes."""
    if section in ("podman_units", _ROLE):
        return "role" if section == _ROLE else "units"
    if section in _VERSIONS:
        return "version"
    runtime, _underscore, what = section.rpartition("_")
    return _PARTS.get(what, "") if runtime in _RUNTIMES else ""


def _missing(runtime: str, parts: Mapping[str, str]) -> list[str]:
    return [
        part
        for section, part in parts.items()
        if runtime in _VERSIONS.get(section, ()) or _RUNTIMES.get(section.rpartition("_")[0]) == runtime
    ]
