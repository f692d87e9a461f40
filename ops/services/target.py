"""Where an upgrade of a node leads: the release to go to, whether an update leads there, and what holds it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nodes.models import Node
from nodes.releases.graph import ReleasesView
from nodes.releases.release import Release
from nodes.releases.versions import is_newer
from nodes.services.releases import view_of
from ops.models import VersionHold
from ops.preflight import Check


@dataclass(frozen=True)
class Aim:
    """The target of an upgrade, or the code why there is none. An empty target: what the host itself finds."""

    target: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    refused: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


def upgrade_target(
    node: Node, booted: Mapping[str, Any], params: Mapping[str, Any], now: datetime, held: Mapping[str, VersionHold]
) -> Aim:
    """The release asked for if an update leads there, else the next that is not held back."""
    releases = view_of(node.os_family, node.os_stream, now)
    wanted = str(params.get("version", ""))
    here = booted.get("version") or node.booted_version
    if wanted and wanted in held:
        return _held(held[wanted])
    if not releases.known:
        if wanted and booted.get("image"):
            return Aim(refused="no_digest", params={"version": wanted})
        # Of a host whose status was never read, that is said instead: its stream is not known either.
        is_read = bool(booted or node.os_stream)
        unknown = [Check("path_unknown", "warn", {"stream": node.os_stream})] if is_read else []
        return Aim({"version": wanted, "is_asked": True} if wanted else {}, unknown)
    if wanted and wanted == here:
        return Aim(refused="there_already", params={"version": here})
    present = releases.find(here)
    if present is not None and present.is_deadend:
        return Aim(refused="on_dead_end", params={"version": here, "why": present.deadend or ""})
    found = _asked_for(releases, wanted, here, node.os_stream) if wanted else _next(releases, here, node, now, held)
    if isinstance(found, Aim):
        return found
    target = _as_target(found, node, booted, is_asked=bool(wanted))
    if target is None:
        return Aim(refused="no_digest", params={"version": found.version})
    leads = Check("path_allowed", params={"version": found.version, "stream": node.os_stream, "here": here})
    return Aim(target, [leads])


def _next(
    releases: ReleasesView, here: str, node: Node, now: datetime, held: Mapping[str, VersionHold]
) -> Release | Aim:
    step = releases.next_step(here, now, held=held)
    if step is not None:
        return step
    without_holds = releases.next_step(here, now)
    if without_holds is not None:
        return _held(held[without_holds.version])
    return Aim(refused="nothing_newer", params={"version": here, "stream": node.os_stream})


def _asked_for(releases: ReleasesView, wanted: str, here: str, stream: str) -> Release | Aim:
    found = releases.find(wanted)
    if found is None:
        return Aim(refused="no_such_release", params={"version": wanted, "stream": stream})
    if found.is_deadend:
        return Aim(refused="dead_end", params={"version": wanted, "why": found.deadend or ""})
    if here and is_newer(here, wanted):
        return Aim(refused="older", params={"version": wanted, "here": here})
    barrier = _barrier_before(releases.newer(here), wanted)
    if barrier is not None:
        return Aim(refused="behind_barrier", params={"version": wanted, "barrier": barrier})
    return found


def _held(hold: VersionHold) -> Aim:
    since = hold.held_at.isoformat(timespec="seconds")
    by = hold.held_by.partition(":")[2] or hold.held_by
    told = {"version": hold.version, "by": by, "since": since, "held_why": hold.why, "why": hold.reason}
    return Aim(refused="held", params=told)


def _as_target(release: Release, node: Node, booted: Mapping[str, Any], *, is_asked: bool) -> dict[str, Any] | None:
    """None: a host that follows an image, and no digest is known to get this release by."""
    found = {"version": release.version, **({"is_asked": True} if is_asked else {})}
    image = (booted.get("origin") or "") if booted.get("image") else ""
    if not image:
        return {**found, "checksum": release.checksums.get(node.arch, "")}
    # A container-native host follows an image: the release's digest, under the host's own reference. Commits mean nothing
    # to it, and without a digest only the newest of its tag can be had.
    name, pinned, _digest = image.partition("@")
    digest = release.images.get(node.arch, "").rpartition("@")[2]
    if digest:
        return {**found, "image": f"{name}@{digest}" if pinned else name, "digest": digest}
    return None if is_asked or pinned else {**found, "image": name}


def _barrier_before(newer: Sequence[Release], wanted: str) -> str | None:
    """The first barrier that lies between here and the wanted version, which no update may skip."""
    for release in newer:
        if release.version == wanted:
            return None
        if release.is_barrier:
            return release.version
    return None
