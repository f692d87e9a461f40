"""The fields of every type of every version, from tables (see PROVENANCE.md)."""

import json
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal

from nodes.ignition.schema.experimental import TABLES_OF_EXPERIMENTS

Scalar = Literal["string", "int", "bool"]
_SCALARS: tuple[Scalar, ...] = ("string", "int", "bool")


@dataclass(frozen=True)
class Target:
    """What a value has to be. `go_type` is how type errors call it."""

    go_type: str
    scalar: Scalar | None = None
    record: "RecordType | None" = None
    element: "Target | None" = None
    is_optional: bool = False

    @cached_property
    def go_name(self) -> str:
        """The type without the pointer."""
        return self.go_type.removeprefix("*")


@dataclass(frozen=True)
class Field:
    """A key of a record. The order of fields is the order of output and reports."""

    key: str
    target: Target
    is_always_written: bool = False

    @cached_property
    def item_type(self) -> str:
        """The last part of the type of its items: `Device` of `[]types.Device`."""
        return self.target.go_type.rpartition(".")[2]


class RecordType:
    """A named type with fields in order."""

    def __init__(self, name: str, package: str) -> None:
        self.name = name
        self.go_type = f"{package}.{name}"
        self.fields: tuple[Field, ...] = ()
        self.by_key: dict[str, Field] = {}
        self._by_folded_key: dict[str, Field] = {}

    def complete(self, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        self.by_key = {field.key: field for field in fields}
        self._by_folded_key = {folded(field.key): field for field in reversed(fields)}

    def find_folded(self, key: str) -> Field | None:
        """The field of a JSON key: as it is written, else without regard to case."""
        return self.by_key.get(key) or self._by_folded_key.get(folded(key))


def folded(key: str) -> str:
    """A key without case, as Go's JSON compares them: the Kelvin sign and the long s are letters too."""
    return key.replace("\u212a", "k").replace("\u017f", "s").lower()


class Schema:
    """The types of one version."""

    def __init__(self, version: str, table: dict[str, Any]) -> None:
        self.version = version
        package = _package(table["types"])
        self.types = {name: RecordType(name, package) for name in table["types"]}
        for name, rows in table["types"].items():
            self.types[name].complete(tuple(self._field(row) for row in rows))
        self.root = self.types[table["root"]]

    def _field(self, row: dict[str, Any]) -> Field:
        go_type: str = row["go_type"]
        is_list = bool(row.get("list"))
        name = go_type.removeprefix("*").removeprefix("[]")
        if is_list and not go_type.startswith("[]"):  # a named list, of which the table gives no element type
            name = name.rpartition(".")[0] + "." + row["type"]
        one = Target(name, *self._kind(row["type"]))
        alone = Target(go_type, one.scalar, one.record, is_optional=bool(row.get("optional")))
        target = Target(go_type, element=one) if is_list else alone
        return Field(row["key"], target, bool(row.get("always_written")))

    def _kind(self, name: str) -> tuple[Scalar | None, RecordType | None]:
        for scalar in _SCALARS:
            if name == scalar:
                return scalar, None
        return None, self.types[name]


def _package(types: dict[str, list[dict[str, Any]]]) -> str:
    """The Go package of the types: `v0_5` or `types`."""
    for rows in types.values():
        for row in rows:
            package, dot, _ = row["go_type"].lstrip("*[]").partition(".")
            if dot:
                return str(package)
    raise ValueError("a table without a named type")


@cache
def _tables() -> dict[str, dict[str, Any]]:
    text = resources.files(__package__).joinpath("butane-schema.json").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = json.loads(text)
    for part, name, make in TABLES_OF_EXPERIMENTS:
        tables[part][name] = make(tables[part])
    return tables


@cache
def butane_schema(variant: str, version: str) -> Schema:
    """The source types of a variant and version."""
    return Schema(version, _tables()["butane"][f"{variant} {version}"])


@cache
def ignition_schema(version: str) -> Schema:
    """The types of an Ignition spec version."""
    return Schema(version, _tables()["ignition"][version])
