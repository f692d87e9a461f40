"""Add a node: what people know of it, then the key that it shows, compared by a person before anything is stored."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import take_error
from nodes.forms import AddNodeForm
from nodes.hosts.errors import HostError
from nodes.hosts.ssh import HostCertificate, HostKey
from nodes.models import Credential, Node, Pool
from nodes.services import host_keys
from nodes.services import nodes as services
from nodes.services.routes import authorities_for
from nodes.views.edit import labels_text
from nodes.views.subject import principal_of
from nodes.wording import error_mend, error_sentence

OFFER_SALT = "nodes.add.offer"
OFFER_MAX_AGE_S = 600
FIELDS = (
    *("name", "address", "port", "pool", "credential", "jump_host", "os_family_given", "labels"),
    "allow_same_address",
)
#: How the host calls the file of each key type, for the command that prints its fingerprint.
KEY_FILES = {
    "ssh-ed25519": "ssh_host_ed25519_key.pub",
    "ssh-rsa": "ssh_host_rsa_key.pub",
    "ecdsa-sha2-nistp256": "ssh_host_ecdsa_key.pub",
    "ecdsa-sha2-nistp384": "ssh_host_ecdsa_key.pub",
    "ecdsa-sha2-nistp521": "ssh_host_ecdsa_key.pub",
}


class OfferTooOld(Exception):
    """The signed offer is not ours, not this person's, or older than ten minutes."""


def seal_offer(form: AddNodeForm, key: HostKey, principal: Principal) -> str:
    """What was typed and the key that was seen, signed: nothing is stored before a person accepts the key."""
    typed = {name: form.data.get(name, "") for name in FIELDS}
    return signing.dumps({"typed": typed, "key": key.line, "by": principal.user_id}, salt=OFFER_SALT, compress=True)


def open_offer(text: str, principal: Principal) -> tuple[dict[str, Any], HostKey]:
    try:
        offer = signing.loads(text, salt=OFFER_SALT, max_age=OFFER_MAX_AGE_S)
    except signing.BadSignature as error:
        raise OfferTooOld from error
    if offer["by"] != principal.user_id:
        raise OfferTooOld
    return offer["typed"], HostKey.parse(offer["key"])


@never_cache
@sensitive_post_parameters("offer")
@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.write")
def add(request: HttpRequest) -> HttpResponse:
    """The form; then the offered key; then the node. `step` says which button was pressed."""
    principal = principal_of(request)
    if request.method != "POST":
        return _draw(request, _form(principal, None, initial=_wished(request, principal)))
    step = request.POST.get("step", "")
    if step in ("accept", "back"):
        return _with_offer(request, principal, step)
    form = _form(principal, request.POST)
    if not form.is_valid():
        return _draw(request, form, status=422)
    if step == "anyway" or not principal.may("nodes.accept_key", _Place(form.cleaned_data.get("pool"))):
        return _store(request, form, None)
    return _ask_host(request, form)


class _Place:
    """Where the node will stand, for the question of rights."""

    def __init__(self, pool: Pool | None) -> None:
        self.pool_id = pool.pk if pool else None


def _form(principal: Principal, data: Any, **kwargs: Any) -> AddNodeForm:
    return AddNodeForm(data, principal=principal, key_url=reverse("nodes:public_key"), **kwargs)


def _wished(request: HttpRequest, principal: Principal) -> dict[str, Any]:
    """A pool that a link names is chosen already."""
    name = request.GET.get("pool", "").replace("\0", "")
    return {"pool": Pool.objects.visible_to(principal).filter(name=name).first(), "port": 22} if name else {"port": 22}


def _with_offer(request: HttpRequest, principal: Principal, step: str) -> HttpResponse:
    try:
        typed, key = open_offer(request.POST.get("offer", ""), principal)
    except OfferTooOld:
        messages.warning(request, _("The key was shown more than ten minutes ago. Ask the host for it again."))
        return redirect("nodes:add")
    form = _form(principal, typed)
    if step == "back":
        return _draw(request, _form(principal, None, initial=typed))
    if not form.is_valid():
        return _draw(request, form, status=422)
    return _store(request, form, key)


def _ask_host(request: HttpRequest, form: AddNodeForm) -> HttpResponse:
    """Contact the host for its key. No transaction is open while it answers."""
    address, port = form.cleaned_data["address"], form.cleaned_data["port"]
    try:
        jump_host = form.chosen_jump_host
        key, certificate = host_keys.scan(
            address=address,
            port=port,
            jump_host_id=jump_host.pk if jump_host else None,
            authorities=authorities_for(form.cleaned_data.get("pool"), form.cleaned_data["name"], address),
        )
    except HostError as error:
        failure = {"sentence": error_sentence(error.kind, error.params), "mend": error_mend(error.kind, error.params)}
        failure["place"] = f"{address}:{port}"
        return _draw(request, form, failure=failure)
    if certificate is not None:
        return _store(request, form, None, certificate)
    context = {
        "offer": seal_offer(form, key, principal_of(request)),
        "key": key,
        "key_file": KEY_FILES.get(key.type, ""),
        "rows": _summary(form),
        "name": form.cleaned_data["name"],
        "credential": _shown_credential(principal_of(request), form.chosen_credential),
        "place": f"{address}:{port}",
    }
    return render(request, "nodes/add_key.html", context)


def _summary(form: AddNodeForm) -> list[dict[str, Any]]:
    found = form.cleaned_data
    family = dict(form.fields["os_family_given"].choices)[found["os_family_given"]]  # type: ignore[attr-defined]
    return [
        {"label": _("Name"), "value": found["name"]},
        {"label": _("Address"), "value": f"{found['address']}:{found['port']}"},
        {"label": _("Pool"), "value": found.get("pool")},
        {"label": _("Credential"), "value": form.chosen_credential},
        {"label": _("Jump host"), "value": form.chosen_jump_host},
        {"label": _("OS family"), "value": family},
        {"label": _("Labels"), "value": labels_text(found["labels"]).replace("\n", ", ")},
    ]


def _store(
    request: HttpRequest, form: AddNodeForm, key: HostKey | None, certificate: HostCertificate | None = None
) -> HttpResponse:
    values = {name: form.cleaned_data[name] for name in FIELDS if name in form.cleaned_data}
    try:
        node = services.add_node(**values, host_key=key, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        return _draw(request, form, status=take_error(form, error))
    if key:
        messages.info(request, _("%(name)s was added with its key. It is polled now.") % {"name": node.name})
    elif certificate:
        said = _("%(name)s was added: its host certificate %(key_id)s is trusted. It is polled now.")
        messages.info(request, said % {"name": node.name, "key_id": certificate.key_id})
    else:
        said = _(
            "%(name)s was added. Once it answers, its key is offered on this page: it is read after you accept it."
        )
        messages.info(request, said % {"name": node.name})
    return redirect("nodes:detail", name=node.name)


def _draw(request: HttpRequest, form: AddNodeForm, *, status: int = 200, failure: Any = None) -> HttpResponse:
    principal = principal_of(request)
    context = {
        "form": form,
        "failure": failure,
        "credential": _hint(principal, form),
        "is_first": not Node.objects.visible_to(principal).exists(),
        "has_credentials": Credential.objects.visible_to(principal).exists(),
        "may_add_credential": principal.may("credentials.write"),
    }
    return render(request, "nodes/add.html", context, status=status)


def _hint(principal: Principal, form: AddNodeForm) -> Credential | None:
    def chosen(name: str) -> Any:
        value = form[name].value() if name in form.fields else None
        return getattr(value, "pk", value) or ""

    return credential_for(principal, str(chosen("credential")), str(chosen("pool")))


def credential_for(principal: Principal, credential_id: str, pool_id: str) -> Credential | None:
    """The credential that these two choices mean, if the principal may see it."""
    visible = Credential.objects.visible_to(principal)
    try:
        if credential_id:
            return visible.filter(pk=credential_id).first()
        return visible.filter(pools=pool_id, pools__in=Pool.objects.visible_to(principal)).first() if pool_id else None
    except (ValueError, TypeError, ValidationError):
        return None


def _shown_credential(principal: Principal, credential: Credential | None) -> Credential | None:
    return credential_for(principal, str(credential.pk), "") if credential else None


@require_safe
@needs("nodes.write")
def public_key(request: HttpRequest) -> HttpResponse:
    """The public key to put on the host, for the choices made in the form."""
    credential = credential_for(principal_of(request), request.GET.get("credential", ""), request.GET.get("pool", ""))
    return render(request, "nodes/partials/public_key.html", {"credential": credential})
