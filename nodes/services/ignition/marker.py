"""What the note on a host says of the version that it was born with, beside what is known otherwise.

What was fetched counts most: the host key of that very config answered. Then comes what a person noted, and last the note on
the host, which anybody with root there can write. So it fills in what nobody knew, and where it says something else than
what counts, the page tells.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db.models import Q

from nodes.models import IgnitionVersion, Node, TimelineEvent

Verdict = Literal["agrees", "contradicts", "unknown", "unread"]


@dataclass(frozen=True)
class Marker:
    """`version` is the one of ours that it names, if any. `verdict` is about what counts for the node."""

    said: Mapping[str, Any]
    version: IgnitionVersion | None
    verdict: Verdict


def marker_of(node: Node) -> Marker | None:
    """What the node's host says, as of its last facts; None where it says nothing."""
    said = (node.facts.document.get("ignition") or {}) if node.facts else {}
    if not said.get("version_id"):
        return Marker(said, None, "unread") if said.get("verbatim") else None
    version = _versions([said]).get(said["version_id"])
    if version is None:
        return Marker(said, None, "unknown")
    return Marker(said, version, "agrees" if version.pk == node.applied_version_id else "contradicts")


def take_markers(said: Mapping[uuid.UUID, Mapping[str, Any]], now: datetime) -> None:
    """New facts of nodes hold these notes: they fill in the applied version where nothing better is known.

    In the transaction in which the facts are stored. No query where no host says anything.
    """
    telling = {pk: one for pk, one in said.items() if one.get("version_id")}
    if not telling:
        return
    versions = _versions(telling.values())
    open_to_it = Node.objects.filter(Q(applied_version=None) | Q(applied_how="marker"), pk__in=list(telling))
    events = []
    for node in open_to_it.only("applied_version", "generation"):
        version = versions.get(telling[node.pk]["version_id"])
        if (version.pk if version else None) == node.applied_version_id:
            continue
        how, at = ("marker", now) if version else ("", None)
        Node.objects.filter(pk=node.pk).update(applied_version=version, applied_how=how, applied_at=at)
        if version is not None:
            params = {"version": str(version), "how": "marker"}
            events.append(
                TimelineEvent(node=node, at=now, kind="ignition_applied", params=params, generation=node.generation)
            )
    TimelineEvent.objects.bulk_create(events)


def _versions(said: Iterable[Mapping[str, Any]]) -> dict[str, IgnitionVersion]:
    """Those of ours that are named, by id, where the hash of the source is the one of ours too."""
    wanted = {one["version_id"]: one.get("source_sha256") for one in said}
    rows = IgnitionVersion.objects.light().select_related("config").filter(pk__in=list(wanted))
    return {str(row.pk): row for row in rows if row.content_hash == wanted[str(row.pk)]}
