"""Import an inventory: upload, a preview of what it would do, and its progress."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import submitted
from fleetui.core.text import safe_cell
from nodes import importing as readers
from nodes import tasks
from nodes.forms import MAX_DOCUMENT_BYTES, PLAIN, DocumentForm
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.importing.read import decode
from nodes.models import Credential, ImportPlan, Pool
from nodes.services import importing
from nodes.views.actions import say_problem
from nodes.views.subject import principal_of

PAGE = 100
OUTCOMES = ("add", "change", "unchanged", "refuse")
WORDS = {
    "add": pgettext_lazy("outcome of a row", "Added"),
    "change": pgettext_lazy("outcome of a row", "Changed"),
    "unchanged": pgettext_lazy("outcome of a row", "Unchanged"),
    "refuse": pgettext_lazy("outcome of a row", "Refused"),
}
SOURCE_WORDS = {
    "csv": gettext_lazy("CSV"),
    "ansible-ini": gettext_lazy("Ansible inventory (INI)"),
    "ansible-yaml": gettext_lazy("Ansible inventory (YAML)"),
    "ansible-list": gettext_lazy("ansible-inventory --list (JSON)"),
    "ssh-config": gettext_lazy("OpenSSH client configuration"),
}
FIELD_WORDS = {
    "address": gettext_lazy("Address"),
    "port": gettext_lazy("Port"),
    "pool": gettext_lazy("Pool"),
    "credential": gettext_lazy("Credential"),
    "jump_host": gettext_lazy("Jump host"),
    "os_family_given": gettext_lazy("OS family"),
    "labels": gettext_lazy("Labels"),
    "host_key": gettext_lazy("Host key"),
}


class ImportForm(DocumentForm):
    """The document, and how it is taken."""

    file = forms.FileField(label=gettext_lazy("File"), required=False)
    document = forms.CharField(
        label=gettext_lazy("Or its text"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 10, **PLAIN}),
    )
    source = forms.ChoiceField(
        label=gettext_lazy("Format"),
        required=False,
        choices=[("", gettext_lazy("Detected")), *SOURCE_WORDS.items()],
    )
    groups = forms.ChoiceField(
        label=gettext_lazy("Groups become"),
        choices=[
            ("pool", gettext_lazy("Pools: the nearest group of a host")),
            ("label", gettext_lazy("Labels")),
            ("nothing", gettext_lazy("Nothing")),
        ],
        initial="pool",
    )
    pool = forms.ModelChoiceField(
        label=gettext_lazy("Pool of hosts without one"),
        queryset=Pool.objects.none(),
        required=False,
        to_field_name="name",
        empty_label=gettext_lazy("No pool"),
    )
    credential = forms.ModelChoiceField(
        label=gettext_lazy("Credential of new nodes"),
        queryset=Credential.objects.none(),
        required=False,
        to_field_name="name",
        empty_label=gettext_lazy("That of the pool"),
    )
    known_hosts = forms.FileField(
        label=gettext_lazy("known_hosts"),
        required=False,
        help_text=gettext_lazy("The keys of new nodes that it holds are trusted at once."),
    )
    update = forms.BooleanField(label=gettext_lazy("Change nodes that exist"), required=False)
    create_pools = forms.BooleanField(label=gettext_lazy("Make pools that are missing"), required=False)

    def __init__(self, *args: Any, principal: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pool"].queryset = Pool.objects.visible_to(principal)  # type: ignore[attr-defined]
        self.fields["credential"].queryset = Credential.objects.visible_to(principal)  # type: ignore[attr-defined]
        if not principal.may("pools.write"):
            del self.fields["create_pools"]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        found["text"] = self._text("file") or found.get("document", "")
        found["keys"] = self._text("known_hosts")
        if not found["text"].strip() and not self.errors:
            self.add_error("file", _("Choose a file, or paste its text."))
        return found

    def _text(self, name: str) -> str:
        upload = self.files.get(name)
        if upload is None:
            return ""
        try:
            if (upload.size or 0) > MAX_DOCUMENT_BYTES:
                raise readers.Refused(
                    "The document is larger than %(limit)s MB.",
                    "Split it into several.",
                    limit=MAX_DOCUMENT_BYTES // 1024**2,
                )
            return decode(upload.read())
        except readers.Refused as error:
            self.add_error(name, f"{_(error.message) % error.params} {_(error.mend) % error.params}")
            return ""


@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.write")
def start(request: HttpRequest) -> HttpResponse:
    """Upload or paste; nothing changes before the preview was seen."""
    principal = principal_of(request)
    form = ImportForm(request.POST or None, request.FILES or None, principal=principal)

    def preview(given: dict[str, Any]) -> HttpResponse:
        options = importing.Options(
            pool=given["pool"].name if given["pool"] else "",
            credential=given["credential"].name if given["credential"] else "",
            groups=given["groups"],
            update=given["update"],
            create_pools=given.get("create_pools", False),
        )
        upload = form.files.get("file")
        plan = importing.make_plan(
            text=given["text"],
            source=given["source"],
            filename=(upload.name or "") if upload else "",
            known_hosts=given["keys"],
            options=options,
            actor=principal,
            now=clock.now(),
        )
        return redirect("nodes:import_plan", plan.pk)

    answer, status = submitted(request, form, preview, document=form.source_field)
    if answer:
        return answer
    recent = ImportPlan.objects.filter(owner=str(principal))[:5]
    context = {"form": form, "recent": [_told(plan) for plan in recent]}
    return render(request, "nodes/import.html", context, status=status)


def _told(plan: ImportPlan) -> dict[str, Any]:
    return {
        "plan": plan,
        "source": SOURCE_WORDS.get(plan.source, plan.source),
        "percent": round(100 * plan.position / plan.row_count) if plan.row_count else 100,
        "changes": plan.counts.get("add", 0) + plan.counts.get("change", 0),
    }


def _plan(request: HttpRequest, plan_id: uuid.UUID) -> ImportPlan:
    """A plan is its owner's; others do not know of it."""
    plan = ImportPlan.objects.filter(pk=plan_id, owner=str(principal_of(request))).first()
    if plan is None:
        raise Http404(str(plan_id))
    return plan


@require_safe
@needs("nodes.write")
def plan_page(request: HttpRequest, plan_id: uuid.UUID) -> HttpResponse:
    """What the import would do, or did, row by row; while it runs, how far it is."""
    plan = _plan(request, plan_id)
    counts = {name: plan.counts.get(name, 0) for name in OUTCOMES}
    shown = request.GET.get("show", "")
    if shown not in OUTCOMES:
        shown = next((name for name in ("refuse", "add", "change") if counts[name]), "unchanged")
    after = request.GET.get("after", "")
    number = int(after) if after.isascii() and after.isdigit() and len(after) < 9 else 0
    rows = list(plan.rows.filter(outcome=shown, number__gt=number).order_by("number")[: PAGE + 1])
    tabs = [
        {
            "label": WORDS[name],
            "url": f"?show={name}",
            "active": name == shown,
            "count": counts[name],
            "level": "bad" if name == "refuse" and counts[name] else "",
        }
        for name in OUTCOMES
    ]
    context = {
        **_told(plan),
        "tabs": tabs,
        "shown": shown,
        "rows": [{"row": row, "place": importing.place_word(row.place), "fields": _fields(row)} for row in rows[:PAGE]],
        "next_url": f"?show={shown}&after={rows[PAGE - 1].number}" if len(rows) > PAGE else "",
        "sentences": _sentences(counts),
        "nodes_url": reverse("nodes:list"),
    }
    partial = request.htmx and plan.state == "applying"  # type: ignore[attr-defined]
    template = "nodes/partials/import_progress.html" if partial else "nodes/import_plan.html"
    response = render(request, template, context)
    if request.htmx and plan.state != "applying":  # type: ignore[attr-defined]
        response.headers["HX-Refresh"] = "true"
    return response


def _sentences(counts: Mapping[str, int]) -> list[str]:
    """What the import would do, in a sentence for each outcome that there is."""
    said = {
        "add": ngettext("%(n)s node is added.", "%(n)s nodes are added.", counts["add"]),
        "change": ngettext("%(n)s node is changed.", "%(n)s nodes are changed.", counts["change"]),
        "unchanged": ngettext("%(n)s stays as it is.", "%(n)s stay as they are.", counts["unchanged"]),
        "refuse": ngettext("%(n)s row is refused.", "%(n)s rows are refused.", counts["refuse"]),
    }
    return [text % {"n": f"{counts[name]:,}"} for name, text in said.items() if counts[name]]


def _fields(row: Any) -> list[dict[str, Any]]:
    return [
        {"name": FIELD_WORDS.get(name, name), "old": _shown(name, row.before.get(name)), "new": _shown(name, value)}
        for name, value in row.values.items()
        if value not in ("", None, {}) or name in row.before
    ]


def _shown(name: str, value: Any) -> str:
    if name == "host_key" and value:
        # What people compare is the fingerprint.
        return SshHostKey.parse(value).fingerprint
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in value.items())
    return "" if value is None else str(value)


@require_POST
@needs("nodes.write")
def apply(request: HttpRequest, plan_id: uuid.UUID) -> HttpResponse:
    """Start it. More than ten changes ask for their number to be typed."""
    plan = _plan(request, plan_id)
    changes = plan.counts.get("add", 0) + plan.counts.get("change", 0)
    if changes > 10 and request.POST.get("count", "").replace(",", "").strip() != str(changes):
        messages.error(request, _("The number was not typed as it is, so nothing was imported."))
        return redirect("nodes:import_plan", plan.pk)
    try:
        importing.start(plan=plan, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        say_problem(request, error)
    else:
        tasks.nudge_import(plan.pk)
    return redirect("nodes:import_plan", plan.pk)


@require_POST
@needs("nodes.write")
def discard(request: HttpRequest, plan_id: uuid.UUID) -> HttpResponse:
    """Forget a preview."""
    try:
        importing.discard(plan=_plan(request, plan_id))
    except FleetError as error:
        say_problem(request, error)
        return redirect("nodes:import_plan", plan_id)
    messages.info(request, _("The preview was discarded; nothing was changed."))
    return redirect("nodes:import")


@require_safe
@needs("nodes.write")
def refused(request: HttpRequest, plan_id: uuid.UUID) -> HttpResponse:
    """The refused rows as CSV, with what is to be mended in the document."""
    plan = _plan(request, plan_id)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="refused.csv"'
    writer = csv.writer(response)
    writer.writerow(["place", "name", "field", "value", "mend"])
    for row in plan.rows.filter(outcome="refuse").order_by("number").iterator(chunk_size=1000):
        for problem in row.problems:
            cells = [row.place, row.name, problem.get("field"), problem.get("value"), problem.get("mend")]
            writer.writerow([safe_cell(cell) for cell in cells])
    return response
