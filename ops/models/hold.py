from __future__ import annotations

from django.db import models
from django.db.models import Q

from fleetui.core import clock
from ops.querysets import HoldQuerySet


class VersionHold(models.Model):
    """A version that is not offered to a node, or to the nodes of a pool: it was rolled back from there, or somebody said so.

    `why` is `by_hand`, or how `operation` ended: `rolled_back`, `went_back` (it was not healthy), `fell_back` (at boot).
    """

    WHYS = ("by_hand", "rolled_back", "went_back", "fell_back")

    id = models.BigAutoField(primary_key=True)
    node = models.ForeignKey("nodes.Node", on_delete=models.CASCADE, null=True, related_name="version_holds")
    pool = models.ForeignKey("nodes.Pool", on_delete=models.CASCADE, null=True, related_name="version_holds")
    version = models.CharField(max_length=100)
    held_at = models.DateTimeField(default=clock.now)
    held_by = models.CharField(max_length=200)
    why = models.CharField(max_length=20, choices=[(name, name) for name in WHYS], default="by_hand")
    reason = models.CharField(max_length=300, blank=True, default="")
    operation = models.ForeignKey("ops.Operation", on_delete=models.SET_NULL, null=True, related_name="holds")

    objects = HoldQuerySet.as_manager()

    class Meta:
        ordering = ["-held_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["node", "version"], name="one_hold_per_version"),
            models.UniqueConstraint(fields=["pool", "version"], name="one_hold_per_pool_version"),
            models.CheckConstraint(
                condition=Q(node=None, pool__isnull=False) | Q(node__isnull=False, pool=None),
                name="hold_on_node_or_pool",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.node_id or self.pool_id}"
