"""Two looks side by side: of two nodes, or of one node at two times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.core.errors import InvalidInput, NotFound
from fleetui.core.filters import InstantField
from nodes.models import Facts, Node

HISTORY_SHOWN = 50


@dataclass(frozen=True)
class Side:
    """The facts of a node as they stood at a time; `at` is empty for the newest."""

    node: Node
    at: datetime | None
    read_at: datetime
    document: Mapping[str, Any]


def side(*, name: str, at: str, field: str, principal: Principal) -> Side:
    """One side; raises InvalidInput or NotFound that name the parameter."""
    given = name.strip()
    if not given or "\0" in given:
        mend = _("Give the name of a node.")
        raise InvalidInput(_("There is no node to compare with."), field=field, value=given[:100], mend=mend)
    rows = list(Node.objects.visible_to(principal).named(given).select_related("pool")[:2])
    if not rows:
        said = _("There is no node %(name)s that you may see.") % {"name": given[:100]}
        raise NotFound(said, field=field, mend=_("Look at the list of nodes."))
    node: Node = next((row for row in rows if row.name == given), rows[0])
    moment = _moment(at, f"{field}_at")
    looks = Facts.objects.filter(node=node)
    looks = looks.filter(pk=node.facts_id) if moment is None else looks.filter(read_at__lte=moment)
    facts = looks.order_by("-id").defer("raw").first()
    if facts is None:
        if moment is None:
            said = _("No facts have been read from %(name)s yet.") % {"name": node.name}
            raise InvalidInput(
                said, field=field, value=node.name, mend=_("Poll it first, or see why it is not reachable.")
            )
        said = _("No facts of %(name)s are as old as that.") % {"name": node.name}
        raise InvalidInput(said, field=f"{field}_at", value=at[:100], mend=_("Give a later time."))
    return Side(node, moment, facts.read_at, facts.document)


def _moment(text: str, field: str) -> datetime | None:
    try:
        found: datetime | None = InstantField(required=False).clean(text.strip())
    except ValidationError as error:
        mend = str(getattr(error, "mend", ""))
        raise InvalidInput(" ".join(error.messages), field=field, value=text[:100], mend=mend) from error
    return found


def history(node: Node) -> list[datetime]:
    """When facts of the node changed, newest first: the times that are worth comparing."""
    return list(Facts.objects.filter(node=node).order_by("-id").values_list("read_at", flat=True)[:HISTORY_SHOWN])
