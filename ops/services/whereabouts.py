"""While an operation is carried out, its host stays where the steps before found it."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.utils.translation import gettext as _

from ops.models import Operation
from ops.states import WORKED
from ops.wording import kind_word


def at_work(nodes: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What is carried out on which of the nodes. One that needs attention waits for a person, who may have to mend this."""
    rows = Operation.objects.open().filter(node__in=nodes, state__in=[state.value for state in WORKED])
    return {
        pk: _("An operation is under way on %(name)s: %(kind)s.") % {"name": name, "kind": kind_word(kind)}
        for pk, name, kind in rows.order_by("created_at").values_list("node_id", "node__name", "kind")
    }
