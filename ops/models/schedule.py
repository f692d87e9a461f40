from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from ops.models.request import OperationRequest
from ops.querysets import OfSchedule, ScheduleQuerySet


class Schedule(models.Model):
    """Work that recurs: cron text in a zone, and what is done then with the rights of whoever set it up.

    `job` names what starts the work, `task` is what it is told (of an operation: kind, params, selector, reason). `pool` is
    where it works; without `pool_name` it works everywhere, and a pool that is gone leaves its name. `owner` reads
    `user:anna` or `token:anna/ci`, whose rights are looked at anew at each run. `next_run_at` is empty while it is paused.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    job = models.CharField(max_length=40, default="operation")
    task = models.JSONField(default=dict)
    pool = models.ForeignKey("nodes.Pool", on_delete=models.SET_NULL, null=True, related_name="+")
    pool_name = models.CharField(max_length=100, blank=True, default="")
    cron = models.CharField(max_length=200)
    zone = models.CharField(max_length=60, default="UTC")
    is_late_run = models.BooleanField(default=False)
    lateness_s = models.PositiveIntegerField(default=600)

    owner = models.CharField(max_length=200)
    user = models.ForeignKey("access.User", on_delete=models.SET_NULL, null=True, related_name="+")
    token = models.ForeignKey("access.Token", on_delete=models.SET_NULL, null=True, related_name="+")
    next_run_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=200, blank=True, default="")
    paused_why = models.CharField(max_length=500, blank=True, default="")
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=clock.now)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["next_run_at"], name="schedule_due", condition=Q(next_run_at__isnull=False))]

    def __str__(self) -> str:
        return self.name


class ScheduleRun(models.Model):
    """One time at which a schedule was due, or run by hand.

    It is written before the work starts: a run that is still `due` is started by whoever finds it, and its id is the
    idempotency key of the work. `task` and the owner (`asked_by`) are copied, so that an edit does not change what was due.
    """

    STATES = ("due", "started", "empty", "missed", "failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="runs")
    due_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=[(one, one) for one in STATES], default="due")
    is_manual = models.BooleanField(default=False)
    asked_by = models.CharField(max_length=200, blank=True, default="")
    task = models.JSONField(default=dict)
    ended_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=500, blank=True, default="")
    request = models.ForeignKey(OperationRequest, on_delete=models.SET_NULL, null=True, related_name="+")
    made = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)

    objects = OfSchedule.as_manager()

    class Meta:
        ordering = ["-due_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "due_at"], condition=Q(is_manual=False), name="one_run_per_due_time"
            )
        ]
        indexes = [models.Index(fields=["due_at"], name="schedule_run_due", condition=Q(state="due"))]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.due_at:%Y-%m-%dT%H:%M}"
