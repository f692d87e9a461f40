from __future__ import annotations

from django.db import models

from nodes.models.group import Pool
from nodes.querysets import TallyQuerySet


class Tally(models.Model):
    """How many nodes of a pool have a value; to be summed, since every change of a node adds a row to it.

    Triggers on the table of nodes keep it (nodes.services.tally), so that counts are right whoever writes, and cost the
    same whatever the size of the fleet. `kind` is lifecycle, reachability, health, update_state, reason, os, stream or
    version; retired nodes are counted under lifecycle only. No pool means nodes without one.
    """

    id = models.BigAutoField(primary_key=True)
    # Not checked: a row may outlive its pool until it is folded into the others.
    pool = models.ForeignKey(
        Pool, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=20)
    value = models.CharField(max_length=100)
    nodes = models.BigIntegerField()

    objects = TallyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "tally"

    def __str__(self) -> str:
        return f"{self.kind} {self.value}: {self.nodes:+}"
