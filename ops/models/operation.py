from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from fleetui.core import clock
from ops.models.request import OperationRequest
from ops.querysets import OperationQuerySet
from ops.states import ACTIVE, State


class Operation(models.Model):
    """One piece of work on one subject. The row is the truth: whoever reads it knows what happens, and what it waits for.

    `subject` reads `node:<uuid>`, `deployment:<uid>` of a cluster, or `installation`; names are copied, since nodes and
    pools are renamed and deleted. `memory` is what steps saw and did, for the steps after them; `plan` is what was frozen
    when it was requested. `due_at` is empty while nothing is to be done, and so is the lease. Reasons are codes with
    parameters, worded when they are shown.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(OperationRequest, on_delete=models.CASCADE, related_name="operations")
    number = models.PositiveIntegerField(default=0)
    kind = models.CharField(max_length=40)
    params = models.JSONField(default=dict)
    plan = models.JSONField(default=dict)
    memory = models.JSONField(default=dict)

    subject = models.CharField(max_length=60)
    node = models.ForeignKey("nodes.Node", on_delete=models.SET_NULL, null=True, related_name="operations")
    node_name = models.CharField(max_length=100)
    generation = models.PositiveIntegerField(default=1)
    pool = models.ForeignKey("nodes.Pool", on_delete=models.SET_NULL, null=True, related_name="+")
    pool_name = models.CharField(max_length=100, blank=True, default="")
    cluster_name = models.CharField(max_length=100, blank=True, default="")
    is_control_plane = models.BooleanField(default=False)
    changes = models.BooleanField(default=True)
    is_disruptive = models.BooleanField(default=False)

    state = models.CharField(max_length=20, choices=[(one.value, one.value) for one in State], default="requested")
    state_since = models.DateTimeField(default=clock.now)
    step = models.CharField(max_length=40, blank=True, default="")
    step_number = models.PositiveSmallIntegerField(default=0)
    attempt = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    wait_reason = models.CharField(max_length=60, blank=True, default="")
    wait_params = models.JSONField(default=dict)
    wait_since = models.DateTimeField(null=True)
    deadline = models.DateTimeField()
    lease_id = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.CharField(max_length=200, blank=True, default="")
    cancel_reason = models.CharField(max_length=300, blank=True, default="")
    result = models.CharField(max_length=60, blank=True, default="")
    result_params = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    retry_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="retries")
    log_seq = models.PositiveIntegerField(default=0)
    log_bytes = models.PositiveIntegerField(default=0)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject"],
                condition=Q(changes=True, state__in=sorted(state.value for state in ACTIVE)),
                name="one_active_change_per_subject",
            ),
            models.UniqueConstraint(fields=["request", "number"], name="one_operation_per_number"),
        ]
        indexes = [
            # Finished operations have no due time: the engine's look costs the same beside a million of them.
            models.Index(fields=["due_at"], name="operation_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["deadline"], name="operation_open", condition=Q(ended_at__isnull=True)),
            models.Index(fields=["state", "pool", "created_at"], name="operation_state_pool"),
            models.Index(fields=["node", "-created_at"], name="operation_node"),
            models.Index(fields=["-created_at", "-id"], name="operation_newest"),
            # How a kind went last in a pool, whatever else was done there since.
            models.Index(
                fields=["pool", "kind", "-ended_at"], name="operation_ended", condition=Q(ended_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on {self.node_name}"

    @property
    def is_on_node(self) -> bool:
        """Also when that node is gone."""
        return self.subject.startswith("node:")
