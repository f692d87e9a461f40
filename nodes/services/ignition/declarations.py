"""Declarations of variables as versions keep them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nodes.ignition.variables import Declaration, VariableType


def as_json(declarations: Iterable[Declaration]) -> list[dict[str, Any]]:
    """As versions keep them."""
    return [
        {"name": one.name, "type": str(one.type), "default": one.default, "description": one.description}
        for one in declarations
    ]


def from_json(kept: Iterable[dict[str, Any]]) -> list[Declaration]:
    return [Declaration(one["name"], VariableType(one["type"]), one["default"], one["description"]) for one in kept]
