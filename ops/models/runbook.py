from __future__ import annotations

from django.db import models

from ops.querysets import OfPool


class RunbookEntry(models.Model):
    """What is particular about a Day-2 task of a pool. No row means the usual, in time.

    `every_days` is how often it should happen: empty as usual, 0 never. `overdue_since` is set while it is overdue, so that
    it is told once.
    """

    id = models.BigAutoField(primary_key=True)
    pool = models.ForeignKey("nodes.Pool", on_delete=models.CASCADE, related_name="runbook_entries")
    task = models.CharField(max_length=40)
    every_days = models.PositiveIntegerField(null=True)
    overdue_since = models.DateTimeField(null=True)
    set_by = models.CharField(max_length=200, blank=True, default="")
    set_at = models.DateTimeField(null=True)

    objects = OfPool.as_manager()

    class Meta:
        ordering = ["pool", "task"]
        constraints = [models.UniqueConstraint(fields=["pool", "task"], name="one_runbook_entry_per_task")]

    def __str__(self) -> str:
        return f"{self.task} of {self.pool_id}"
