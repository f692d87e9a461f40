"""Deny by default: an action of the API is open only to principals that hold the permission that it declares."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from fleetui.access.principals import ANONYMOUS, mend_without
from fleetui.access.roles import PERMISSIONS
from fleetui.core.api.actions import PUBLIC
from fleetui.core.errors import NotAllowed


class UndeclaredAction(RuntimeError):
    """A view answers a method without saying which permission that needs: a mistake of ours, refused loudly."""


class DeclaredPermission(BasePermission):
    """The permission anywhere opens the action; its query and its service narrow it to the subjects where it holds."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = "GET" if request.method == "HEAD" else str(request.method)
        action = getattr(view, "actions", {}).get(method)
        if action is not None and action.permission == PUBLIC:
            return True
        user: Any = request.user
        if user is None:  # DRF takes Django's user away with it, so the lazy principal could not be made
            request._request.principal = ANONYMOUS  # type: ignore[attr-defined]
        principal = request.principal  # type: ignore[attr-defined]
        if not principal.is_authenticated:
            raise exceptions.NotAuthenticated("This needs a token or a session.")
        if action is None:
            if not hasattr(view, method.lower()) or method == "OPTIONS":
                raise exceptions.MethodNotAllowed(method, f"{method} does nothing at this address.")
            raise UndeclaredAction(f"{type(view).__name__}.{method} declares no permission")
        if action.permission not in PERMISSIONS:
            raise UndeclaredAction(
                f"{type(view).__name__}.{method} declares {action.permission}, which is no permission"
            )
        if not principal.may_somewhere(action.permission):
            raise NotAllowed(
                f"This needs the permission {action.permission}.", mend=mend_without(principal, action.permission)
            )
        return True
