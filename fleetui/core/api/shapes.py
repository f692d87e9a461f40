"""The shape of a row in the API: which columns each field needs, how it is made, and its JSON schema.

Lists are read with `.values()` of exactly the columns that the asked fields need (twice as fast as model serialisers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

JsonSchema = dict[str, Any]
Row = Mapping[str, Any]

TEXT: JsonSchema = {"type": "string"}
UUID: JsonSchema = {"type": "string", "format": "uuid"}
TIME: JsonSchema = {"type": "string", "format": "date-time"}
INTEGER: JsonSchema = {"type": "integer"}
NUMBER: JsonSchema = {"type": "number"}
FLAG: JsonSchema = {"type": "boolean"}
ANY_OBJECT: JsonSchema = {"type": "object", "additionalProperties": True}
TEXTS: JsonSchema = {"type": "array", "items": TEXT}


def one_of(values: Iterable[str]) -> JsonSchema:
    return {"type": "string", "enum": list(values)}


def nullable(schema: JsonSchema) -> JsonSchema:
    return {**schema, "nullable": True}


def list_of(schema: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": schema}


def object_of(properties: Mapping[str, JsonSchema]) -> JsonSchema:
    """An object that always has all of these."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


@dataclass(frozen=True)
class Field:
    """One field of a shape: its schema, the columns it reads, and how it is made of them.

    `as_is` names the column that is the field as it stands. `documents` are columns that hold JSON; lists read them as
    text, since most rows of a fleet hold the same few: `build` reads them with `document`.
    """

    schema: JsonSchema
    columns: tuple[str, ...]
    build: Callable[[Row], Any]
    as_is: str = ""
    documents: tuple[str, ...] = ()


def column(name: str, schema: JsonSchema) -> Field:
    """A field that is a column as it stands."""
    return Field(schema, (name,), lambda row: row[name], as_is=name)


def json_column(name: str, schema: JsonSchema) -> Field:
    """A field that is a JSON column as it stands."""
    return Field(schema, (name,), lambda row: document(row[name]), documents=(name,))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Any:
    return orjson.loads(text)


def document(value: Any) -> Any:
    """What a JSON column holds, whether it was read as text or not. Shared between rows: to be shown, not changed."""
    return _parsed(value) if isinstance(value, str) else value


def known(name: str, schema: JsonSchema) -> Field:
    """A text column whose empty value means "not known": null in the API."""
    return Field(nullable(schema), (name,), lambda row: row[name] or None)


@dataclass(frozen=True)
class Shape:
    """The fields of one kind of object, by name."""

    name: str
    fields: Mapping[str, Field]

    def columns(self, names: Iterable[str] | None = None) -> list[str]:
        """The columns that the named fields (all, when None) need, each once."""
        wanted = self.fields if names is None else names
        return list(dict.fromkeys(column for name in wanted for column in self.fields[name].columns))

    def documents(self, names: Iterable[str] | None = None) -> set[str]:
        """Those of the columns that hold JSON."""
        wanted = self.fields if names is None else names
        return {column for name in wanted for column in self.fields[name].documents}

    def renderer(self, names: Iterable[str] | None = None) -> Callable[[Row], dict[str, Any]]:
        """What makes an object of a row; lists ask for it once."""
        fields = [(name, self.fields[name]) for name in (self.fields if names is None else names)]
        parts = [(name, field.as_is, field.build) for name, field in fields]
        return lambda row: {name: row[as_is] if as_is else build(row) for name, as_is, build in parts}

    def render(self, row: Row, names: Iterable[str] | None = None) -> dict[str, Any]:
        return self.renderer(names)(row)

    def schema(self) -> JsonSchema:
        """`fields=` may leave any of them out, so none is required."""
        return {"type": "object", "properties": {name: field.schema for name, field in self.fields.items()}}


@dataclass(frozen=True)
class Document:
    """An answer that is not made of rows."""

    name: str
    body: JsonSchema

    def schema(self) -> JsonSchema:
        return self.body


@dataclass(frozen=True)
class PageOf:
    """An answer that is one page of a list."""

    shape: Shape | Document

    @property
    def name(self) -> str:
        return f"{self.shape.name}Page"
