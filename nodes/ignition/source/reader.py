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
_BOM = b"\xef\xbb\xbf"
_NO_TOKEN = "found character that cannot start any token"  # noqa: S105
_COLON_REFUSED, _COLON_MISSING = "found unexpected ':'", "could not find expected ':'"
_NO_SPACE = "did not find expected whitespace or line break"
_OF_TAGS = ";"
_MOST_REPLACEMENTS = 100
_LOOKAHEAD_TOKENS = 2
_NEVER_WRONG = (yaml.StreamStartToken, yaml.BlockEndToken)
_COLLECTION_STARTS = (
    *(yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken),
    *(yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken),
)
_CHUNK_BYTES = 512


class Form(Enum):
    """What a node is made of."""

    SCALAR = 1
    SEQUENCE = 2
    MAPPING = 3
    ALIAS = 4


class Node:
    """A node of the document. `content` of a mapping is key, value, key, value."""

    __slots__ = ("alias", "column", "content", "form", "is_flow", "is_quoted", "line", "tag", "value")

    def __init__(self, form: Form, line: int, column: int, tag: str = "", value: str = "") -> None:
        self.form = form
        self.line = line
        self.column = column
        self.tag = tag
        self.value = value
        self.is_quoted = False
        self.is_flow = False
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


class _Text:
    """The characters of a source, decoded when one is first asked for."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._text: str | None = None

    def at(self, index: int) -> str:
        if self._text is None:
            self._text = self._source.decode("utf-8", "surrogateescape")
        return self._text[index : index + 1]


class _Chunks:
    """Gives the scanner as little at once as yaml.v3 takes: what is wrong farther on is not seen before."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._at = 0

    def read(self, size: int) -> bytes:
        chunk = self._source[self._at : self._at + min(size, _CHUNK_BYTES)]
        self._at += len(chunk)
        return chunk


def read(source: bytes, limits: Limits) -> Node | None:
    """The root of the first document; None when there is none."""
    if len(source) > limits.source_bytes:
        raise Refused(f"the config is longer than {limits.source_bytes} bytes")
    source = source.removeprefix(_BOM) or b"\n"
    _check_directives(source, limits)
    stand_in = ""
    scanned_bytes = 0
    for _ in range(_MOST_REPLACEMENTS):
        loader = _Loader(_Chunks(source))
        try:
            return _compose(loader, source, stand_in, limits)
        except yaml.reader.ReaderError as error:
            raise YamlFailure(str(error.reason)) from error
        except yaml.MarkedYAMLError as error:
            index = error.problem_mark.index if error.problem_mark else -1
            scanned_bytes += max(index, 0)
            if error.problem == _COLON_REFUSED:
                stand_in = stand_in or _unused_character(source)
                source = _replaced(source, index, stand_in)
            elif error.problem == _NO_TOKEN and _is_tab_of_comment(source, index):
                source = _replaced(source, index, " ")
            elif error.problem == _NO_SPACE and _belongs_to_tag(source, error.context_mark, index):
                source = _replaced(source, index, _OF_TAGS)
            else:
                raise _failure(error, source) from error
        finally:
            loader.dispose()
        if scanned_bytes > 4 * len(source) + limits.rescanned_bytes:
            break
    raise Refused("the config has too many places that scanners read differently")


def _check_directives(source: bytes, limits: Limits) -> None:
    """Refuse very many: the parser compares each with all before it."""
    loader = _Loader(_Chunks(source))
    count = 0
    try:
        loader.get_token()
        while isinstance(loader.get_token(), yaml.DirectiveToken):
            count += 1
            if count > limits.directives:
                raise Refused(f"the config has more than {limits.directives} directives")
    except yaml.YAMLError:
        return  # reading tells it
    finally:
        loader.dispose()


def _replaced(source: bytes, index: int, character: str) -> bytes:
    """The source with another character at a place where libyaml refuses what yaml.v3 takes.

    In a flow collection yaml.v3 takes `a:` before a comma or bracket for a text.
    """
    text = source.decode("utf-8", "surrogateescape")
    return (text[:index] + character + text[index + 1 :]).encode("utf-8", "surrogateescape")


def _is_tab_of_comment(source: bytes, index: int) -> bool:
    """Whether a tab only indents a comment that goes on: yaml.v3 takes one there."""
    text = source.decode("utf-8", "surrogateescape")
    before, after = text[:index].rpartition("\n")[0], text[index:].partition("\n")[0]
    is_comment = after.startswith("\t") and after.lstrip(" \t").startswith("#")
    return is_comment and before.rstrip().rpartition("\n")[2].lstrip(" \t").startswith("#")


def _belongs_to_tag(source: bytes, start: Any, index: int) -> bool:
    """Whether the character ends a tag for libyaml only: yaml.v3 takes `,`, `[` and `]` for a part of it."""
    if start is None:
        return False
    text = source.decode("utf-8", "surrogateescape")
    return text[index : index + 1] in (",", "[", "]") and not text.startswith("!<", start.index)


def _unused_character(source: bytes) -> str:
    text = source.decode("utf-8", "surrogateescape")
    for character in map(chr, range(0xE000, 0xF8FF)):
        if character not in text:
            return character
    raise Refused("the config uses every character for private use")


def _failure(error: yaml.MarkedYAMLError, source: bytes) -> YamlFailure:
    """The failure that yaml.v3 tells: it scans two tokens ahead, so an error there comes first."""
    if isinstance(error, yaml.parser.ParserError) and error.problem_mark:
        error = _scan_error_behind(source, error.problem_mark, error.context_mark) or error
    return YamlFailure(_scan_failure(error))


def _scan_error_behind(source: bytes, mark: Any, context: Any = None) -> yaml.MarkedYAMLError | None:
    """An error of the scanner in the two tokens behind the one at a mark that does not belong there.

    `context` is where the collection begins that the token is in; when that is the same place, it begins before it.
    """
    place = (mark.line, mark.column)
    begins_here = context is not None and (context.line, context.column) == place
    passed = (*_NEVER_WRONG, *_COLLECTION_STARTS) if begins_here else _NEVER_WRONG
    loader = _Loader(_Chunks(source))
    behind = -1
    try:
        while behind < _LOOKAHEAD_TOKENS and (token := loader.get_token()) is not None:
            start = token.start_mark
            if behind >= 0:
                behind += 1
            elif (start.line, start.column) >= place and not isinstance(token, passed):
                behind = 0
    except yaml.scanner.ScannerError as error:
        # A key that is missing its colon is only noticed by yaml.v3 when it looks for the key.
        return None if error.problem in (_COLON_REFUSED, _COLON_MISSING) else error
    except yaml.YAMLError:
        return None
    finally:
        loader.dispose()
    return None


def _scan_failure(error: yaml.MarkedYAMLError) -> str:
    """The text of yaml.v3, with its own idea of the line: the context's, counted from zero unless it scans."""
    line = error.context_mark.line if error.context_mark else 0
    if not line:
        line = error.problem_mark.line if error.problem_mark else 0
    if line and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    where = f"line {line}: " if line else ""
    return f"{where}{error.problem or 'unknown problem parsing YAML content'}"


def _compose(loader: Any, source: bytes, stand_in: str, limits: Limits) -> Node | None:
    anchors: dict[str, Node] = {}
    open_nodes: list[Node] = []
    root: Node | None = None
    text = _Text(source)
    count = 0
    while True:
        event = loader.get_event()
        kind = type(event)
        if kind is yaml.ScalarEvent:
            node = _node(Form.SCALAR, event)
            node.value = event.value.replace(stand_in, ":") if stand_in else event.value
            node.is_quoted = event.style in ("'", '"', "|", ">")
            if open_nodes and open_nodes[-1].is_flow and not node.is_quoted:
                _check_flow_scalar(open_nodes[-1], node, event, text)
        elif kind is yaml.MappingStartEvent:
            node = _node(Form.MAPPING, event)
            node.is_flow = event.flow_style
        elif kind is yaml.SequenceStartEvent:
            node = _node(Form.SEQUENCE, event)
            node.is_flow = event.flow_style
        elif kind is yaml.AliasEvent:
            node = Node(Form.ALIAS, event.start_mark.line + 1, event.start_mark.column + 1, value=event.anchor)
            node.alias = anchors.get(event.anchor)
            if node.alias is None:
                raise _scan_error_behind(source, event.start_mark) or YamlFailure(
                    f"unknown anchor '{event.anchor}' referenced"
                )
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            open_nodes.pop()
            continue
        elif kind is yaml.DocumentStartEvent:
            if event.version not in (None, (1, 1)):
                raise yaml.parser.ParserError(None, None, "found incompatible YAML document", event.start_mark)
            continue
        elif kind is yaml.DocumentEndEvent:
            rest = source.decode("utf-8", "surrogateescape")[event.start_mark.index :]
            error = _scan_error_behind(source, event.start_mark) if rest.strip() else None
            if error is not None:
                raise error
            return root
        elif kind is yaml.StreamEndEvent:
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


def _check_flow_scalar(collection: Node, node: Node, event: Any, text: _Text) -> None:
    """What libyaml takes in a flow collection and yaml.v3 does not.

    A plain scalar ends before a question mark, which then begins a key where none may be; and behind a tag
    a comma is no end, but a part of it.
    """
    if node.tag and not node.value and text.at(event.end_mark.index) == ",":
        raise yaml.scanner.ScannerError("while scanning a tag", event.start_mark, _NO_SPACE, event.end_mark)
    if "?" not in node.value:
        return
    closing = "]" if collection.form is Form.SEQUENCE else "}"
    context = yaml.Mark("", 0, collection.line - 1, collection.column - 1, None, 0)
    raise yaml.parser.ParserError(
        "while parsing a flow collection", context, f"did not find expected ',' or '{closing}'", event.start_mark
    )


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
