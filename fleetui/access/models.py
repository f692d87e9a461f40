"""Users, the roles they hold, and their API tokens."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from fleetui.access.querysets import RoleBindingQuerySet, TokenQuerySet
from fleetui.access.roles import ROLES
from fleetui.access.token_text import state_at
from fleetui.core import clock


class User(AbstractUser):
    """A person. Django's own permission tables are not used: rights come from RoleBinding alone."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    full_name = models.CharField(_("full name"), max_length=150, blank=True, default="")
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, default="")

    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["username"]
        verbose_name = _("user")

    def __str__(self) -> str:
        return self.username

    def get_full_name(self) -> str:
        return self.full_name or self.username

    def get_short_name(self) -> str:
        return self.username


class RoleBinding(models.Model):
    """A role that a user holds on one pool, or (pool empty) on everything."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="bindings")
    role = models.CharField(max_length=20, choices=[(name, name) for name in ROLES])
    pool = models.ForeignKey("nodes.Pool", on_delete=models.CASCADE, null=True, blank=True, related_name="bindings")
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = RoleBindingQuerySet.as_manager()

    class Meta:
        ordering = ["user__username", "role"]
        constraints = [
            models.UniqueConstraint(fields=["user", "role", "pool"], name="one_binding_per_pool"),
            models.UniqueConstraint(fields=["user", "role"], condition=Q(pool=None), name="one_binding_on_all"),
            models.CheckConstraint(condition=Q(role__in=list(ROLES)), name="role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.role}"


class Token(models.Model):
    """An API token: shown once, kept as an HMAC under a numbered pepper. It never has more rights than its owner.

    `prefix` is the public part that finds the row; `scopes` are bundle or permission names; `pools` limits it further.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    pepper = models.CharField(max_length=16, editable=False)
    scopes = models.JSONField(default=list)
    pools = models.ManyToManyField("nodes.Pool", blank=True, related_name="+")
    limited_to_pools = models.BooleanField(default=False, editable=False)
    networks = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("token")
        constraints = [
            # A request that is sent twice makes one token.
            models.UniqueConstraint(fields=["user", "name"], condition=Q(revoked_at=None), name="one_token_per_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    def state(self, now: datetime) -> str:
        """active, expired or revoked."""
        return state_at(now, revoked_at=self.revoked_at, expires_at=self.expires_at)
