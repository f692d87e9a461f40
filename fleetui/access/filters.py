"""The filters of users, role bindings and tokens."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from fleetui.access.models import RoleBinding, Token, User
from fleetui.access.roles import ROLES
from fleetui.core import clock
from fleetui.core.filters import FilterSet, FlagFilter, ListFilter, TextFilter


def _people(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(Q(username__icontains=text) | Q(full_name__icontains=text) | Q(email__icontains=text))


def _active(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001  (a filter's value)
    return rows.filter(is_active=wanted)


def _states(rows: QuerySet[Any], states: list[str]) -> QuerySet[Any]:
    now, found = clock.now(), Q()
    each = {
        "active": Q(revoked_at=None, expires_at__gt=now),
        "expired": Q(revoked_at=None, expires_at__lte=now),
        "revoked": Q(revoked_at__isnull=False),
    }
    for state in states:
        found |= each[state]
    return rows.filter(found)


class UserFilter(FilterSet):
    q = TextFilter(_people, help_text="Part of user name, full name or e-mail.")
    is_active = FlagFilter(_active, help_text="Whether they may sign in.")

    class Meta:
        model = User
        fields: list[str] = []


class RoleFilter(FilterSet):
    user = ListFilter("user__username", help_text="User names.")
    role = ListFilter("role", allowed=list(ROLES), help_text="Roles.")
    pool = ListFilter("pool__name", help_text="Names of pools.")

    class Meta:
        model = RoleBinding
        fields: list[str] = []


class TokenFilter(FilterSet):
    user = ListFilter("user__username", help_text="User names of owners.")
    state = ListFilter(narrow=_states, allowed=["active", "expired", "revoked"], help_text="Whether it still works.")

    class Meta:
        model = Token
        fields: list[str] = []
