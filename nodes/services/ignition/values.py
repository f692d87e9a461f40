"""Values of variables, on a pool or on one node. Secrets go in and never come out but into a rendered config."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.crypto import seal, sealed_with_newest, unseal
from fleetui.core.errors import Conflict, InvalidInput
from nodes.ignition.variables.model import NAME
from nodes.models import IgnitionValue, Node, Pool
from nodes.services.ignition.fitting import check_fits

#: As long as a secret may be.
MOST_CHARACTERS = 65_536
MOST_VALUES = 200


@dataclass(frozen=True)
class Value:
    """What a variable stands for, and where that was set: pool, node, or default. The text of a secret is in no repr."""

    name: str
    text: str = field(repr=False)
    is_secret: bool
    origin: str


def set_value(
    *, place: Pool | Node, name: str, value: str, is_secret: bool = False, actor: Principal, now: datetime
) -> IgnitionValue:
    """Set or replace a value, if it fits what is declared. A secret is sealed, and no event says what it is."""
    require(actor, "ignition.edit", place)
    if not NAME.match(name):
        raise InvalidInput(
            _("%(name)s is no name of a variable.") % {"name": name[:100] or "–"},
            field="name",
            value=name[:100],
            mend=_("Use small letters, digits and underscores, a letter first, at most 63."),
        )
    if len(value) > MOST_CHARACTERS or "\0" in value:
        raise InvalidInput(
            _("The value of %(name)s cannot be kept.") % {"name": name},
            field="value",
            mend=_("Give at most %(limit)s characters, without NUL.") % {"limit": f"{MOST_CHARACTERS:,}"},
        )
    check_fits(place, name=name, text=value, is_secret=is_secret)
    where = _where(place)
    try:
        with transaction.atomic():
            old = IgnitionValue.objects.select_for_update().filter(**where, name=name).first()
            if old is None and IgnitionValue.objects.filter(**where).count() >= MOST_VALUES:
                raise Conflict(
                    _("%(place)s has %(limit)s values already.") % {"place": place, "limit": MOST_VALUES},
                    mend=_("Delete some that are not used."),
                )
            before = {name: _told(old)} if old is not None else None
            row = old or IgnitionValue(**where, name=name)
            row.is_secret, row.set_at, row.set_by = is_secret, now, str(actor)[:200]
            row.value = "" if is_secret else value
            row.sealed_value = seal(value, place=row.seal_place) if is_secret else ""
            row.save()
            append([Entry(str(actor), "ignition.set_value", _subject(place), before=before, after={name: _told(row)})])
    except IntegrityError as error:
        raise Conflict(
            _("Somebody else set %(name)s meanwhile.") % {"name": name}, mend=_("Read the values again.")
        ) from error
    return row


def delete_value(*, place: Pool | Node, name: str, actor: Principal, now: datetime) -> None:
    """Take a value away; one that is not there is none to take away."""
    require(actor, "ignition.edit", place)
    with transaction.atomic():
        row = IgnitionValue.objects.select_for_update().filter(**_where(place), name=name).first()
        if row is None:
            return
        before = {name: _told(row)}
        row.delete()
        append([Entry(str(actor), "ignition.delete_value", _subject(place), before=before)])


def values_of(pool: Pool | None, node: Node | None = None, *, names: Collection[str] = ()) -> Mapping[str, Value]:
    """The values that hold for a pool, or for a node: its own come before those of its pool. Of these names, or of all."""
    wanted = {"name__in": list(names)} if names else {}
    found: dict[str, Value] = {}
    for place, origin in ((pool, "pool"), (node, "node")):
        if place is not None:
            for row in IgnitionValue.objects.filter(**_where(place), **wanted):
                found[row.name] = Value(row.name, _opened(row), row.is_secret, origin)
    return found


def rotate_seals() -> int:
    """Seal every secret again with the newest encryption key; returns how many changed."""
    changed = 0
    for row in IgnitionValue.objects.filter(is_secret=True).only("pk", "sealed_value"):
        if sealed_with_newest(row.sealed_value):
            continue
        fresh = seal(unseal(row.sealed_value, place=row.seal_place), place=row.seal_place)
        changed += IgnitionValue.objects.filter(pk=row.pk, sealed_value=row.sealed_value).update(sealed_value=fresh)
    return changed


def _opened(row: IgnitionValue) -> str:
    return unseal(row.sealed_value, place=row.seal_place) if row.is_secret else row.value


def _where(place: Pool | Node) -> dict[str, Pool | Node]:
    return {"pool" if isinstance(place, Pool) else "node": place}


def _subject(place: Pool | Node) -> str:
    return f"{'pool' if isinstance(place, Pool) else 'node'}:{place.name}"


def _told(row: IgnitionValue) -> str:
    """As the audit log shows it: of a secret, that there is one."""
    return "(secret)" if row.is_secret else row.value[:300]
