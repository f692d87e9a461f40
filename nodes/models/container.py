from __future__ import annotations

from django.db import models

from nodes.models.node import Node
from nodes.querysets import ContainerQuerySet


class ContainerOnNode(models.Model):
    """One container of a node, or a unit whose container is not there now. Replaced as a set when a poll reads another one.

    `repository` and `tag` are the image as it was asked for, `digest` is the one that its registry knows it by, where the host
    says it. `managed_by` is quadlet, unit, cluster, or hand for one that a person or another program started.
    """

    MANAGERS = ("quadlet", "unit", "cluster", "hand")

    id = models.BigAutoField(primary_key=True)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="containers")
    runtime = models.CharField(max_length=20)
    name = models.CharField(max_length=200, blank=True, default="")
    repository = models.CharField(max_length=300, blank=True, default="")
    tag = models.CharField(max_length=130, blank=True, default="")
    digest = models.CharField(max_length=100, blank=True, default="")
    state = models.CharField(max_length=20, blank=True, default="")
    health = models.CharField(max_length=20, blank=True, default="")
    unit = models.CharField(max_length=200, blank=True, default="")
    managed_by = models.CharField(max_length=10)
    started_at = models.DateTimeField(null=True)
    ports = models.JSONField(default=list)

    objects = ContainerQuerySet.as_manager()

    class Meta:
        ordering = ["node", "name", "id"]
        indexes = [
            # With all that images are counted by, so that counting reads nothing else.
            models.Index(fields=["repository", "tag", "digest", "node", "state"], name="container_image"),
            models.Index(fields=["digest"], name="container_digest"),
            models.Index(fields=["name", "id"], name="container_name"),
            models.Index(fields=["unit"], name="container_unit", condition=~models.Q(unit="")),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.node_id}"

    @property
    def image(self) -> str:
        """The image as it was asked for."""
        return f"{self.repository}:{self.tag}" if self.tag else self.repository
