from __future__ import annotations

import uuid

from django.db import models

from fleetui.core import clock

PLAN_STATES = ("planned", "applying", "done", "failed", "discarded")
ROW_OUTCOMES = ("add", "change", "unchanged", "refuse")


class ImportPlan(models.Model):
    """What an uploaded inventory would do: read and shown before anything is written, then applied in batches of rows.

    `owner` is the principal that uploaded it; nobody else sees it. `position` counts the rows that are applied.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.CharField(max_length=200)
    source = models.CharField(max_length=30)
    filename = models.CharField(max_length=200, blank=True, default="")
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=20, choices=[(name, name) for name in PLAN_STATES], default="planned")
    failure = models.CharField(max_length=500, blank=True, default="")
    counts = models.JSONField(default=dict)
    row_count = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "lease_until"], name="import_plan_due")]

    def __str__(self) -> str:
        return f"{self.source} {self.filename}"


class ImportRow(models.Model):
    """One host of an import plan. `problems` is a list of {field, value, mend}; `before` holds what a change replaces."""

    id = models.BigAutoField(primary_key=True)
    plan = models.ForeignKey(ImportPlan, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField()
    place = models.CharField(max_length=100, blank=True, default="")
    outcome = models.CharField(max_length=20, choices=[(name, name) for name in ROW_OUTCOMES])
    name = models.CharField(max_length=300, blank=True, default="")
    values = models.JSONField(default=dict)
    before = models.JSONField(default=dict)
    problems = models.JSONField(default=list)

    class Meta:
        ordering = ["plan", "number"]
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="one_import_row_per_number")]
        indexes = [models.Index(fields=["plan", "outcome", "number"], name="import_row_outcome")]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"
