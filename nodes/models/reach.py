from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.models.credential import Credential
from nodes.models.group import GROUP_NAME
from nodes.models.node import Node
from nodes.querysets import JumpHostQuerySet


class JumpHost(models.Model):
    """An SSH server through which nodes are reached. `through` names the jump host before it; rings are refused.

    `host_key` is the pinned key as "type base64"; without it nothing is contacted through this host.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True, validators=[GROUP_NAME])
    address = models.CharField(_("address"), max_length=253)
    port = models.PositiveIntegerField(
        _("port"), default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    credential = models.ForeignKey(
        Credential, verbose_name=_("credential"), on_delete=models.PROTECT, related_name="jump_hosts"
    )
    host_key = models.TextField(_("host key"), blank=True, default="")
    through = models.ForeignKey(
        "self", verbose_name=_("through"), on_delete=models.PROTECT, null=True, blank=True, related_name="onward"
    )
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = JumpHostQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("jump host")

    def __str__(self) -> str:
        return self.name


class CredentialTrial(models.Model):
    """Whether a credential that is to follow another one works on a node: tried before the old one goes."""

    STATES = ("waiting", "works", "fails")

    id = models.BigAutoField(primary_key=True)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="credential_trials")
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="trials")
    fingerprint = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=[(name, name) for name in STATES], default="waiting")
    error_kind = models.CharField(max_length=30, blank=True, default="")
    error_params = models.JSONField(default=dict)
    tried_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(default=clock.now)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["node", "credential"], name="one_trial_per_credential")]
        indexes = [
            models.Index(fields=["state", "due_at"], name="trial_due"),
            models.Index(fields=["credential", "state"], name="trial_credential"),
        ]

    def __str__(self) -> str:
        return f"{self.node_id} {self.credential_id} {self.state}"


class HostCertificate(models.Model):
    """The certificate by which a node without a pinned key was trusted last. Written by contacts when it has changed."""

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True, related_name="host_certificate")
    authority_fingerprint = models.CharField(max_length=60)
    key_type = models.CharField(max_length=40)
    key_fingerprint = models.CharField(max_length=60)
    key_id = models.CharField(max_length=200)
    serial = models.CharField(max_length=20)
    principals = models.JSONField(default=list)
    valid_after = models.DateTimeField(null=True)
    valid_before = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name = _("host certificate")

    def __str__(self) -> str:
        return f"{self.node_id} {self.key_id}"
