from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.models.ignition import IgnitionVersion
from nodes.models.node import Node

#: How the token of a provisioning came to its end; without one it is open until its deadline.
ENDINGS = ("arrived", "revoked", "replaced", "moved")


class Provisioning(models.Model):
    """A machine on its way from an Ignition version to its first contact: what it fetches, and by which key it is known.

    `sealed_config` is what every fetch gets, byte for byte; it is emptied when nobody may fetch it any more. `generation`
    is the one that the machine begins. The token is shown once and kept as an HMAC under a numbered pepper.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="provisionings")
    version = models.ForeignKey(IgnitionVersion, on_delete=models.PROTECT, related_name="provisionings")
    generation = models.PositiveIntegerField()
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    pepper = models.CharField(max_length=16, editable=False)
    sealed_config = models.TextField(editable=False)
    sha512 = models.CharField(max_length=135)
    fingerprint = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=200)
    deadline = models.DateTimeField()
    fetches = models.PositiveIntegerField(default=0)
    first_fetched_at = models.DateTimeField(null=True)
    last_fetched_at = models.DateTimeField(null=True)
    last_address = models.CharField(max_length=45, blank=True, default="")
    ended_at = models.DateTimeField(null=True)
    ending = models.CharField(max_length=10, blank=True, default="", choices=[(name, name) for name in ENDINGS])

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("provisioning")
        constraints = [
            models.UniqueConstraint(fields=["node"], condition=Q(ended_at=None), name="one_open_provisioning"),
        ]
        indexes = [models.Index(fields=["deadline"], name="provisioning_sealed", condition=~Q(sealed_config=""))]

    def __str__(self) -> str:
        return f"{self.node_id} {self.prefix}"

    @property
    def seal_place(self) -> str:
        return f"nodes_provisioning.sealed_config:{self.pk}"
