"""What deletes and makes machines: the list under Settings, its form and its buttons."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings as installation
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.access.settings_tabs import settings_tabs
from fleetui.core import clock
from fleetui.core.errors import FleetError, NotFound
from fleetui.core.form_errors import sentence, submitted
from nodes.git_form import SourceForm
from nodes.hosts.ssh import HostKey
from nodes.models import Pool
from nodes.views.subject import principal_of
from ops.models import PoolProvisioner, Provisioner, ProvisionerSource
from ops.services.replacing import provisioners as services
from ops.services.replacing import repositories
from ops.wording.replacement import KINDS, worded

_PLAIN = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off", "class": "form-control ui-mono"}


class ProvisionerForm(forms.Form):
    """By hand, a command, a webhook, or Terraform; and the pools that it makes machines for."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    instructions = forms.CharField(
        label=gettext_lazy("What to do"),
        required=False,
        max_length=services.MOST_TEXT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("Shown to whoever deletes the machine and makes the new one."),
    )
    command = forms.CharField(
        label=gettext_lazy("Command"),
        max_length=2000,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "replace-vm --region eu-1"}),
        help_text=gettext_lazy(
            "A file in the folder that FLEETUI_PROVISIONERS_DIR names, with its arguments; no shell."
        ),
    )
    url = forms.CharField(
        label=gettext_lazy("Address of the webhook"),
        max_length=services.MOST_WORD_CHARS,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "https://machines.example.org/replace"}),
        help_text=gettext_lazy(
            "It gets JSON, and answers JSON or tells later. Only https, since what it gets leads to secrets."
        ),
    )
    secret = forms.CharField(
        label=gettext_lazy("Secret that signs"),
        max_length=services.MOST_SECRET,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("At least 16 characters, such as openssl rand -hex 32 gives. Both sides sign with it."),
    )
    program = forms.ChoiceField(
        label=gettext_lazy("Program"),
        choices=[("terraform", "Terraform"), ("tofu", "OpenTofu")],
        help_text=gettext_lazy("It has to be installed where the workers of FleetUI run."),
    )
    directory = forms.CharField(
        label=gettext_lazy("Working directory"),
        max_length=services.MOST_WORD_CHARS,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "production/workers"}),
        help_text=gettext_lazy("Below the folder that FLEETUI_PROVISIONERS_DIR names, and initialised there."),
    )
    address = forms.CharField(
        label=gettext_lazy("Address of the resource"),
        max_length=services.MOST_ADDRESS,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": 'vm.worker["{node}"]'}),
        help_text=gettext_lazy("{node} stands for the name of the node. This resource is replaced, and nothing else."),
    )
    kernel_url = forms.CharField(
        label=gettext_lazy("Address of the live kernel"),
        max_length=1000,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "https://images.example.org/live-kernel.x86_64"}),
        help_text=gettext_lazy("Of the PXE images of Fedora CoreOS; the host fetches it."),
    )
    kernel_sha256 = forms.CharField(
        label=gettext_lazy("SHA-256 of the live kernel"), max_length=64, widget=forms.TextInput(attrs=_PLAIN)
    )
    initramfs_url = forms.CharField(
        label=gettext_lazy("Address of the live initramfs"), max_length=1000, widget=forms.TextInput(attrs=_PLAIN)
    )
    initramfs_sha256 = forms.CharField(
        label=gettext_lazy("SHA-256 of the live initramfs"), max_length=64, widget=forms.TextInput(attrs=_PLAIN)
    )
    rootfs_url = forms.CharField(
        label=gettext_lazy("Address of the live root file system"),
        max_length=1000,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("Of the same version: the initramfs takes no other one."),
    )
    install_dev = forms.CharField(
        label=gettext_lazy("Disk that is written to"),
        max_length=200,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "/dev/disk/by-id/..."}),
        help_text=gettext_lazy("Everything on it goes, but the partitions that are kept."),
    )
    keep_partitions = forms.CharField(
        label=gettext_lazy("Partitions that are kept"),
        max_length=1500,
        required=False,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "data, var*"}),
        help_text=gettext_lazy("By their labels, with commas between. Empty: none."),
    )
    arguments = forms.CharField(
        label=gettext_lazy("Further kernel arguments of the installer"),
        max_length=1000,
        required=False,
        widget=forms.TextInput(
            attrs={**_PLAIN, "placeholder": "ip={address}::10.0.0.1:255.255.255.0:{node}:ens3:none"}
        ),
        help_text=gettext_lazy("Without a static address here it asks DHCP."),
    )
    limit_s = forms.IntegerField(
        label=gettext_lazy("Time limit of one attempt in seconds"),
        min_value=services.LEAST_LIMIT_S,
        max_value=services.MOST_LIMIT_S,
    )
    base_url = forms.CharField(
        label=gettext_lazy("Address of FleetUI"),
        max_length=200,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("As new machines reach it: there they fetch their config."),
    )
    pools = forms.ModelMultipleChoiceField(
        Pool.objects.none(),
        label=gettext_lazy("Pools"),
        required=False,
        help_text=gettext_lazy("Those whose machines it makes. A pool has one provisioner at most."),
    )
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, kind: str, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {name for names in services.SETTINGS.values() for name in names} - set(services.SETTINGS[kind]):
            del self.fields[name]
        if kind != "webhook":
            del self.fields["secret"]
        elif self.initial.get("revision"):
            self.fields["secret"].required = False
            self.fields["secret"].help_text = _("Empty: the one that is there stays, as long as the address does.")
        self.fields["pools"].queryset = Pool.objects.visible_to(principal)  # type: ignore[attr-defined]

    def clean_keep_partitions(self) -> list[str]:
        return [one for one in self.cleaned_data["keep_partitions"].replace(",", " ").split() if one]

    def clean_command(self) -> list[str]:
        try:
            return shlex.split(self.cleaned_data["command"])
        except ValueError:
            raise forms.ValidationError(_("A quotation mark is not closed.")) from None


class RepositoryForm(SourceForm, ProvisionerForm):
    """Terraform in a directory out of Git."""

    ref_kind = forms.ChoiceField(
        label=gettext_lazy("Which commit"),
        choices=[
            ("branch", gettext_lazy("the newest of a branch")),
            ("tag", gettext_lazy("that of a tag")),
            ("commit", gettext_lazy("always the same one")),
        ],
        help_text=gettext_lazy("It is decided when an operation begins, and stays the same to its end."),
    )
    ref = forms.CharField(
        label=gettext_lazy("Branch, tag or commit"),
        max_length=200,
        initial="main",
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("Of a commit the whole id, 40 characters."),
    )
    field_order = (
        *("name", "program", "url", "ref_kind", "ref", "directory", "address", "auth", "username", "secret"),
        *("require_signed", "allowed_signers", "allowed_keys", "limit_s", "base_url", "pools"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kept = {name: self.base_fields[name] for name in ("url", "secret")}
        super().__init__(*args, **kwargs)
        # Those of a webhook are others.
        self.fields |= {name: deepcopy(field) for name, field in kept.items()}
        directory = self.fields["directory"]
        directory.label, directory.required = _("Directory in the repository"), False
        directory.help_text = _(
            "From its top. Empty: the top itself. The code there declares the backend of the state."
        )
        self.order_fields(self.field_order)


def _admin(request: HttpRequest) -> Principal:
    principal: Principal = principal_of(request)
    if not principal.may(services.PERMISSION):
        raise PermissionDenied(services.PERMISSION)
    return principal


def _provisioner(principal: Principal, provisioner_id: uuid.UUID) -> Provisioner:
    try:
        return services.provisioner_at(principal, provisioner_id)
    except NotFound as error:
        raise Http404(str(error)) from error


@require_safe
@needs("settings.write")
def provisioner_list(request: HttpRequest) -> HttpResponse:
    """Every provisioner with its pools. Two queries."""
    rows = services.provisioners_of(_admin(request)).prefetch_related("pools__pool")
    context = {
        "tabs": settings_tabs(request),
        "rows": [{"provisioner": one, "kind": KINDS[one.kind], "what": _what(one)} for one in rows],
        "kinds": KINDS.items(),
    }
    return render(request, "ops/provisioners.html", context)


def _what(one: Provisioner) -> str:
    if one.kind == "terraform":
        source = repositories.chosen(one)
        place = f"{source['url']} {worded(source)['what']} " if source else ""
        return f"{place}{one.settings['directory']}: {one.settings['address']}"
    if one.kind == "in_place":
        return f"{one.settings['install_dev']}: {one.settings['kernel_url']}"
    if one.kind == "webhook":
        return str(one.settings["url"])
    return shlex.join(one.settings["command"]) if one.kind == "hook" else ""


@require_http_methods(["GET", "HEAD", "POST"])
@needs("settings.write")
def provisioner_edit(request: HttpRequest, provisioner_id: uuid.UUID | None = None) -> HttpResponse:
    """A new one of the kind in the address, or other settings of one that is there."""
    principal = _admin(request)
    provisioner = _provisioner(principal, provisioner_id) if provisioner_id else None
    kind = provisioner.kind if provisioner else request.GET.get("kind", "hook")
    if kind not in Provisioner.KINDS:
        raise Http404(kind)
    is_in_git = kind == "terraform" and _is_in_git(request, provisioner)
    given = request.POST if request.method == "POST" else None
    made = RepositoryForm if is_in_git else ProvisionerForm
    form = made(
        given, kind=kind, principal=principal, initial=_initial(request, provisioner, kind, is_in_git=is_in_git)
    )

    def save(values: dict[str, Any]) -> HttpResponse:
        settings = {name: values[name] for name in services.SETTINGS[kind]}
        if is_in_git:
            # The host key is trusted by a button, and stays.
            names = set(repositories.FIELDS) - {"host_key"}
            settings[services.GIT] = {name: value for name, value in values.items() if name in names}
        saved = services.set_provisioner(
            name=values["name"],
            kind=kind,
            settings=settings,
            base_url=values["base_url"],
            secret=values.get("secret", ""),
            pools=values["pools"],
            provisioner=provisioner,
            expected_revision=values["revision"],
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("%(name)s is saved.") % {"name": saved.name})
        # There the deploy key is, and a button that tries it.
        return redirect("provisioner", saved.pk) if is_in_git else redirect("provisioners")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    context = {
        "form": form,
        "provisioner": provisioner,
        "kind": KINDS[kind],
        "kind_code": kind,
        "is_in_git": is_in_git,
        **_repository(request, provisioner, is_in_git=is_in_git),
    }
    return render(request, "ops/provisioner.html", context, status=status)


def _is_in_git(request: HttpRequest, provisioner: Provisioner | None) -> bool:
    """As it is, unless the address of the page says otherwise."""
    asked = request.GET.get("from", "")
    return asked == "git" or (asked != "folder" and provisioner is not None and bool(repositories.chosen(provisioner)))


def _repository(request: HttpRequest, provisioner: Provisioner | None, *, is_in_git: bool) -> dict[str, Any]:
    """What of its repository is no field of the form: the keys, as they are stored."""
    source = ProvisionerSource.objects.filter(provisioner=provisioner).first() if provisioner and is_in_git else None
    return {
        "source": source,
        "fingerprint": HostKey.parse(source.host_key).fingerprint if source and source.host_key else "",
        "offered": request.GET.get("host_key", "")[:100] if source else "",
        "permitted": installation.PROVISIONERS_GIT,
    }


def _initial(request: HttpRequest, provisioner: Provisioner | None, kind: str, *, is_in_git: bool) -> dict[str, Any]:
    if provisioner is None:
        return {"base_url": request.build_absolute_uri("/").rstrip("/"), "limit_s": services.DEFAULT_LIMIT_S.get(kind)}
    found = {**provisioner.settings, "name": provisioner.name, "base_url": provisioner.base_url}
    source = repositories.source_of(provisioner)
    if is_in_git and source is not None:
        found |= repositories.told(source)
    if "command" in found:
        found["command"] = shlex.join(found["command"])
    if "keep_partitions" in found:
        found["keep_partitions"] = ", ".join(found["keep_partitions"])
    pools = PoolProvisioner.objects.filter(provisioner=provisioner).values_list("pool", flat=True)
    return {**found, "pools": list(pools), "revision": provisioner.revision}


@require_POST
@needs("settings.write")
def provisioner_do(request: HttpRequest, provisioner_id: uuid.UUID) -> HttpResponse:
    """The buttons: look whether it could be asked, trust a host key, make another deploy key, delete."""
    principal = _admin(request)
    provisioner, what = _provisioner(principal, provisioner_id), request.POST.get("do", "")
    page = redirect("provisioner", provisioner.pk) if "page" in request.POST else redirect("provisioners")
    try:
        if what == "test":
            found = services.try_provisioner(provisioner=provisioner, actor=principal)
            messages.success(request, _tried(provisioner, found))
        elif what == "trust":
            fingerprint = request.POST.get("fingerprint", "")
            repositories.trust_host_key(provisioner=provisioner, fingerprint=fingerprint, actor=principal)
            messages.info(request, _("The host key is trusted."))
        elif what == "new-key":
            services.new_deploy_key(provisioner=provisioner, actor=principal, now=clock.now())
            messages.info(request, _("There is a new deploy key. Put its public half into the repository."))
        elif what == "delete":
            services.delete_provisioner(provisioner=provisioner, actor=principal)
        else:
            raise Http404(what)
    except services.CannotBeAsked as error:
        messages.error(request, sentence(error))
        if error.fingerprint:
            return redirect(
                f"{reverse('provisioner', args=[provisioner.pk])}?{urlencode({'host_key': error.fingerprint})}"
            )
    except FleetError as error:
        messages.error(request, sentence(error))
    return page


def _tried(provisioner: Provisioner, source: Mapping[str, Any]) -> str:
    told = {"name": provisioner.name, **source, "commit": str(source.get("commit", ""))[:10]}
    if source.get("signer"):
        said = _("%(name)s is there and can be asked: commit %(commit)s, signed by %(signer)s: %(message)s")
    elif source:
        said = _("%(name)s is there and can be asked: commit %(commit)s by %(author)s: %(message)s")
    else:
        said = _("%(name)s is there and can be asked.")
    return said % told
