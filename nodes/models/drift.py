from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.models.ignition import IgnitionVersion
from nodes.models.node import Node
from nodes.querysets import DriftQuerySet, IgnitionVersionQuerySet


class Verdict(StrEnum):
    """What came of the last comparison that was whole."""

    NONE = ""
    CLEAN = "clean"
    DRIFTED = "drifted"
    NEEDS_REPLACEMENT = "needs_replacement"


class Drift(models.Model):
    """A node compared with the Ignition version that it was provisioned with: one row per node, when it is due, what came of it.

    `version` and `generation` are those that it is about: where the node has others, nothing is known yet. `differences`
    and `unlooked` have the shapes of nodes.drift.model; the counts are of all, also where not all are kept. After a
    failure they stay as they were, `failed_at` and `error_kind` say of it, and `raw` is what was not understood.
    """

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True, related_name="drift")
    version = models.ForeignKey(IgnitionVersion, on_delete=models.CASCADE, related_name="+")
    generation = models.PositiveIntegerField()
    verdict = models.CharField(
        max_length=20, blank=True, default="", choices=[(one.value, one.value) for one in Verdict if one.value]
    )
    checked_at = models.DateTimeField(null=True)
    differences = models.JSONField(default=list)
    unlooked = models.JSONField(default=list)
    os_count = models.PositiveIntegerField(default=0)
    in_place_count = models.PositiveIntegerField(default=0)
    replacement_count = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField(null=True)
    error_kind = models.CharField(max_length=30, blank=True, default="")
    error_params = models.JSONField(default=dict)
    raw = models.TextField(blank=True, default="")
    due_at = models.DateTimeField(default=clock.now)
    requested_at = models.DateTimeField(null=True)
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    objects = DriftQuerySet.as_manager()

    #: Of its version, what a page leaves in the database.
    HEAVY_VERSION = tuple(f"version__{column}" for column in IgnitionVersionQuerySet.HEAVY)

    class Meta:
        verbose_name = _("drift")
        indexes = [
            models.Index(fields=["due_at"], name="drift_due"),
            models.Index(
                fields=["requested_at"], name="drift_asked_for", condition=models.Q(requested_at__isnull=False)
            ),
            models.Index(fields=["lease_until"], name="drift_leased", condition=models.Q(lease_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.node_id} {self.verdict or '-'}"
