from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from ops.models.operation import Operation
from ops.querysets import ClusterNodeQuerySet


class ClusterAccess(models.Model):
    """How FleetUI signs in to the API of a cluster, and what it says. What is due, and who works on it, stands here.

    `sealed` is the whole of ops.kubernetes.Access. `state` is new, good or failing; then `problem` is the kind of
    ops.kubernetes.ClusterError with its `problem_params`. `missing` names rights as `kubectl auth can-i` does. `checked_at`
    is when all that is stored of the cluster was true; `revision` goes up when somebody changes the access.
    """

    STATES: ClassVar[tuple[str, ...]] = ("new", "good", "failing")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.OneToOneField("nodes.Cluster", on_delete=models.CASCADE, related_name="access")
    server = models.CharField(max_length=500)
    how = models.CharField(max_length=12)
    sealed = models.TextField(editable=False)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)
    revision = models.PositiveIntegerField(default=1)

    state = models.CharField(max_length=10, choices=[(name, name) for name in STATES], default="new")
    state_since = models.DateTimeField(default=clock.now)
    problem = models.CharField(max_length=30, blank=True, default="")
    problem_params = models.JSONField(default=dict)
    version = models.CharField(max_length=60, blank=True, default="")
    missing = models.JSONField(default=list)
    checked_at = models.DateTimeField(null=True)

    failures = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=clock.now, db_index=True)
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["cluster__name"]

    def __str__(self) -> str:
        return f"access to {self.cluster_id}"

    @property
    def seal_place(self) -> str:
        return f"ops_clusteraccess.sealed:{self.pk}"


class ClusterNode(models.Model):
    """A node as its cluster has it, when that was last looked at. `node` is ours, found by `matched_by`.

    `stands_against` is what a drain would meet: counts and names by ops.services.clusters.read.
    """

    MATCHES: ClassVar[tuple[str, ...]] = ("machine", "provider", "name", "address")

    id = models.BigAutoField(primary_key=True)
    access = models.ForeignKey(ClusterAccess, on_delete=models.CASCADE, related_name="nodes")
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64)
    node = models.ForeignKey("nodes.Node", on_delete=models.SET_NULL, null=True, related_name="in_cluster")
    matched_by = models.CharField(max_length=10, blank=True, default="")
    ready = models.CharField(max_length=10, default="Unknown")
    ready_said = models.CharField(max_length=300, blank=True, default="")
    is_cordoned = models.BooleanField(default=False)
    is_control_plane = models.BooleanField(default=False)
    version = models.CharField(max_length=60, blank=True, default="")
    pods = models.PositiveIntegerField(default=0)
    taints = models.JSONField(default=list)
    stands_against = models.JSONField(default=dict)

    objects = ClusterNodeQuerySet.as_manager()

    class Meta:
        ordering = ["access", "name"]
        constraints = [models.UniqueConstraint(fields=["access", "name"], name="one_row_per_cluster_node")]

    def __str__(self) -> str:
        return self.name


class Cordon(models.Model):
    """A node that FleetUI cordoned, written before it did. The row goes when the node is uncordoned, by whomever.

    `by` is the operation's id as it stands at the node itself, also after the operation is gone. `is_kept`: a drain that
    went well leaves its node cordoned until an uncordon is asked for; any other cordon ends with its operation.
    """

    #: What has to be done before the cluster can be deleted.
    free_first: ClassVar[Promise] = _(
        "FleetUI has cordoned nodes of it: uncordon them first, or wait for the end of their operations."
    )

    id = models.BigAutoField(primary_key=True)
    access = models.ForeignKey(ClusterAccess, on_delete=models.PROTECT, related_name="cordons")
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64)
    by = models.CharField(max_length=32)
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, related_name="+")
    is_kept = models.BooleanField(default=False)
    cordoned_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["access", "name"]
        constraints = [models.UniqueConstraint(fields=["access", "name"], name="one_cordon_per_cluster_node")]

    def __str__(self) -> str:
        return f"{self.name} by {self.by}"


class ClusterDeployment(models.Model):
    """A Deployment of a cluster, when that was last looked at. `images` are by container; `late` is what is wrong with it."""

    id = models.BigAutoField(primary_key=True)
    access = models.ForeignKey(ClusterAccess, on_delete=models.CASCADE, related_name="deployments")
    namespace = models.CharField(max_length=253)
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64)
    images = models.JSONField(default=dict)
    revision = models.PositiveIntegerField(default=0)
    wanted = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    available = models.PositiveIntegerField(default=0)
    is_paused = models.BooleanField(default=False)
    rollout = models.CharField(max_length=20, default="done")
    late = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["access", "namespace", "name"]
        constraints = [
            models.UniqueConstraint(fields=["access", "namespace", "name"], name="one_row_per_cluster_deployment")
        ]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ClusterCertificate(models.Model):
    """A Certificate of cert-manager, when its cluster was last looked at. `said` is what stands in the way of it."""

    id = models.BigAutoField(primary_key=True)
    access = models.ForeignKey(ClusterAccess, on_delete=models.CASCADE, related_name="certificates")
    namespace = models.CharField(max_length=253)
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64)
    names = models.JSONField(default=list)
    issuer = models.CharField(max_length=300, blank=True, default="")
    secret = models.CharField(max_length=253, blank=True, default="")
    revision = models.PositiveIntegerField(default=0)
    is_ready = models.BooleanField(default=False)
    is_issuing = models.BooleanField(default=False)
    said = models.CharField(max_length=300, blank=True, default="")
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)
    renews_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["access", "namespace", "name"]
        constraints = [
            models.UniqueConstraint(fields=["access", "namespace", "name"], name="one_row_per_cluster_certificate")
        ]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
