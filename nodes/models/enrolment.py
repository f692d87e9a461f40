from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.models.group import Pool


class EnrolmentToken(models.Model):
    """Lets new instances of one pool announce themselves. Shown once, kept as an HMAC under a numbered pepper.

    `uses` never exceeds `max_uses` (none: no limit). `networks` limits where an announcement may come from.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="enrolment_tokens")
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    pepper = models.CharField(max_length=16, editable=False)
    networks = models.JSONField(default=list, blank=True)
    max_uses = models.PositiveIntegerField(_("limit"), null=True, blank=True)
    uses = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    expires_at = models.DateTimeField(_("expires"))
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["pool", "name"], name="one_enrolment_token_per_name"),
            models.CheckConstraint(
                condition=models.Q(max_uses=None) | models.Q(uses__lte=models.F("max_uses")),
                name="enrolment_within_its_limit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pool_id} {self.name}"


class KnownDistinct(models.Model):
    """A person said that the nodes sharing this value (a machine id, an address, a host key) are different machines."""

    KINDS = ("machine_id", "address", "host_key")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=[(name, name) for name in KINDS])
    value = models.CharField(max_length=300)
    said_by = models.CharField(max_length=200)
    said_at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="one_known_distinct_per_value")]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"
