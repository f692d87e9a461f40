from __future__ import annotations

from django.db import models

from ops.models.operation import Operation
from ops.querysets import OfOperation


class Attachment(models.Model):
    """What a host said that stays with an operation: a failing unit, the journal of a bad boot, the packages that differ.

    `title` is the unit's name where there is one. `document` is what was read of it, `text` what was printed, masked and
    cut to size. `size_bytes` is what the host gave, before the cut.
    """

    KINDS = ("unit_status", "unit_journal", "boot_journal", "finalize_journal", "packages")

    id = models.BigAutoField(primary_key=True)
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="attachments")
    kind = models.CharField(max_length=20, choices=[(name, name) for name in KINDS])
    title = models.CharField(max_length=200, blank=True, default="")
    at = models.DateTimeField()
    text = models.TextField(blank=True, default="")
    document = models.JSONField(default=dict)
    size_bytes = models.PositiveIntegerField(default=0)
    is_cut = models.BooleanField(default=False)

    objects = OfOperation.as_manager()

    class Meta:
        ordering = ["operation", "id"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "kind", "title"], name="one_attachment_per_title"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.title} of {self.operation_id}"
