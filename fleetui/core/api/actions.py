"""An action of the API: its permission, what it takes and what it answers. What is not declared is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleetui.core.api.shapes import Document, JsonSchema, PageOf, Shape

#: The one permission name that stands for "everybody, signed in or not".
PUBLIC = "public"


@dataclass(frozen=True)
class Param:
    """A query parameter. Array schemas are sent comma-separated or repeated; with `commas` off, repeated only."""

    name: str
    schema: JsonSchema
    description: str
    commas: bool = True


@dataclass(frozen=True)
class Action:
    """One method of one address. `answers` maps the status of success to the shape of its body (None: no body).

    `note` takes the place of the sentence that says which permission it needs.
    """

    permission: str
    operation_id: str
    summary: str
    answers: Mapping[int, Shape | Document | PageOf | None]
    body: Any = None
    query: tuple[Param, ...] = ()
    headers: tuple[Param, ...] = ()
    media_types: tuple[str, ...] = field(default=("application/json",))
    note: str = ""


IF_MATCH = Param(
    "If-Match", {"type": "string"}, "The ETag that the edit is based on; 412 when the object has changed since."
)
