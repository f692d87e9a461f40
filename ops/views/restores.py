"""Guided restore: the page that asks for it with its plan, and the guide that leads through it."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError, NotFound
from fleetui.core.form_errors import sentence, submitted
from nodes.views.subject import principal_of
from ops import wording
from ops.actions.restore import BACK, PERMISSION, asks
from ops.backups.guide import Guide
from ops.models import Operation
from ops.services.backups.guiding import OnHost, Shown, guide_of, restore_at, tell
from ops.services.backups.reading import policy_at
from ops.services.backups.restores import may_restore, plan_restore, request_restore
from ops.services.reasons import is_reason_required, reason_hint
from ops.states import FINAL
from ops.views.detail import visible_operation
from ops.views.words import shown
from ops.wording.restore import STEPS
from ops.wording.restoring import SAYS, stand_words


class AskForm(forms.Form):
    """The name of the policy, typed, and why."""

    confirm = forms.CharField(
        label=gettext_lazy("Name of the policy"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "form-control ui-mono"}),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=300)

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirm"].help_text = _("Type %(name)s: what runs there now is replaced by a backup.") % {
            "name": name
        }
        self.fields["reason"].required = is_reason_required()
        self.fields["reason"].help_text = reason_hint()


@require_http_methods(["GET", "HEAD", "POST"])
@needs(PERMISSION)
def restore_ask(request: HttpRequest, policy_id: uuid.UUID) -> HttpResponse:
    """What would be done, step by step, and the button that begins. `run` chooses an older backup."""
    principal, now = principal_of(request), clock.now()
    try:
        policy = policy_at(principal, policy_id)
    except NotFound as error:
        raise Http404(str(error)) from error
    if not may_restore(principal, policy):
        raise PermissionDenied(PERMISSION)
    try:
        text = request.GET.get("run", "")
        run_id = uuid.UUID(text) if text else None
        plan = plan_restore(policy=policy, run_id=run_id, actor=principal, now=now)
    except ValueError as error:
        raise Http404("run") from error
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("backup_policy", policy.pk)
    form = AskForm(request.POST if request.method == "POST" else None, name=policy.name)

    def ask(values: dict[str, Any]) -> HttpResponse:
        answer = request_restore(policy=policy, run_id=plan.run.pk, **values, actor=principal, now=now)
        return redirect("operation_restore", operation_id=answer.operations[0].pk)

    answer, status = submitted(request, form, ask)
    if answer is not None:
        return answer
    context = {
        "policy": policy,
        "run": plan.run,
        "form": form,
        "hosts": ", ".join(node.name for node in plan.nodes),
        "busy": plan.busy,
        "needed": plan.needed,
        "is_sealed": plan.guide.stored != plan.guide.name,
        "tasks": [
            {
                "word": wording.step_word(code),
                "says": _says(code),
                "asks": asks(plan.guide, code),
                "blocks": _blocks(plan.guide, code),
            }
            for code in plan.guide.order
        ],
        "may_go_back": plan.guide.back is not None,
    }
    return render(request, "ops/restore_ask.html", context, status=status)


def _says(code: str) -> str:
    known = SAYS if code in SAYS else STEPS
    return str(known[code]) if code in known else ""


def _blocks(guide: Guide, code: str) -> list[dict[str, str]]:
    """The commands of a task, once for all hosts where they are the same."""
    found: dict[str, list[str]] = {}
    for step in guide.tasks().get(code, ()):
        if step.lines:
            found.setdefault("\n".join(step.lines), []).extend(step.on)
    return [{"text": text, "on": ", ".join(on)} for text, on in found.items()]


@require_http_methods(["GET", "HEAD", "POST"])
@needs("operations.read")
def restore_guide(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """The guide; a live refresh gets its body only. `what` is what a person says to it."""
    principal, operation = principal_of(request), visible_operation(request, operation_id)
    try:
        found = guide_of(restore_at(operation))
    except NotFound as error:
        raise Http404(str(error)) from error
    row = found.restore.operation
    if request.method == "POST":
        if not principal.may(PERMISSION, row):
            raise PermissionDenied(PERMISSION)
        try:
            given = {name: request.POST.get(name, "") for name in ("what", "step", "reason")}
            tell(operation=operation, **given, actor=principal, now=clock.now())
            messages.info(request, _("Noted: the restore looks again now."))
        except FleetError as error:
            messages.error(request, sentence(error))
        return redirect("operation_restore", operation_id=row.pk)
    context = {
        **shown(row),
        "guide": found,
        "policy": found.restore.policy,
        "run": found.restore.run,
        "tasks": _tasks(found),
        "stand": _stand(found),
        "may_tell": principal.may(PERMISSION, row),
        "back": _back(found),
        "is_final": row.state in FINAL,
        "is_stopped": row.state == "needs_attention",
        "hosts": ", ".join(one.name for one in found.guide.hosts),
    }
    template = "ops/partials/restore_body.html" if request.htmx else "ops/restore.html"  # type: ignore[attr-defined]
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _tasks(found: Shown) -> list[dict[str, Any]]:
    who = found.restore.confirmed
    return [
        {
            "task": task,
            "level": {"done": "ok", "now": "info"}.get(task.state, "none"),
            "word": wording.step_word(task.code),
            "says": _says(task.code),
            "who": str((who.get(task.code) or {}).get("by", "")).partition(":")[2],
            "on": [_host(found, one) for one in task.on],
            "text": "\n".join(task.lines),
        }
        for task in found.tasks
    ]


def _host(found: Shown, one: OnHost) -> dict[str, Any]:
    folder = found.folders.get(one.host, "")
    text = "\n".join(one.commands)
    return {"one": one, "text": f"cd {folder}\n{text}" if text else "", "folder": folder}


def _stand(found: Shown) -> list[dict[str, str]]:
    halting = next((task.code for task in found.tasks if task.code.startswith("restore_halt")), "")
    return [{"host": name, "says": stand_words(one, halting)} for name, one in found.stand.items()]


def _back(found: Shown) -> list[dict[str, str]]:
    step = found.guide.back
    if step is None or not found.may_go_back:
        return []
    return [{"text": "\n".join(step.lines), "on": ", ".join(step.on), "word": wording.step_word(BACK)}]


def restores_of(policy: Any) -> list[dict[str, Any]]:
    """The newest guided restores of a policy, as its page draws them."""
    rows = Operation.objects.filter(restore__policy=policy).select_related("request").order_by("-created_at")[:10]
    return [shown(row) for row in rows]
