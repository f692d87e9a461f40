"""The audit log as pages: the list with its filters, one event with what it changed, and the proof of the chain."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from fleetui.audit.filters import AuditFilter
from fleetui.audit.models import AuditEvent, AuditHead
from fleetui.audit.verify import anchor_path, verify_and_note
from fleetui.core.filter_choices import chips, moment_word, recent_times, turned
from fleetui.core.filters import split_values
from fleetui.core.templatetags.ui import changed_query
from fleetui.core.templatetags.ui_words import level_of, word_of

PAGE_SIZE = 50
#: Completion offers what the newest events hold, so that a long log costs no more than a short one.
RECENT_EVENTS = 5000
MOST_OPTIONS = 25
#: A longer chain is proved on the command line: it takes longer than a page may.
MOST_VERIFIED = 50_000
CHIP_FIELDS = ("actor", "action", "subject", "outcome", "request_id", "source_address", "since", "until")


Page = Callable[..., HttpResponse]


def _for_auditors(view: Page) -> Page:
    """The audit log is one for the whole installation: a role on single pools does not open it.

    The guards of fleetui.access stand above this package, so the permission is declared here.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.principal.may("audit.read"):  # type: ignore[attr-defined]
            raise PermissionDenied("audit.read")
        return view(request, *args, **kwargs)

    guarded.permission = "audit.read"  # type: ignore[attr-defined]
    return guarded


def field_word(name: str) -> str:
    words = {
        "actor": _("Actor"),
        "action": _("Action"),
        "subject": _("Subject"),
        "outcome": _("Outcome"),
        "request_id": _("Request"),
        "source_address": _("Address"),
        "since": _("Since"),
        "until": _("Until"),
    }
    return words[name]


@require_safe
@_for_auditors
def audit_list(request: HttpRequest) -> HttpResponse:
    """Newest first; `before` and `after` hold the number of the event beside the page."""
    found = AuditFilter(request.GET, queryset=AuditEvent.objects.all())
    rows, newer, older = _page(found.qs, request.GET)
    context = {
        "rows": [{"event": event, "changes": _told(event)} for event in rows],
        "newer_url": changed_query(request.GET, {"before": newer}) if newer else "",
        "older_url": changed_query(request.GET, {"after": older}) if older else "",
        "problems": found.problems(),
        "chips": chips(request.GET, CHIP_FIELDS, field_word, _value_word),
        "hidden": [(name, value) for name in CHIP_FIELDS for value in request.GET.getlist(name) if value],
        "fields": _fields(request.GET),
        "q": request.GET.get("q", ""),
        "is_filtered": any(request.GET.get(name) for name in (*CHIP_FIELDS, "q")),
        **_proof(),
    }
    return render(request, "audit/list.html", context)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _page(found: Any, query: QueryDict) -> tuple[list[AuditEvent], int | None, int | None]:
    """Rows of the page by keyset, and the places that lead to newer and older ones."""
    after, before = _number(query.get("after", "")), _number(query.get("before", ""))
    if before is not None and after is None:
        rows = list(found.filter(seq__gt=before).order_by("seq")[: PAGE_SIZE + 1])
        has_newer, has_older = len(rows) > PAGE_SIZE, True
        rows = rows[:PAGE_SIZE][::-1]
    else:
        placed = found.filter(seq__lt=after) if after is not None else found
        rows = list(placed.order_by("-seq")[: PAGE_SIZE + 1])
        has_newer, has_older = after is not None, len(rows) > PAGE_SIZE
        rows = rows[:PAGE_SIZE]
    if not rows:
        return [], None, None
    return rows, rows[0].seq if has_newer else None, rows[-1].seq if has_older else None


def _value_word(name: str, value: str) -> str:
    if name == "outcome":
        return word_of("outcome", value)
    return moment_word(value) if name in ("since", "until") else value


def _fields(query: QueryDict) -> list[dict[str, Any]]:
    head = AuditHead.objects.filter(id=1).values_list("seq", flat=True).first() or 0
    recent = AuditEvent.objects.filter(seq__gt=head - RECENT_EVENTS).order_by()
    return [
        {"label": field_word("since"), "options": recent_times(query)},
        *(
            {"label": field_word(name), "options": _options(name, sorted(values)[:MOST_OPTIONS], query)}
            for name in ("outcome", "action", "actor")
            if (values := set(recent.values_list(name, flat=True).distinct()))
        ),
    ]


def _options(name: str, values: list[str], query: QueryDict) -> list[dict[str, Any]]:
    chosen = set(split_values(query.getlist(name)))
    return [
        {
            "label": _value_word(name, value),
            "level": level_of(name, value) if name == "outcome" else "",
            "active": value in chosen,
            "url": turned(query, name, value),
        }
        for value in values
    ]


#: A time as the chain holds it. Its parts of a second say nothing to a person.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:\+00:00|Z)")


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {"value": found}


def _shown(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        moment = _MOMENT.fullmatch(value)
        return f"{moment[1]} {moment[2]} UTC" if moment else value
    if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return ", ".join(f"{key}={one}" for key, one in sorted(value.items()))
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def changes_of(event: AuditEvent) -> list[dict[str, Any]]:
    """What differs between before and after: field, both values, and whether it was added, removed or changed."""
    before, after = _document(event.before), _document(event.after)
    found = []
    for name in sorted({*before, *after}):
        old, new = _shown(before.get(name)), _shown(after.get(name))
        kind = (
            "added" if name not in before else "removed" if name not in after else "changed" if old != new else "same"
        )
        found.append({"name": name, "old": old, "new": new, "kind": kind})
    return found


def _told(event: AuditEvent) -> list[dict[str, Any]]:
    """The changes that the list tells: not what was and stays empty, nor the name that the subject says."""
    name = event.subject.rpartition(":")[2].rpartition("/")[2]
    return [
        change
        for change in changes_of(event)
        if change["old"] != change["new"]
        and not (change["name"] == "name" and change["new"] == name and not change["old"])
    ]


def last_anchor() -> dict[str, Any] | None:
    """The newest line of the anchor file: how far the chain is held outside the database."""
    try:
        with anchor_path().open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 600))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            found = json.loads(line)
            return {"seq": int(found["seq"]), "at": datetime.fromisoformat(found["at"])}
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _proof() -> dict[str, Any]:
    head = AuditHead.objects.filter(id=1).values_list("seq", flat=True).first() or 0
    anchor = last_anchor()
    behind = head - anchor["seq"] if anchor else head
    first = AuditEvent.objects.order_by("seq").values_list("seq", flat=True).first() or 1
    count = head - first + 1 if head else 0
    return {
        "head_seq": head,
        "event_count": count,
        "first_seq": first,
        "anchor": anchor,
        "anchor_behind": behind,
        "may_verify_here": count <= MOST_VERIFIED,
    }


@require_safe
@_for_auditors
def audit_event(request: HttpRequest, seq: int) -> HttpResponse:
    """One event: who, what, from where, before and after, and its place in the chain."""
    event = AuditEvent.objects.filter(seq=seq).first() if seq < 2**63 else None
    if event is None:
        raise Http404(str(seq))
    around = AuditEvent.objects.filter(seq__in=[seq - 1, seq + 1]).values_list("seq", flat=True)
    context = {
        "event": event,
        "changes": changes_of(event),
        "newer": seq + 1 if seq + 1 in around else None,
        "older": seq - 1 if seq - 1 in around else None,
        "same_request": AuditEvent.objects.filter(request_id=event.request_id).exclude(seq=seq).count()
        if event.request_id
        else 0,
    }
    return render(request, "audit/event.html", context)


@require_POST
@_for_auditors
def audit_verify(request: HttpRequest) -> HttpResponse:
    """Prove the chain from the first event to the last."""
    if not _proof()["may_verify_here"]:
        messages.warning(request, _("The log is long. Prove it on the server: python manage.py audit verify"))
        return redirect("audit")
    verdict = verify_and_note()
    if verdict.good:
        loose = max(verdict.begins_at - 1 + verdict.events - verdict.anchored_seq, 0)
        said = ngettext(
            "All %(events)s events match their hashes. The newest %(loose)s is not anchored outside the database yet.",
            "All %(events)s events match their hashes. The newest %(loose)s are not anchored outside the database yet.",
            loose,
        )
        if not loose:
            said = _("All %(events)s events match their hashes, and all are anchored outside the database.")
        messages.info(request, said % {"events": f"{verdict.events:,}", "loose": f"{loose:,}"})
        if verdict.checkpoint:
            said = _("The log begins at event %(first)s: retention removed what was before, as event %(seq)s says.")
            messages.info(request, said % {"first": verdict.begins_at, "seq": verdict.checkpoint})
    else:
        for problem in verdict.problems:
            messages.error(request, problem)
    return redirect("audit")
