"""JSON nodes to records, as Go's encoding/json decodes into structs: the first type error is told."""

from nodes.ignition.document.reader import DocumentFailure, JsonNode
from nodes.ignition.record import Item, Record, Value
from nodes.ignition.schema import Field, RecordType, Target
from nodes.ignition.source.scalars import INT_MAX, INT_MIN

# Fields that Go embeds from another struct, which type errors name.
_EMBEDDED = {
    "File": {"group": "Node", "overwrite": "Node", "path": "Node", "user": "Node"},
    "Directory": {"group": "Node", "overwrite": "Node", "path": "Node", "user": "Node"},
    "Link": {"group": "Node", "overwrite": "Node", "path": "Node", "user": "Node"},
}
_EMBEDDED_REST = {"File": "FileEmbedded1", "Directory": "DirectoryEmbedded1", "Link": "LinkEmbedded1"}


def decode(node: JsonNode, type_: RecordType) -> Record:
    """A record of the type. Raises DocumentFailure with the first value that does not fit."""
    decoder = _Decoder()
    record = Record(type_)
    if node.kind != "null":
        decoder.decode(node, Target(type_.go_type, record=type_), record)
    if decoder.failure is not None:
        raise decoder.failure
    return record


class _Decoder:
    def __init__(self) -> None:
        self.failure: DocumentFailure | None = None
        self._struct = ""
        self._steps: list[str] = []

    def decode(self, node: JsonNode, target: Target, current: Value) -> Value:
        """The value; `current` where the node is null, does not fit, or adds to it."""
        if node.kind == "null":
            return None if target.is_optional or target.element is not None else current
        if node.kind == "object":
            return self._object(node, target, current)
        if node.kind == "array":
            return self._array(node, target, current)
        return self._literal(node, target, current)

    def _fail(self, value: str, target: Target, offset: int) -> None:
        if self.failure is not None:
            return
        if self._steps:
            name = f"{self._struct}.{'.'.join(self._steps)}"
            text = f"json: cannot unmarshal {value} into Go struct field {name} of type {target.go_name}"
        else:
            text = f"json: cannot unmarshal {value} into Go value of type {target.go_name}"
        self.failure = DocumentFailure(text, offset)

    def _object(self, node: JsonNode, target: Target, current: Value) -> Value:
        if target.record is None:
            self._fail("object", target, node.start + 1)
            return current
        record = current if isinstance(current, Record) else Record(target.record)
        for key, _, child in node.members:
            field = target.record.find_folded(key)
            if field is not None:
                self._member(record, field, child)
        return record

    def _member(self, record: Record, field: Field, child: JsonNode) -> None:
        struct, depth = self._struct, len(self._steps)
        embedded = _EMBEDDED.get(record.type.name)
        if embedded is not None:
            self._steps.append(embedded.get(field.key) or _EMBEDDED_REST[record.type.name])
        self._steps.append(field.key)
        self._struct = record.type.name
        value = self.decode(child, field.target, record.values.get(field.key))
        if value is None:
            record.values.pop(field.key, None)
        else:
            record.values[field.key] = value
        del self._steps[depth:]
        self._struct = struct

    def _array(self, node: JsonNode, target: Target, current: Value) -> Value:
        element = target.element
        if element is None:
            self._fail("array", target, node.start + 1)
            return current
        before = current if isinstance(current, list) else []
        items: list[Item] = []
        for index, child in enumerate(node.items):
            start: Value = before[index] if index < len(before) else _zero(element)
            value = self.decode(child, element, start)
            if value is not None and not isinstance(value, list):
                items.append(value)
        return items

    def _literal(self, node: JsonNode, target: Target, current: Value) -> Value:
        if node.kind == "string" and target.scalar == "string":
            return node.text
        if node.kind == "bool" and target.scalar == "bool":
            return node.text == "true"
        told = node.kind
        if node.kind == "number" and target.scalar == "int":
            number = _whole(node.text)
            if number is not None:
                return number
            told = f"number {node.text}"
        self._fail(told, target, node.end)
        return current


def _whole(text: str) -> int | None:
    if len(text) > 20 or not text.lstrip("-").isdigit():
        return None
    number = int(text)
    return number if INT_MIN <= number <= INT_MAX else None


def _zero(element: Target) -> Value:
    if element.record is not None:
        return Record(element.record)
    zeros: dict[str, Value] = {"string": "", "int": 0, "bool": False}
    return zeros[element.scalar or "string"]
