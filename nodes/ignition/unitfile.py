"""Syntax of systemd unit files, as coreos/go-systemd's lexer sees it, and names of units."""

import re

from nodes.ignition.gotext import SPACES, quote

_BUFFER_BYTES, _LINE_MAX = 4096, 2048
_LINE = re.compile(rb"[^\r\n]+")
_BLANKS = re.compile(rb"[\t\n\v\f\r ]+")
_BEFORE_SECTION = re.compile(rb"[^\[#;\x80-\xff]+")
_NAME = re.compile(rb"[^=\r\n\x80-\xff]+")
_UNESCAPED = frozenset(b":_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


class UnitFailure(Exception):
    """The unit cannot be parsed. The text is the real tool's."""


def sections_with_options(content: str) -> list[str]:
    """The section of each option, in order. Raises UnitFailure."""
    return _Lexer(content.encode("utf-8", "surrogateescape")).lex()


def has_install_section(content: str) -> bool:
    """Whether [Install] has an option. Raises UnitFailure."""
    return "Install" in sections_with_options(content)


def escape_path(path: str) -> str:
    """`systemd-escape --path`, as it is used for the name of a mount unit."""
    escaped: list[str] = []
    in_slashes = False
    is_start = True
    for byte in path.encode("utf-8", "surrogateescape"):
        if byte == ord("/"):
            in_slashes = True
            continue
        if in_slashes:
            in_slashes = False
            if not is_start:
                escaped.append("-")
        if byte not in _UNESCAPED or (is_start and byte == ord(".")):
            escaped.append(f"\\x{byte:x}")
        else:
            escaped.append(chr(byte))
        is_start = False
    return "".join(escaped) or "-"


class _Lexer:
    """Reads through a buffer of 4096 bytes, because a long line is only found while it lies in the buffer."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._size = len(content)
        self._at = 0
        self._filled = 0
        # Up to here no line is too long, so that whole runs of bytes may be skipped at once.
        self._long_line_at = next(
            (run.start() for run in _LINE.finditer(content) if run.end() - run.start() >= _LINE_MAX), self._size
        )

    def lex(self) -> list[str]:
        options: list[str] = []
        section: str | None = None
        while True:
            self._skip(_BLANKS if section is not None else _BEFORE_SECTION)
            self._check_line()
            rune = self._read_rune()
            if rune == "":
                return options
            if rune == "[":
                self._check_line()
                section = self._section_name()
            elif rune in ("#", ";"):
                self._check_line()
                self._skip_comment()
            elif section is not None and rune not in SPACES:
                self._at -= len(rune.encode("utf-8", "surrogateescape"))
                self._check_line()
                self._option_name()
                self._option_value()
                options.append(section)

    def _check_line(self) -> None:
        if self._at >= self._long_line_at and self._filled - self._at >= _LINE_MAX:
            line = self._content[self._at : self._at + _LINE_MAX]
            if b"\n" not in line and b"\r" not in line:
                raise UnitFailure(f"line too long (max {_LINE_MAX} bytes)")

    def _skip(self, run: re.Pattern[bytes]) -> None:
        """Go to the end of a run of ASCII bytes that mean nothing, as if they were read one by one."""
        match = run.match(self._content, self._at)
        end = min(match.end(), self._long_line_at) if match else self._at
        if end <= self._at:
            return
        self._at = end
        while self._filled < end:
            self._filled = min(self._filled + _BUFFER_BYTES, self._size)

    def _fill(self) -> bool:
        before = self._filled
        self._filled = min(self._at + _BUFFER_BYTES, self._size)
        return self._filled > before

    def _read_rune(self) -> str:
        if self._at >= self._filled and not self._fill():
            return ""
        byte = self._content[self._at]
        if byte < 0x80:
            self._at += 1
            return chr(byte)
        length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        if self._at + length > self._filled:
            self._fill()
        try:
            rune = self._content[self._at : self._at + length].decode("utf-8")
        except UnicodeDecodeError:
            rune = self._content[self._at : self._at + 1].decode("utf-8", "surrogateescape")
        self._at += len(rune.encode("utf-8", "surrogateescape"))
        return rune

    def _read_to(self, delimiter: bytes) -> tuple[bytes, bool]:
        """Bytes up to and with the delimiter, and whether it was there."""
        start = self._at
        found = self._content.find(delimiter, start)
        end = self._size if found < 0 else found + 1
        while self._filled < end:
            # The buffer is refilled when it is empty of the delimiter, from where reading is then.
            if self._filled - self._at >= _BUFFER_BYTES:
                self._at = self._filled
            if not self._fill():
                break
        self._at = end
        return self._content[start:end], found >= 0

    def _read_line(self) -> tuple[bytes, bool]:
        line, is_found = self._read_to(b"\n")
        return line.removesuffix(b"\r").removesuffix(b"\n"), not is_found

    def _section_name(self) -> str:
        name, is_found = self._read_to(b"]")
        if not is_found:
            raise UnitFailure("unable to find end of section")
        self._check_line()
        rest, _ = self._read_line()
        garbage = _stripped(rest)
        if garbage:
            raise UnitFailure(f"found garbage after section name : {quote(garbage)}")
        return name[:-1].decode("utf-8", "surrogateescape")

    def _skip_comment(self) -> None:
        while True:
            line, _ = self._read_line()
            if not line.removesuffix(b" ").endswith(b"\\"):
                return

    def _option_name(self) -> None:
        while True:
            self._skip(_NAME)
            rune = self._read_rune()
            if rune == "":
                raise UnitFailure("EOF")
            if rune in ("\n", "\r"):
                raise UnitFailure("unexpected newline encountered while parsing option name")
            if rune == "=":
                return

    def _option_value(self) -> None:
        while True:
            self._check_line()
            line, _ = self._read_line()
            if not _stripped(line) or not line.endswith(b"\\"):
                return


def _stripped(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape").strip(SPACES)
