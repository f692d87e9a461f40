from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from fleetui.core import clock


class Limit(models.Model):
    """How many disruptive operations may run at once: overall, in a cluster, or in a pool. No row means the default."""

    SCOPES = ("overall", "pool", "cluster")
    DEFAULTS: ClassVar[dict[str, int]] = {"overall": 50, "cluster": 5, "pool": 1}
    MOST = 10_000

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(max_length=10, choices=[(name, name) for name in SCOPES])
    name = models.CharField(max_length=100, blank=True, default="")
    at_once = models.PositiveIntegerField()
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=300)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "name"], name="one_limit_per_scope"),
            models.CheckConstraint(condition=Q(at_once__gte=1), name="limit_of_one_at_least"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.name} {self.at_once}"


class Stop(models.Model):
    """Stop all: while `stopped_at` is set, nothing starts. One row; the engine's starts take turns on it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    stopped_at = models.DateTimeField(null=True)
    stopped_by = models.CharField(max_length=200, blank=True, default="")
    reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_stop")]

    def __str__(self) -> str:
        return "stopped" if self.stopped_at else "running"


class ApprovalRule(models.Model):
    """How many other people must approve a kind of operation in a pool. Empty pool or kind: any. The closest rule counts.

    `is_exception`: set by somebody with the right on everything. Only such a rule of a pool may ask for fewer approvals
    than the rules for every pool do, also where those came later.
    """

    id = models.BigAutoField(primary_key=True)
    pool = models.CharField(max_length=100, blank=True, default="")
    kind = models.CharField(max_length=40, blank=True, default="")
    approvers = models.PositiveSmallIntegerField()
    expires_after_s = models.PositiveIntegerField(default=24 * 3600)
    is_exception = models.BooleanField(default=False)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pool", "kind"], name="one_approval_rule"),
            models.CheckConstraint(condition=Q(approvers__gte=0) & Q(approvers__lte=2), name="two_approvers_at_most"),
        ]

    def __str__(self) -> str:
        return f"{self.pool or '*'} {self.kind or '*'} {self.approvers}"
