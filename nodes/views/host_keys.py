"""Host keys that wait: compared with a list that a person trusts, ticked, and accepted in one action."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.importing.rows import Refused
from nodes.importing.trusted import Trusted
from nodes.models import HostKey
from nodes.services import host_keys
from nodes.services.host_keys import AcceptOutcome, Pair
from nodes.views.actions import reason_of
from nodes.views.bulk import CONFIRM_ABOVE
from nodes.views.list import filtered, selected
from nodes.views.subject import principal_of

#: Keys that are shown at once; the rest comes when these are decided.
SHOWN = 500
MOST_SELECTED = 10_000
MAX_LIST_BYTES = 8 * 1024 * 1024
#: What contradicts the list stands first.
_RANKS = {"mismatch": 0, "match": 1, "unknown": 2}


def waiting(principal: Principal) -> QuerySet[Any]:
    """Offered keys that the principal may decide about, with the fingerprint of the one that is trusted now."""
    where = principal.where("nodes.accept_key")
    rows = HostKey.objects.visible_to(principal).filter(state="offered").exclude(node__lifecycle="retired")
    rows = rows if where.everywhere else rows.filter(node__pool_id__in=where.pools)
    pinned = HostKey.objects.filter(node=OuterRef("node"), state="pinned").order_by("pk").values("fingerprint")[:1]
    found: QuerySet[Any] = rows.annotate(trusted_fingerprint=Subquery(pinned))
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.accept_key")
def host_key_list(request: HttpRequest) -> HttpResponse:
    """The keys that wait, those of a selection, their comparison with a pasted list, and what was ticked."""
    principal = principal_of(request)
    step = request.POST.get("step", "")
    ids, rows = _narrowed(request, principal, step)
    status, error, trusted = 200, "", None
    text = _pasted(request)
    if text.strip():
        try:
            trusted = Trusted.parse(text, SHOWN)
        except Refused as problem:
            status, error = 422, _refusal(problem)
    keys, changed = _ticked(request, "key"), _ticked(request, "changed")
    reason = reason_of(request)
    if step == "accept" and not error:
        status, error = _problem(request, len(keys) + len(changed))
        if not error:
            try:
                done = host_keys.accept_many(
                    keys=keys, changed=changed, reason=reason, actor=principal, now=clock.now()
                )
            except FleetError as problem:
                status, error = 422, sentence(problem)
            else:
                _say(request, done)
                return redirect("nodes:host_keys")
    ticked = {pk for pk, _fingerprint in keys + changed} if step == "accept" else None
    shown = [_row(key, trusted, ticked) for key in rows.select_related("node__pool").order_by("seen_at", "pk")[:SHOWN]]
    shown.sort(key=lambda row: _RANKS[row["verdict"]])
    total = rows.count()
    context = {
        "rows": [row for row in shown if not row["key"].trusted_fingerprint],
        "changed": [row for row in shown if row["key"].trusted_fingerprint],
        "total": total,
        "rest": total - len(shown),
        "verdicts": _verdicts(Counter(row["verdict"] for row in shown)) if trusted else None,
        "unread": trusted.unread if trusted else 0,
        "text": text,
        "ids": ids,
        "reason": reason,
        "error": error,
        "confirm_above": CONFIRM_ABOVE,
        "must_confirm": total > CONFIRM_ABOVE,
        "is_filtered": bool(ids or request.GET),
    }
    return render(request, "nodes/host_keys.html", context, status=status)


def _narrowed(request: HttpRequest, principal: Principal, step: str) -> tuple[str, QuerySet[Any]]:
    """The keys of the nodes that were selected or that the address filters; `ids` is carried from page to page."""
    rows = waiting(principal)
    given = request.POST.get("ids", "")
    if request.method == "POST" and not step:
        nodes = selected(principal, request.POST, QueryDict(request.POST.get("filter", "").lstrip("?")))
        given = ",".join(str(pk) for pk in nodes.order_by().values_list("pk", flat=True)[:MOST_SELECTED])
    if given or (request.method == "POST" and not step):
        return given, rows.filter(node__in=_uuids(given))
    if request.GET:
        nodes, _problems = filtered(principal, request.GET)
        return "", rows.filter(node__in=nodes.order_by().values("pk"))
    return "", rows


def _uuids(text: str) -> list[uuid.UUID]:
    found = []
    for word in text.split(",")[:MOST_SELECTED]:
        with suppress(ValueError):
            found.append(uuid.UUID(word))
    return found


def _pasted(request: HttpRequest) -> str:
    upload = request.FILES.get("file")
    if upload and (upload.size or 0) <= MAX_LIST_BYTES:
        return str(upload.read().decode("utf-8", errors="replace"))
    return request.POST.get("trusted", "")


def _refusal(problem: Refused) -> str:
    return f"{_(problem.message) % problem.params} {_(problem.mend) % problem.params}".strip()


def _ticked(request: HttpRequest, name: str) -> list[Pair]:
    found = []
    for text in request.POST.getlist(name)[: SHOWN * 2]:
        pk, _space, fingerprint = text.partition(" ")
        with suppress(ValueError):
            found.append((uuid.UUID(pk), fingerprint))
    return found


def _problem(request: HttpRequest, count: int) -> tuple[int, str]:
    if not count:
        return 422, _("No key is ticked.")
    typed = request.POST.get("count", "").replace(",", "").strip()
    if count > CONFIRM_ABOVE and typed != str(count):
        said = ngettext(
            "%(count)s key is ticked. Type that number to accept it.",
            "%(count)s keys are ticked. Type that number to accept them.",
            count,
        )
        return 422, said % {"count": count}
    return 200, ""


def _verdicts(counts: Mapping[str, int]) -> list[str]:
    """What the list that was pasted says of the keys that are shown."""
    match, mismatch, unknown = (counts[name] for name in ("match", "mismatch", "unknown"))
    return [
        ngettext("%(n)s matches and is ticked.", "%(n)s match and are ticked.", match) % {"n": match},
        ngettext("%(n)s contradicts the list.", "%(n)s contradict the list.", mismatch) % {"n": mismatch},
        ngettext("%(n)s is not listed.", "%(n)s are not listed.", unknown) % {"n": unknown},
    ]


def _row(key: Any, trusted: Trusted | None, ticked: set[uuid.UUID] | None) -> dict[str, Any]:
    node = key.node
    verdict = "unknown"
    if trusted:
        verdict = trusted.verdict(
            name=node.name, address=node.address, port=node.port, key_type=key.type, fingerprint=key.fingerprint
        )
    preselected = verdict == "match" and not key.trusted_fingerprint
    return {
        "key": key,
        "node": node,
        "verdict": verdict,
        "ticked": key.pk in ticked if ticked is not None else preselected,
    }


def _say(request: HttpRequest, done: AcceptOutcome) -> None:
    count = len(done.accepted)
    said = ngettext(
        "The host key of %(count)s node is trusted; it is polled now.",
        "The host keys of %(count)s nodes are trusted; they are polled now.",
        count,
    )
    parts = [said % {"count": f"{count:,}"}] if count else []
    if done.left:
        words = {
            "not_found": _("gone"),
            "not_allowed": _("not allowed"),
            "not_offered": _("decided meanwhile"),
            "other_fingerprint": _("another key is offered now"),
            "changed_key": _("another key is trusted"),
        }
        names = ", ".join(f"{name or '–'} ({words[why]})" for _pk, name, why in done.left[:5])
        left = ngettext("%(count)s was left: %(names)s.", "%(count)s were left: %(names)s.", len(done.left))
        parts.append(left % {"count": len(done.left), "names": names})
    (messages.warning if done.left else messages.info)(request, " ".join(parts))
