from __future__ import annotations

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.querysets import ReleaseQuerySet

MAJOR = RegexValidator(r"^[0-9]{1,20}\Z", _("Give the first number of a version, such as 43."))


class Stream(models.Model):
    """A line of releases of one OS family, for example fcos stable."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    os_family = models.CharField(max_length=30, default="fcos")
    imported_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["os_family", "name"]
        constraints = [models.UniqueConstraint(fields=["os_family", "name"], name="one_stream_per_name")]

    def __str__(self) -> str:
        return f"{self.os_family} {self.name}"


class Release(models.Model):
    """A version that exists in a stream. `barrier` and `deadend` hold their reason; empty means it is none."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="releases")
    version = models.CharField(max_length=100)
    released_at = models.DateTimeField(null=True)
    checksums = models.JSONField(default=dict)
    images = models.JSONField(default=dict)
    rollout = models.JSONField(null=True)
    is_barrier = models.BooleanField(default=False)
    barrier = models.TextField(blank=True, default="")
    is_deadend = models.BooleanField(default=False)
    deadend = models.TextField(blank=True, default="")

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["stream", "-released_at", "-version"]
        constraints = [models.UniqueConstraint(fields=["stream", "version"], name="one_release_per_version")]

    def __str__(self) -> str:
        return self.version


class SupportEnd(models.Model):
    """The day from which versions get no more support. No stream, or no major, means every one of the OS family.

    `major` is the first number of a version. `source` is `admin`, or `document` for what an import told: an admin's word
    stands above it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    os_family = models.CharField(_("OS family"), max_length=30)
    stream = models.CharField(_("stream"), max_length=100, blank=True, default="")
    major = models.CharField(_("major version"), max_length=20, blank=True, default="", validators=[MAJOR])
    ends_on = models.DateField(_("support ends on"))
    note = models.CharField(_("note"), max_length=200, blank=True, default="")
    source = models.CharField(max_length=10, default="admin", editable=False)

    class Meta:
        ordering = ["os_family", "stream", "major"]
        verbose_name = _("end of support")
        constraints = [
            models.UniqueConstraint(fields=["os_family", "stream", "major"], name="one_end_of_support"),
        ]

    def __str__(self) -> str:
        return " ".join(part for part in (self.os_family, self.stream, self.major) if part)
