"""What filters of several lists have in common."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet


def named(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(name__icontains=text)


def values(enum: Any) -> list[str]:
    return [member.value for member in enum]
