from __future__ import annotations

from django.db import models

from fleetui.core import clock


class VersionHold(models.Model):
    """A version that is not offered to a node again: it was rolled back from there."""

    id = models.BigAutoField(primary_key=True)
    node = models.ForeignKey("nodes.Node", on_delete=models.CASCADE, related_name="version_holds")
    version = models.CharField(max_length=100)
    held_at = models.DateTimeField(default=clock.now)
    held_by = models.CharField(max_length=200)
    reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["node", "version"], name="one_hold_per_version")]

    def __str__(self) -> str:
        return f"{self.version} on {self.node_id}"
