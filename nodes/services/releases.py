"""What versions exist: imported by an admin or mirrored by a script; no internet needed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import InvalidInput
from fleetui.notify.outbox import Told, tell
from nodes.models import Release, Stream
from nodes.releases.documents import (
    MISSING,
    WHOLE,
    ReleaseFormatError,
    parse_cincinnati_graph,
    parse_manifest,
    parse_release_index,
    parse_support,
    parse_updates_metadata,
)
from nodes.releases.graph import ReleasesView, merge
from nodes.releases.release import Release as KnownRelease
from nodes.releases.release import Rollout
from nodes.releases.support import SupportEnd
from nodes.services.support import check_family, learn


@dataclass
class ImportOutcome:
    """How many releases an import added, changed, or found as they were."""

    streams: list[str] = field(default_factory=list)
    added: int = 0
    changed: int = 0
    unchanged: int = 0


def import_releases(
    *, text: str, os_family: str = "fcos", stream: str | None = None, actor: Principal, now: datetime
) -> ImportOutcome:
    """Take in a document: Fedora CoreOS `updates/STREAM.json` or `releases.json`, a Cincinnati graph, or our own manifest.

    What one document leaves out, an earlier one may have said: the two are merged release by release.
    """
    require(actor, "releases.write")
    check_family(os_family)
    learned = _parsed(text, os_family, stream)
    support = _support(text)
    _check_stream(stream, {release.stream for release in learned})
    if not learned and not support:
        raise InvalidInput(
            gettext("The document holds no release."),
            field="document",
            mend=gettext("Check that it is the right file."),
        )
    outcome = ImportOutcome(streams=sorted({release.stream for release in learned}))
    told: list[Told] = []
    with transaction.atomic():
        for name in outcome.streams:
            # Held, so that nobody takes it away meanwhile with its last release.
            row, _ = Stream.objects.select_for_update().get_or_create(os_family=os_family, name=name)
            Stream.objects.filter(pk=row.pk).update(imported_at=now)
            newest = _newest(row)
            _store(row, [release for release in learned if release.stream == name], outcome)
            if (newer := _newest(row)) is not None and newest is not None and newer != newest:
                told.append(_available(row, newer))
        learn(os_family, support)
        after = {"streams": outcome.streams, "added": outcome.added, "changed": outcome.changed}
        tell(told, now=now)
        append([Entry(actor=str(actor), action="releases.import", subject=f"releases:{os_family}", after=after)])
    view_of.cache.clear()
    return outcome


def delete_release(*, release: Release, actor: Principal, now: datetime) -> None:
    """Take back what an import said of one version. The stream goes with its last release; an import may bring both back."""
    require(actor, "releases.write")
    with transaction.atomic():
        stream = Stream.objects.select_for_update().filter(pk=release.stream_id).first()
        if stream is None or not Release.objects.filter(pk=release.pk).delete()[0]:
            return
        if not stream.releases.exists():
            stream.delete()
        told = {name: value for name, value in _columns(as_known(release, stream.name)).items() if value}
        if release.released_at:
            told["released_at"] = release.released_at.isoformat()
        subject = f"release:{stream.os_family}/{stream.name}/{release.version}"
        append([Entry(actor=str(actor), action="releases.delete", subject=subject, before=told)])
    view_of.cache.clear()


def _newest(stream: Stream) -> str | None:
    """What a host of the stream may update to at last, once its rollout has begun."""
    known = [as_known(row, stream.name) for row in Release.objects.filter(stream=stream)]
    found = ReleasesView.of(stream.name, known).newest()
    return found.version if found else None


def _available(stream: Stream, version: str) -> Told:
    return Told(
        event="release.available",
        severity="info",
        text=gettext("The stream %(stream)s has the release %(version)s") % {"stream": stream.name, "version": version},
        path=reverse("nodes:stream", args=[stream.os_family, stream.name]),
        subject=f"stream:{stream.os_family}/{stream.name}",
        details={"os_family": stream.os_family, "stream": stream.name, "version": version},
    )


def _check_stream(given: str | None, told: set[str]) -> None:
    """Who names a stream means that one, and would look for its releases there."""
    if given and told and told != {given}:
        raise InvalidInput(
            gettext("The stream is %(given)s, but the document is of %(told)s.")
            % {"given": given, "told": ", ".join(sorted(told))},
            field="stream",
            value=given,
            mend=gettext("Leave the stream out, or choose the document of that stream."),
        )


def _parsed(text: str, os_family: str, stream: str | None) -> list[KnownRelease]:
    try:
        document = json.loads(text)
        shape = document if isinstance(document, dict) else {}
        if "nodes" in shape:
            if not stream:
                raise InvalidInput(
                    gettext("A graph does not name its stream."),
                    field="stream",
                    mend=gettext("Give the stream, for example stable."),
                )
            return parse_cincinnati_graph(text, stream=stream)
        if "streams" in shape:
            return parse_manifest(text, os_family)
        entries = shape.get("releases")
        if isinstance(entries, list) and entries and isinstance(entries[0], dict) and "commits" in entries[0]:
            return parse_release_index(text)
        return parse_updates_metadata(text)
    except ReleaseFormatError as error:
        raise _refusal(error) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(
            gettext("The document is not JSON."),
            field="document",
            mend=gettext("Upload the JSON file as it was published."),
        ) from error


def _support(text: str) -> list[SupportEnd]:
    """The ends of support that our own form may hold; the others know none."""
    document = json.loads(text)
    if not isinstance(document, dict) or "streams" not in document:
        return []
    try:
        return parse_support(text)
    except ReleaseFormatError as error:
        raise _refusal(error) from error


def _refusal(error: ReleaseFormatError) -> InvalidInput:
    """What the reader found, in the active language."""
    is_whole = error.field == WHOLE
    sentence = gettext("%(field)s is missing.") if error.value == MISSING else gettext("%(field)s is %(value)s.")
    named = {"field": gettext("The document") if is_whole else error.field, "value": error.value}
    return InvalidInput(
        sentence % named,
        field="document" if is_whole else error.field,
        value=None if error.value == MISSING else error.value,
        mend=gettext(error.mend) % error.params,
    )


def _columns(release: KnownRelease) -> dict[str, Any]:
    rollout = release.rollout
    return {
        "released_at": release.released_at,
        "checksums": dict(release.checksums),
        "images": dict(release.images),
        "is_barrier": release.is_barrier,
        "barrier": release.barrier or "",
        "is_deadend": release.is_deadend,
        "deadend": release.deadend or "",
        "rollout": {
            "start_at": rollout.start_at.isoformat() if rollout.start_at else None,
            "start_share": rollout.start_share,
            "duration_minutes": rollout.duration_minutes,
        }
        if rollout
        else None,
    }


def _store(stream: Stream, learned: list[KnownRelease], outcome: ImportOutcome) -> None:
    rows = {row.version: row for row in Release.objects.filter(stream=stream)}
    known = [as_known(row, stream.name) for row in rows.values()]
    learned_versions = {release.version for release in learned}
    fresh, changed = [], []
    for release in merge(known, learned):
        columns = _columns(release)
        row = rows.get(release.version)
        if row is None:
            fresh.append(Release(stream=stream, version=release.version, **columns))
        elif any(getattr(row, name) != value for name, value in columns.items()):
            for name, value in columns.items():
                setattr(row, name, value)
            changed.append(row)
        elif release.version in learned_versions:
            outcome.unchanged += 1
    Release.objects.bulk_create(fresh, batch_size=500)
    Release.objects.bulk_update(changed, list(_columns(learned[0])), batch_size=200)
    outcome.added += len(fresh)
    outcome.changed += len(changed)


def as_known(row: Release, stream: str) -> KnownRelease:
    """A row as the pure part knows it."""
    rollout = None
    if row.rollout:
        start = row.rollout.get("start_at")
        rollout = Rollout(
            datetime.fromisoformat(start) if start else None,
            row.rollout["start_share"],
            row.rollout["duration_minutes"],
        )
    return KnownRelease(
        stream=stream,
        version=row.version,
        released_at=row.released_at,
        checksums=row.checksums,
        images=row.images,
        barrier=row.barrier if row.is_barrier else None,
        deadend=row.deadend if row.is_deadend else None,
        rollout=rollout,
    )


class _Views:
    """Views of streams, kept for seconds: a poll of 200 nodes asks for the same few, but who has imported releases looks
    at once what they change, and the import went to another process than the polls.
    """

    MAX_AGE_S = 5.0

    def __init__(self) -> None:
        self.cache: dict[tuple[str, str], tuple[datetime, ReleasesView]] = {}

    def __call__(self, os_family: str, stream: str, now: datetime) -> ReleasesView:
        found = self.cache.get((os_family, stream))
        if found and 0 <= (now - found[0]).total_seconds() < self.MAX_AGE_S:
            return found[1]
        rows: Iterable[Release] = Release.objects.filter(stream__os_family=os_family, stream__name=stream)
        view = ReleasesView.of(stream, [as_known(row, stream) for row in rows])
        self.cache[os_family, stream] = (now, view)
        return view


view_of = _Views()
