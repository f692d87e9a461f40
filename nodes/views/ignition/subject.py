"""The config or version that an address names: 404 for what the principal may not see, 403 for what it may not do."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.urls import reverse

from nodes.models import GitFollow, IgnitionConfig, IgnitionVersion
from nodes.services.ignition import rights
from nodes.views.subject import principal_of


def visible_config(request: HttpRequest, name: str, permission: str = "") -> IgnitionConfig:
    principal = principal_of(request)
    found = IgnitionConfig.objects.visible_to(principal).filter(name=name.replace("\0", ""))
    config: IgnitionConfig | None = found.first()
    if config is None:
        raise Http404(name)
    if permission and not rights.may(principal, permission, config):
        raise PermissionDenied(permission)
    return config


def followed(request: HttpRequest, name: str) -> GitFollow:
    """What a config follows, for those who may change that."""
    config = visible_config(request, name, "ignition.edit")
    found: GitFollow | None = GitFollow.objects.filter(config=config).first()
    if found is None:
        raise Http404(name)
    found.config = config
    return found


def version_of(config: IgnitionConfig, number: int) -> IgnitionVersion:
    version: IgnitionVersion | None = IgnitionVersion.objects.filter(config=config, number=number).first()
    if version is None:
        raise Http404(str(number))
    version.config = config
    return version


def version_url(version: IgnitionVersion, page: str = "ignition_version") -> str:
    return reverse(f"nodes:{page}", args=[version.config.name, version.number])


def versions_light(config: IgnitionConfig) -> Any:
    return IgnitionVersion.objects.filter(config=config).light()
