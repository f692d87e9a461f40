"""The filters of certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet

from fleetui.core import clock
from fleetui.core.filters import AgeFilter, FilterSet, FlagFilter, InstantFilter, ListFilter, TextFilter
from nodes.certificates import Level, Use
from nodes.models import Certificate

CERTIFICATE_STATES = ("expired", "not_yet_valid", "valid")


def _certificate_text(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    for word in text.lower().split()[:8]:
        rows = rows.filter(search__contains=word)
    return rows


def _certificate_state(rows: QuerySet[Any], states: list[str]) -> QuerySet[Any]:
    now = clock.now()
    expired, early = Q(not_after__lte=now), Q(not_before__gt=now)
    wanted = {"expired": expired, "not_yet_valid": early, "valid": ~expired & (Q(not_before=None) | ~early)}
    found = Q()
    for state in states:
        found |= wanted[state]
    return rows.filter(found)


def _certificate_within(rows: QuerySet[Any], age: timedelta) -> QuerySet[Any]:
    return rows.filter(not_after__lte=clock.now() + age)


def _certificate_finding(rows: QuerySet[Any], codes: list[str]) -> QuerySet[Any]:
    found = Q()
    for code in codes:
        found |= Q(search__contains=f" finding:{code} ")
    return rows.filter(found)


class CertificateFilter(FilterSet):
    """Filters of certificates. Several values of one filter are joined with "or", filters with "and"."""

    q = TextFilter(_certificate_text, help_text="Words of the subject, a name, the issuer or the path.")
    state = ListFilter(
        narrow=_certificate_state, allowed=list(CERTIFICATE_STATES), help_text="Whether it holds at this moment."
    )
    within = AgeFilter(_certificate_within, help_text="Those that end within this time, and those that have ended.")
    ends_from = InstantFilter(
        lambda rows, moment: rows.filter(not_after__gte=moment), help_text="Those that end then or later."
    )
    ends_until = InstantFilter(
        lambda rows, moment: rows.filter(not_after__lt=moment), help_text="Those that end before."
    )
    level = ListFilter(
        "level", allowed=[level.value for level in Level], help_text="How bad the worst is that is wrong with it."
    )
    finding = ListFilter(narrow=_certificate_finding, help_text="What is wrong with it, such as wrong_name.")
    use = ListFilter("use", allowed=[use.value for use in Use], help_text="What it is for.")
    ca = FlagFilter(lambda rows, flag: rows.filter(is_ca=flag), help_text="Whether it is an authority.")
    node = ListFilter("source__node__name", help_text="Names of nodes.")
    pool = ListFilter("source__node__pool__name", "source__pool__name", help_text="Names of pools.")
    endpoint = ListFilter("source__host", help_text="Hosts of endpoints.")
    fingerprint = ListFilter("fingerprint", help_text="SHA-256 fingerprints, hexadecimal.")

    class Meta:
        model = Certificate
        fields: list[str] = []
