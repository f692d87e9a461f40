"""The sentences of the API, always in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodes.axes.values import Axis, Health, Reachability, UpdateState

AXES: dict[str, type[Axis]] = {"reachability": Reachability, "health": Health, "update_state": UpdateState}


def axis_sentence(axis: str, value: str, reason: str, params: Mapping[str, Any]) -> str:
    """Why an axis stands where it stands."""
    return AXES[axis](value).sentence
