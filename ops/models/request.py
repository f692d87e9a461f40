from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat, StrIndex, Substr
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from ops.querysets import RequestQuerySet


class OperationRequest(models.Model):
    """What a person or a script asked for: one operation per subject, the reason, and the approvals that it needs.

    `requester` reads `user:anna` or `token:ci`, as in the audit log. `idempotency_key` is unique per requester; empty
    means none was given. `answer` holds which nodes were refused and why, given again to whoever repeats the request.
    `finished_at` is set, and told of, when none of its operations is open any more. `stop_after` is how many of them may
    end badly before no further one begins; `stopped_at` says that it came to that.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    params = models.JSONField(default=dict)
    selector = models.JSONField(default=dict)
    reason = models.CharField(_("reason"), max_length=300, blank=True, default="")
    requester = models.CharField(max_length=200)
    requested_at = models.DateTimeField(default=clock.now)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    stop_after = models.PositiveSmallIntegerField(null=True)
    approvals_needed = models.PositiveSmallIntegerField(default=0)
    approve_by = models.DateTimeField(null=True)
    idempotency_key = models.CharField(max_length=200, blank=True, default="")
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    answer = models.JSONField(default=dict)
    stopped_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = RequestQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["requester", "idempotency_key"], condition=~Q(idempotency_key=""), name="one_request_per_key"
            )
        ]
        indexes = [
            models.Index(fields=["requested_at"], name="request_unfinished", condition=Q(finished_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.requester}"


def _person(field: str) -> Combinable:
    """What `person_of` makes of an actor, as the database reckons it: `anna` of `user:anna` and of `token:anna/ci`."""
    name = Concat(Substr(F(field), StrIndex(F(field), Value(":")) + 1), Value("/"))
    return Substr(name, 1, StrIndex(name, Value("/")) - 1)


class Approval(models.Model):
    """One person's yes or no to a request. `requester` is copied, so that the database itself refuses approving one's own.

    Both rules are about persons: tokens of one owner are that owner.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(OperationRequest, on_delete=models.CASCADE, related_name="approvals")
    approver = models.CharField(max_length=200)
    requester = models.CharField(max_length=200)
    is_granted = models.BooleanField()
    at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint("request", _person("approver"), name="one_approval_per_person"),
            models.CheckConstraint(
                condition=~Q(Exact(_person("approver"), _person("requester"))), name="nobody_approves_their_own"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.approver} {'approved' if self.is_granted else 'rejected'} {self.request_id}"
