from __future__ import annotations

import uuid

from django.db import models

from fleetui.core import clock
from nodes.querysets import ReleaseQuerySet


class Stream(models.Model):
    """A line of releases of one OS family, for example fcos stable."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    os_family = models.CharField(max_length=30, default="fcos")
    imported_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["os_family", "name"]
        constraints = [models.UniqueConstraint(fields=["os_family", "name"], name="one_stream_per_name")]

    def __str__(self) -> str:
        return f"{self.os_family} {self.name}"


class Release(models.Model):
    """A version that exists in a stream. `barrier` and `deadend` hold their reason; empty means it is none."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="releases")
    version = models.CharField(max_length=100)
    released_at = models.DateTimeField(null=True)
    checksums = models.JSONField(default=dict)
    images = models.JSONField(default=dict)
    rollout = models.JSONField(null=True)
    is_barrier = models.BooleanField(default=False)
    barrier = models.TextField(blank=True, default="")
    is_deadend = models.BooleanField(default=False)
    deadend = models.TextField(blank=True, default="")

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["stream", "-released_at", "-version"]
        constraints = [models.UniqueConstraint(fields=["stream", "version"], name="one_release_per_version")]

    def __str__(self) -> str:
        return self.version
