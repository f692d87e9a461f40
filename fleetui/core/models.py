"""What the installation itself keeps."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now


class Retention(models.Model):
    """How many days of a history are kept. No row means the default; no number means for ever."""

    subject = models.CharField(max_length=40, primary_key=True)
    keep_days = models.PositiveIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.subject} {self.keep_days}"


class Heartbeat(models.Model):
    """A sign of life: one row per running worker and beat, and one per job that must happen again and again.

    `seen_at` is the database's clock, so that processes whose clocks differ are compared fairly. `document` holds what only
    the process itself can say (see fleetui.core.heartbeats). `name` is the job's, and empty for processes.
    """

    KINDS = ("worker", "beat", "job")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=[(name, name) for name in KINDS])
    name = models.CharField(max_length=40, blank=True, default="")
    hostname = models.CharField(max_length=100, blank=True, default="")
    pid = models.PositiveIntegerField(default=0)
    queues = models.JSONField(default=list)
    version = models.CharField(max_length=40, blank=True, default="")
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    document = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=models.Q(kind="job"), name="one_heartbeat_per_job")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name or self.hostname} {self.pid or ''}".strip()


class DurationCount(models.Model):
    """How often something took how long: a histogram that every worker adds to, in a fixed number of rows.

    `b0` to `b8` count what took at most the limits that its writer names, each beyond the one before; what took longer is
    in `count` alone. Rows of one name and label are shares of one sum, so that writers seldom wait for each other.
    """

    BUCKETS = 9

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=40)
    label = models.CharField(max_length=20)
    share = models.PositiveSmallIntegerField(default=0)
    count = models.BigIntegerField(default=0)
    total_s = models.FloatField(default=0.0)
    b0 = models.BigIntegerField(default=0)
    b1 = models.BigIntegerField(default=0)
    b2 = models.BigIntegerField(default=0)
    b3 = models.BigIntegerField(default=0)
    b4 = models.BigIntegerField(default=0)
    b5 = models.BigIntegerField(default=0)
    b6 = models.BigIntegerField(default=0)
    b7 = models.BigIntegerField(default=0)
    b8 = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "duration counts"
        constraints = [models.UniqueConstraint(fields=["name", "label", "share"], name="one_duration_count_per_share")]

    def __str__(self) -> str:
        return f"{self.name} {self.label} {self.count}"
