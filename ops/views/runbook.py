"""The runbook: the Day-2 tasks of a pool, how often they should happen, and what is overdue in all pools."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.form_errors import submitted
from nodes.models import Node, Pool
from nodes.views.links import nodes_url
from nodes.views.pools import visible_pool
from nodes.views.subject import principal_of
from ops import actions, wording
from ops.actions.base import ASKED
from ops.models import RunbookEntry
from ops.runbook import MOST_DAYS, OF_POLICIES, TASKS, Task
from ops.services.runbook.setting import PERMISSION, days_of, set_days
from ops.services.runbook.table import Row, table
from ops.states import State
from ops.views.words import LEVELS
from ops.wording.runbook import STANDS
from ops.wording.runbook import TASKS as WORDS


class RunbookForm(forms.Form):
    """How often each task should happen, in days."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("Kept in the audit log."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reason = self.fields.pop("reason")
        for task in TASKS.values():
            self.fields[task.name] = forms.IntegerField(
                label=_("%(task)s, every how many days") % {"task": WORDS[task.name]},
                required=False,
                min_value=0,
                max_value=MOST_DAYS,
                help_text=_usual(task),
            )
        self.fields["reason"] = reason


def _usual(task: Task) -> str:
    if task.name in OF_POLICIES:
        return _("Empty: as the backup policies say. 0: not asked for.")
    if not task.usual_days:
        return _("Empty or 0: not asked for.")
    return ngettext(
        "Empty: every day. 0: not asked for.", "Empty: every %(n)s days. 0: not asked for.", task.usual_days
    ) % {"n": task.usual_days}


def _pool(request: HttpRequest, name: str) -> Pool:
    """The runbook tells of operations: whoever may not see them in this pool does not see it."""
    return visible_pool(request, name, "operations.read")


@require_safe
@needs("operations.read")
def runbook_page(request: HttpRequest, name: str) -> HttpResponse:
    """The table of one pool."""
    principal, pool = principal_of(request), _pool(request, name)
    rows = [_row(one, principal, pool) for one in table(principal, pool, clock.now())]
    context = {
        "pool": pool,
        "rows": rows,
        "overdue": sum(row["row"].stand.is_overdue for row in rows),
        "may_change": principal.may(PERMISSION, pool),
    }
    return render(request, "ops/runbook.html", context)


def _row(one: Row, principal: Principal, pool: Pool) -> dict[str, Any]:
    level, word = STANDS[one.stand.code]
    last = one.last
    return {
        "row": one,
        "name": WORDS[one.task.name],
        "level": level,
        "word": word,
        "every": every_words(one),
        "by": last.by.partition(":")[2] or last.by if last else "",
        "results": [
            {"level": LEVELS[state.value], "word": wording.state_word(state), "count": last.counts[state]}
            for state in State
            if last and last.counts.get(state)
        ],
        "last_url": _last_url(one),
        "running_url": f"{reverse('operations')}?{urlencode({'pool': pool.name, 'kind': ','.join(one.task.kinds)})}"
        if one.running
        else "",
        **_button(one, principal, pool),
    }


def every_words(one: Row) -> str:
    if one.stand.by_policies:
        return _("as its policies say")
    if not one.stand.every_days:
        return ""
    return ngettext("every day", "every %(n)s days", one.stand.every_days) % {"n": one.stand.every_days}


def _last_url(one: Row) -> str:
    last = one.last
    if last is None or not last.operation:
        return ""
    if sum(last.counts.values()) > 1:
        return reverse("operation_bulk", args=[last.request])
    return reverse("operation", args=[last.operation])


def _button(one: Row, principal: Principal, pool: Pool) -> dict[str, Any]:
    """What starts it: a plan for every node of the pool, or the page of what it is about."""
    if one.task.name in OF_POLICIES:
        if len(one.policies) == 1:
            return {"go_url": reverse("backup_policy", args=[one.policies[0].pk]), "go": _("Open the policy")}
        if one.policies:
            return {"go_url": reverse("backups"), "go": _("Open the policies")}
        return (
            {"go_url": reverse("backups"), "go": _("Set up a backup")} if principal.may("backups.write", pool) else {}
        )
    kind = _kind_for(one, pool)
    if not one.stand.nodes or actions.get(kind).permission != ASKED or not principal.may(ASKED, pool):
        return {}
    return {
        "kind": kind,
        "go": wording.kind_word(kind),
        "filter": nodes_url(pool=pool.name, lifecycle="active").partition("?")[2],
    }


def _kind_for(one: Row, pool: Pool) -> str:
    """The kind that its button plans: certificates of a pool of control planes alone are renewed by kubeadm."""
    if "kubeadm_renew" in one.task.kinds and one.stand.nodes:
        planes = Node.objects.filter(pool=pool, lifecycle="active", facts__document__kubernetes__role="control-plane")
        if planes.count() == one.stand.nodes:
            return "kubeadm_renew"
    return one.task.kinds[0]


@require_http_methods(["GET", "HEAD", "POST"])
@needs("pools.write")
def runbook_edit(request: HttpRequest, name: str) -> HttpResponse:
    """How often the tasks of a pool should happen."""
    principal, pool = principal_of(request), _pool(request, name)
    if not principal.may(PERMISSION, pool):
        raise PermissionDenied(PERMISSION)
    form = RunbookForm(request.POST if request.method == "POST" else None, initial=days_of(pool))

    def save(values: dict[str, Any]) -> HttpResponse:
        days = {task: values[task] for task in TASKS}
        set_days(pool=pool, days=days, reason=values["reason"], actor=principal, now=clock.now())
        messages.info(request, _("The runbook of %(pool)s is saved.") % {"pool": pool.name})
        return redirect("runbook", pool.name)

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    return render(request, "ops/runbook_form.html", {"form": form, "pool": pool}, status=status)


@require_safe
@needs("operations.read")
def runbook_overdue(request: HttpRequest) -> HttpResponse:
    """What is overdue, in all pools; of one task with `task`."""
    principal, wanted = principal_of(request), request.GET.get("task", "")
    entries = overdue(principal)
    rows = [{"entry": one, "name": WORDS[one.task]} for one in entries if wanted in ("", one.task)]
    context = {"rows": rows, "task": WORDS.get(wanted, ""), "more": len(entries) - len(rows)}
    return render(request, "ops/runbook_overdue.html", context)


def overdue(principal: Principal) -> list[RunbookEntry]:
    """As the watch saw it last, the longest overdue first. One query."""
    found = RunbookEntry.objects.visible_to(principal).filter(overdue_since__isnull=False, task__in=list(TASKS))
    return list(found.select_related("pool").order_by("overdue_since", "pool__name"))


def overdue_items(principal: Principal) -> list[dict[str, Any]]:
    """One line of the overview for each task that is overdue somewhere."""
    by_task: dict[str, list[RunbookEntry]] = defaultdict(list)
    for entry in overdue(principal):
        by_task[entry.task].append(entry)
    return [
        {
            "level": "warn",
            "count": len(found),
            "text": ngettext("pool: %(task)s is overdue", "pools: %(task)s is overdue", len(found))
            % {"task": WORDS[task]},
            "names": [one.pool.name for one in found] if len(found) <= 3 else [],
            "since": found[0].overdue_since,
            "url": reverse("runbook", args=[found[0].pool.name])
            if len(found) == 1
            else f"{reverse('runbook_overdue')}?task={task}",
        }
        for task, found in by_task.items()
    ]
