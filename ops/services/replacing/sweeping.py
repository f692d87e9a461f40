"""Folders of commands whose operation is over, or gone."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from ops.models import Operation
from ops.services.replacing.provisioners import jobs
from ops.states import FINAL


def sweep_jobs() -> None:
    """What operations left here that are over, or are gone with their nodes, and had no worker for their last step."""

    def going(owners: Collection[str]) -> set[str]:
        rows = Operation.objects.filter(pk__in=[uuid.UUID(one) for one in owners]).exclude(state__in=sorted(FINAL))
        return {pk.hex for pk in rows.values_list("pk", flat=True)}

    jobs().sweep(going)
