"""Jump hosts: the list, one of them, its forms, and the key that it shows, compared by a person before it is trusted."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError, InvalidInput
from fleetui.core.form_errors import sentence, submitted, take_error
from nodes.forms import JumpHostForm
from nodes.hosts.errors import HostError
from nodes.hosts.ssh import HostKey
from nodes.models import JumpHost, Node, Pool
from nodes.services import jump_hosts as services
from nodes.services.routes import MOST_HOPS
from nodes.views.add import KEY_FILES, OFFER_MAX_AGE_S
from nodes.views.links import nodes_url
from nodes.views.subject import principal_of, way_tabs
from nodes.wording import error_mend, error_sentence

OFFER_SALT = "nodes.jump_host.offer"
FIELDS = JumpHostForm.Meta.fields
MOST_SHOWN = 20


def visible_jump_host(request: HttpRequest, name: str, permission: str = "") -> JumpHost:
    """404 for what the principal may not see, 403 for what it may not do."""
    principal = principal_of(request)
    found = JumpHost.objects.visible_to(principal).filter(name=name.replace("\0", ""))
    row: JumpHost | None = found.select_related("credential", "through").first()
    if row is None:
        raise Http404(name)
    if permission and not principal.may(permission):
        raise PermissionDenied(permission)
    return row


@require_safe
@needs("credentials.read")
def jump_host_list(request: HttpRequest) -> HttpResponse:
    """Every jump host with its key, and how many nodes are reached through it."""
    principal = principal_of(request)
    found = (
        services.counted(JumpHost.objects.visible_to(principal))
        .select_related("credential", "through")
        .order_by("name")
    )
    nodes = Node.objects.visible_to(principal).counted().order_by()
    used = nodes.annotate(used=Coalesce("jump_host_id", "pool__jump_host_id")).exclude(used=None)
    reached = dict(used.values_list("used").annotate(count=Count("pk")))
    rows = [
        {
            "row": row,
            "fingerprint": fingerprint(row),
            "node_count": reached.get(row.pk, 0),
            "nodes_url": nodes_url(jump_host=row.name),
        }
        for row in found
    ]
    context = {"rows": rows, "may_add": principal.may("credentials.write"), "tabs": way_tabs(request)}
    return render(request, "nodes/jump_hosts.html", context)


def fingerprint(row: JumpHost) -> str:
    return HostKey.parse(row.host_key).fingerprint if row.host_key else ""


@require_safe
@needs("credentials.read")
def jump_host_page(request: HttpRequest, name: str) -> HttpResponse:
    """One jump host: its key, the way to it, and who is reached through it."""
    principal = principal_of(request)
    row = visible_jump_host(request, name)
    reached = Node.objects.visible_to(principal).counted().filter(_through(row))
    failing = reached.filter(last_error_kind="jump_failed").count()
    onward = JumpHost.objects.visible_to(principal).filter(through=row).order_by("name")
    pools = Pool.objects.visible_to(principal).filter(jump_host=row).order_by("name")
    node_count = reached.count()
    own = Node.objects.filter(jump_host=row).exists()
    context = {
        "row": row,
        "key": HostKey.parse(row.host_key) if row.host_key else None,
        "way": _way(row),
        "pools": pools,
        "onward": onward,
        "node_count": node_count,
        "nodes_url": nodes_url(jump_host=row.name),
        "failing": failing,
        "failing_url": nodes_url(jump_host=row.name, reason="jump_failed"),
        "is_used": bool(pools or onward or own),
        "may_write": principal.may("credentials.write"),
    }
    return render(request, "nodes/jump_host.html", context)


def _through(row: JumpHost) -> Q:
    return Q(jump_host=row) | Q(jump_host=None, pool__jump_host=row)


def _way(row: JumpHost) -> list[JumpHost]:
    """The jump hosts before this one, the first one first."""
    found: list[JumpHost] = []
    current = row.through
    while current is not None and len(found) < MOST_HOPS:
        found.insert(0, current)
        current = current.through
    return found


def _may_write(request: HttpRequest) -> Principal:
    principal = principal_of(request)
    if not principal.may("credentials.write"):
        raise PermissionDenied("credentials.write")
    return principal


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs("credentials.write")
def jump_host_add(request: HttpRequest) -> HttpResponse:
    """The form, then the key that the machine shows, then the jump host. `step` says which button was pressed."""
    principal = _may_write(request)
    if request.method != "POST":
        return _draw(request, JumpHostForm(principal=principal, initial={"port": 22}))
    step = request.POST.get("step", "")
    if step in ("accept", "back"):
        return _with_offer(request, principal, step)
    form = JumpHostForm(request.POST, principal=principal)
    if not form.is_valid():
        return _draw(request, form, status=422)
    if step == "anyway":
        return _add(request, form, None)
    return _ask_for_key(request, form)


def _with_offer(request: HttpRequest, principal: Principal, step: str) -> HttpResponse:
    offer = _opened(request.POST.get("offer", ""), principal)
    if offer is None:
        messages.warning(request, _("The key was shown more than ten minutes ago. Ask the host for it again."))
        return redirect("nodes:jump_host_add")
    typed, key = offer
    if step == "back":
        return _draw(request, JumpHostForm(principal=principal, initial=typed))
    form = JumpHostForm(typed, principal=principal)
    if not form.is_valid():
        return _draw(request, form, status=422)
    return _add(request, form, key)


def _sealed(typed: dict[str, Any], key: HostKey, principal: Principal) -> str:
    offer = {"typed": typed, "key": key.line, "by": principal.user_id}
    return signing.dumps(offer, salt=OFFER_SALT, compress=True)


def _opened(text: str, principal: Principal) -> tuple[dict[str, Any], HostKey] | None:
    """What was typed and the key that was shown; None when it is not ours, not this person's, or too old."""
    try:
        offer = signing.loads(text, salt=OFFER_SALT, max_age=OFFER_MAX_AGE_S)
    except signing.BadSignature:
        return None
    if offer["by"] != principal.user_id:
        return None
    return offer["typed"], HostKey.parse(offer["key"])


def _ask_for_key(request: HttpRequest, form: JumpHostForm) -> HttpResponse:
    """Contact the machine for its key. No transaction is open while it answers."""
    given = form.cleaned_data
    address, port, through = given["address"], given["port"], given["through"]
    try:
        key = services.scan(address=address, port=port, through=through)
    except HostError as error:
        return _draw(request, form, failure=failure_of(error, f"{address}:{port}"))
    typed = {name: form.data.get(name, "") for name in FIELDS}
    context = {
        "offer": _sealed(typed, key, principal_of(request)),
        "key": key,
        "key_file": KEY_FILES.get(key.type, ""),
        "name": given["name"],
        "place": f"{address}:{port}",
        "form_url": reverse("nodes:jump_host_add"),
        "button": _("Accept this key and add %(name)s") % {"name": given["name"]},
        "may_go_back": True,
        "rows": [
            {"label": _("Name"), "value": given["name"]},
            {"label": _("Address"), "value": f"{address}:{port}"},
            {"label": _("Credential"), "value": given["credential"]},
            {"label": _("Through"), "value": through},
        ],
    }
    return render(request, "nodes/jump_host_key.html", context)


def failure_of(error: HostError, place: str) -> dict[str, str]:
    return {
        "sentence": error_sentence(error.kind, error.params),
        "mend": error_mend(error.kind, error.params),
        "place": place,
    }


def _add(request: HttpRequest, form: JumpHostForm, key: HostKey | None) -> HttpResponse:
    values = {name: form.cleaned_data[name] for name in FIELDS}
    try:
        row = services.add_jump_host(**values, host_key=key, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        return _draw(request, form, status=take_error(form, error))
    if key:
        messages.info(request, _("The jump host %(name)s was added with its key.") % {"name": row.name})
    else:
        said = _("The jump host %(name)s was added. Nothing is contacted through it until its key is accepted.")
        messages.warning(request, said % {"name": row.name})
    return redirect("nodes:jump_host", name=row.name)


def _draw(request: HttpRequest, form: JumpHostForm, *, status: int = 200, failure: Any = None) -> HttpResponse:
    context = {"form": form, "failure": failure}
    return render(request, "nodes/jump_host_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("credentials.write")
def jump_host_edit(request: HttpRequest, name: str) -> HttpResponse:
    """A change that somebody else made meanwhile is not overwritten. The trusted key stays."""
    principal = principal_of(request)
    row = visible_jump_host(request, name, "credentials.write")
    form = JumpHostForm(request.POST or None, instance=visible_jump_host(request, name), principal=principal)

    def edit(given: dict[str, Any]) -> HttpResponse:
        changes = {field: given[field] for field in FIELDS}
        services.edit_jump_host(
            jump_host=row, changes=changes, actor=principal, now=clock.now(), expected_revision=given["revision"]
        )
        messages.info(request, _("The jump host %(name)s was changed.") % {"name": row.name})
        return redirect("nodes:jump_host", name=row.name)

    answer, status = submitted(request, form, edit)
    if answer:
        return answer
    context = {"form": form, "jump_host_name": name, "is_stale": status == 412}
    return render(request, "nodes/jump_host_form.html", context, status=status)


@never_cache
@require_POST
@needs("credentials.write")
def jump_host_key(request: HttpRequest, name: str) -> HttpResponse:
    """Ask the jump host for its key, show it beside the trusted one, and trust it when a person says so."""
    principal = principal_of(request)
    row = visible_jump_host(request, name, "credentials.write")
    if request.POST.get("step") == "accept":
        return _accept(request, principal, row)
    try:
        key = services.scan(address=row.address, port=row.port, through=row.through)
    except HostError as error:
        messages.error(request, f"{error_sentence(error.kind, error.params)} {error_mend(error.kind, error.params)}")
        return redirect("nodes:jump_host", name=name)
    if key.line == row.host_key:
        messages.info(request, _("%(name)s shows the trusted key.") % {"name": name})
        return redirect("nodes:jump_host", name=name)
    context = {
        "offer": _sealed({"id": str(row.pk)}, key, principal),
        "key": key,
        "key_file": KEY_FILES.get(key.type, ""),
        "name": name,
        "place": f"{row.address}:{row.port}",
        "form_url": reverse("nodes:jump_host_key", args=[name]),
        "button": _("Trust this key for %(name)s") % {"name": name},
        "trusted": fingerprint(row),
        "rows": [
            {"label": _("Name"), "value": name},
            {"label": _("Address"), "value": f"{row.address}:{row.port}"},
            {"label": _("Trusted key"), "value": fingerprint(row) or _("none yet")},
        ],
    }
    return render(request, "nodes/jump_host_key.html", context)


def _accept(request: HttpRequest, principal: Principal, row: JumpHost) -> HttpResponse:
    offer = _opened(request.POST.get("offer", ""), principal)
    if offer is None or offer[0].get("id") != str(row.pk):
        messages.warning(request, _("The key was shown more than ten minutes ago. Ask the host for it again."))
        return redirect("nodes:jump_host", name=row.name)
    try:
        services.edit_jump_host(jump_host=row, changes={"host_key": offer[1]}, actor=principal, now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        said = _("The key of %(name)s is trusted; the nodes behind it are polled now.")
        messages.info(request, said % {"name": row.name})
    return redirect("nodes:jump_host", name=row.name)


@require_POST
@needs("credentials.write")
def jump_host_try(request: HttpRequest, name: str) -> HttpResponse:
    """Sign in on the whole way, and say how it went."""
    row = visible_jump_host(request, name, "credentials.write")
    try:
        services.try_out(row, now=clock.now())
    except HostError as error:
        messages.error(request, f"{error_sentence(error.kind, error.params)} {error_mend(error.kind, error.params)}")
    else:
        said = _("%(name)s lets FleetUI in as %(username)s, and shows the trusted key.")
        messages.info(request, said % {"name": name, "username": row.credential.username})
    return redirect("nodes:jump_host", name=name)


@require_POST
@needs("credentials.write")
def jump_host_delete(request: HttpRequest, name: str) -> HttpResponse:
    row = visible_jump_host(request, name, "credentials.write")
    try:
        if request.POST.get("confirm", "").strip() != name:
            raise InvalidInput(_("The name was not typed as it is, so nothing was deleted."))
        services.delete_jump_host(jump_host=row, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:jump_host", name=name)
    messages.info(request, _("The jump host %(name)s was deleted.") % {"name": name})
    return redirect("nodes:jump_hosts")
