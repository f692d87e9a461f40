"""Where backups lie: the list, the form that tries before it saves, and the buttons."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError, NotFound
from fleetui.core.form_errors import sentence, submitted
from nodes.views.subject import principal_of
from ops.models import BackupTarget
from ops.services.backups import targets as services
from ops.wording.backups import target_problem

KIND_WORDS = {"local": gettext_lazy("Directory"), "s3": gettext_lazy("S3 and compatible")}
_PLAIN = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off", "class": "form-control ui-mono"}


def backup_tabs(request: HttpRequest) -> list[dict[str, Any]]:
    known = ((_("Policies"), reverse("backups")), (_("Targets"), reverse("backup_targets")))
    return [{"label": label, "url": url, "active": request.path == url} for label, url in known]


def _plain(label: Any, example: str = "", **options: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={**_PLAIN, "placeholder": example})
    return forms.CharField(label=label, max_length=500, widget=widget, **options)


class TargetForm(forms.Form):
    """A directory, or a bucket with its keys."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    path = _plain(
        gettext_lazy("Directory"), "/srv/backups", help_text=gettext_lazy("On the machine that FleetUI runs on.")
    )
    endpoint = _plain(
        gettext_lazy("Endpoint"),
        "https://s3.example.com",
        required=False,
        help_text=gettext_lazy("Empty: Amazon's of the region."),
    )
    bucket = _plain(gettext_lazy("Bucket"), "fleet-backups")
    prefix = _plain(gettext_lazy("Prefix"), "fleetui", required=False)  # type: ignore[assignment]  # fields are taken out of the class
    region = _plain(gettext_lazy("Region"), "us-east-1", required=False)
    access_key = _plain(gettext_lazy("Access key"))
    secret_key = forms.CharField(
        label=gettext_lazy("Secret key"),
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    encryption = forms.ChoiceField(
        label=gettext_lazy("Encryption at the target"),
        required=False,
        choices=[("", gettext_lazy("As the bucket has it")), ("AES256", "AES256"), ("aws:kms", "aws:kms")],
    )
    kms_key = _plain(gettext_lazy("KMS key"), required=False)
    lock = forms.ChoiceField(
        label=gettext_lazy("Object lock"),
        required=False,
        choices=[("", gettext_lazy("None")), ("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")],
        help_text=gettext_lazy("Until it ends nobody deletes a backup, retention neither. The bucket has to allow it."),
    )
    lock_days = forms.IntegerField(label=gettext_lazy("Locked for days"), required=False, min_value=1)
    recipients = forms.CharField(
        label=gettext_lazy("Encrypt to age recipients"),
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 3, "placeholder": "age1…"}),
        help_text=gettext_lazy(
            "Public keys, one a line. Only who has the identity of one of them opens the backups. Empty: they are not encrypted here."
        ),
    )
    identity = forms.CharField(
        label=gettext_lazy("Identity for restore drills"),
        max_length=500,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy(
            "The line AGE-SECRET-KEY-1… of one of the recipients, sealed. Without it no drill opens what is encrypted."
        ),
    )
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, kind: str, target: BackupTarget | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        every = {name for names in (*services.SETTINGS.values(), *services.SECRETS.values()) for name in names}
        for name in every - {*services.SETTINGS[kind], *services.SECRETS[kind]}:
            del self.fields[name]
        if target is not None:
            for name in services.KEYS[kind]:
                self.fields[name].required = False
                self.fields[name].help_text = _("Empty: as it is.")
            if services.has_identity(target):
                self.fields["identity"].help_text = _("One is kept. Empty: as it is.")


def _head_problem(target: BackupTarget) -> str:
    """Why the head of the audit log could not be written there, as of the last try."""
    return " ".join(target_problem(**target.head_problem)) if target.head_problem else ""


@require_safe
@needs("backups.read")
def target_list(request: HttpRequest) -> HttpResponse:
    """Every target and who uses it. Two queries."""
    principal = principal_of(request)
    rows = services.targets_of(principal).prefetch_related("policies")
    context = {
        "tabs": backup_tabs(request),
        "rows": [
            {"target": one, "kind": KIND_WORDS[one.kind], "where": where(one), "head_problem": _head_problem(one)}
            for one in rows
        ],
        "kinds": KIND_WORDS.items(),
        "may_change": principal.may(services.PERMISSION),
    }
    return render(request, "ops/backup_targets.html", context)


def where(target: BackupTarget) -> str:
    given = target.settings
    if target.kind == "local":
        return str(given["path"])
    place = "/".join(one for one in (given["bucket"], given["prefix"]) if one)
    return f"{given['endpoint'] or given['region']} {place}"


def _target(request: HttpRequest, target_id: uuid.UUID) -> BackupTarget:
    principal = principal_of(request)
    try:
        found = services.target_at(principal, target_id)
    except NotFound as error:
        raise Http404(str(error)) from error
    if not principal.may(services.PERMISSION):
        raise PermissionDenied(services.PERMISSION)
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@needs("backups.write")
def target_edit(request: HttpRequest, target_id: uuid.UUID | None = None) -> HttpResponse:
    """A new target of the kind in the address, or other settings of one that is there. It is tried before it is saved."""
    principal = principal_of(request)
    if not principal.may(services.PERMISSION):
        raise PermissionDenied(services.PERMISSION)
    target = _target(request, target_id) if target_id else None
    kind = target.kind if target else request.GET.get("kind", "s3")
    if kind not in BackupTarget.KINDS:
        raise Http404(kind)
    initial = {**target.settings, "name": target.name, "revision": target.revision} if target else {}
    initial["recipients"] = "\n".join(initial.get("recipients", ()))
    if not initial.get("lock_days"):
        initial["lock_days"] = None
    given = request.POST if request.method == "POST" else None
    form = TargetForm(given, kind=kind, target=target, initial=initial)

    def save(values: dict[str, Any]) -> HttpResponse:
        saved = services.set_target(
            name=values["name"],
            kind=kind,
            settings={name: values[name] for name in services.SETTINGS[kind]},
            credentials={name: values[name] for name in services.SECRETS[kind]},
            target=target,
            expected_revision=values["revision"],
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("%(name)s was written to, read from, and saved.") % {"name": saved.name})
        return redirect("backup_targets")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    context = {"form": form, "target": target, "kind": KIND_WORDS[kind], "is_s3": kind == "s3"}
    return render(request, "ops/backup_target.html", context, status=status)


@require_POST
@needs("backups.write")
def target_do(request: HttpRequest, target_id: uuid.UUID) -> HttpResponse:
    """The buttons: try, delete."""
    target, principal = _target(request, target_id), principal_of(request)
    what = request.POST.get("do", "")
    try:
        if what == "test":
            services.try_target(target=target, actor=principal, now=clock.now())
            messages.success(request, _("%(name)s was written to, read from and tidied up.") % {"name": target.name})
        elif what == "delete":
            services.delete_target(target=target, actor=principal)
        else:
            raise Http404(what)
    except FleetError as error:
        messages.error(request, sentence(error))
    return redirect("backup_targets")
