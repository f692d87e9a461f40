"""Filters that pages and API share: lists by comma or repetition, instants, ages, flags. A wrong value names the right ones."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from fleetui.core.clock import in_our_time
from fleetui.core.words import any_of

_AGE = re.compile(r"^(\d{1,6})\s*(s|m|h|d|w)$")
_AGE_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MAX_VALUES = 200
#: Longer ones reach back to before the calendar.
MAX_AGE = timedelta(days=36_525)


class UnusableValue(ValidationError):
    """What is wrong with a value, and the mend. No `params`: with them Django would read a % of the value as a placeholder."""

    def __init__(self, message: str, *, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def split_values(parts: Iterable[str]) -> list[str]:
    """The values of a parameter that was repeated, comma-separated, or both."""
    return [value for part in parts for value in (piece.strip() for piece in part.split(",")) if value]


class _ManyInput(forms.TextInput):
    """Reads a repeated parameter; `commas` says whether a comma separates."""

    def __init__(self, *, commas: bool = True) -> None:
        super().__init__()
        self.commas = commas

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        parts = data.getlist(name) if isinstance(data, QueryDict) else data.get(name) or []
        parts = [parts] if isinstance(parts, str) else list(parts)
        return split_values(parts) if self.commas else [part for part in parts if part]

    def format_value(self, value: Any) -> str | None:
        return ",".join(value) if isinstance(value, list) else value


class ListField(forms.Field):
    """A list of texts; with `allowed`, each must be one of them."""

    def __init__(self, *, allowed: Sequence[str] | None = None, commas: bool = True, **kwargs: Any) -> None:
        super().__init__(widget=_ManyInput(commas=commas), **kwargs)
        self.allowed = allowed

    def clean(self, value: Any) -> list[str]:
        values = list(dict.fromkeys(value or []))
        if len(values) > MAX_VALUES:
            raise UnusableValue(
                _("More than %(limit)s values.") % {"limit": MAX_VALUES},
                mend=_("Give at most %(limit)s.") % {"limit": MAX_VALUES},
            )
        for item in values:
            if "\0" in item:
                raise UnusableValue(_("A value holds a NUL character."), mend=_("Leave it out."))
            if self.allowed is not None and item not in self.allowed:
                raise UnusableValue(
                    _("%(value)r is not one of its values.") % {"value": item},
                    mend=_("Use %(known)s.") % {"known": any_of(self.allowed)},
                )
        return values


class IdField(ListField):
    """Ids, as UUIDs."""

    def clean(self, value: Any) -> list[str]:
        values = super().clean(value)
        for item in values:
            try:
                uuid.UUID(item)
            except ValueError as error:
                said = _("%(value)r is not an id.") % {"value": item}
                raise UnusableValue(said, mend=_("Give ids as lists show them.")) from error
        return values


class InstantField(forms.Field):
    """A moment: `2026-11-22T10:00:00Z`, or a date (its first moment in UTC)."""

    def to_python(self, value: Any) -> datetime | None:
        if not value:
            return None
        try:
            found = parse_datetime(value.replace(" ", "+") if "T" in value else value)
            day: date | None = None if found else parse_date(value)
        except ValueError:
            found = day = None
        if day:
            found = datetime.combine(day, time.min)
        if found is None:
            mend = _("Write it like 2026-11-22T10:00:00Z or 2026-11-22.")
            raise UnusableValue(_("%(value)r is not a moment.") % {"value": value}, mend=mend)
        try:
            return in_our_time(found)
        except OverflowError as error:
            raise UnusableValue(
                _("%(value)r is out of range.") % {"value": value}, mend=_("Give a year of our time.")
            ) from error


class AgeField(forms.Field):
    """A length of time: `90s`, `30m`, `12h`, `7d`, `2w`."""

    def to_python(self, value: Any) -> timedelta | None:
        if not value:
            return None
        match = _AGE.match(value.strip())
        if not match:
            raise UnusableValue(
                _("%(value)r is not a length of time.") % {"value": value},
                mend=_("Write it like 90s, 30m, 12h, 7d or 2w."),
            )
        age = timedelta(**{_AGE_UNITS[match[2]]: int(match[1])})
        if age > MAX_AGE:
            raise UnusableValue(_("%(value)r is too long.") % {"value": value}, mend=_("Give at most 100 years."))
        return age


class FlagField(forms.Field):
    """true or false."""

    def to_python(self, value: Any) -> bool | None:
        if not value:
            return None
        text = str(value).lower()
        if text in ("true", "1", "yes", "on"):
            return True
        if text in ("false", "0", "no", "off"):
            return False
        raise UnusableValue(_("%(value)r is neither true nor false.") % {"value": value}, mend=_("Use true or false."))


class _Filter(django_filters.Filter):  # type: ignore[misc]
    """A filter with its JSON schema, and a function that narrows the query."""

    api_schema: dict[str, Any] = {"type": "string"}
    #: Whether a comma separates values.
    commas = False

    def __init__(self, narrow: Callable[[QuerySet[Any], Any], QuerySet[Any]], *, help_text: str, **kwargs: Any) -> None:
        super().__init__(help_text=help_text, **kwargs)
        self.narrow = narrow

    def filter(self, queryset: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return queryset if value in (None, "", []) else self.narrow(queryset, value)


class ListFilter(_Filter):
    """Any of several values; columns are joined with "or"."""

    field_class = ListField

    def __init__(
        self,
        *columns: str,
        help_text: str,
        allowed: Sequence[str] | None = None,
        narrow: Callable[[QuerySet[Any], Any], QuerySet[Any]] | None = None,
        commas: bool = True,
    ) -> None:
        super().__init__(narrow or self._in_columns, help_text=help_text, allowed=allowed, commas=commas)
        self.columns = columns
        self.commas = commas
        items = {"type": "string", "enum": list(allowed)} if allowed is not None else {"type": "string"}
        self.api_schema = {"type": "array", "items": items, "maxItems": MAX_VALUES}

    def _in_columns(self, queryset: QuerySet[Any], values: list[str]) -> QuerySet[Any]:
        found = Q()
        for name in self.columns:
            found |= Q(**{f"{name}__in": values})
        return queryset.filter(found)


class IdFilter(ListFilter):
    field_class = IdField


class InstantFilter(_Filter):
    field_class = InstantField
    api_schema = {"type": "string", "format": "date-time"}


class AgeFilter(_Filter):
    field_class = AgeField
    api_schema = {"type": "string", "pattern": r"^\d{1,6}(s|m|h|d|w)$"}


class FlagFilter(_Filter):
    field_class = FlagField
    api_schema = {"type": "boolean"}


class NumberField(forms.Field):
    """A whole number from 0 on."""

    def to_python(self, value: Any) -> int | None:
        if not value:
            return None
        text = str(value)
        if text.isascii() and text.isdigit() and len(text) < 19:
            return int(text)
        raise UnusableValue(_("%(value)r is not a number.") % {"value": text[:50]}, mend=_("Give a whole number."))


class WholeNumberFilter(_Filter):
    field_class = NumberField
    api_schema = {"type": "integer", "minimum": 0}


class TextFilter(_Filter):
    """Free text, at most 200 characters."""

    field_class = forms.CharField
    api_schema = {"type": "string", "maxLength": 200}

    def __init__(self, narrow: Callable[[QuerySet[Any], Any], QuerySet[Any]], *, help_text: str) -> None:
        super().__init__(narrow, help_text=help_text, max_length=200)


class FilterSet(django_filters.FilterSet):  # type: ignore[misc]
    """One class for page and API. `problems()` says what is wrong with which parameter."""

    base_filters: dict[str, Any]

    def __init__(self, data: Any = None, queryset: Any = None, **kwargs: Any) -> None:
        """Only filters that are asked for are made: copying all of them would cost more than the query."""
        # On the instance: the class keeps all of them for the API's document and the filter bar.
        self.base_filters = {name: found for name, found in type(self).base_filters.items() if name in (data or ())}
        super().__init__(data, queryset, **kwargs)

    def empty(self) -> list[str]:
        """Filters that are given without a value, as of a variable that was not set. On a page that is a field left blank;
        a script would get, or change, what it meant to leave out."""
        parts = self.data.getlist if isinstance(self.data, QueryDict) else lambda name: [str(self.data[name])]
        return [name for name in self.base_filters if not any(part.strip(" ,") for part in parts(name))]

    def problems(self) -> list[tuple[str, str, str, str]]:
        """(parameter, value, what is wrong, mend) for each parameter that cannot be used."""
        found = []
        for name, errors in self.form.errors.as_data().items():
            error = errors[0]
            mend = getattr(error, "mend", "") or _("Give another value.")
            value = (
                ",".join(self.data.getlist(name)) if isinstance(self.data, QueryDict) else str(self.data.get(name, ""))
            )
            found.append((name, value, " ".join(error.messages), mend))
        return found
