from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.models.group import Pool
from nodes.models.ignition import IgnitionVersion
from nodes.models.node import Node

#: How the token of a provisioning came to its end; without one it is open until its deadline.
ENDINGS = ("arrived", "revoked", "replaced", "moved", "absent")


class PoolToken(models.Model):
    """Lets new machines of one pool fetch its intended config; each becomes a node. Shown once, kept as an HMAC.

    `uses` counts the nodes that it made and never exceeds `max_uses` (none: no limit). `networks` limits where a fetch may
    come from. `needs_id`: a fetch without an id is refused, since several machines share an address. A node that was not
    seen `arrive_within_s` after its first fetch is retired.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="provisioning_tokens")
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    pepper = models.CharField(max_length=16, editable=False)
    networks = models.JSONField(default=list, blank=True)
    name_pattern = models.CharField(max_length=100)
    needs_id = models.BooleanField(default=False)
    arrive_within_s = models.PositiveIntegerField(default=3600)
    max_uses = models.PositiveIntegerField(_("limit"), null=True, blank=True)
    uses = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    expires_at = models.DateTimeField(_("expires"))
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("provisioning token")
        constraints = [
            models.UniqueConstraint(fields=["pool", "name"], name="one_pool_token_per_name"),
            models.CheckConstraint(
                condition=Q(max_uses=None) | Q(uses__lte=models.F("max_uses")), name="pool_token_within_its_limit"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pool_id} {self.name}"


class Provisioning(models.Model):
    """A machine on its way from an Ignition version to its first contact: what it fetches, and by which key it is known.

    `sealed_config` is what every fetch gets, byte for byte; it is emptied when nobody may fetch it any more. `generation`
    is the one that the machine begins. The token is shown once and kept as an HMAC under a numbered pepper.

    One that a fetch with a `pool_token` made is found by its `instance` (`id:...` or `address:...`) as long as it
    `holds_instance`; nobody was ever shown the token of its own.
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

    pool_token = models.ForeignKey(PoolToken, on_delete=models.SET_NULL, null=True, related_name="provisionings")
    instance = models.CharField(max_length=140, blank=True, default="")
    holds_instance = models.BooleanField(default=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("provisioning")
        constraints = [
            models.UniqueConstraint(
                fields=["pool_token", "instance"],
                condition=Q(holds_instance=True),
                name="one_provisioning_per_instance",
            ),
            models.UniqueConstraint(fields=["node"], condition=Q(ended_at=None), name="one_open_provisioning"),
        ]
        indexes = [models.Index(fields=["deadline"], name="provisioning_sealed", condition=~Q(sealed_config=""))]

    def __str__(self) -> str:
        return f"{self.node_id} {self.prefix}"

    @property
    def seal_place(self) -> str:
        return f"nodes_provisioning.sealed_config:{self.pk}"
