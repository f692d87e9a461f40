"""Words that sentences are made of."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

#: Words that stand where a name does in addresses; browsers drop the dots.
TAKEN_BY_ADDRESSES = {".", "..", "-", "add", "import", "export", "bulk", "compare", "duplicates"}


def any_of(names: Iterable[object]) -> str:
    """What may be chosen from, in words."""
    *most, last = map(str, names)
    return _("%(names)s or %(last)s") % {"names": ", ".join(most), "last": last} if most else last
