"""Texts as Go's standard library writes and reads them."""

import posixpath

# Go's unicode.IsSpace. Python's str.isspace also takes the separators U+001C to U+001F.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_NAMED_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}


def quote(text: str) -> str:
    """`strconv.Quote`. Bytes that are not UTF-8 stand as lone surrogates in the text."""
    return '"' + "".join(map(_quoted_character, text)) + '"'


def _quoted_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character == " " or (character.isprintable() and not character.isspace()):
        return character
    if character in _NAMED_ESCAPES:
        return _NAMED_ESCAPES[character]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(path: str) -> str:
    """`path.Clean`: the shortest equal path."""
    if not path:
        return "."
    cleaned = posixpath.normpath(path)
    # POSIX lets two leading slashes mean something of their own, Go does not.
    return "/" + cleaned.lstrip("/") if path.startswith("/") else cleaned


def join(*parts: str) -> str:
    """`path.Join`: an absolute part does not start anew."""
    given = [part for part in parts if part]
    return clean("/".join(given)) if given else ""


def extension(path: str) -> str:
    """`path.Ext`: from the last dot of the last element on."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if dot >= 0 else ""


def to_bytes(text: str) -> bytes:
    """UTF-8. Lone surrogates give back the bytes that they stand for; those that stand for none stay invalid."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def byte_length(text: str) -> int:
    """`len` of a Go string."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
