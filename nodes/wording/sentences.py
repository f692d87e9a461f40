"""How a sentence is chosen and filled.

A sentence is kept in several forms, from the fullest to the barest. The first is taken whose values are all
there, so that old or partial records still read as a sentence.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

# A plural form is a lazy object that has no text before its number is known.
Forms = Sequence["Promise | str"]

_NAMES_SHOWN = 5
_VALUE_CHARACTERS = 300


class Sentence(str):
    """A whole sentence of ours that stands in another one: it is not shortened, as what others said is."""


def _values(params: Mapping[str, Any]) -> dict[str, str | int | float]:
    """The parameters as they stand in a sentence: empty ones count as missing, lists are joined."""
    # Django picks a plural form only from a plain dict.
    values: dict[str, str | int | float] = {}
    for name, value in params.items():
        if isinstance(value, bool) or value is None or value in ("", []):
            continue
        if isinstance(value, float) and math.isfinite(value):
            values[name] = int(value) if value.is_integer() else value
        elif isinstance(value, int):
            values[name] = value
        elif isinstance(value, list | tuple):
            values[name] = names(value, total=params.get("count"))
        else:
            values[name] = value if isinstance(value, Sentence) else _shortened(str(value))
    return values


def _shortened(text: str) -> str:
    """Not endless; that something was left out is seen."""
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[: _VALUE_CHARACTERS - 1]}…"


def names(values: Sequence[object], *, total: object = None) -> str:
    """The names with commas; after five the rest is counted. `total` may exceed what is listed."""
    shown = [str(value)[:_VALUE_CHARACTERS] for value in values[:_NAMES_SHOWN]]
    listed = ", ".join(shown)
    known = total if isinstance(total, int) and not isinstance(total, bool) else 0
    rest = max(len(values), known) - len(shown)
    if rest <= 0:
        return listed
    return ngettext("%(names)s and %(rest)d more", "%(names)s and %(rest)d more", rest) % {
        "names": listed,
        "rest": rest,
    }


def fill(forms: Forms, params: Mapping[str, Any]) -> str:
    """The fullest form for which every value is there, in the active language."""
    values = _values(params)
    for form in forms:
        try:
            return str(form % values)
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return _("Nothing more is known.")
