"""The audit log: an append-only table whose rows are chained by a keyed hash."""

from __future__ import annotations

from django.db import models

from fleetui.audit.querysets import AuditEventQuerySet


class AuditEvent(models.Model):
    """One record of who did what to what, with the outcome. Actor and subject are text: they outlive what they name.

    `before` and `after` are canonical JSON text exactly as hashed, so that both databases give back the same bytes.
    """

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100, db_index=True)
    subject = models.CharField(max_length=300)
    before = models.TextField(default="", blank=True)
    after = models.TextField(default="", blank=True)
    reason = models.TextField(default="", blank=True)
    request_id = models.CharField(max_length=64, default="", blank=True)
    source_address = models.CharField(max_length=64, default="", blank=True)
    outcome = models.CharField(max_length=20, default="done")
    hash = models.CharField(max_length=64)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        db_table = "audit_event"
        ordering = ["-seq"]
        indexes = [
            models.Index(fields=["actor", "-seq"], name="audit_actor"),
            models.Index(fields=["subject", "-seq"], name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.actor} {self.action} {self.subject}"


class AuditHead(models.Model):
    """The end of the chain: one row, locked while an event is appended."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="")

    class Meta:
        db_table = "audit_head"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="audit_head_is_one_row")]

    def __str__(self) -> str:
        return f"head {self.seq}"


class AuditPush(models.Model):
    """How far the log was sent to one receiver. The log itself is the outbox: what is newer than `seq` is still to be sent."""

    sink = models.CharField(max_length=20, primary_key=True)
    seq = models.BigIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, default="", blank=True)
    due_at = models.DateTimeField()
    lease_id = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "audit_push"

    def __str__(self) -> str:
        return f"{self.sink} {self.seq}"
