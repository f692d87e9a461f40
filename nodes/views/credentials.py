"""Credentials. The private half goes in through a form and is never drawn again."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError, InvalidInput
from fleetui.core.form_errors import sentence, submitted
from nodes.forms import CredentialEditForm, CredentialForm, KeyForm
from nodes.hosts.ssh import generate_identity
from nodes.models import Credential, JumpHost, Node, Pool
from nodes.services import credentials as services
from nodes.services import rotation
from nodes.tasks import nudge_trials
from nodes.views.links import nodes_url
from nodes.views.subject import principal_of, way_tabs

MOST_SHOWN = 20


def key_type(credential: Credential) -> str:
    """The type of a key as people say it: ed25519, rsa, ecdsa."""
    first = credential.public_key.split(" ", 1)[0]
    return first.removeprefix("ssh-").removeprefix("ecdsa-sha2-").replace("nistp", "ecdsa p-")


@require_safe
@needs("credentials.read")
def credential_list(request: HttpRequest) -> HttpResponse:
    principal = principal_of(request)
    found = Credential.objects.visible_to(principal).annotate(pool_count=Count("pools", distinct=True)).order_by("name")
    reached = _nodes_by_credential(principal)
    rows = [
        {
            "credential": row,
            "type": key_type(row),
            "changed_at": row.rotated_at or row.created_at,
            "node_count": reached.get(row.pk, 0),
            "nodes_url": nodes_url(credential=row.name),
        }
        for row in found
    ]
    context = {"rows": rows, "may_add": principal.may("credentials.write"), "tabs": way_tabs(request)}
    return render(request, "nodes/credentials.html", context)


def _nodes_by_credential(principal: Principal) -> dict[uuid.UUID, int]:
    """How many nodes each credential is used on: those that name it, and those of its pools that name none."""
    nodes = Node.objects.visible_to(principal).counted().order_by()
    used = nodes.annotate(used=Coalesce("credential_id", "pool__credential_id")).exclude(used=None)
    return dict(used.values_list("used").annotate(count=Count("pk")))


def _credential(request: HttpRequest, pk: uuid.UUID, permission: str = "") -> Credential:
    principal = principal_of(request)
    found: Credential | None = Credential.objects.visible_to(principal).filter(pk=pk).first()
    if found is None:
        raise Http404(str(pk))
    if permission and not principal.may(permission):
        raise PermissionDenied(permission)
    return found


@require_safe
@needs("credentials.read")
def credential_page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The public half, how to put it on hosts, and who uses it."""
    principal = principal_of(request)
    credential = _credential(request, pk)
    pools = (
        Pool.objects.visible_to(principal)
        .filter(credential=credential)
        .annotate(node_count=Count("nodes"))
        .order_by("name")
    )
    nodes = Node.objects.visible_to(principal).filter(credential=credential)
    node_count = nodes.count()
    jump_hosts = JumpHost.objects.visible_to(principal).filter(credential=credential).order_by("name")
    context = {
        "credential": credential,
        "type": key_type(credential),
        "pools": pools,
        "nodes": nodes.order_by("name")[:MOST_SHOWN],
        "node_count": node_count,
        "more": max(node_count - MOST_SHOWN, 0),
        "nodes_url": nodes_url(credential=credential.name),
        "butane": _butane(credential),
        "may_write": principal.may("credentials.write"),
        "trying": [
            {"pool": pool, "progress": rotation.progress(pool)}
            for pool in Pool.objects.visible_to(principal)
            .filter(next_credential=credential)
            .select_related("next_credential")
            .order_by("name")[:MOST_SHOWN]
        ],
        "is_used": bool(pools or node_count or jump_hosts or credential.next_for_pools.exists()),
        "jump_hosts": jump_hosts,
    }
    return render(request, "nodes/credential.html", context)


def _butane(credential: Credential) -> str:
    """The lines of a Butane config that let this key in."""
    return (
        f"passwd:\n  users:\n    - name: {credential.username}\n"
        f"      ssh_authorized_keys:\n        - {credential.public_key}\n"
    )


def _may_write(request: HttpRequest) -> None:
    if not principal_of(request).may("credentials.write"):
        raise PermissionDenied("credentials.write")


@never_cache
@sensitive_post_parameters("private_key", "passphrase")
@require_http_methods(["GET", "HEAD", "POST"])
@needs("credentials.write")
def credential_add(request: HttpRequest) -> HttpResponse:
    _may_write(request)
    form = CredentialForm(request.POST or None, request.FILES or None)

    def add(given: dict[str, Any]) -> HttpResponse:
        fields = ("name", "username", "private_key", "passphrase", "certificate")
        values = {name: given[name] for name in fields}
        made = services.add_credential(**values, actor=principal_of(request), now=clock.now())
        said = _("The credential %(name)s was added. Put its public key on the hosts.")
        messages.info(request, said % {"name": made.name})
        return redirect("nodes:credential", pk=made.pk)

    answer, status = submitted(request, form, add)
    if answer:
        return answer
    form.forget_secrets()
    return render(request, "nodes/credential_add.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("credentials.write")
def credential_edit(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Name, user name and certificate; the key has its own page."""
    credential = _credential(request, pk, "credentials.write")
    form = CredentialEditForm(request.POST or None, instance=_credential(request, pk))

    def edit(given: dict[str, Any]) -> HttpResponse:
        changes = {name: given[name] for name in ("name", "username", "certificate")}
        _change(request, credential, changes, given["revision"])
        messages.info(request, _("The credential %(name)s was changed.") % {"name": credential.name})
        return redirect("nodes:credential", pk=pk)

    answer, status = submitted(request, form, edit)
    if answer:
        return answer
    context = {"form": form, "credential": credential, "is_stale": status == 412}
    return render(request, "nodes/credential_edit.html", context, status=status)


def _change(request: HttpRequest, credential: Credential, changes: dict[str, Any], revision: int) -> None:
    services.edit_credential(
        credential=credential,
        changes=changes,
        actor=principal_of(request),
        now=clock.now(),
        expected_revision=revision,
    )


@never_cache
@sensitive_post_parameters("private_key", "passphrase")
@require_http_methods(["GET", "HEAD", "POST"])
@needs("credentials.write")
def credential_rotate(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Replace the key: try the new one on all nodes first, or put it in place at once."""
    credential = _credential(request, pk, "credentials.write")
    form = KeyForm(request.POST or None, request.FILES or None, initial={"source": KeyForm.BRING})

    def replace(given: dict[str, Any]) -> HttpResponse:
        key = {"private_key": given["private_key"], "passphrase": given["passphrase"]}
        if request.POST.get("how") == "try":
            return _try_first(request, credential, key)
        if key["private_key"] is None:
            key = {"private_key": generate_identity(f"fleetui {credential.name}")[0]}
        _change(request, credential, key, _revision(request))
        messages.info(request, _("The key of %(name)s was replaced.") % {"name": credential.name})
        return redirect("nodes:credential", pk=pk)

    answer, status = submitted(request, form, replace)
    if answer:
        return answer
    form.forget_secrets()
    context = {
        "form": form,
        "credential": credential,
        "node_count": _reached(credential),
        "pools": Pool.objects.filter(credential=credential).order_by("name"),
        "is_stale": status == 412,
    }
    return render(request, "nodes/credential_rotate.html", context, status=status)


def _try_first(request: HttpRequest, old: Credential, key: dict[str, Any]) -> HttpResponse:
    """The new key becomes a credential of its own, which every pool of the old one tries."""
    principal, now = principal_of(request), clock.now()
    made = services.add_credential(
        name=rotation.next_name(old.name), username=old.username, **key, actor=principal, now=now
    )
    begun, left = rotation.propose_everywhere(old=old, credential=made, actor=principal, now=now)
    nudge_trials()
    said = _("The new key is the credential %(name)s. It is tried on: %(pools)s.")
    messages.info(request, said % {"name": made.name, "pools": rotation.named([pool.name for pool in begun]) or "–"})
    if left:
        said = _("These pools try another credential already: %(pools)s.")
        messages.warning(request, said % {"pools": rotation.named([pool.name for pool in left])})
    if len(begun) == 1:
        return redirect("nodes:pool_key", name=begun[0].name)
    return redirect("nodes:credential", pk=made.pk)


def _revision(request: HttpRequest) -> int:
    text = request.POST.get("revision", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _reached(credential: Credential) -> int:
    """How many nodes are contacted with this credential: their own, or their pool's."""
    own = Node.objects.filter(credential=credential)
    return int(own.count() + Node.objects.filter(credential=None, pool__credential=credential).count())


@require_POST
@needs("credentials.write")
def credential_delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    credential = _credential(request, pk, "credentials.write")
    name = credential.name
    try:
        if request.POST.get("confirm", "").strip() != name:
            raise InvalidInput(_("The name was not typed as it is, so nothing was deleted."))
        services.delete_credential(credential=credential, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:credential", pk=pk)
    messages.info(
        request, _("The credential %(name)s was deleted. Take its public key off the hosts.") % {"name": name}
    )
    return redirect("nodes:credentials")
