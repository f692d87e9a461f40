"""JSON text to nodes that know where they stand, with the syntax errors of Go's encoding/json.

Offsets count bytes. A mapping or list is placed one byte behind its opening bracket, as the real tool reports it.
"""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass, field

from nodes.ignition.gotext import quote
from nodes.ignition.limits import Limits, Refused
from nodes.ignition.places import LineColumn, Place

_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_WORDS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SURROGATES = re.compile("([\ud800-\udbff])([\udc00-\udfff])|[\ud800-\udfff]")


class DocumentFailure(Exception):
    """The document cannot be read. `offset` counts the bytes up to and with the one that is wrong."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(slots=True)
class JsonNode:
    """A value. `start` is its first byte, `end` the byte behind it."""

    kind: str
    start: int
    end: int = 0
    text: str = ""
    members: "list[tuple[str, int, JsonNode]]" = field(default_factory=list)
    items: "list[JsonNode]" = field(default_factory=list)


def read(source: bytes, limits: Limits) -> JsonNode:
    """The value of the whole document. Raises DocumentFailure or Refused."""
    if len(source) > limits.source_bytes:
        raise Refused(f"the config is longer than {limits.source_bytes} bytes")
    return _Scanner(source, limits).document()


class _Scanner:
    def __init__(self, source: bytes, limits: Limits) -> None:
        # What ends a value early is told of a space behind the end, as Go does it.
        self._source = source + b" "
        self._size = len(source)
        self._at = 0
        self._limits = limits
        self._count = 0

    def document(self) -> JsonNode:
        node = self._value(1)
        self._skip_space()
        if self._at < self._size:
            raise self._failure("after top-level value")
        return node

    def _failure(self, context: str) -> DocumentFailure:
        byte = self._source[self._at]
        shown = {"'": "'\\''", '"': "'\"'"}.get(chr(byte)) or "'" + quote(chr(byte))[1:-1] + "'"
        return DocumentFailure(f"invalid character {shown} {context}", min(self._at + 1, self._size))

    def _skip_space(self) -> None:
        while self._at < self._size and self._source[self._at] in _SPACE:
            self._at += 1

    def _next(self) -> int:
        """The byte behind spaces."""
        self._skip_space()
        if self._at >= self._size:
            raise DocumentFailure("unexpected end of JSON input", self._size)
        return self._source[self._at]

    def _value(self, depth: int) -> JsonNode:
        byte = self._next()
        self._count += 1
        if self._count > self._limits.values:
            raise Refused(f"the config has more than {self._limits.values} values")
        if depth > self._limits.depth:
            raise Refused(f"the config is nested more than {self._limits.depth} levels deep")
        if byte == ord("{"):
            return self._object(depth)
        if byte == ord("["):
            return self._array(depth)
        if byte == ord('"'):
            start = self._at
            text = self._string()
            return JsonNode("string", start, self._at, text)
        if byte == ord("-") or byte in _DIGITS:
            return self._number()
        if byte in _WORDS:
            return self._word(_WORDS[byte])
        raise self._failure("looking for beginning of value")

    def _object(self, depth: int) -> JsonNode:
        node = JsonNode("object", self._at)
        self._at += 1
        if self._next() != ord("}"):
            while True:
                if self._next() != ord('"'):
                    raise self._failure("looking for beginning of object key string")
                start = self._at
                key = self._string()
                if self._next() != ord(":"):
                    raise self._failure("after object key")
                self._at += 1
                node.members.append((key, start, self._value(depth + 1)))
                byte = self._next()
                if byte == ord("}"):
                    break
                if byte != ord(","):
                    raise self._failure("after object key:value pair")
                self._at += 1
        self._at += 1
        node.end = self._at
        return node

    def _array(self, depth: int) -> JsonNode:
        node = JsonNode("array", self._at)
        self._at += 1
        if self._next() != ord("]"):
            while True:
                node.items.append(self._value(depth + 1))
                byte = self._next()
                if byte == ord("]"):
                    break
                if byte != ord(","):
                    raise self._failure("after array element")
                self._at += 1
        self._at += 1
        node.end = self._at
        return node

    def _string(self) -> str:
        start = self._at
        self._at += 1
        while True:
            match = _PLAIN.match(self._source, self._at, self._size)
            self._at = match.end() if match else self._at
            if self._at >= self._size:
                raise DocumentFailure("unexpected end of JSON input", self._size)
            byte = self._source[self._at]
            if byte == ord('"'):
                self._at += 1
                return _unquoted(self._source[start + 1 : self._at - 1])
            if byte != ord("\\"):
                raise self._failure("in string literal")
            self._at += 1
            if self._source[self._at] == ord("u"):
                self._hex_escape()
            elif chr(self._source[self._at]) in _ESCAPES:
                self._at += 1
            else:
                raise self._failure("in string escape code")

    def _hex_escape(self) -> None:
        self._at += 1
        for _ in range(4):
            if self._source[self._at] not in _HEX:
                raise self._failure("in \\u hexadecimal character escape")
            self._at += 1

    def _digits(self, context: str) -> None:
        if self._source[self._at] not in _DIGITS:
            raise self._failure(context)
        while self._source[self._at] in _DIGITS:
            self._at += 1

    def _number(self) -> JsonNode:
        start = self._at
        if self._source[self._at] == ord("-"):
            self._at += 1
        if self._source[self._at] == ord("0"):
            self._at += 1
        else:
            self._digits("in numeric literal")
        if self._source[self._at] == ord("."):
            self._at += 1
            self._digits("after decimal point in numeric literal")
        if self._source[self._at] in b"eE":
            self._at += 1
            if self._source[self._at] in b"+-":
                self._at += 1
            self._digits("in exponent of numeric literal")
        return JsonNode("number", start, self._at, self._source[start : self._at].decode("ascii"))

    def _word(self, word: bytes) -> JsonNode:
        start = self._at
        for expected in word:
            if self._source[self._at] != expected:
                raise self._failure(f"in literal {word.decode()} (expecting {chr(expected)!r})")
            self._at += 1
        return JsonNode("null" if word == b"null" else "bool", start, self._at, word.decode())


def _unquoted(raw: bytes) -> str:
    """The text of a string; what is no character becomes U+FFFD."""
    text = raw.decode("utf-8", "replace") if raw.isascii() else _replaced(raw)
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _ESCAPES[match[2]], text)
    return _SURROGATES.sub(_paired, text)


def _replaced(raw: bytes) -> str:
    """UTF-8 with one U+FFFD for each byte that is none, as Go does it."""
    return re.sub("[\udc80-\udcff]", "\ufffd", raw.decode("utf-8", "surrogateescape"))


def _paired(match: re.Match[str]) -> str:
    if match[1] is None:
        return "\ufffd"
    return chr(0x10000 + ((ord(match[1]) - 0xD800) << 10) + (ord(match[2]) - 0xDC00))


class Lines:
    """Line and column of offsets, in bytes."""

    def __init__(self, source: bytes) -> None:
        self._size = len(source)
        self._starts = [0]
        at = source.find(b"\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = source.find(b"\n", at + 1)

    def at(self, offset: int) -> LineColumn:
        """Zeros for what lies at the end or behind it."""
        if offset >= self._size:
            return (0, 0)
        line = bisect_right(self._starts, offset)
        return (line, offset - self._starts[line - 1] + 1)


def places(node: JsonNode, lines: Lines) -> Place:
    """The positions of a value and what is below it."""
    if node.kind == "object":
        members = {key: places(child, lines) for key, _, child in node.members}
        keys = {key: lines.at(start) for key, start, _ in node.members}
        return Place(lines.at(node.start + 1), members, keys)
    if node.kind == "array":
        return Place(lines.at(node.start + 1), items=[places(child, lines) for child in node.items])
    return Place(lines.at(node.start))


def has_overflow(node: JsonNode) -> bool:
    """Whether a number goes beyond 64-bit floats: the real tool then knows no positions."""
    if node.kind == "number":
        return math.isinf(float(node.text))
    return any(map(has_overflow, node.items)) or any(has_overflow(child) for _, _, child in node.members)
