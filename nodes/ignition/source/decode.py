"""Nodes to records, with the type errors of yaml.v3: all of them, worded and ordered as it does."""

from nodes.ignition.gotext import quote
from nodes.ignition.limits import Limits, Refused
from nodes.ignition.record import Item, Record, Value
from nodes.ignition.schema import RecordType, Target
from nodes.ignition.source.failure import YamlFailure
from nodes.ignition.source.reader import Form, Node
from nodes.ignition.source.scalars import BINARY, MAP, NULL, SEQ, STR, Resolved, as_bool, as_int, decode_binary, resolve

_FEW_VALUES, _MANY_VALUES = 400_000, 4_000_000
_TEXT = Target("string", "string")


class TypeFailure(YamlFailure):
    """Values do not have the types that they should have."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("unmarshal errors:\n  " + "\n  ".join(errors))


def decode(root: Node, type_: RecordType, limits: Limits) -> Record:
    """A record of the type. Raises TypeFailure with every value that does not fit."""
    decoder = _Decoder(limits)
    record = Record(type_)
    decoder.decode(root, Target(type_.go_type, record=type_), record)
    if decoder.errors:
        raise TypeFailure(decoder.errors)
    return record


class _Decoder:
    def __init__(self, limits: Limits) -> None:
        self.errors: list[str] = []
        self._limits = limits
        self._count = 0
        self._alias_count = 0
        self._alias_characters = 0
        self._alias_depth = 0
        self._depth = 0
        self._expanding: set[int] = set()
        self._merged: set[str] | None = None

    def decode(self, node: Node, target: Target, current: Value) -> tuple[bool, Value]:
        """Whether the node fits, and its value; `current` is what a merge has set before."""
        self._tick()
        if node.form is Form.SCALAR:
            return self._scalar(node, target, current)
        self._depth += 1
        if self._depth > self._limits.depth:
            raise Refused(f"line {node.line}: the config is nested more than {self._limits.depth} levels deep")
        if node.form is Form.ALIAS:
            result = self._alias(node, target, current)
        elif node.form is Form.MAPPING:
            result = self._mapping(node, target, current)
        else:
            result = self._sequence(node, target, current)
        self._depth -= 1
        return result

    def _tick(self) -> None:
        self._count += 1
        if self._alias_depth:
            self._alias_count += 1
        if (
            self._alias_count > 100
            and self._count > 1000
            and self._alias_count / self._count > _allowed_alias_ratio(self._count)
        ):
            raise YamlFailure("document contains excessive aliasing")
        if self._count > 2 * self._limits.values:
            raise Refused(f"the config has more than {2 * self._limits.values} values once its aliases are expanded")

    def _fail(self, node: Node, tag: str, target: Target) -> None:
        tag = node.full_tag or tag
        value = node.value  # as it is behind !!seq and !!map, which is how the real tool prints it
        if tag not in (SEQ, MAP):
            raw = node.value.encode("utf-8", "surrogateescape")
            shown = raw if len(raw) <= 10 else raw[:7] + b"..."
            value = f" `{shown.decode('utf-8', 'surrogateescape')}`"
        self._add_error(f"line {node.line}: cannot unmarshal {tag}{value} into {target.go_name}")

    def _add_error(self, text: str) -> None:
        self.errors.append(text)
        if len(self.errors) >= self._limits.errors:
            raise TypeFailure([*self.errors, f"and more: only the first {self._limits.errors} are listed"])

    def _alias(self, node: Node, target: Target, current: Value) -> tuple[bool, Value]:
        if id(node) in self._expanding or node.alias is None:
            raise YamlFailure(f"anchor '{node.value}' value contains itself")
        self._expanding.add(id(node))
        self._alias_depth += 1
        result = self.decode(node.alias, target, current)
        self._alias_depth -= 1
        self._expanding.discard(id(node))
        return result

    def _scalar(self, node: Node, target: Target, current: Value) -> tuple[bool, Value]:
        resolved: Resolved
        if self._alias_depth:
            self._alias_characters += len(node.value)
            if self._alias_characters > self._limits.source_bytes:
                raise Refused(
                    f"the config has more than {self._limits.source_bytes} characters in what its aliases repeat"
                )
        if not node.tag and (node.is_quoted or target.scalar == "string"):
            tag, resolved = STR, node.value
            if not node.is_quoted and node.is_null:
                tag, resolved = NULL, None
        else:
            tag, resolved = resolve(node.tag, node.value)
            if tag == BINARY:
                resolved = decode_binary(node.value)
        if resolved is None:
            if target.is_optional or target.element is not None:
                return True, None
            return False, current
        value: Value = None
        if target.scalar == "string":
            value = resolved if tag == BINARY and isinstance(resolved, str) else node.value
        elif target.scalar == "int":
            value = as_int(resolved)
        elif target.scalar == "bool":
            value = as_bool(resolved)
        if value is None:
            self._fail(node, tag, target)
            return False, current
        return True, value

    def _sequence(self, node: Node, target: Target, current: Value) -> tuple[bool, Value]:
        element = target.element
        if element is None:
            self._fail(node, SEQ, target)
            return False, current
        items: list[Item] = []
        for child in node.content:
            fits, value = self.decode(child, element, Record(element.record) if element.record else None)
            if fits and value is not None and not isinstance(value, list):
                items.append(value)
        return True, items

    def _mapping(self, node: Node, target: Target, current: Value) -> tuple[bool, Value]:
        if self._has_duplicates(node):
            return False, current
        if target.record is None:
            self._fail(node, MAP, target)
            return False, current
        record = current if isinstance(current, Record) else Record(target.record)
        merged, self._merged = self._merged, None
        merge: Node | None = None
        for key, child in zip(node.content[::2], node.content[1::2], strict=True):
            if key.is_merge:
                merge = child
                continue
            fits, name = self.decode(key, _TEXT, None)
            if not fits or not isinstance(name, str):
                continue
            if merged is not None:
                if name in merged:
                    continue
                merged.add(name)
            field = target.record.by_key.get(name)
            if field is not None:
                self._set(record, name, child, field.target)
        self._merged = merged
        if merge is not None:
            self._merge(node, merge, target, record)
        return True, record

    def _set(self, record: Record, name: str, child: Node, target: Target) -> None:
        fits, value = self.decode(child, target, record.values.get(name))
        if not fits:
            return
        if value is None:
            record.values.pop(name, None)
        else:
            record.values[name] = value

    def _has_duplicates(self, node: Node) -> bool:
        keys = node.content[::2]
        seen: dict[tuple[Form, str], list[Node]] = {}
        for key in keys:
            seen.setdefault((key.form, key.value), []).append(key)
        if len(seen) == len(keys):
            return False
        for key in keys:
            same = seen[key.form, key.value]
            same.pop(0)
            for later in same:
                self._add_error(
                    f"line {later.line}: mapping key {quote(later.value)} already defined at line {key.line}"
                )
        return True

    def _merge(self, parent: Node, merge: Node, target: Target, record: Record) -> None:
        """`<<: *name`: keys of the mapping itself win, then those of earlier merges."""
        merged = self._merged
        if merged is None:
            self._merged = set()
            for key in parent.content[::2]:
                self._tick()
                named = key.alias if key.form is Form.ALIAS and key.alias else key
                if named.form is Form.SCALAR:
                    self._merged.add(named.value)
        for source in merge.content if merge.form is Form.SEQUENCE else [merge]:
            meant = source.alias if source.form is Form.ALIAS else source
            if meant is None or meant.form is not Form.MAPPING:
                raise YamlFailure("map merge requires map or sequence of maps as the value")
            self.decode(source, target, record)
        self._merged = merged


def _allowed_alias_ratio(count: int) -> float:
    if count <= _FEW_VALUES:
        return 0.99
    if count >= _MANY_VALUES:
        return 0.10
    return 0.99 - 0.89 * ((count - _FEW_VALUES) / (_MANY_VALUES - _FEW_VALUES))
