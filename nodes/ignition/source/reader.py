"""YAML text to nodes that know where they stand.

The scanner is libyaml (through PyYAML's events, no constructor), whose positions and error texts yaml.v3 shares.
Nothing is expanded: an alias is a node of its own, so a document costs what its text costs.
"""

from enum import Enum
from typing import Any

import yaml

from nodes.ignition.limits import Limits, Refused
from nodes.ignition.places import Place
from nodes.ignition.source.failure import YamlFailure
from nodes.ignition.source.scalars import MAP, MERGE, NULL, SEQ, STR, resolve, short_tag

_Loader: Any = getattr(yaml, "CLoader", yaml.Loader)


class Form(Enum):
    """What a node is made of."""

    SCALAR = 1
    SEQUENCE = 2
    MAPPING = 3
    ALIAS = 4


class Node:
    """A node of the document. `content` of a mapping is key, value, key, value."""

    __slots__ = ("alias", "column", "content", "form", "is_quoted", "line", "tag", "value")

    def __init__(self, form: Form, line: int, column: int, tag: str = "", value: str = "") -> None:
        self.form = form
        self.line = line
        self.column = column
        self.tag = tag
        self.value = value
        self.is_quoted = False
        self.content: list[Node] = []
        self.alias: Node | None = None

    @property
    def full_tag(self) -> str:
        """The tag that is written or, without one, what the scalar resolves to."""
        if self.tag:
            return self.tag
        if self.form is Form.SEQUENCE:
            return SEQ
        if self.form is Form.MAPPING:
            return MAP
        if self.is_quoted:
            return STR
        return MERGE if self.value == "<<" else resolve("", self.value)[0]

    @property
    def is_null(self) -> bool:
        return self.form is Form.SCALAR and self.full_tag == NULL

    @property
    def is_merge(self) -> bool:
        """Whether this is the key `<<`."""
        return self.form is Form.SCALAR and self.value == "<<" and self.full_tag == MERGE


def read(source: bytes, limits: Limits) -> Node | None:
    """The root of the first document; None when there is none."""
    if len(source) > limits.source_bytes:
        raise Refused(f"the config is longer than {limits.source_bytes} bytes")
    loader = _Loader(source or b"\n")
    try:
        return _compose(loader, limits)
    except yaml.reader.ReaderError as error:
        raise YamlFailure(str(error.reason)) from error
    except yaml.MarkedYAMLError as error:
        raise YamlFailure(_scan_failure(error)) from error
    finally:
        loader.dispose()


def _scan_failure(error: yaml.MarkedYAMLError) -> str:
    """The text of yaml.v3, with its own idea of the line: the context's, counted from zero unless it scans."""
    line = error.context_mark.line if error.context_mark else 0
    if not line:
        line = error.problem_mark.line if error.problem_mark else 0
    if line and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    where = f"line {line}: " if line else ""
    return f"{where}{error.problem or 'unknown problem parsing YAML content'}"


def _compose(loader: Any, limits: Limits) -> Node | None:
    anchors: dict[str, Node] = {}
    open_nodes: list[Node] = []
    root: Node | None = None
    count = 0
    while True:
        event = loader.get_event()
        kind = type(event)
        if kind is yaml.ScalarEvent:
            node = _node(Form.SCALAR, event)
            node.value = event.value
            node.is_quoted = event.style in ("'", '"', "|", ">")
        elif kind is yaml.MappingStartEvent:
            node = _node(Form.MAPPING, event)
        elif kind is yaml.SequenceStartEvent:
            node = _node(Form.SEQUENCE, event)
        elif kind is yaml.AliasEvent:
            node = Node(Form.ALIAS, event.start_mark.line + 1, event.start_mark.column + 1, value=event.anchor)
            node.alias = anchors.get(event.anchor)
            if node.alias is None:
                raise YamlFailure(f"unknown anchor '{event.anchor}' referenced")
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            open_nodes.pop()
            continue
        elif kind in (yaml.DocumentEndEvent, yaml.StreamEndEvent):
            return root
        else:
            continue
        count += 1
        if count > limits.values:
            raise Refused(f"the config has more than {limits.values} values")
        if kind is not yaml.AliasEvent and event.anchor is not None:
            anchors[event.anchor] = node
        if open_nodes:
            open_nodes[-1].content.append(node)
        else:
            root = node
        if kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
            open_nodes.append(node)
            if len(open_nodes) > limits.depth:
                raise Refused(f"line {node.line}: the config is nested more than {limits.depth} levels deep")


def _node(form: Form, event: Any) -> Node:
    mark = event.start_mark
    tag = short_tag(event.tag) if event.tag and event.tag != "!" else ""
    return Node(form, mark.line + 1, mark.column + 1, tag)


def places(node: Node) -> Place:
    """The positions of a node and what is below it. An alias is a leaf where it stands."""
    position = (node.line, node.column)
    if node.form is Form.SEQUENCE:
        return Place(position, items=[places(item) for item in node.content])
    if node.form is not Form.MAPPING:
        return Place(position)
    members: dict[str, Place] = {}
    keys: dict[str, tuple[int, int]] = {}
    for key, value in zip(node.content[::2], node.content[1::2], strict=True):
        keys[key.value] = (key.line, key.column)
        members[key.value] = places(value)
    return Place(position, members, keys)
