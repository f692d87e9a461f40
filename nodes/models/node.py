from __future__ import annotations

import uuid
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.axes import Health, Lifecycle, Reachability, UpdateState
from nodes.models.credential import Credential
from nodes.models.group import Pool
from nodes.querysets import HostKeyQuerySet, NodeQuerySet

if TYPE_CHECKING:
    from datetime import datetime

    from nodes.hosts.ssh import HostKey as SshHostKey
    from nodes.models.facts import Facts
    from nodes.models.reach import JumpHost

NODE_NAME = RegexValidator(
    r"^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?\Z", _("Use letters, digits, dots, hyphens and underscores.")
)


class IgnitionState(StrEnum):
    """Where a node stands between what it was provisioned with, what its pool intends, and what is on it now."""

    IN_STEP = "in_step"
    BEHIND = "behind"
    DRIFTED = "drifted"
    NEEDS_REPLACEMENT = "needs_replacement"
    UNKNOWN = "unknown"


def _choices(enum: Any) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in enum]


class Node(models.Model):
    """One host. What people set stands first; what polls found stands in columns that lists filter and sort by.

    `maintenance_until` empty in maintenance means until somebody ends it. `machine_id` is what the host says of itself and
    `kernel_order` is the kernel's release in a form that sorts. Nodes with `enrolled_at` announced themselves.
    `applied_version` is the Ignition version that the machine was provisioned with, `applied_how` (fetch, marker, by_hand)
    how that is known, and `applied_at` since when. `ignition_state` follows from it, from what the pool intends, and from
    the last comparison; nodes.services.drift.states alone sets it.
    `generation` goes up each time the machine behind the node is replaced. `revision` counts edits by people (ETag).
    `silent_s` is how long nothing has answered, counted by contacts (nodes.services.silence), up to the one at `silent_at`.
    Each axis has its value, the code of its reason, the reason's parameters and the time since it is so.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True, validators=[NODE_NAME])
    address = models.CharField(_("address"), max_length=253)
    port = models.PositiveIntegerField(
        _("port"), default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    pool = models.ForeignKey(
        Pool, verbose_name=_("pool"), on_delete=models.PROTECT, null=True, blank=True, related_name="nodes"
    )
    credential = models.ForeignKey(
        Credential, verbose_name=_("credential"), on_delete=models.PROTECT, null=True, blank=True, related_name="nodes"
    )
    jump_host = models.ForeignKey(
        "nodes.JumpHost",
        verbose_name=_("jump host"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="nodes",
    )
    os_family_given = models.CharField(_("OS family"), max_length=30, blank=True, default="")
    labels = models.JSONField(_("labels"), default=dict, blank=True)
    lifecycle = models.CharField(
        max_length=20, choices=_choices(Lifecycle), default=Lifecycle.ACTIVE.value, db_index=True
    )
    lifecycle_reason = models.CharField(max_length=300, blank=True, default="", editable=False)
    lifecycle_since = models.DateTimeField(default=clock.now, editable=False)
    maintenance_until = models.DateTimeField(null=True, blank=True, editable=False)
    enrolment = models.ForeignKey(
        "nodes.EnrolmentToken", on_delete=models.SET_NULL, null=True, editable=False, related_name="nodes"
    )
    enrolled_at = models.DateTimeField(null=True, editable=False)
    machine_id = models.CharField(max_length=64, blank=True, default="", editable=False)
    generation = models.PositiveIntegerField(default=1, editable=False)
    applied_version = models.ForeignKey(
        "nodes.IgnitionVersion", on_delete=models.PROTECT, null=True, editable=False, related_name="born_nodes"
    )
    applied_how = models.CharField(max_length=10, blank=True, default="", editable=False)
    applied_at = models.DateTimeField(null=True, editable=False)
    ignition_state = models.CharField(
        max_length=20, choices=_choices(IgnitionState), default=IgnitionState.UNKNOWN.value, editable=False
    )
    ignition_state_since = models.DateTimeField(default=clock.now, editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    os_family = models.CharField(max_length=30, blank=True, default="", editable=False)
    os_name = models.CharField(max_length=100, blank=True, default="", editable=False)
    os_variant = models.CharField(max_length=50, blank=True, default="", editable=False)
    os_version = models.CharField(max_length=100, blank=True, default="", editable=False)
    os_stream = models.CharField(max_length=100, blank=True, default="", editable=False)
    arch = models.CharField(max_length=20, blank=True, default="", editable=False)
    kernel = models.CharField(max_length=150, blank=True, default="", editable=False)
    kernel_order = models.CharField(max_length=100, blank=True, default="", editable=False)
    booted_version = models.CharField(max_length=100, blank=True, default="", editable=False)
    booted = models.JSONField(null=True, editable=False)
    staged = models.JSONField(null=True, editable=False)
    rollback = models.JSONField(null=True, editable=False)
    boot_id = models.CharField(max_length=36, blank=True, default="", editable=False)
    booted_at = models.DateTimeField(null=True, editable=False)

    reachability = models.CharField(max_length=20, choices=_choices(Reachability), default="never_seen", editable=False)
    # What polls would say of a node that was never contacted, whoever makes it.
    reachability_reason = models.CharField(max_length=50, blank=True, default="not_contacted", editable=False)
    reachability_params = models.JSONField(default=dict, editable=False)
    reachability_since = models.DateTimeField(default=clock.now, editable=False)
    health = models.CharField(max_length=20, choices=_choices(Health), default="unknown", editable=False)
    health_reason = models.CharField(max_length=50, blank=True, default="no_facts", editable=False)
    health_params = models.JSONField(default=dict, editable=False)
    health_since = models.DateTimeField(default=clock.now, editable=False)
    update_state = models.CharField(max_length=20, choices=_choices(UpdateState), default="unknown", editable=False)
    update_state_reason = models.CharField(max_length=50, blank=True, default="no_facts", editable=False)
    update_state_params = models.JSONField(default=dict, editable=False)
    update_state_since = models.DateTimeField(default=clock.now, editable=False)

    facts: models.ForeignKey[Facts | None, Facts | None] = models.ForeignKey(
        "nodes.Facts", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    facts_at = models.DateTimeField(null=True, editable=False)
    unread_sections = models.PositiveSmallIntegerField(default=0, editable=False)
    last_seen_at = models.DateTimeField(null=True, editable=False)
    last_error_kind = models.CharField(max_length=30, blank=True, default="", editable=False)
    last_error_params = models.JSONField(default=dict, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    silent_s = models.PositiveIntegerField(default=0, editable=False)
    silent_at = models.DateTimeField(null=True, editable=False)

    poll_due_at = models.DateTimeField(default=clock.now, editable=False)
    poll_lease = models.UUIDField(null=True, editable=False, db_index=True)
    poll_lease_until = models.DateTimeField(null=True, editable=False)
    poll_requested_at = models.DateTimeField(null=True, editable=False)
    search_text = models.TextField(default="", editable=False)

    objects = NodeQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("node")
        indexes = [
            # No condition: SQLite does not use a partial index for a query with parameters, unless it is "not null".
            models.Index(fields=["failures", "poll_due_at"], name="node_due"),
            models.Index(fields=["poll_lease_until"], name="node_leased", condition=Q(poll_lease_until__isnull=False)),
            models.Index(fields=["poll_requested_at"], name="node_asked", condition=Q(poll_requested_at__isnull=False)),
            models.Index(fields=["pool", "name"], name="node_pool_name"),
            models.Index(fields=["reachability", "name"], name="node_reachability"),
            models.Index(fields=["health", "name"], name="node_health"),
            models.Index(fields=["update_state", "name"], name="node_update_state"),
            models.Index(fields=["booted_version", "name"], name="node_version"),
            models.Index(fields=["ignition_state", "name"], name="node_ignition_state"),
            models.Index(fields=["pool", "ignition_state"], name="node_pool_ignition"),
            models.Index(fields=["last_seen_at"], name="node_last_seen"),
            models.Index(fields=["kernel_order"], name="node_kernel_order"),
            models.Index(fields=["address", "port"], name="node_address"),
            models.Index(fields=["machine_id"], name="node_machine_id", condition=~Q(machine_id="")),
            models.Index(
                fields=["maintenance_until"], name="node_maintenance_end", condition=Q(maintenance_until__isnull=False)
            ),
            models.Index(fields=["enrolled_at"], name="node_enrolled", condition=Q(enrolled_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def current_facts(self) -> Facts | None:
        """What the last poll that read something new found, without the raw output; read once."""
        from nodes.models.facts import Facts

        return Facts.objects.defer("raw").filter(pk=self.facts_id).first() if self.facts_id else None

    @property
    def effective_credential(self) -> Credential | None:
        """The node's own credential, else its pool's."""
        return self.credential or (self.pool.credential if self.pool else None)

    @property
    def effective_jump_host(self) -> JumpHost | None:
        """The jump host on the way to the node: its own, else its pool's."""
        return self.jump_host or (self.pool.jump_host if self.pool else None)


class HostKey(models.Model):
    """A key that a host showed. `offered` waits for a person, `pinned` is trusted, `replaced` and `refused` are history."""

    STATES = ("offered", "pinned", "replaced", "refused")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="host_keys")
    type = models.CharField(max_length=40)
    public_key = models.TextField()
    fingerprint = models.CharField(max_length=60)
    state = models.CharField(max_length=10, choices=[(name, name) for name in STATES], default="offered")
    seen_at = models.DateTimeField(default=clock.now)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True, default="")
    reason = models.CharField(max_length=300, blank=True, default="")

    objects = HostKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-seen_at"]
        verbose_name = _("host key")
        constraints = [
            models.UniqueConstraint(fields=["node"], condition=Q(state="pinned"), name="one_pinned_host_key"),
            models.UniqueConstraint(fields=["node"], condition=Q(state="offered"), name="one_offered_host_key"),
        ]
        indexes = [models.Index(fields=["fingerprint", "state"], name="host_key_fingerprint")]

    def __str__(self) -> str:
        return f"{self.node_id} {self.fingerprint} {self.state}"

    @classmethod
    def pinned(cls, node: Node, key: SshHostKey, *, by: str, now: datetime, reason: str = "") -> HostKey:
        """A row, not stored yet, for a key that is trusted without having been offered first."""
        return cls(
            node=node,
            type=key.type,
            public_key=key.base64,
            fingerprint=key.fingerprint,
            state="pinned",
            seen_at=now,
            decided_at=now,
            decided_by=by[:200],
            reason=reason[:300],
        )
