"""What was kept with an operation: an attachment to read or download, and the packages that differ."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from nodes.hosts.drivers.package_diff import CHANGES
from ops import wording
from ops.models import Attachment
from ops.services.findings import package_counts, packages_of
from ops.views.detail import visible_operation
from ops.views.words import shown


@require_safe
@needs("operations.read")
def attachment(request: HttpRequest, operation_id: uuid.UUID, attachment_id: int) -> HttpResponse:
    """One attachment as a page; with `download` as a file of plain text."""
    operation = visible_operation(request, operation_id)
    row = Attachment.objects.filter(operation=operation, pk=attachment_id).first()
    if row is None:
        raise Http404(str(attachment_id))
    if request.GET.get("download"):
        response = HttpResponse(row.text, content_type="text/plain; charset=utf-8")
        name = f"{operation.node_name}-{row.title or row.kind}-{operation.pk.hex[:8]}.txt"
        safe = "".join(letter if letter.isalnum() or letter in "-._@" else "-" for letter in name)
        response["Content-Disposition"] = f'attachment; filename="{safe}"'
        return response
    context = {**shown(operation), "row": row, "word": wording.attachment_word(row.kind, row.title)}
    return render(request, "ops/attachment.html", context)


@require_safe
@needs("operations.read")
def packages(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """The packages that differ, as a table; `change` and `q` narrow it."""
    operation = visible_operation(request, operation_id)
    change, name = request.GET.get("change", ""), request.GET.get("q", "")[:100]
    if change not in CHANGES:
        change = ""
    rows = packages_of(operation, change=change, name=name)
    if rows is None:
        raise Http404(str(operation_id))
    counts = package_counts(operation)
    context = {
        **shown(operation),
        "rows": [{**row, "word": wording.change_word(row["change"])} for row in rows],
        "q": name,
        "change": change,
        "total": sum(counts.values()),
        "tabs": [
            {
                "label": label,
                "count": count,
                "active": value == change,
                "url": f"?{urlencode({'change': value, 'q': name})}",
            }
            for value, label, count in (
                ("", _("All"), sum(counts.values())),
                *((one, wording.change_word(one), count) for one, count in counts.items()),
            )
        ],
    }
    return render(request, "ops/packages.html", context)
