"""What versions exist, as a tab of the settings: streams, one stream's releases, and the import of a document."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.settings_tabs import settings_tabs
from fleetui.core import clock
from fleetui.core.form_errors import submitted
from nodes.forms import ReleasesForm
from nodes.hosts import drivers
from nodes.models import Node, Release, Stream
from nodes.releases.versions import version_date, version_key
from nodes.services.releases import ImportOutcome, delete_release, import_releases
from nodes.views.links import nodes_url
from nodes.views.subject import principal_of
from nodes.views.support import support_rows


def _family(name: str) -> str:
    return drivers.get(name).name if name in drivers.families() else name


def _released_at(release: Release | None) -> datetime | None:
    """When it came out; where the document does not say, the day that its version names."""
    if release is None:
        return None
    return release.released_at or version_date(release.version)


def _superseded_at(release: Release, newest_first: list[Release]) -> datetime | None:
    """When the next release of the stream came out that is no dead end; None for the newest."""
    newer = [one for one in newest_first[: newest_first.index(release)] if not one.is_deadend]
    return _released_at(newer[-1]) if newer else None


@require_safe
@needs("releases.read")
def stream_list(request: HttpRequest) -> HttpResponse:
    """Every stream with its newest release."""
    principal = principal_of(request)
    releases = Release.objects.visible_to(principal)
    newest: dict[Any, Release] = {}
    for release in releases.only("stream_id", "version", "released_at", "is_deadend"):
        known = newest.get(release.stream_id)
        if not release.is_deadend and (known is None or version_key(release.version) > version_key(known.version)):
            newest[release.stream_id] = release
    streams = Stream.objects.annotate(
        release_count=Count("releases"),
        barrier_count=Count("releases", filter=Q(releases__is_barrier=True)),
        deadend_count=Count("releases", filter=Q(releases__is_deadend=True)),
    ).order_by("os_family", "name")
    members = Node.objects.visible_to(principal).counted().order_by()
    counts = members.values_list("os_family", "os_stream").annotate(count=Count("pk"))
    running = {(family, name): count for family, name, count in counts}
    rows = [
        {
            "stream": stream,
            "family": _family(stream.os_family),
            "newest": newest.get(stream.pk),
            "released_at": _released_at(newest.get(stream.pk)),
            "node_count": running.get((stream.os_family, stream.name), 0),
            "nodes_url": nodes_url(os=stream.os_family, stream=stream.name),
        }
        for stream in streams
    ]
    context = {
        "rows": rows,
        "support": support_rows(clock.now()),
        "tabs": settings_tabs(request),
        "may_import": principal.may("releases.write"),
    }
    return render(request, "nodes/releases.html", context)


@require_safe
@needs("releases.read")
def stream_page(request: HttpRequest, family: str, stream: str) -> HttpResponse:
    """The releases of a stream, newest first, with what each means for an update and how many nodes run it."""
    principal = principal_of(request)
    row = Stream.objects.filter(os_family=family, name=stream).first() if "\0" not in family + stream else None
    if row is None:
        raise Http404(stream)
    members = Node.objects.visible_to(principal).counted().filter(os_family=family, os_stream=stream)
    running = dict(members.order_by().values_list("booted_version").annotate(count=Count("pk")))
    releases = sorted(
        Release.objects.visible_to(principal).filter(stream=row), key=lambda one: version_key(one.version), reverse=True
    )
    rows = [
        {
            "release": release,
            "released_at": _released_at(release),
            "superseded_at": _superseded_at(release, releases),
            "rollout_hours": round(release.rollout["duration_minutes"] / 60) if release.rollout else None,
            "node_count": running.get(release.version, 0),
            "nodes_url": nodes_url(os=family, stream=stream, version=release.version),
        }
        for release in releases
    ]
    context = {
        "stream": row,
        "family": _family(family),
        "rows": rows,
        "tabs": settings_tabs(request),
        "may_import": principal.may("releases.write"),
    }
    return render(request, "nodes/stream.html", context)


@require_POST
@needs("releases.write")
def release_delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Take one back, as after the import of a wrong document."""
    principal = principal_of(request)
    if not principal.may("releases.write"):
        raise PermissionDenied("releases.write")
    release = Release.objects.visible_to(principal).select_related("stream").filter(pk=pk).first()
    if release is None:
        raise Http404(str(pk))
    stream = release.stream
    delete_release(release=release, actor=principal, now=clock.now())
    said = _("The release %(version)s of %(stream)s was deleted.")
    messages.info(request, said % {"version": release.version, "stream": stream})
    if Stream.objects.filter(pk=stream.pk).exists():
        return redirect("nodes:stream", stream.os_family, stream.name)
    return redirect("nodes:releases")


@require_http_methods(["GET", "HEAD", "POST"])
@needs("releases.write")
def import_page(request: HttpRequest) -> HttpResponse:
    """Take in a document by upload or paste; what it says is merged with what is known."""
    principal = principal_of(request)
    if not principal.may("releases.write"):
        raise PermissionDenied("releases.write")
    form = ReleasesForm(request.POST or None, request.FILES or None)

    def add(given: dict[str, Any]) -> HttpResponse:
        outcome = import_releases(
            text=given["text"],
            os_family=given["os_family"],
            stream=given["stream"].strip() or None,
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _said(outcome))
        return redirect("nodes:releases")

    answer, status = submitted(request, form, add, document=form.source_field)
    if answer:
        return answer
    context = {"form": form, "tabs": settings_tabs(request)}
    return render(request, "nodes/releases_import.html", context, status=status)


def _said(outcome: ImportOutcome) -> str:
    counts = {"added": outcome.added, "changed": outcome.changed, "unchanged": outcome.unchanged}
    said = ngettext(
        "%(streams)s: %(added)s release added, %(changed)s changed, %(unchanged)s as before.",
        "%(streams)s: %(added)s releases added, %(changed)s changed, %(unchanged)s as before.",
        outcome.added,
    )
    return said % {"streams": ", ".join(outcome.streams), **counts}
