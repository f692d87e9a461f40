"""What a scalar is: the rules of yaml.v3, which are neither YAML 1.1 nor 1.2."""

import base64
import binascii
import math
import re
from datetime import date

from nodes.ignition.source.failure import YamlFailure

NULL, BOOL, STR, INT, FLOAT = "!!null", "!!bool", "!!str", "!!int", "!!float"
TIMESTAMP, SEQ, MAP, BINARY, MERGE = "!!timestamp", "!!seq", "!!map", "!!binary", "!!merge"

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
_LONG_PREFIX = "tag:yaml.org,2002:"
_RESOLVABLE = frozenset(("", STR, BOOL, INT, FLOAT, NULL, TIMESTAMP))
_INF = float("inf")
_WORDS: dict[str, tuple[str, "Resolved"]] = {
    **{word: (BOOL, True) for word in ("true", "True", "TRUE")},
    **{word: (BOOL, False) for word in ("false", "False", "FALSE")},
    **{word: (NULL, None) for word in ("", "~", "null", "Null", "NULL")},
    **{word: (FLOAT, math.nan) for word in (".nan", ".NaN", ".NAN")},
    **{word: (FLOAT, _INF) for word in (".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF")},
    **{word: (FLOAT, -_INF) for word in ("-.inf", "-.Inf", "-.INF")},
    "<<": (MERGE, "<<"),
}
_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_DOTTED_FLOAT = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?\Z")
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:(?P<t>[Tt ])(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?P<zone>Z|[-+]\d\d:\d\d)?)?\Z",
    re.ASCII,
)
_DIGITS = {2: re.compile(r"[01]+\Z"), 8: re.compile(r"[0-7]+\Z"), 10: re.compile(r"[0-9]+\Z")}
_DIGITS[16] = re.compile(r"[0-9a-fA-F]+\Z")
# Longer runs of digits cannot fit into 64 bits in any base; reading them would cost quadratic time.
_LONGEST_INT = 80


class Timestamp(str):
    """A text that reads as a date or time."""

    __slots__ = ()


Resolved = None | bool | int | float | str


def short_tag(tag: str) -> str:
    """`!!int` for the tag's full name."""
    return "!!" + tag[len(_LONG_PREFIX) :] if tag.startswith(_LONG_PREFIX) else tag


def resolve(tag: str, text: str) -> tuple[str, Resolved]:
    """Tag and value of a plain scalar, or of one with a tag. Raises YamlFailure when the tag does not fit."""
    if tag not in _RESOLVABLE:
        return tag, text
    found, value = (STR, text) if tag == STR else _resolve_plain(tag, text)
    if tag in ("", found):
        return found, value
    if tag == FLOAT and found == INT and isinstance(value, int) and value <= INT_MAX:
        return FLOAT, float(value)
    if tag == STR:
        return found, value
    raise YamlFailure(f"cannot decode {found} `{text}` as a {tag}")


def _resolve_plain(tag: str, text: str) -> tuple[str, Resolved]:
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return _number_or_text(text, _DOTTED_FLOAT)
    if first not in "+-0123456789":
        return STR, text
    if tag in ("", TIMESTAMP) and is_timestamp(text):
        return TIMESTAMP, Timestamp(text)
    plain = text.replace("_", "")
    number = parse_int(plain, 0)
    if number is None:
        number = _prefixed(plain)
    if number is not None:
        return INT, number
    found, value = _number_or_text(plain, _FLOAT)
    return (FLOAT, value) if found == FLOAT else (STR, text)


def _number_or_text(text: str, pattern: re.Pattern[str]) -> tuple[str, Resolved]:
    if pattern.match(text):
        value = float(text.replace("_", ""))
        if not math.isinf(value):
            return FLOAT, value
    return STR, text


def _prefixed(text: str) -> int | None:
    """`0b-1`: a sign behind the prefix is taken too."""
    sign = "-" if text.startswith("-") else ""
    unsigned = text.removeprefix("-")
    for prefix, base in (("0b", 2), ("0o", 8)):
        if unsigned.startswith(prefix):
            return parse_int(sign + unsigned.removeprefix(prefix), base)
    return None


def parse_int(text: str, base: int) -> int | None:
    """Go's ParseInt, then ParseUint: base 0 reads the prefixes 0x, 0o, 0b and a leading 0 as octal."""
    if len(text) > _LONGEST_INT:
        stripped = text.lstrip("+-").lstrip("0")
        if len(stripped) > _LONGEST_INT:
            return None
    digits = text[1:] if text[:1] in ("+", "-") else text
    if base == 0:
        base = 10
        if digits.startswith("0") and len(digits) > 1:
            base = {"x": 16, "o": 8, "b": 2}.get(digits[1].lower(), 8)
            digits = digits[2:] if digits[1].lower() in "xob" else digits[1:]
    if not _DIGITS[base].match(digits):
        return None
    value = int(digits, base)
    if text.startswith("-"):
        return -value if -value >= INT_MIN else None
    # ParseUint takes no sign, so a signed number has to fit into 63 bits.
    return value if value <= (INT_MAX if text.startswith("+") else UINT_MAX) else None


def is_timestamp(text: str) -> bool:
    """Whether the text is one of the four forms of date and time."""
    match = _TIMESTAMP.match(text)
    if match is None:
        return False
    year, month, day, separator, hour, minute, second = match.group(1, 2, 3, "t", 5, 6, 7)
    # Only the form with a T has a zone, and it must have one.
    if separator is not None and (separator == " ") is not (match["zone"] is None):
        return False
    try:
        date(int(year) or 4, int(month), int(day))
    except ValueError:
        return False
    return separator is None or (int(hour) < 24 and int(minute) < 60 and int(second) < 60)


def as_int(value: Resolved) -> int | None:
    """A value as a whole number: floats are cut, as Go converts them; None when it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if INT_MIN <= value <= INT_MAX else None
    if isinstance(value, float) and value <= float(INT_MAX):
        # Out of the range of 64 bits Go's conversion gives the smallest number.
        return int(value) if INT_MIN <= value < float(INT_MAX) else INT_MIN
    return None


def as_bool(value: Resolved) -> bool | None:
    """A value as yes or no; also the words of YAML 1.1, even quoted."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _TRUE:
        return True
    if isinstance(value, str) and value in _FALSE:
        return False
    return None


def decode_binary(text: str) -> str:
    """The text of a `!!binary` scalar. Bytes that are not UTF-8 are kept as lone surrogates."""
    stripped = text.replace("\n", "").replace("\r", "")
    try:
        return base64.b64decode(stripped, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError) as error:
        raise YamlFailure("!!binary value contains invalid base64 data") from error
