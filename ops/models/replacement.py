from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.models.git_source import GitSource
from ops.models.operation import Operation


class Provisioner(models.Model):
    """What deletes and makes machines. `settings` are those of its kind; `base_url` is this FleetUI as new machines reach it.

    `sealed_secret` signs what a webhook gets and tells.
    """

    KINDS = ("manual", "hook", "webhook", "terraform", "in_place")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(max_length=20)
    settings = models.JSONField(default=dict)
    base_url = models.CharField(max_length=200)
    sealed_secret = models.TextField(blank=True, default="", editable=False)
    revision = models.PositiveIntegerField(default=1)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_place(self) -> str:
        return f"ops_provisioner.sealed_secret:{self.pk}"


class ProvisionerSource(GitSource):
    """The Git repository that a provisioner takes its directory out of: of a branch, a tag, or one commit."""

    REF_KINDS = ("branch", "tag", "commit")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provisioner = models.OneToOneField(Provisioner, on_delete=models.CASCADE, related_name="source")
    ref_kind = models.CharField(
        _("kind of reference"), max_length=10, choices=[(name, name) for name in REF_KINDS], default="branch"
    )
    ref = models.CharField(_("branch, tag or commit"), max_length=200, default="main")

    def __str__(self) -> str:
        return f"{self.url} {self.ref}"


class PoolProvisioner(models.Model):
    """The one provisioner of a pool."""

    pool = models.OneToOneField("nodes.Pool", on_delete=models.CASCADE, related_name="+")
    provisioner = models.ForeignKey(Provisioner, on_delete=models.CASCADE, related_name="pools")

    class Meta:
        ordering = ["pool__name"]

    def __str__(self) -> str:
        return f"{self.pool_id} {self.provisioner_id}"


class Replacement(models.Model):
    """What an operation `replace` has made ready: the config of the new machine, and what people confirmed by hand.

    `sealed_token` leads to that config; it is emptied when the machine has come, or the operation is over. `confirmed` has
    ready, deleted and created, each with who said so and when; `told` what a webhook told last by itself: number, body; `source`
    the commit that the plan was made from: url, ref_kind, ref, directory, commit, author, message, committed_at, signer.
    """

    operation = models.OneToOneField(Operation, on_delete=models.CASCADE, related_name="replacement")
    provisioner = models.ForeignKey(Provisioner, on_delete=models.SET_NULL, null=True, related_name="+")
    provisioning = models.ForeignKey("nodes.Provisioning", on_delete=models.SET_NULL, null=True, related_name="+")
    sealed_token = models.TextField(blank=True, default="", editable=False)
    confirmed = models.JSONField(default=dict)
    told = models.JSONField(default=dict)
    source = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"replacement of {self.operation_id}"

    @property
    def seal_place(self) -> str:
        return f"ops_replacement.sealed_token:{self.operation_id}"
