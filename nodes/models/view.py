from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.querysets import SavedViewQuerySet


class SavedView(models.Model):
    """A named filter, order and set of columns of a list. Shared ones are seen by everybody, changed by their owner."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(_("name"), max_length=60)
    query = models.CharField(max_length=2000, blank=True, default="")
    columns = models.JSONField(default=list)
    is_shared = models.BooleanField(_("shared with everybody"), default=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="one_saved_view_per_name"),
            models.UniqueConstraint(fields=["name"], condition=Q(is_shared=True), name="one_shared_view_per_name"),
        ]

    def __str__(self) -> str:
        return self.name


class ColumnChoice(models.Model):
    """What a user chose for a list: its columns in their order, and the view that it opens with."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="column_choices")
    listing = models.CharField(max_length=40)
    columns = models.JSONField(default=list)
    opens_with = models.ForeignKey(SavedView, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "listing"], name="one_column_choice_per_listing")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.listing}"
