"""Change the key of a pool: choose the next credential, watch it being tried on every node, then switch, or stop."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from nodes.forms import NextCredentialForm
from nodes.hosts.ssh import generate_identity
from nodes.models import Credential, CredentialTrial, Pool
from nodes.services import credentials, rotation
from nodes.services.rotation import Progress
from nodes.tasks import nudge_trials
from nodes.views.actions import reason_of
from nodes.views.group_words import phrase
from nodes.views.links import nodes_url
from nodes.views.pools import visible_pool
from nodes.views.subject import principal_of
from nodes.wording import error_mend, error_sentence

PAGE_SIZE = 50
SHOWN = ("fails", "waiting", "works")


@never_cache
@sensitive_post_parameters("private_key", "passphrase")
@require_http_methods(["GET", "HEAD", "POST"])
@needs("pools.write")
def rotation_page(request: HttpRequest, name: str) -> HttpResponse:
    """The form, or how far the trials are. A live refresh gets the progress only."""
    pool = visible_pool(request, name, "pools.write")
    if request.method == "POST":
        return _propose(request, pool)
    if pool.next_credential is None:
        if request.htmx:  # type: ignore[attr-defined]
            return HttpResponse(headers={"HX-Redirect": reverse("nodes:pool", args=[pool.name])})
        return _draw_form(request, pool, _form(request, pool))
    context = _progress_context(request, pool)
    template = "nodes/partials/rotation_progress.html" if request.htmx else "nodes/pool_key.html"  # type: ignore[attr-defined]
    return render(request, template, context)


def _form(request: HttpRequest, pool: Pool) -> NextCredentialForm:
    current = pool.credential
    initial = {
        "source": NextCredentialForm.EXISTING,
        "name": rotation.next_name(current.name if current else pool.name),
        "username": current.username if current else "core",
        "credential": request.GET.get("credential", "").replace("\0", "") or None,
    }
    return NextCredentialForm(
        request.POST or None, request.FILES or None, principal=principal_of(request), pool=pool, initial=initial
    )


def _propose(request: HttpRequest, pool: Pool) -> HttpResponse:
    principal = principal_of(request)
    form = _form(request, pool)

    def propose(given: dict[str, Any]) -> HttpResponse:
        credential = _chosen(request, given)
        rotation.propose(pool=pool, credential=credential, actor=principal, now=clock.now())
        nudge_trials()
        said = _("%(name)s is tried on the nodes of %(pool)s. Put its public key on them, if it is not there yet.")
        messages.info(request, said % {"name": credential.name, "pool": pool.name})
        return redirect("nodes:pool_key", name=pool.name)

    answer, status = submitted(request, form, propose)
    if answer:
        return answer
    form.forget_secrets()
    return _draw_form(request, pool, form, status)


def _chosen(request: HttpRequest, given: dict[str, Any]) -> Credential:
    """The credential to try; a new one is stored, whatever comes of the trial."""
    if given["source"] == NextCredentialForm.EXISTING:
        found: Credential = given["credential"]
        return found
    return credentials.add_credential(
        name=given["name"],
        username=given["username"],
        private_key=given["private_key"] or generate_identity(f"fleetui {given['name']}")[0],
        passphrase=given["passphrase"],
        actor=principal_of(request),
        now=clock.now(),
    )


def _draw_form(request: HttpRequest, pool: Pool, form: NextCredentialForm, status: int = 200) -> HttpResponse:
    context = {"pool": pool, "form": form, "node_count": rotation.concerned(pool).count()}
    return render(request, "nodes/pool_key_form.html", context, status=status)


def _progress_context(request: HttpRequest, pool: Pool) -> dict[str, Any]:
    found = rotation.progress(pool)
    asked = request.GET.get("show", "")
    show = asked if asked in SHOWN else _first(found)
    rows, after = _rows(request, pool, show)
    url = reverse("nodes:pool_key", args=[pool.name])
    left = rotation.named(rotation.not_working(pool).values_list("name", flat=True)[:6]) if not found.is_proven else ""
    own = pool.nodes.exclude(credential=None).exclude(lifecycle="retired").count()
    return {
        "pool": pool,
        "next": pool.next_credential,
        "progress": found,
        "percent": found.percent,
        "segments": [
            {"level": level, "label": word, "count": count, "url": f"{url}?show={state}"}
            for level, word, count, state in (
                ("ok", _("Works"), found.works, "works"),
                ("bad", _("Fails"), found.fails, "fails"),
                ("none", _("Waiting"), found.waiting, "waiting"),
            )
        ],
        "show": show,
        "rows": rows,
        "older_url": f"{url}?{urlencode({'show': show, 'after': after})}" if after else "",
        "newer_url": f"{url}?show={show}" if request.GET.get("after") else "",
        "reasons": _reasons(pool),
        "left": left,
        "left_count": found.nodes - found.works,
        "own_count": own,
        "own_url": nodes_url(pool=pool.name),
    }


def _first(found: Progress) -> str:
    return "fails" if found.fails else "waiting" if found.waiting else "works"


def _rows(request: HttpRequest, pool: Pool, show: str) -> tuple[list[dict[str, Any]], str]:
    """One page of nodes by name, and the name after which the next begins."""
    after = request.GET.get("after", "").replace("\0", "")
    if show == "waiting":
        tried = rotation.trials_of(pool).filter(state__in=("works", "fails")).order_by().values("node")
        nodes = rotation.concerned(pool).exclude(pk__in=tried).filter(name__gt=after).order_by("name")
        names = list(nodes.values_list("name", flat=True)[: PAGE_SIZE + 1])
        rows: list[dict[str, Any]] = [{"name": name} for name in names]
    else:
        found = rotation.trials_of(pool).filter(state=show, node__name__gt=after).select_related("node")
        rows = [_row(trial) for trial in found.order_by("node__name")[: PAGE_SIZE + 1]]
    more = len(rows) > PAGE_SIZE
    rows = rows[:PAGE_SIZE]
    return rows, str(rows[-1]["name"]) if more else ""


def _row(trial: CredentialTrial) -> dict[str, Any]:
    kind, params = trial.error_kind, trial.error_params
    return {
        "name": trial.node.name,
        "tried_at": trial.tried_at,
        "why": error_sentence(kind, params) if kind else "",
        "mend": error_mend(kind, params) if kind else "",
        "again_at": trial.due_at if trial.state == "fails" else None,
    }


def _reasons(pool: Pool) -> list[dict[str, Any]]:
    """How many nodes fail for which reason, the most frequent first."""
    failing = rotation.trials_of(pool).filter(state="fails").order_by()
    counts = failing.values("error_kind").annotate(count=Count("pk")).order_by("-count", "error_kind")
    return [{"text": phrase(row["error_kind"]), "count": row["count"]} for row in counts]


@require_POST
@needs("pools.write")
def rotation_switch(request: HttpRequest, name: str) -> HttpResponse:
    """Put the next credential in place."""
    pool = visible_pool(request, name, "pools.write")
    old = pool.credential
    try:
        rotation.switch(pool=pool, actor=principal_of(request), now=clock.now(), reason=reason_of(request))
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:pool_key", name=name)
    said = _("%(pool)s uses %(name)s now.") % {"pool": pool.name, "name": pool.credential}
    if old is not None:
        said += " " + _("%(old)s can be deleted once nothing uses it.") % {"old": old.name}
    messages.info(request, said)
    return redirect("nodes:pool", name=name)


@require_POST
@needs("pools.write")
def rotation_stop(request: HttpRequest, name: str) -> HttpResponse:
    """Drop the next credential."""
    pool = visible_pool(request, name, "pools.write")
    try:
        rotation.stop(pool=pool, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        messages.info(request, _("The trial was stopped; %(pool)s keeps its credential.") % {"pool": pool.name})
    return redirect("nodes:pool", name=name)


@require_POST
@needs("pools.write")
def rotation_retry(request: HttpRequest, name: str) -> HttpResponse:
    """Try it again where it fails."""
    pool = visible_pool(request, name, "pools.write")
    try:
        count = rotation.retry(pool=pool, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        nudge_trials()
        said = ngettext("It is tried again on %(count)s node.", "It is tried again on %(count)s nodes.", count)
        messages.info(request, said % {"count": f"{count:,}"})
    return redirect("nodes:pool_key", name=name)
