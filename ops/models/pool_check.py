from __future__ import annotations

import uuid

from django.db import models

from fleetui.core import clock


class PoolCheck(models.Model):
    """What a host of a pool has to pass after a restart, on top of what every host has to. `params` are those of the kind.

    `unit` {unit}; `tcp` {host, port}; `http` {url, status}; `command` {argv}. All of them are run on the host itself.
    """

    KINDS = ("unit", "tcp", "http", "command")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey("nodes.Pool", on_delete=models.CASCADE, related_name="health_checks")
    name = models.CharField(max_length=60)
    kind = models.CharField(max_length=10, choices=[(name, name) for name in KINDS])
    params = models.JSONField(default=dict)
    timeout_s = models.PositiveSmallIntegerField(default=5)
    revision = models.PositiveIntegerField(default=1)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["pool", "name"]
        constraints = [models.UniqueConstraint(fields=["pool", "name"], name="one_check_per_name")]

    def __str__(self) -> str:
        return f"{self.name} of {self.pool_id}"
