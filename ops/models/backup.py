from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from ops.models.operation import Operation
from ops.models.schedule import Schedule
from ops.querysets import BackupPolicyQuerySet, OfBackupPolicy


class BackupTarget(models.Model):
    """Where backups lie. `settings` may be shown (of `local`: path; of `s3`: bucket and so on); the keys are sealed.

    `head_at` and `head_seq`: the head of the audit log that was written there last; `head_problem` (code, said) what
    went wrong since.
    """

    KINDS = ("local", "s3")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=[(one, one) for one in KINDS])
    settings = models.JSONField(default=dict)
    sealed = models.TextField(blank=True, default="", editable=False)
    tried_at = models.DateTimeField(null=True)
    head_due_at = models.DateTimeField(default=clock.now)
    head_at = models.DateTimeField(null=True)
    head_seq = models.PositiveBigIntegerField(null=True)
    head_problem = models.JSONField(default=dict)
    revision = models.PositiveIntegerField(default=1)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_place(self) -> str:
        return f"ops_backup_target.sealed:{self.pk}"


class BackupPolicy(models.Model):
    """What is backed up, from where to where, how long it is kept, and after what time without a good one somebody is told.

    It names one node, or one pool of which any node will do; FleetUI itself and what others back up and only report need
    neither. Their names are copied, since nodes and pools are deleted. `keep` says of how many hours, days, weeks, months
    and years the newest stays. `overdue_since` is set while it is overdue, so that it is told once; `unproven_since`
    likewise, while the last proof by a restore drill is older than `prove_within_s`. With `is_gate` the nodes are not
    upgraded without a fresh, proven backup.
    """

    KINDS = ("path", "postgresql", "volume", "etcd", "fleetui", "reported")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=[(one, one) for one in KINDS])
    settings = models.JSONField(default=dict)
    node = models.ForeignKey("nodes.Node", on_delete=models.SET_NULL, null=True, related_name="+")
    node_name = models.CharField(max_length=100, blank=True, default="")
    pool = models.ForeignKey("nodes.Pool", on_delete=models.SET_NULL, null=True, related_name="+")
    pool_name = models.CharField(max_length=100, blank=True, default="")
    target = models.ForeignKey(BackupTarget, on_delete=models.PROTECT, null=True, related_name="policies")
    schedule = models.OneToOneField(Schedule, on_delete=models.SET_NULL, null=True, related_name="+")
    keep = models.JSONField(default=dict)
    overdue_after_s = models.PositiveIntegerField()
    last_good_at = models.DateTimeField(null=True)
    overdue_since = models.DateTimeField(null=True)
    prove_within_s = models.PositiveIntegerField(null=True)
    is_gate = models.BooleanField(default=False)
    drill_schedule = models.OneToOneField(Schedule, on_delete=models.SET_NULL, null=True, related_name="+")
    last_proven_at = models.DateTimeField(null=True)
    unproven_since = models.DateTimeField(null=True)
    revision = models.PositiveIntegerField(default=1)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)
    created_at = models.DateTimeField(default=clock.now)

    objects = BackupPolicyQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> Any:
        """What rights are asked about: its node or its pool; None is the whole fleet."""
        return self.node or (self if self.pool_id else None)


class BackupRun(models.Model):
    """One attempt to back up, and what came of it. Only a `good` one counts: it was whole, and read back as it was written.

    `halves` are keys that were begun and may have left something at the target. `checks` is what was found on the host
    (of etcd: revision, keys, its own hash). `reported_by` is set when another job did it.
    """

    STATES = ("running", "good", "failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    policy = models.ForeignKey(BackupPolicy, on_delete=models.CASCADE, related_name="runs")
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, related_name="backup_runs")
    state = models.CharField(max_length=10, choices=[(one, one) for one in STATES], default="running")
    source = models.CharField(max_length=100, blank=True, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    size_bytes = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    target = models.ForeignKey(BackupTarget, on_delete=models.SET_NULL, null=True, related_name="+")
    target_name = models.CharField(max_length=100, blank=True, default="")
    key = models.CharField(max_length=400, blank=True, default="")
    location = models.CharField(max_length=1000, blank=True, default="")
    halves = models.JSONField(default=list)
    checks = models.JSONField(default=dict)
    verified_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=60, blank=True, default="")
    result_params = models.JSONField(default=dict)
    reported_by = models.CharField(max_length=200, blank=True, default="")
    deleted_at = models.DateTimeField(null=True)

    objects = OfBackupPolicy.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["policy"], condition=Q(state="running"), name="one_backup_at_a_time"),
            models.UniqueConstraint(
                fields=["operation"], condition=Q(operation__isnull=False), name="one_backup_per_operation"
            ),
        ]
        indexes = [
            models.Index(fields=["policy", "-started_at"], name="backup_run_newest"),
            models.Index(
                fields=["policy", "-ended_at"],
                name="backup_run_there",
                condition=Q(state="good", deleted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} at {self.started_at:%Y-%m-%dT%H:%M}"


class BackupDrill(models.Model):
    """One restore drill: which backup was tried, what it proved, and what was found in it.

    What it proves: `restored` (an etcd ran on it), `listed` (every file of the archive was read), `read_through` (all of the
    dump was read), `opened` (FleetUI's own state was whole, and the keys that are here open it). The run may be gone by
    retention; when it was made, where it lay and its SHA-256 are kept here.
    """

    STATES = ("running", "good", "failed")
    PROVES = ("restored", "listed", "read_through", "opened")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    policy = models.ForeignKey(BackupPolicy, on_delete=models.CASCADE, related_name="drills")
    run = models.ForeignKey(BackupRun, on_delete=models.SET_NULL, null=True, related_name="drills")
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, related_name="backup_drills")
    state = models.CharField(max_length=10, choices=[(one, one) for one in STATES], default="running")
    proves = models.CharField(max_length=20, blank=True, default="", choices=[(one, one) for one in PROVES])
    asked_by = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    backup_at = models.DateTimeField(null=True)
    location = models.CharField(max_length=1000, blank=True, default="")
    sha256 = models.CharField(max_length=64, blank=True, default="")
    found = models.JSONField(default=dict)
    result = models.CharField(max_length=60, blank=True, default="")
    result_params = models.JSONField(default=dict)

    objects = OfBackupPolicy.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["policy"], condition=Q(state="running"), name="one_drill_at_a_time"),
        ]
        indexes = [models.Index(fields=["policy", "-started_at"], name="backup_drill_newest")]

    def __str__(self) -> str:
        return f"{self.policy_id} at {self.started_at:%Y-%m-%dT%H:%M}"


class Restore(models.Model):
    """What a guided restore goes by beside its operation: of which backup it is, and what people said.

    `confirmed` has the steps that a person let go on or did by hand, and go_back, each with who said so and when.
    """

    operation = models.OneToOneField(Operation, on_delete=models.CASCADE, related_name="restore")
    policy = models.ForeignKey(BackupPolicy, on_delete=models.SET_NULL, null=True, related_name="restores")
    run = models.ForeignKey(BackupRun, on_delete=models.SET_NULL, null=True, related_name="restores")
    confirmed = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"restore of {self.run_id}"
