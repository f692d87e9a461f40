"""Ends of support: written by an admin or an imported document, and what they mean for nodes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from fleetui.core.words import any_of
from nodes.hosts import drivers
from nodes.models import SupportEnd
from nodes.releases.support import SupportEnd as Rule
from nodes.services.changes import checked


def rules() -> list[Rule]:
    """All of them; they are few. One query."""
    columns = ("stream", "major", "ends_on", "os_family")
    return [Rule(*row) for row in SupportEnd.objects.order_by().values_list(*columns)]


def unsupported(nodes: QuerySet[Any], now: datetime, *, wanted: bool = True) -> QuerySet[Any]:
    """Nodes that run what is no longer supported, or the others. One query more, for the rules."""
    ended = Q(pk__in=[])
    for rule in SupportEnd.objects.filter(ends_on__lte=now.date()).order_by():
        one = Q(os_family=rule.os_family) & ~Q(booted_version="")
        if rule.stream:
            one &= Q(os_stream=rule.stream)
        if rule.major:
            one &= Q(booted_version__startswith=f"{rule.major}.") | Q(booted_version=rule.major)
        ended |= one
    return nodes.filter(ended if wanted else ~ended)


def add_support_end(
    *, os_family: str, stream: str = "", major: str = "", ends_on: date, note: str = "", actor: Principal, now: datetime
) -> SupportEnd:
    """Say until when versions are supported. What an imported document said of the same is replaced."""
    require(actor, "releases.write")
    check_family(os_family)
    row = SupportEnd(
        os_family=os_family, stream=stream.strip(), major=major.strip(), ends_on=ends_on, note=note.strip()
    )
    checked(row)
    try:
        with transaction.atomic():
            same = SupportEnd.objects.filter(os_family=row.os_family, stream=row.stream, major=row.major)
            same.filter(source="document").delete()
            row.save(force_insert=True)
            append([_entry("add", row, actor, after=_told(row))])
    except IntegrityError as error:
        raise Conflict(
            _("The end of support of %(name)s is set already.") % {"name": row},
            field="ends_on",
            value=ends_on,
            mend=_("Take the other one away first."),
        ) from error
    return row


def check_family(os_family: str) -> None:
    """Refuse an OS family that no node can have."""
    known = sorted(family for family in drivers.families() if family != "unknown")
    if os_family not in known:
        raise InvalidInput(
            _("%(value)r is not an OS family.") % {"value": os_family},
            field="os_family",
            value=os_family,
            mend=_("Use %(known)s.") % {"known": any_of(known)},
        )


def delete_support_end(*, row: SupportEnd, actor: Principal, now: datetime) -> None:
    """Take one away. An import may bring it back."""
    require(actor, "releases.write")
    with transaction.atomic():
        if SupportEnd.objects.filter(pk=row.pk).delete()[0]:
            append([_entry("delete", row, actor, before=_told(row))])


def learn(os_family: str, learned: Iterable[Rule]) -> None:
    """Take in what a document says. An admin's word stands. Belongs into the transaction of the import."""
    own = set(SupportEnd.objects.filter(os_family=os_family, source="admin").values_list("stream", "major"))
    for rule in learned:
        if (rule.stream, rule.major) not in own:
            SupportEnd.objects.update_or_create(
                os_family=os_family,
                stream=rule.stream,
                major=rule.major,
                defaults={"ends_on": rule.ends_on, "source": "document"},
            )


def _told(row: SupportEnd) -> dict[str, Any]:
    return {"stream": row.stream, "major": row.major, "ends_on": row.ends_on.isoformat(), "note": row.note}


def _entry(verb: str, row: SupportEnd, actor: Principal, **values: Any) -> Entry:
    return Entry(actor=str(actor), action=f"releases.support_{verb}", subject=f"support:{row}", **values)
