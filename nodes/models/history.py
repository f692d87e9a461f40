from __future__ import annotations

from django.db import models
from django.db.models import Q

from nodes.models.group import Pool
from nodes.models.node import Node

#: Seconds between two samples of one resolution, finest first.
RESOLUTIONS_S = (60, 600, 3600)


class Sample(models.Model):
    """How many nodes of a pool had a value at a time: axes and booted versions over time.

    `kind` is reachability, health, update_state, lifecycle or version. No pool means nodes without one. With `all.` in
    front of the kind it is the whole fleet, which stays true when a pool is deleted; one row of kind `taken` per time
    says that there was a look at all: what is not there at such a time was zero, at any other time it is not known.
    Samples of a coarser resolution are taken at their own times, so that a chart reads one resolution only.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    resolution_s = models.PositiveIntegerField()
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=20)
    value = models.CharField(max_length=100)
    nodes = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["resolution_s", "kind", "at", "pool", "value"], name="one_sample_per_time"),
            models.UniqueConstraint(
                fields=["resolution_s", "kind", "at", "value"], condition=Q(pool=None), name="one_sample_without_pool"
            ),
        ]
        indexes = [models.Index(fields=["resolution_s", "at"], name="sample_at")]

    def __str__(self) -> str:
        return f"{self.kind} {self.value} {self.nodes} at {self.at}"


class FactTerm(models.Model):
    """One value of a node's present facts that lists are searched by, for example network.interfaces.driver = ixgbe.

    Replaced as a set when a poll reads new facts. `number` holds the value where it is a number.
    """

    id = models.BigAutoField(primary_key=True)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="fact_terms")
    path = models.CharField(max_length=60)
    value = models.CharField(max_length=200)
    number = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["path", "value", "node"], name="term_value"),
            models.Index(fields=["path", "number", "node"], name="term_number"),
        ]

    def __str__(self) -> str:
        return f"{self.path} = {self.value}"
