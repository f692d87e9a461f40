"""Add, edit and delete a config, and the editor in which a version of it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from nodes.models import IgnitionConfig, IgnitionVersion
from nodes.services.ignition import configs
from nodes.services.ignition.check import check, checked_source
from nodes.services.ignition.embedded import checked_files, content_of, file_of, require_size
from nodes.services.ignition.examples import FIRST_SOURCE
from nodes.services.ignition.versions import save_version
from nodes.views.ignition.findings import Finding, finding_rows
from nodes.views.ignition.forms import ConfigForm, VersionForm
from nodes.views.ignition.subject import version_of, version_url, visible_config
from nodes.views.subject import principal_of


@require_http_methods(["GET", "HEAD", "POST"])
@needs("ignition.edit")
def config_add(request: HttpRequest) -> HttpResponse:
    principal = principal_of(request)
    form = ConfigForm(request.POST or None, principal=principal)

    def add(given: dict[str, Any]) -> HttpResponse:
        config = configs.add_config(
            name=given["name"],
            description=given["description"],
            pools=list(given["pools"]),
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("The config %(name)s was added. Write its first version.") % {"name": config.name})
        return redirect("nodes:ignition_write", name=config.name)

    answer, status = submitted(request, form, add)
    if answer:
        return answer
    context = {"form": form, "back_url": reverse("nodes:ignition")}
    return render(request, "nodes/ignition/config_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("ignition.edit")
def config_edit(request: HttpRequest, name: str) -> HttpResponse:
    """A change that somebody else made meanwhile is not overwritten."""
    principal = principal_of(request)
    config = visible_config(request, name, "ignition.edit")
    form = ConfigForm(request.POST or None, instance=visible_config(request, name), principal=principal)

    def edit(given: dict[str, Any]) -> HttpResponse:
        changes = {"name": given["name"], "description": given["description"], "pools": list(given["pools"])}
        configs.edit_config(
            config=config, changes=changes, actor=principal, now=clock.now(), expected_revision=given["revision"]
        )
        messages.info(request, _("The config %(name)s was changed.") % {"name": config.name})
        return redirect("nodes:ignition_config", name=config.name)

    answer, status = submitted(request, form, edit)
    if answer:
        return answer
    context = {
        "form": form,
        "config_name": name,
        "back_url": reverse("nodes:ignition_config", args=[name]),
        "is_stale": status == 412,
    }
    return render(request, "nodes/ignition/config_form.html", context, status=status)


@require_POST
@needs("ignition.edit")
def config_delete(request: HttpRequest, name: str) -> HttpResponse:
    config = visible_config(request, name, "ignition.edit")
    try:
        configs.delete_config(config=config, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:ignition_config", name=name)
    messages.info(request, _("The config %(name)s was deleted.") % {"name": name})
    return redirect("nodes:ignition")


@require_http_methods(["GET", "HEAD", "POST"])
@needs("ignition.edit")
def write(request: HttpRequest, name: str) -> HttpResponse:
    """The editor: starts from `?from=NUMBER`, else from the newest version, else from an example."""
    config = visible_config(request, name, "ignition.edit")
    base = _base(request, config)
    kept = base.files if base else {}
    first = {"source": base.source if base else FIRST_SOURCE, "base": config.last_number}
    form = VersionForm(request.POST or None, request.FILES or None, paths=list(kept), initial=first)

    def save(given: dict[str, Any]) -> HttpResponse:
        version = save_version(
            config=config,
            source=given["source"],
            files=_files(kept, given),
            message=given["message"],
            expected_number=given["base"],
            actor=principal_of(request),
            now=clock.now(),
        )
        _say(request, version)
        return redirect(version_url(version))

    answer, status = submitted(request, form, save, files="uploads")
    if answer:
        return answer
    context = {
        "config": config,
        "base": base,
        "form": form,
        "files": [{"path": path, "size": len(content_of(file, path))} for path, file in kept.items()],
        "dropped": form["drop"].value() or [],
        "check_url": reverse("nodes:ignition_check"),
        "is_stale": status == 412,
        "newest_url": reverse("nodes:ignition_config", args=[name]),
    }
    return render(request, "nodes/ignition/write.html", context, status=status)


def _base(request: HttpRequest, config: IgnitionConfig) -> IgnitionVersion | None:
    """The version that the editor starts from; its files go into the new one."""
    asked = request.GET.get("from", "")
    if asked.isdecimal() and len(asked) < 9:
        return version_of(config, int(asked))
    return version_of(config, config.last_number) if config.last_number else None


def _files(kept: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    files = {path: file for path, file in kept.items() if path not in given["drop"]}
    folder = str(given["folder"]).strip().strip("/")
    # Asked before they are read: an upload may be larger than this process should hold.
    require_size(sum(upload.size for upload in given["uploads"]))
    for upload in given["uploads"]:
        files[f"{folder}/{upload.name}" if folder else upload.name] = file_of(upload.read())
    return files


def _say(request: HttpRequest, version: IgnitionVersion) -> None:
    number = {"number": version.number}
    if version.is_valid:
        messages.info(request, _("Version %(number)s was saved as a draft.") % number)
    else:
        said = _(
            "Version %(number)s was saved as a draft. It does not convert, so it can be neither reviewed nor approved."
        )
        messages.warning(request, said % number)


@require_POST
@needs("ignition.edit")
def check_source(request: HttpRequest) -> HttpResponse:
    """What is found in a source while it is typed. Nothing is stored."""
    findings: list[Finding] = []
    failure = ""
    try:
        source = checked_source(request.POST.get("source", ""))
        found = check(source, checked_files(_files_of_base(request)))
        findings, failure = finding_rows(found.findings), found.failure
    except FleetError as error:
        failure = sentence(error)
    # What stands beside its line is not said twice.
    context = {"findings": findings, "failure": failure.split("\n")[0] if findings else failure}
    return render(request, "nodes/ignition/partials/findings.html", context)


def _files_of_base(request: HttpRequest) -> dict[str, Any]:
    """The files of the version that the edit started from; those that are not saved yet are not there."""
    name, number = request.POST.get("config", ""), request.POST.get("files_of", "")
    if not name or not number.isdecimal() or len(number) > 8 or number == "0":
        return {}
    version = version_of(visible_config(request, name), int(number))
    dropped = request.POST.getlist("drop")
    return {path: file for path, file in version.files.items() if path not in dropped}
