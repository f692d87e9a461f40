from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.querysets import ClusterQuerySet, PoolQuerySet

#: Pool names become FleetLock groups, whose grammar this is.
GROUP_NAME = RegexValidator(r"^[a-zA-Z0-9.-]+\Z", _("Use letters, digits, dots and hyphens only."))


class Cluster(models.Model):
    """The Kubernetes cluster that pools may belong to."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True, validators=[GROUP_NAME])
    description = models.CharField(_("description"), max_length=300, blank=True, default="")
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("cluster")

    def __str__(self) -> str:
        return self.name


class Pool(models.Model):
    """Nodes that are kept alike. `poll_interval_s` empty means the installation's own.

    `next_credential` is tried on every node before it takes the place of `credential`. `host_ca_keys` holds one public
    key a line: a host certificate signed by one of them is trusted without a pinned key. `retire_absent_after_s` is for
    nodes that enrolled by themselves. `intended_version` is the Ignition version that its nodes should be born with.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True, validators=[GROUP_NAME])
    description = models.CharField(_("description"), max_length=300, blank=True, default="")
    cluster = models.ForeignKey(
        Cluster, verbose_name=_("cluster"), on_delete=models.PROTECT, null=True, blank=True, related_name="pools"
    )
    role = models.CharField(_("role"), max_length=50, blank=True, default="")
    credential = models.ForeignKey(
        "nodes.Credential",
        verbose_name=_("credential"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="pools",
    )
    poll_interval_s = models.PositiveIntegerField(
        _("poll interval in seconds"),
        null=True,
        blank=True,
        validators=[MinValueValidator(10), MaxValueValidator(86400)],
    )
    next_credential = models.ForeignKey(
        "nodes.Credential",
        verbose_name=_("next credential"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="next_for_pools",
    )
    jump_host = models.ForeignKey(
        "nodes.JumpHost",
        verbose_name=_("jump host"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="pools",
    )
    host_ca_keys = models.TextField(_("host certificate authorities"), blank=True, default="")
    retire_absent_after_s = models.PositiveIntegerField(
        _("retire enrolled nodes after seconds of absence"),
        null=True,
        blank=True,
        validators=[MinValueValidator(60), MaxValueValidator(30 * 86400)],
    )
    intended_version = models.ForeignKey(
        "nodes.IgnitionVersion",
        verbose_name=_("intended Ignition version"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="intended_for_pools",
    )
    intended_since = models.DateTimeField(null=True, editable=False)
    intended_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = PoolQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("pool")

    def __str__(self) -> str:
        return self.name

    @property
    def pool_id(self) -> uuid.UUID:
        """Rights on a pool are those on what is in it."""
        return self.id
