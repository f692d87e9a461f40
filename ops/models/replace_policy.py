from __future__ import annotations

from django.db import models

from fleetui.core import clock
from ops.models.operation import Operation
from ops.querysets import OfPool


class ReplacePolicy(models.Model):
    """That machines of a pool are replaced by themselves when nothing answers for so long. No row: they are not.

    `params` are those of `replace`; `reason` is what each of its requests says besides, such as a ticket.
    """

    pool = models.OneToOneField("nodes.Pool", on_delete=models.CASCADE, related_name="replace_policy")
    after_minutes = models.PositiveIntegerField()
    most_per_day = models.PositiveSmallIntegerField()
    params = models.JSONField(default=dict)
    reason = models.CharField(max_length=150, blank=True, default="")
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)

    objects = OfPool.as_manager()

    class Meta:
        ordering = ["pool__name"]

    def __str__(self) -> str:
        return f"replace policy of {self.pool_id}"


class PolicyReplacement(models.Model):
    """What the policy of a pool asked for: once for each machine, whatever came of it."""

    pool = models.ForeignKey("nodes.Pool", on_delete=models.CASCADE, related_name="+")
    node = models.ForeignKey("nodes.Node", on_delete=models.CASCADE, related_name="+")
    generation = models.PositiveIntegerField()
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField(default=clock.now)

    objects = OfPool.as_manager()

    class Meta:
        ordering = ["-asked_at"]
        constraints = [models.UniqueConstraint(fields=["node", "generation"], name="one_by_policy_per_machine")]
        indexes = [models.Index(fields=["pool", "-asked_at"], name="policy_replacement_newest")]

    def __str__(self) -> str:
        return f"replacement of {self.node_id} {self.generation}"
