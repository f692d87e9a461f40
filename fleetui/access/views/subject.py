"""Who asks, and the people and pools that an address or a form names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from fleetui.access.models import User
from fleetui.access.principals import Principal

if TYPE_CHECKING:
    from nodes.querysets import PoolQuerySet


def principal_of(request: HttpRequest) -> Principal:
    found: Principal = request.principal  # type: ignore[attr-defined]
    return found


def everywhere(request: HttpRequest, permission: str) -> Principal:
    """The principal, when it holds the permission on everything: people stand in no pool."""
    principal = principal_of(request)
    if not principal.may(permission):
        raise PermissionDenied(permission)
    return principal


def visible_pools(principal: Principal) -> PoolQuerySet:
    """The pools that the principal sees; nodes stand above access, so the model is asked for by name."""
    manager: Any = apps.get_model("nodes", "Pool")._default_manager
    found: PoolQuerySet = manager.visible_to(principal)
    return found


def signed_in_user(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied
    return user
