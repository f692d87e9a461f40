from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Final

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.models.group import GROUP_NAME, Pool
from nodes.models.node import Node
from nodes.querysets import IgnitionConfigQuerySet, IgnitionVersionQuerySet


class ReviewState(StrEnum):
    """Where a version stands on its way to machines."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


#: From where a version may get where. What is superseded can be approved again: that is the way back.
TRANSITIONS: Final[dict[ReviewState, frozenset[ReviewState]]] = {
    ReviewState.DRAFT: frozenset({ReviewState.IN_REVIEW, ReviewState.WITHDRAWN}),
    ReviewState.IN_REVIEW: frozenset({ReviewState.DRAFT, ReviewState.APPROVED, ReviewState.WITHDRAWN}),
    ReviewState.APPROVED: frozenset({ReviewState.SUPERSEDED, ReviewState.WITHDRAWN}),
    ReviewState.SUPERSEDED: frozenset({ReviewState.APPROVED, ReviewState.WITHDRAWN}),
    ReviewState.WITHDRAWN: frozenset(),
}

#: How it became known which version a node was provisioned with.
APPLIED_HOW: Final = ("fetch", "marker", "by_hand")
VERDICTS: Final = ("approved", "returned")


class IgnitionConfig(models.Model):
    """A named configuration of machines, and the pools that it is for. `last_number` is that of its newest version."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True, validators=[GROUP_NAME])
    description = models.CharField(_("description"), max_length=300, blank=True, default="")
    pools = models.ManyToManyField(Pool, verbose_name=_("pools"), blank=True, related_name="ignition_configs")
    last_number = models.PositiveIntegerField(default=0, editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = IgnitionConfigQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("Ignition config")

    def __str__(self) -> str:
        return self.name


class IgnitionVersion(models.Model):
    """One revision of a config. Only its review state ever changes: triggers refuse any other change of it.

    `files` holds what the source embeds by path: {"path": {"base64": "...", "executable": false}}. `declarations` are the
    variables that the source declares. `rendered` is the Ignition JSON, with the names of variables where their values
    will stand; empty when the source does not convert, and then `failure` says why. `report` holds what was found when it
    was stored. `author` reads `user:anna`, `token:anna/ci`, or as Git writes it; `people` are those who had a hand in a
    commit of Git: [{"role": "author", "who": "Anna <anna@example.org>", "emails": ["anna@example.org"]}]. `content_hash`
    is over source and files.
    """

    #: What triggers keep as it was written.
    FIXED = (
        "config_id",
        "number",
        "source",
        "source_path",
        "files",
        "declarations",
        "rendered",
        "sha512",
        "content_hash",
        "report",
        "errors",
        "warnings",
        "failure",
        "is_valid",
        "author",
        "people",
        "commit_id",
        "message",
        "created_at",
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    config = models.ForeignKey(IgnitionConfig, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    source = models.TextField()
    source_path = models.CharField(max_length=300, blank=True, default="")
    files = models.JSONField(default=dict)
    declarations = models.JSONField(default=list)
    rendered = models.TextField(blank=True, default="")
    sha512 = models.CharField(max_length=135, blank=True, default="")
    content_hash = models.CharField(max_length=64)
    report = models.JSONField(default=list)
    errors = models.PositiveIntegerField(default=0)
    warnings = models.PositiveIntegerField(default=0)
    failure = models.TextField(blank=True, default="")
    is_valid = models.BooleanField()
    author = models.CharField(max_length=200)
    people = models.JSONField(default=list)
    commit_id = models.CharField(max_length=64, blank=True, default="")
    message = models.CharField(max_length=2000, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now)
    state = models.CharField(
        max_length=10, choices=[(one.value, one.value) for one in ReviewState], default=ReviewState.DRAFT.value
    )
    state_since = models.DateTimeField(default=clock.now)
    state_by = models.CharField(max_length=200, blank=True, default="")

    objects = IgnitionVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("Ignition version")
        constraints = [
            models.UniqueConstraint(fields=["config", "number"], name="one_ignition_version_per_number"),
            models.UniqueConstraint(
                fields=["config", "commit_id", "content_hash"],
                condition=~Q(commit_id=""),
                name="one_ignition_version_per_commit",
            ),
            models.CheckConstraint(
                condition=Q(is_valid=True) | Q(state__in=["draft", "withdrawn"]), name="broken_ignition_stays_a_draft"
            ),
            models.CheckConstraint(condition=Q(is_valid=False) | ~Q(rendered=""), name="valid_ignition_is_rendered"),
        ]
        indexes = [models.Index(fields=["state", "-created_at"], name="ignition_version_state")]

    def __str__(self) -> str:
        return f"{self.config.name} version {self.number}"


class IgnitionReview(models.Model):
    """One person's word on a version. `author` is copied, so that the database itself refuses approving one's own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(IgnitionVersion, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.CharField(max_length=200)
    author = models.CharField(max_length=200)
    verdict = models.CharField(max_length=10, choices=[(name, name) for name in VERDICTS])
    at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["at"]
        verbose_name = _("review")
        constraints = [
            models.CheckConstraint(
                condition=~Q(verdict="approved") | ~Q(reviewer=F("author")), name="nobody_approves_their_own_ignition"
            )
        ]

    def __str__(self) -> str:
        return f"{self.reviewer} {self.verdict} {self.version_id}"


class IgnitionValue(models.Model):
    """The value of a variable on a pool, or on one node, which comes first. A secret is sealed and shown to nobody."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, null=True, related_name="ignition_values")
    node = models.ForeignKey(Node, on_delete=models.CASCADE, null=True, related_name="ignition_values")
    name = models.CharField(_("name"), max_length=64)
    value = models.TextField(_("value"), blank=True, default="")
    sealed_value = models.TextField(blank=True, default="", editable=False)
    is_secret = models.BooleanField(_("secret"), default=False)
    set_at = models.DateTimeField(default=clock.now)
    set_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["name"]
        verbose_name = _("variable")
        constraints = [
            models.CheckConstraint(
                condition=Q(pool=None, node__isnull=False) | Q(pool__isnull=False, node=None),
                name="ignition_value_of_pool_or_node",
            ),
            models.CheckConstraint(
                condition=Q(is_secret=False, sealed_value="") | (Q(is_secret=True, value="") & ~Q(sealed_value="")),
                name="secret_ignition_value_is_sealed",
            ),
            models.UniqueConstraint(
                fields=["pool", "name"], condition=Q(pool__isnull=False), name="one_ignition_value_per_pool"
            ),
            models.UniqueConstraint(
                fields=["node", "name"], condition=Q(node__isnull=False), name="one_ignition_value_per_node"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_place(self) -> str:
        return f"nodes_ignitionvalue.sealed_value:{self.pk}"
