"""Values of a config: records whose fields are known from a table."""

from typing import Union

from nodes.ignition.schema import Field, RecordType

Item = Union[str, int, "Record"]
Value = Union[None, str, int, bool, "Record", list[Item]]


class Record:
    """Fields that are set. One that is not set reads as None, or as an empty record where the type has one.

    None, an empty list and a list differ, and so do an unset and an empty text, because the real tool
    tells them apart when it merges and writes.
    """

    __slots__ = ("type", "values")

    def __init__(self, type_: RecordType, **values: Value) -> None:
        self.type = type_
        self.values: dict[str, Value] = values

    def text(self, key: str) -> str | None:
        """A text; None when unset."""
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def string(self, key: str) -> str:
        """A text; empty when unset."""
        return self.text(key) or ""

    def number(self, key: str) -> int | None:
        value = self.values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, key: str) -> bool | None:
        value = self.values.get(key)
        return value if isinstance(value, bool) else None

    def record(self, key: str) -> "Record":
        """The record of a field; an empty one, which is not kept, when it is unset."""
        value = self.values.get(key)
        if isinstance(value, Record):
            return value
        field = self.type.by_key.get(key)
        return Record(field.target.record if field and field.target.record else _NOTHING)

    def items(self, key: str) -> list[Item]:
        value = self.values.get(key)
        return value if isinstance(value, list) else []

    def records(self, key: str) -> list["Record"]:
        return [item for item in self.items(key) if isinstance(item, Record)]

    def texts(self, key: str) -> list[str]:
        return [item for item in self.items(key) if isinstance(item, str)]

    @property
    def is_zero(self) -> bool:
        """Whether nothing at all is set. An empty list counts as set."""
        return all(_is_zero(value, self.type.by_key[key]) for key, value in self.values.items())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write. An empty list counts as nothing."""
        return all(_is_empty(value, self.type.by_key[key]) for key, value in self.values.items())


def _is_zero(value: Value, field: Field) -> bool:
    if value is None:
        return True
    if field.target.is_optional or isinstance(value, list):
        return False
    return value.is_zero if isinstance(value, Record) else not value


def _is_empty(value: Value, field: Field) -> bool:
    if value is None:
        return True
    if field.target.is_optional:
        return False
    return value.is_empty if isinstance(value, Record) else not value


def is_empty(value: Value, field: Field) -> bool:
    """Whether a field is left out of the output."""
    return _is_empty(value, field)


_NOTHING = RecordType("Nothing", "none")
