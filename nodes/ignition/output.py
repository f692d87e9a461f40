"""Ignition JSON, byte for byte as the real tool writes it."""

import json
import re
from typing import Any

from nodes.ignition.record import Record, Value, is_empty
from nodes.ignition.schema import Field

_AS_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_SPECIAL = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
_SHORT_ESCAPES = re.compile(r"\\(.)")


def write(config: Record, *, pretty: bool = False) -> str:
    """The document, without a final newline. Fields stand in the order of their types."""
    plain = _plain(config)
    indent, separators = (2, (",", ": ")) if pretty else (None, (",", ":"))
    text = json.dumps(plain, ensure_ascii=False, indent=indent, separators=separators)
    if "\\b" in text or "\\f" in text:
        text = _SHORT_ESCAPES.sub(_long_escape, text)
    return _SPECIAL.sub(lambda match: _AS_ESCAPES.get(match[0], "\\ufffd"), text)


def _long_escape(match: re.Match[str]) -> str:
    return {"b": "\\u0008", "f": "\\u000c"}.get(match[1], match[0])


def _plain(record: Record) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for field in record.type.fields:
        value = record.values.get(field.key)
        if field.is_always_written or not is_empty(value, field):
            written[field.key] = _plain_value(value, field)
    return written


def _plain_value(value: Value, field: Field) -> Any:
    if value is None:
        if field.target.record is not None:
            return {}
        if field.target.is_optional:
            return None
        return {"string": "", "int": 0, "bool": False}.get(field.target.scalar or "")
    if isinstance(value, list):
        return [_plain(item) if isinstance(item, Record) else item for item in value]
    return _plain(value) if isinstance(value, Record) else value
