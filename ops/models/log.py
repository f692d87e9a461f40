from __future__ import annotations

from django.db import models

from ops.models.operation import Operation
from ops.querysets import OfOperation


class StepRun(models.Model):
    """One run of a step that did or decided something; a look that only went on waiting renews the row before it."""

    OUTCOMES = ("running", "done", "waits", "failed")

    id = models.BigAutoField(primary_key=True)
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="steps")
    number = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    attempt = models.PositiveSmallIntegerField(default=1)
    outcome = models.CharField(max_length=10, choices=[(name, name) for name in OUTCOMES], default="running")
    reason = models.CharField(max_length=60, blank=True, default="")
    params = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    objects = OfOperation.as_manager()

    class Meta:
        ordering = ["operation", "number", "attempt"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "number", "attempt"], name="one_run_per_attempt"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.operation_id}"


class LogLine(models.Model):
    """A piece of an operation's log. `seq` is the operation's own, so that a reader can go on at any place.

    `out` and `err` are what a command printed; `note` is what FleetUI says: a code, worded when it is shown.
    """

    STREAMS = ("note", "out", "err")

    id = models.BigAutoField(primary_key=True)
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="log")
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    step = models.CharField(max_length=40, blank=True, default="")
    stream = models.CharField(max_length=4, choices=[(name, name) for name in STREAMS])
    text = models.TextField()
    params = models.JSONField(default=dict)

    objects = OfOperation.as_manager()

    class Meta:
        ordering = ["operation", "seq"]
        constraints = [models.UniqueConstraint(fields=["operation", "seq"], name="one_log_line_per_seq")]

    def __str__(self) -> str:
        return f"{self.seq} of {self.operation_id}"
