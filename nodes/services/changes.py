"""What edits of named rows have in common: validation with the model's own rules, the revision check, and the audit entry."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext as _

from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, StaleEdit
from fleetui.core.text import clean
from fleetui.core.words import TAKEN_BY_ADDRESSES

#: The API takes a name or an id in the same place: a name that reads like an id could stand in for another's.
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\Z", re.IGNORECASE)

#: What other apps do in the transaction of a new name: follower(kind, name before, name after).
_FOLLOWERS: list[Callable[[str, str, str], None]] = []


def follow_renames(follower: Callable[[str, str, str], None]) -> None:
    """Called from an AppConfig.ready by apps that keep names of rows."""
    if follower not in _FOLLOWERS:
        _FOLLOWERS.append(follower)


def checked(row: models.Model, *, exclude: Collection[str] = ()) -> None:
    """Run the model's field rules; raises InvalidInput for the first field that is wrong."""
    for name in ("name", "username"):
        text = str(getattr(row, name, ""))
        # One line: these stand in addresses, headers, logs and the command lines that pages show.
        if not text.isprintable():
            raise _refused(row, name, _("Leave line ends and control characters out."))
        if name == "name" and _UUID.match(text):
            raise _refused(row, name, _("It reads like an id. Choose another name."))
        if name == "name" and text in TAKEN_BY_ADDRESSES:
            raise _refused(row, name, _("It is a word of FleetUI's own addresses. Choose another name."))
    try:
        row.clean_fields(exclude=exclude)
    except ValidationError as error:
        field, found = next(iter(error.error_dict.items()))
        if found[0].code in ("blank", "null"):
            raise _refused(row, field, _("Give a value."), _("The %(field)s is empty.")) from error
        raise _refused(row, field, found[0].messages[0]) from error


def _refused(row: models.Model, field: str, mend: str, message: str = "") -> InvalidInput:
    named = {"field": row._meta.get_field(field).verbose_name}  # type: ignore[union-attr]
    message = (message or _("The %(field)s cannot be used.")) % named
    return InvalidInput(message, field=field, value=getattr(row, field, None), mend=mend)


def shown(value: object) -> Any:
    """A value as the audit log shows it."""
    return str(value) if isinstance(value, models.Model) else value


def add(
    row: models.Model, *, kind: str, actor: object, after: Mapping[str, Any], extra: Iterable[models.Model] = ()
) -> None:
    """Store a new row, and rows that belong to it, with the audit event `<kind>s.add`."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            for other in extra:
                other.save(force_insert=True)
            entry = {name: shown(value) for name, value in after.items()}
            append([Entry(actor=str(actor), action=f"{kind}s.add", subject=f"{kind}:{row}", after=entry)])
    except IntegrityError as error:
        raise name_taken(kind, str(row)) from error


def edit(
    row: models.Model,
    *,
    kind: str,
    changes: Mapping[str, Any],
    actor: object,
    expected_revision: int | None,
    also: Iterable[str] = (),
    settle: Callable[[list[str]], None] | None = None,
    tell: Callable[[str, Any], Any] = lambda _name, value: shown(value),
) -> list[str]:
    """Store changed fields of a row by compare-and-swap on its revision; returns the names of what changed.

    `settle` writes what follows from the change, in the same transaction and before the audit event: that one comes last, so
    that everybody takes the locks in the same order and the head of the chain is held for a moment only. `tell` says how
    the audit log shows the value of a field.
    """
    revision: int = row.revision  # type: ignore[attr-defined]
    if expected_revision is not None and expected_revision != revision:
        raise stale(kind, str(row))
    before, after = {}, {}
    subject = f"{kind}:{row}"
    for name, value in changes.items():
        value = clean(value).strip() if isinstance(value, str) and name not in ("certificate",) else value
        old = getattr(row, name)
        if old != value:
            before[name], after[name] = tell(name, old), tell(name, value)
            setattr(row, name, value)
    if not after:
        return []
    checked(row)
    columns = {name: getattr(row, name) for name in [*after, *also]}
    try:
        with transaction.atomic():
            same = type(row)._default_manager.filter(pk=row.pk, revision=revision)
            if not same.update(**columns, revision=revision + 1):
                raise stale(kind, str(row))
            if settle is not None:
                settle(list(after))
            if "name" in after:
                for follower in _FOLLOWERS:
                    follower(kind, str(before["name"]), str(after["name"]))
            append([Entry(actor=str(actor), action=f"{kind}s.edit", subject=subject, before=before, after=after)])
    except IntegrityError as error:
        raise name_taken(kind, str(row)) from error
    row.revision = revision + 1  # type: ignore[attr-defined]
    return list(after)


def stale(kind: str, name: str) -> StaleEdit:
    return StaleEdit(
        _("%(name)s was changed by someone else since you read it.") % {"name": name},
        mend=_("Read it again and repeat your change."),
    )


def name_taken(kind: str, name: str) -> Conflict:
    sentences = {
        "node": _("A node named %(name)s exists."),
        "pool": _("A pool named %(name)s exists."),
        "cluster": _("A cluster named %(name)s exists."),
        "credential": _("A credential named %(name)s exists."),
        "jump-host": _("A jump host named %(name)s exists."),
        "ignition-config": _("An Ignition config named %(name)s exists."),
    }
    return Conflict(sentences[kind] % {"name": name}, field="name", value=name, mend=_("Choose another name."))
