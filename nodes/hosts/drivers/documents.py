"""Reading documents that a host printed without trusting their size, shape or types."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from nodes.hosts.probe import clean_text

MAX_TEXT = 4096
MAX_ITEMS = 10_000
MAX_DEPTH = 64
INT64_MAX = 2**63 - 1
# Before 1990 and after 2100 a time stamp is garbage (byte-swapped, or "never").
_FIRST_TIMESTAMP = 631_152_000
_LAST_TIMESTAMP = 4_102_444_800


class NotUnderstood(ValueError):
    """A document does not have the expected form. The text says where."""


def load_json(text: str) -> Any:
    """Parse JSON, refusing deep nesting and numbers that JSON does not have."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise NotUnderstood("the JSON is nested too deeply") from error
    except ValueError as error:
        raise NotUnderstood(f"this is not JSON: {error}") from error
    check_depth(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotUnderstood(f"{name} is not a JSON number")


def check_depth(value: object) -> None:
    """Refuse a nested value that later steps could not walk safely."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for one in level if isinstance(one, dict | list) for child in _children(one)]
        if not level:
            return
    raise NotUnderstood("the document is nested too deeply")


def _children(value: dict[str, Any] | list[Any]) -> Iterator[Any]:
    return iter(value.values() if isinstance(value, dict) else value)


def plain(text: str) -> str:
    """A string from inside a document as it may be stored: no NUL, no terminal codes, no lone surrogates."""
    if text.isascii() and text.isprintable():
        return text[:MAX_TEXT]
    return clean_text(text[:MAX_TEXT].encode("utf-8", errors="replace"))


def iso_time(seconds: int | None) -> str | None:
    """Unix seconds as ISO text in UTC, or None for a time that cannot be true."""
    if seconds is None or not _FIRST_TIMESTAMP <= seconds <= _LAST_TIMESTAMP:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number(text: str) -> int | None:
    """A decimal number of ASCII digits that fits in 64 bits, or None."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if value <= INT64_MAX else None


def decimal(text: str) -> float | None:
    """A plain decimal like 0.25, or None. A comma is not a decimal point."""
    whole, _, part = text.strip().partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 15):
        return None
    if part and not (part.isascii() and part.isdigit() and len(part) <= 15):
        return None
    value = float(f"{whole}.{part or 0}")
    return value if math.isfinite(value) else None


@dataclass
class Fields:
    """Typed look-ups in one object of a document. A wrong type is noted in `problems` and read as absent."""

    values: dict[str, Any]
    path: str = ""
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, value: object, path: str, problems: list[str]) -> "Fields":
        if isinstance(value, dict):
            return cls(value, path, problems)
        problems.append(f"{path or 'the document'} should be an object, not {_kind(value)}")
        return cls({}, path, problems)

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return plain(value) or None if value else None
        self._wrong(key, "text", value)
        return None

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self._wrong(key, "true or false", value)
        return False

    def number(self, key: str) -> int | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT64_MAX:
            return value
        self._wrong(key, "a whole number of at most 64 bits", value)
        return None

    def items(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if value is None:
            return []
        if isinstance(value, list):
            if len(value) > MAX_ITEMS:
                self.problems.append(f"{self._at(key)} has {len(value)} items; the first {MAX_ITEMS} were read")
            return value[:MAX_ITEMS]
        self._wrong(key, "a list", value)
        return []

    def texts(self, key: str) -> tuple[str, ...]:
        found = []
        for index, item in enumerate(self.items(key)):
            if isinstance(item, str):
                found.append(plain(item))
            else:
                self._wrong(f"{key}[{index}]", "text", item)
        return tuple(found)

    def part(self, key: str) -> "Fields | None":
        value = self.values.get(key)
        return None if value is None else Fields.of(value, self._at(key), self.problems)

    def parts(self, key: str) -> "list[Fields]":
        at = self._at(key)
        found = [Fields.of(item, f"{at}[{index}]", self.problems) for index, item in enumerate(self.items(key))]
        return [one for one in found if one.values]

    def labels(self, key: str) -> dict[str, str]:
        part = self.part(key)
        if part is None:
            return {}
        names = list(part.values)[:MAX_ITEMS]
        return {plain(name): part.text(name) or "" for name in names}

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _wrong(self, key: str, expected: str, value: object) -> None:
        self.problems.append(f"{plain(self._at(key))} should be {expected}, not {_kind(value)}")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)
