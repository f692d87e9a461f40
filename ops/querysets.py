"""Reads of operations. What belongs to a node is visible to whoever sees operations of its pool."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Q

from nodes.querysets import CappedCount
from ops.states import ACTIVE, FINAL

if TYPE_CHECKING:
    from fleetui.access.principals import Principal


class OperationQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of operations."""

    def visible_to(self, principal: Principal) -> Self:
        """An operation on a node without a pool is visible to bindings on everything only."""
        where = principal.where("operations.read")
        return self if where.everywhere else self.filter(pool_id__in=where.pools)

    def active(self) -> Self:
        return self.filter(state__in=sorted(ACTIVE))

    def ended(self) -> Self:
        return self.filter(state__in=sorted(FINAL))

    def due(self, now: datetime) -> Self:
        """What the engine has to look at now, and nobody works on."""
        free = Q(lease_until=None) | Q(lease_until__lte=now)
        return self.filter(free, due_at__isnull=False, due_at__lte=now)


class OfOperation(models.QuerySet[Any]):
    """Reads of what belongs to an operation."""

    def visible_to(self, principal: Principal) -> Self:
        where = principal.where("operations.read")
        return self if where.everywhere else self.filter(operation__pool_id__in=where.pools)
