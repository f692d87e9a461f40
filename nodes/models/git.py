from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Final

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.models.git_source import GitSource
from nodes.models.ignition import IgnitionConfig, IgnitionVersion
from nodes.querysets import GitFollowQuerySet

FORGES: Final = ("none", "github", "gitlab", "gitea", "forgejo")
TRIGGERS: Final = ("schedule", "person", "push")
#: What became of a commit: a version, one with errors, nothing new in what the config reads, one that nobody vouches for, or
#: one of too many at once.
OUTCOMES: Final = ("stored", "broken", "same", "unsigned", "skipped")
#: Whether the forge was told what became of a commit: there is nothing to tell it with, not yet, told, or given up.
STATUSES: Final = ("none", "waiting", "sent", "dead")

#: What a request to the webhook was taken for: first what came from somebody who knows the secret, then what did not.
DELIVERIES: Final = (
    *("due", "ping", "other_branch", "other_event", "paused", "unreadable"),
    *("unsigned", "wrong", "stale", "in_clear", "too_large", "sealed"),
)


class FollowState(StrEnum):
    """How following goes. All but the first three keep the last good version, and mend themselves when the cause is gone;
    a rewritten history and a changed host key wait for a person's word."""

    NEW = "new"
    FOLLOWING = "following"
    BROKEN = "broken"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    HOST_KEY = "host_key"
    NO_BRANCH = "no_branch"
    NO_FILE = "no_file"
    REWRITTEN = "rewritten"
    UNSIGNED = "unsigned"
    TOO_LARGE = "too_large"
    HOSTILE = "hostile"
    FAILED = "failed"


class GitFollow(GitSource):
    """The branch of a Git repository that a config follows, and how that goes. What is due, and who works on it, stands here.

    `path` is the main file; `files_dir` the folder whose files the source may embed, of those that `files_pattern` names.
    `seen_commit` is the newest commit that was looked at, `accepted_commit` the head of a rewritten history that a person
    agreed to follow. `detail` holds what the sentence of the state names. Secrets are sealed, each for its own column.
    `hook_id` stands in the address of the webhook, and is not to be guessed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    config = models.OneToOneField(IgnitionConfig, on_delete=models.CASCADE, related_name="git")
    branch = models.CharField(_("branch"), max_length=200, default="main")
    path = models.CharField(_("main file"), max_length=300)
    files_dir = models.CharField(_("folder of files"), max_length=300, blank=True, default="")
    files_pattern = models.CharField(_("pattern of files"), max_length=200, blank=True, default="")

    forge = models.CharField(_("forge"), max_length=10, choices=[(name, name) for name in FORGES], default="none")
    sealed_webhook_secret = models.TextField(blank=True, default="", editable=False)
    sealed_status_token = models.TextField(blank=True, default="", editable=False)
    hook_id = models.UUIDField(null=True, unique=True, editable=False)

    is_paused = models.BooleanField(_("paused"), default=False)
    interval_s = models.PositiveIntegerField(_("interval"), default=300)
    due_at = models.DateTimeField(null=True, default=clock.now)
    requested_by = models.CharField(max_length=10, choices=[(name, name) for name in TRIGGERS], default="schedule")
    lease = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    state = models.CharField(
        max_length=20, choices=[(one.value, one.value) for one in FollowState], default=FollowState.NEW.value
    )
    state_since = models.DateTimeField(default=clock.now)
    detail = models.JSONField(default=dict)
    seen_commit = models.CharField(max_length=64, blank=True, default="")
    accepted_commit = models.CharField(max_length=64, blank=True, default="")
    failures = models.PositiveIntegerField(default=0)
    last_sync_at = models.DateTimeField(null=True)
    last_good_at = models.DateTimeField(null=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.CharField(max_length=200)

    objects = GitFollowQuerySet.as_manager()

    class Meta:
        verbose_name = _("followed repository")
        indexes = [models.Index(fields=["due_at"], name="git_follow_due", condition=Q(is_paused=False))]

    def __str__(self) -> str:
        return f"{self.url} {self.branch}"


class GitCommit(models.Model):
    """A commit of the followed branch that was looked at, and what became of it. The version is that of its content.

    `detail` says why in a kind, a reason and what its sentence names; `reason` what the translator says of a source that does
    not convert. What the forge is told of it stands here too: when that is due, who works on it, since when it is so, and why not, in
    the words of the forge.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    follow = models.ForeignKey(GitFollow, on_delete=models.CASCADE, related_name="commits")
    version = models.ForeignKey(IgnitionVersion, on_delete=models.SET_NULL, null=True, related_name="commits")
    sha = models.CharField(max_length=64)
    author = models.CharField(max_length=200)
    message = models.CharField(max_length=2000, blank=True, default="")
    committed_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=[(name, name) for name in OUTCOMES])
    signer = models.CharField(max_length=200, blank=True, default="")
    detail = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True, default="")
    seen_at = models.DateTimeField(default=clock.now)
    status = models.CharField(max_length=10, choices=[(name, name) for name in STATUSES], default="none")
    status_attempts = models.PositiveIntegerField(default=0)
    status_at = models.DateTimeField(null=True)
    status_due_at = models.DateTimeField(null=True)
    status_lease = models.UUIDField(null=True, editable=False)
    status_lease_until = models.DateTimeField(null=True, editable=False)
    status_said = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-seen_at"]
        verbose_name = _("commit")
        constraints = [models.UniqueConstraint(fields=["follow", "sha"], name="one_row_per_git_commit")]
        indexes = [
            models.Index(fields=["follow", "-seen_at"], name="git_commit_newest"),
            models.Index(fields=["status_due_at"], name="git_status_due", condition=Q(status="waiting")),
        ]

    def __str__(self) -> str:
        return self.sha


class GitSync(models.Model):
    """One look at a followed repository. Only the newest of each are kept."""

    id = models.BigAutoField(primary_key=True)
    follow = models.ForeignKey(GitFollow, on_delete=models.CASCADE, related_name="syncs")
    trigger = models.CharField(max_length=10, choices=[(name, name) for name in TRIGGERS])
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    state = models.CharField(max_length=20, choices=[(one.value, one.value) for one in FollowState])
    detail = models.JSONField(default=dict)
    head = models.CharField(max_length=64, blank=True, default="")
    commits = models.PositiveIntegerField(default=0)
    versions = models.PositiveIntegerField(default=0)
    received_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("sync")
        indexes = [models.Index(fields=["follow", "-id"], name="git_sync_newest")]

    def __str__(self) -> str:
        return f"{self.follow_id} {self.started_at:%Y-%m-%d %H:%M}"


class GitDelivery(models.Model):
    """A request to the webhook, and what it was taken for. Only the newest are kept."""

    id = models.BigAutoField(primary_key=True)
    follow = models.ForeignKey(GitFollow, on_delete=models.CASCADE, related_name="deliveries")
    at = models.DateTimeField()
    address = models.CharField(max_length=45, blank=True, default="")
    event = models.CharField(max_length=40, blank=True, default="")
    ref = models.CharField(max_length=200, blank=True, default="")
    outcome = models.CharField(max_length=12, choices=[(name, name) for name in DELIVERIES])

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("delivery")
        indexes = [models.Index(fields=["follow", "-id"], name="git_delivery_newest")]

    def __str__(self) -> str:
        return f"{self.follow_id} {self.at:%Y-%m-%d %H:%M}"
