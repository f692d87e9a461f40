"""Reads of operations. What belongs to a node is visible to whoever sees operations of its pool."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.apps import apps
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from nodes.querysets import CappedCount
from ops.states import ACTIVE, FINAL, STARTED, UNTOUCHED, State

if TYPE_CHECKING:
    from fleetui.access.principals import Principal


class OperationQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of operations."""

    def visible_to(self, principal: Principal) -> Self:
        """An operation on a node without a pool is visible to bindings on everything only."""
        where = principal.where("operations.read")
        return self if where.everywhere else self.filter(pool_id__in=where.pools)

    def open(self) -> Self:
        """What has not ended. SQLite keeps no histogram of the states: by them alone it would read all that ever ended."""
        return self.filter(ended_at__isnull=True)

    def active(self) -> Self:
        return self.open().filter(state__in=sorted(ACTIVE))

    def ended(self) -> Self:
        return self.filter(state__in=sorted(FINAL))

    def to_retry(self) -> Self:
        """What a retry of a request asks for again: what failed or ran out of time, and what its threshold kept from beginning."""
        return self.filter(Q(state__in=[State.FAILED, State.TIMED_OUT]) | Q(state=State.CANCELLED, result="threshold"))

    def to_cancel(self) -> Self:
        """What a cancel of a request still has something to do with: not ended, and not told to end."""
        return self.filter(state__in=[*UNTOUCHED, State.RUNNING, State.WAITING], cancel_requested_at=None)

    def disturbing(self) -> Self:
        """What takes a place within the limits: begun, not ended, and able to restart its host."""
        return self.open().filter(state__in=sorted(STARTED), is_disruptive=True)

    def due(self, now: datetime) -> Self:
        """What the engine has to look at now, and nobody works on."""
        free = Q(lease_until=None) | Q(lease_until__lte=now)
        return self.filter(free, due_at__isnull=False, due_at__lte=now)

    def held(self) -> Self:
        """Lock the rows until the end of the transaction, in the order of their ids.

        Whoever writes several rows takes them in one order: stop, request, nodes, operations, audit head; nodes and
        operations by id. PostgreSQL would end one of two writers that wait crosswise.
        """
        rows = self.model._default_manager.filter(pk__in=self.order_by().values("pk")).select_for_update(of=("self",))
        list(rows.order_by("pk").values_list("pk", flat=True))
        return self

    def to_work(self) -> Self:
        """With all that a step needs; the documents of a node stay in the database."""
        params = (f"{axis}_params" for axis in ("reachability", "health", "update_state"))
        heavy = ("labels", "booted", "staged", "rollback", "search_text", "last_error_params", *params)
        return self.select_related("node__pool__credential", "node__credential", "request").defer(
            *(f"node__{name}" for name in heavy), "request__selector", "request__answer", "request__params"
        )


class OfOperation(models.QuerySet[Any]):
    """Reads of what belongs to an operation."""

    def visible_to(self, principal: Principal) -> Self:
        where = principal.where("operations.read")
        return self if where.everywhere else self.filter(operation__pool_id__in=where.pools)


class RequestQuerySet(models.QuerySet[Any]):
    """Reads of requests. They have no pool of their own: whoever sees one of the operations sees the request."""

    def awaiting(self, principal: Principal) -> Self:
        """Requests with operations that wait for approval and that this principal sees."""
        return self._holding(_awaiting().visible_to(principal))

    def waiting_for(self, principal: Principal) -> Self:
        """Requests that this principal may decide on now: not their own, not decided by them, in their pools only."""
        where = principal.where("operations.approve")
        if not where:
            return self.none()
        found = self._holding(_awaiting() if where.everywhere else _awaiting().filter(pool_id__in=where.pools))
        if not where.everywhere:
            outside = _awaiting().filter(Q(pool=None) | ~Q(pool_id__in=where.pools), request=OuterRef("pk"))
            found = found.filter(~Exists(outside))
        approvals = apps.get_model("ops", "Approval").objects
        decided = approvals.filter(_of_person("approver", principal), request=OuterRef("pk"))
        return found.exclude(_of_person("requester", principal)).filter(~Exists(decided))

    def _holding(self, operations: models.QuerySet[Any]) -> Self:
        # From the few operations that wait to their requests, never from all requests to their operations.
        return self.filter(pk__in=operations.order_by().values("request"))


def _awaiting() -> OperationQuerySet:
    rows: OperationQuerySet = apps.get_model("ops", "Operation").objects.filter(state=State.AWAITING_APPROVAL)
    return rows


def _of_person(column: str, principal: Principal) -> Q:
    """Rows that this person wrote, by page or by any of their tokens."""
    name = principal.name.partition("/")[0]
    return Q(**{column: f"user:{name}"}) | Q(**{f"{column}__startswith": f"token:{name}/"})


class HoldQuerySet(models.QuerySet[Any]):
    """Reads of holds."""

    def visible_to(self, principal: Principal) -> Self:
        """Those of nodes and pools whose operations one sees."""
        where = principal.where("operations.read")
        if where.everywhere:
            return self
        return self.filter(Q(pool__in=where.pools) | Q(node__pool__in=where.pools))

    def on(self, nodes: Iterable[Any]) -> Self:
        """Those that hold for any of these nodes, by themselves or by their pool."""
        listed = list(nodes)
        pools = {node.pool_id for node in listed if node.pool_id}
        return self.filter(Q(node__in=[node.pk for node in listed]) | Q(pool__in=pools))


class ScheduleQuerySet(models.QuerySet[Any]):
    """Reads of schedules."""

    def visible_to(self, principal: Principal) -> Self:
        """Those that work in pools whose operations one sees."""
        where = principal.where("operations.read")
        return self if where.everywhere else self.filter(pool__in=where.pools)

    def due(self, now: datetime) -> Self:
        return self.filter(next_run_at__isnull=False, next_run_at__lte=now).order_by("next_run_at")


class OfPool(models.QuerySet[Any]):
    """Reads of what belongs to a pool, and tells of the operations in it."""

    def visible_to(self, principal: Principal) -> Self:
        where = principal.where("operations.read")
        return self if where.everywhere else self.filter(pool__in=where.pools)


class OfSchedule(models.QuerySet[Any]):
    """Reads of what schedules did."""

    def visible_to(self, principal: Principal) -> Self:
        where = principal.where("operations.read")
        return self if where.everywhere else self.filter(schedule__pool__in=where.pools)


class ClusterNodeQuerySet(models.QuerySet[Any]):
    """Reads of what clusters say of their nodes."""

    def visible_to(self, principal: Principal) -> Self:
        """Those that are nodes one sees; whoever sees everything also sees those that FleetUI does not know."""
        where = principal.where("nodes.read")
        return self if where.everywhere else self.filter(node__pool_id__in=where.pools)

    def of(self, nodes: Iterable[Any]) -> Self:
        """The rows of these nodes, each in the cluster that its pool is in now."""
        return self.filter(node__in=[node.pk for node in nodes], access__cluster=F("node__pool__cluster"))


class BackupPolicyQuerySet(models.QuerySet[Any]):
    """Reads of backup policies."""

    def visible_to(self, principal: Principal) -> Self:
        """Those of nodes and pools whose backups one sees; what belongs to neither is seen with the right everywhere."""
        where = principal.where("backups.read")
        return self if where.everywhere else self.filter(_backup_in("", where.pools))


class OfBackupPolicy(models.QuerySet[Any]):
    """Reads of what came of backup policies."""

    def visible_to(self, principal: Principal) -> Self:
        where = principal.where("backups.read")
        return self if where.everywhere else self.filter(_backup_in("policy__", where.pools))

    def there(self) -> Self:
        """Good ones that can be restored: not deleted."""
        return self.filter(state="good", deleted_at__isnull=True)


def _backup_in(before: str, pools: Iterable[Any]) -> Q:
    return Q(**{f"{before}node__pool_id__in": pools}) | Q(**{f"{before}pool_id__in": pools})
