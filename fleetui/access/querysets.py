from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models

if TYPE_CHECKING:
    from fleetui.access.principals import Principal


class RoleBindingQuerySet(models.QuerySet[Any]):
    """Reads of role bindings."""

    def visible_to(self, principal: Principal) -> Self:
        """All for those who may read users; one's own otherwise."""
        if principal.may("users.read"):
            return self
        return self.filter(user_id=principal.user_id)


class TokenQuerySet(models.QuerySet[Any]):
    """Reads of tokens."""

    def visible_to(self, principal: Principal) -> Self:
        """All for those who may read tokens; one's own otherwise."""
        if principal.may("tokens.read"):
            return self
        return self.filter(user_id=principal.user_id)

    def usable(self, now: datetime) -> Self:
        return self.filter(revoked_at=None, expires_at__gt=now, user__is_active=True)
