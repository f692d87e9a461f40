from __future__ import annotations

import uuid

from django.db import models

from fleetui.core import clock
from nodes.models.node import Node
from nodes.querysets import DeploymentQuerySet, FactsQuerySet, TimelineQuerySet


class Facts(models.Model):
    """What a poll read from a node. A new row only when it differs from the one before: the rows are the node's history.

    `document` has the shape of nodes.hosts.facts.Facts.as_json(); `raw` is the zlib-compressed output of the poll.
    """

    id = models.BigAutoField(primary_key=True)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="facts_history")
    generation = models.PositiveIntegerField()
    read_at = models.DateTimeField()
    hash = models.CharField(max_length=64)
    document = models.JSONField()
    raw = models.BinaryField(default=b"")

    objects = FactsQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "facts"
        indexes = [models.Index(fields=["node", "-id"], name="facts_node")]

    def __str__(self) -> str:
        return f"facts {self.id}"


class Deployment(models.Model):
    """One bootable OS tree on a node, in boot order. Replaced as a set when a poll reads a new set."""

    id = models.BigAutoField(primary_key=True)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="deployments")
    index = models.PositiveSmallIntegerField()
    version = models.CharField(max_length=100, blank=True, default="")
    checksum = models.CharField(max_length=128, blank=True, default="")
    origin = models.CharField(max_length=500, blank=True, default="")
    image = models.CharField(max_length=500, blank=True, default="")
    image_digest = models.CharField(max_length=100, blank=True, default="")
    is_booted = models.BooleanField(default=False)
    is_staged = models.BooleanField(default=False)
    is_rollback = models.BooleanField(default=False)
    is_pinned = models.BooleanField(default=False)
    document = models.JSONField()

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["node", "index"]
        constraints = [models.UniqueConstraint(fields=["node", "index"], name="one_deployment_per_place")]
        indexes = [models.Index(fields=["version"], name="deployment_version")]

    def __str__(self) -> str:
        return f"{self.version} at {self.index}"


class Measurement(models.Model):
    """What changes at every look, kept apart from facts and coarser: one row per node. Sizes are in bytes."""

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True, related_name="measurement")
    at = models.DateTimeField()
    load_1 = models.FloatField(null=True)
    memory_total_bytes = models.BigIntegerField(null=True)
    memory_available_bytes = models.BigIntegerField(null=True)
    fullest_mount = models.CharField(max_length=200, blank=True, default="")
    fullest_percent = models.FloatField(null=True)
    document = models.JSONField()

    def __str__(self) -> str:
        return f"measured at {self.at}"


class TimelineEvent(models.Model):
    """Something that happened to a node. `kind` and `params` are worded when shown, in the reader's language."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="timeline")
    at = models.DateTimeField(default=clock.now)
    kind = models.CharField(max_length=40)
    params = models.JSONField(default=dict)
    actor = models.CharField(max_length=200, blank=True, default="")
    generation = models.PositiveIntegerField(default=1)

    objects = TimelineQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["node", "-at", "-id"], name="timeline_node"),
            models.Index(fields=["-at"], name="timeline_at"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"
