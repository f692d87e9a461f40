"""What a person has seen of a plan, so that nothing else is done than what was shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ops.services.plan import NodePlan


def fingerprint(plans: Iterable[NodePlan], params: Mapping[str, Any]) -> str:
    """Which nodes would be worked on and how, what was read of them, and what would be run; not what changes at every look."""
    rows = [
        [str(one.node.pk), one.frozen, one.target, one.commands]
        for one in sorted(plans, key=lambda one: str(one.node.pk))
        if not one.refused
    ]
    return hashlib.sha256(json.dumps([rows, dict(params)], sort_keys=True, default=str).encode()).hexdigest()
