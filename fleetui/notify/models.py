"""Channels, which events go to them, and the outbox."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from fleetui.core import clock
from fleetui.notify.events import SEVERITIES


class Channel(models.Model):
    """A receiver. `settings` is what may be shown; addresses of Slack and Teams are secrets, and sealed with the others."""

    KINDS = ("webhook", "slack", "teams", "email", "alertmanager")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=[(one, one) for one in KINDS])
    settings = models.JSONField(default=dict)
    sealed = models.TextField(blank=True, default="", editable=False)
    is_on = models.BooleanField(default=True)
    revision = models.PositiveIntegerField(default=1)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_place(self) -> str:
        return f"notify_channel.sealed:{self.pk}"


class Rule(models.Model):
    """What goes to a channel: these events (none named: all), of this pool (none: all), from this severity on."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="rules")
    events = models.JSONField(default=list)
    pool = models.ForeignKey("nodes.Pool", on_delete=models.CASCADE, null=True, related_name="+")
    severity = models.CharField(max_length=10, choices=[(one, one) for one in SEVERITIES], default="info")

    def __str__(self) -> str:
        return f"{self.channel} from {self.severity}"


class Delivery(models.Model):
    """One event on its way to one channel: a line of the outbox, written in the transaction of the event."""

    STATES = ("waiting", "sent", "dead")

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    severity = models.CharField(max_length=10)
    document = models.JSONField(default=dict)
    happened_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=[(one, one) for one in STATES], default="waiting")
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_id = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    message_id = models.UUIDField(null=True)
    ended_at = models.DateTimeField(null=True)
    said = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["channel", "due_at"], name="delivery_waiting", condition=Q(state="waiting")),
            models.Index(fields=["ended_at"], name="delivery_dead", condition=Q(state="dead")),
            models.Index(fields=["channel", "-id"], name="delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.channel_id}"


class Trouble(models.Model):
    """Something that is wrong with FleetUI itself, by the key of its line on the Health page. The row goes when it is well.

    `told_at` is empty until it has lasted: a process that is started again is nothing to tell of.
    """

    key = models.CharField(max_length=200, unique=True)
    level = models.CharField(max_length=10)
    text = models.CharField(max_length=500)
    since = models.DateTimeField()
    told_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["since"]

    def __str__(self) -> str:
        return self.key
