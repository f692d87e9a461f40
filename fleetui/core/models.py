"""What the installation itself keeps."""

from __future__ import annotations

from django.db import models


class Retention(models.Model):
    """How many days of a history are kept. No row means the default; no number means for ever."""

    subject = models.CharField(max_length=40, primary_key=True)
    keep_days = models.PositiveIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.subject} {self.keep_days}"
