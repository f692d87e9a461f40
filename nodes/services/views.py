"""Saved views of lists, and what users chose for a list: its columns, and the view that it opens with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import QueryDict
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from nodes.models import ColumnChoice, SavedView

MAX_QUERY_CHARS = 2000
MAX_NAME_CHARS = 60
#: A menu of more is no menu.
MAX_VIEWS = 50
#: A place in a list, its page size and its columns are no part of a filter.
_NOT_KEPT = ("cursor", "page", "after", "before", "per_page", "columns", "format", "view")
LISTING = "nodes"


def choose_columns(*, listing: str, columns: Sequence[str], actor: Principal) -> None:
    """Remember what a user wants to see. A preference of one's own, so the audit log is not told."""
    ColumnChoice.objects.update_or_create(
        user_id=require_user(actor), listing=listing, defaults={"columns": list(columns)}
    )


def open_with(*, view: SavedView | None, actor: Principal) -> None:
    """Choose the view that the list of nodes opens with, for oneself; none: all nodes."""
    user = require_user(actor)
    with transaction.atomic():
        choice, _is_new = ColumnChoice.objects.get_or_create(user_id=user, listing=LISTING)
        before = choice.opens_with
        if before == view:
            return
        choice.opens_with = view
        choice.save(update_fields=["opens_with"])
        entries = []
        for action, row in (("views.unset_default", before if view is None else None), ("views.set_default", view)):
            if row is not None:
                entries.append(Entry(actor=str(actor), action=action, subject=_subject(row)))
        append(entries)


def require_user(actor: Principal) -> int:
    """The id of the user who acts, in person or by a token."""
    if actor.user_id is None:
        raise NotAllowed(_("Only users keep views."), mend=_("Sign in, or use a token of a user."))
    return actor.user_id


def kept_query(text: str) -> str:
    """The filters and the order of an address, in one spelling, so that equal views are equal texts."""
    query = QueryDict(text.lstrip("?"), mutable=True)
    for name in _NOT_KEPT:
        query.pop(name, None)
    pairs = sorted((name, value) for name, values in query.lists() for value in values if value)
    plain = QueryDict(mutable=True)
    for name, value in pairs:
        plain.appendlist(name, value)
    return plain.urlencode()


def save_view(
    *,
    name: str,
    query: str,
    columns: Sequence[str],
    is_shared: bool,
    actor: Principal,
    now: datetime,
    overwrite: bool = False,
) -> tuple[SavedView, bool]:
    """Save the view, over one's own of the same name when told so; returns it and whether it is new."""
    user = require_user(actor)
    name = _checked_name(name)
    kept = _checked_query(query)
    with transaction.atomic():
        own = SavedView.objects.filter(owner_id=user)
        there = own.filter(name=name).first()
        if there is not None:
            if not overwrite:
                raise Conflict(
                    _("You have a view %(name)s already.") % {"name": name},
                    field="name",
                    value=name,
                    mend=_("Give it another name, or save over it."),
                )
            changed = edit_view(
                view=there,
                changes={"query": kept, "columns": list(columns), "is_shared": is_shared},
                actor=actor,
            )
            return changed, False
        if own.count() >= MAX_VIEWS:
            mend = _("Delete one first.")
            raise Conflict(_("You have %(limit)s views already.") % {"limit": MAX_VIEWS}, mend=mend)
        _require_free(name, is_shared=is_shared, owner_id=user)
        view = SavedView(
            owner_id=user, name=name, query=kept, columns=list(columns), is_shared=is_shared, created_at=now
        )
        _save(view)
        append([Entry(actor=str(actor), action="views.add", subject=_subject(view), after=_shown(view))])
    return view, True


def edit_view(*, view: SavedView, changes: dict[str, Any], actor: Principal) -> SavedView:
    """Change name, query, columns or sharing."""
    _require_owner(view, actor)
    if "name" in changes:
        changes["name"] = _checked_name(changes["name"])
    if "query" in changes:
        changes["query"] = _checked_query(changes["query"])
    with transaction.atomic():
        before = _shown(view)
        for field, value in changes.items():
            setattr(view, field, value)
        after = _shown(view)
        if before == after:
            return view
        _require_free(view.name, is_shared=view.is_shared, owner_id=view.owner_id, but=view)
        _save(view)
        told = [name for name in after if before[name] != after[name]]
        append(
            [
                Entry(
                    actor=str(actor),
                    action="views.edit",
                    subject=_subject(view),
                    before={name: before[name] for name in told},
                    after={name: after[name] for name in told},
                )
            ]
        )
    return view


def delete_view(*, view: SavedView, actor: Principal) -> None:
    _require_owner(view, actor)
    with transaction.atomic():
        subject, before = _subject(view), _shown(view)
        view.delete()
        append([Entry(actor=str(actor), action="views.delete", subject=subject, before=before)])


def may_change(view: SavedView, actor: Principal) -> bool:
    """Its owner; a shared one also an admin."""
    return view.owner_id == actor.user_id or (view.is_shared and actor.may("settings.write"))


def _require_owner(view: SavedView, actor: Principal) -> None:
    require_user(actor)
    if not may_change(view, actor):
        require(actor, "settings.write")


def _checked_name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(
            _("%(value)r is not a name of a view.") % {"value": text[:60]},
            field="name",
            value=text[:100],
            mend=_("Give 1 to 60 letters, digits and signs."),
        )
    return name


def _checked_query(text: str) -> str:
    kept = kept_query(text)
    if len(kept) > MAX_QUERY_CHARS or "\0" in text or "%00" in kept:
        raise InvalidInput(
            _("The filter is too long to be saved, or holds a NUL character."),
            field="query",
            value=kept[:100],
            mend=_("Give at most %(limit)s characters.") % {"limit": MAX_QUERY_CHARS},
        )
    return kept


def _require_free(name: str, *, is_shared: bool, owner_id: int | None, but: SavedView | None = None) -> None:
    """Names are one's own; names of shared views are everybody's."""
    clash = Q(owner_id=owner_id) | Q(is_shared=True) if is_shared else Q(owner_id=owner_id)
    taken = SavedView.objects.filter(clash, name=name)
    if but is not None:
        taken = taken.exclude(pk=but.pk)
    if taken.exists():
        raise Conflict(
            _("There is a view %(name)s already.") % {"name": name},
            field="name",
            value=name,
            mend=_("Give it another name."),
        )


def _save(view: SavedView) -> None:
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError as error:
        raise Conflict(
            _("There is a view %(name)s already.") % {"name": view.name}, field="name", mend=_("Give it another name.")
        ) from error


def _subject(view: SavedView) -> str:
    return f"view:{view.name}"


def _shown(view: SavedView) -> dict[str, Any]:
    return {"name": view.name, "query": view.query, "columns": list(view.columns), "shared": view.is_shared}
