"""Data URLs, URLs, unit files, names, modes, quoting and compression, each on its own."""

import os
import random
import zlib

import pytest

from nodes.ignition.dataurl import DataUrlFailure, Encoder, decode
from nodes.ignition.deflate import Looks, TooSlow, deflate
from nodes.ignition.gotext import clean, extension, join, quote
from nodes.ignition.modes import decimal_mode_problem
from nodes.ignition.semver import normalized
from nodes.ignition.unitfile import UnitFailure, escape_path, sections_with_options


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("data:,", b""),
        ("data:,a%20b%00", b"a b\0"),
        ("data:text/plain,a", b"a"),
        ("data:text/plain;charset=utf-8;base64,aGk=", b"hi"),
        ("data:;base64,aG\nk=", b"hi"),
        ("data:;base64,aGl=", b"hi"),
        ('data:text/x;a="b\\"c";d=%20,x', b"x"),
        ("data:x-a/b,x", b"x"),
    ],
)
def test_data_urls(url: str, body: bytes) -> None:
    assert decode(url) == body


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("dat", "missing data prefix"),
        ("data:", "missing comma before data"),
        ("data:text/plain", "incomplete media type"),
        ("data:text", "missing media type slash"),
        ("data:font/x,", "invalid media type"),
        ("data:text /x,", "invalid character for media type"),
        ("data:(,", "invalid character after data prefix"),
        ("data:text/x y,", "invalid character for media subtype"),
        ("data:;", "unterminated parameter sequence"),
        ("data:;=,", "unterminated parameter sequence"),
        ("data:;base32,", "expected base64, got base32"),
        ("data:;a b,", "invalid character for parameter attribute"),
        ("data:;a=b", "missing comma before data"),
        ("data:;a= ,", "invalid character for parameter value"),
        ('data:;a="b', "unclosed quoted string"),
        ('data:;a="b"c,', "expected semicolon or comma"),
        ('data:;a="\\q",', "invalid syntax"),
        ("data:,a b", "invalid data character"),
        ("data:,%4", "rfc2396: unexpected end of unescape sequence"),
        ("data:,%4x", "rfc2396: invalid char 0x25 in unescape sequence"),
        ("data:;base64,a*", "invalid data character"),
        ("data:;base64,a", "illegal base64 data at input byte 0"),
        ("data:;base64,aaaab", "illegal base64 data at input byte 4"),
        ("data:;base64,aaaaa==", "illegal base64 data at input byte 5"),
        ("data:;base64,a=bc", "illegal base64 data at input byte 1"),
        ("data:;base64,aa=c", "illegal base64 data at input byte 3"),
        ("data:;base64,aa==c", "illegal base64 data at input byte 4"),
    ],
)
def test_data_urls_that_cannot_be_decoded(url: str, problem: str) -> None:
    with pytest.raises(DataUrlFailure) as error:
        decode(url)
    assert str(error.value) == problem


def test_encoding_is_undone_by_decoding() -> None:
    for body in (b"", b"plain text", bytes(range(256)), b"\xff" * 3, os.urandom(500), b"ab" * 4000):
        encoded = Encoder().encode(body, None)
        packed = decode(encoded.url)
        assert (zlib.decompress(packed, 31) if encoded.compression == "gzip" else packed) == body


def test_deflate_makes_streams_that_can_be_read() -> None:
    chooser = random.Random(5)
    bodies = [
        b"",
        b"a",
        b"abcabcabcabcabcx" * 10,
        bytes(chooser.randrange(256) for _ in range(3000)),
        bytes(chooser.choice(b"aab\n") for _ in range(3000)),
        b"".join(b"line %d of a file\n" % chooser.randrange(50) for _ in range(6000)),
        bytes(chooser.randrange(256) for _ in range(70_000)),
        b"\0" * 300_000,
    ]
    for body in bodies:
        assert zlib.decompress(deflate(body, Looks(4_000_000)), -15) == body


def test_deflate_gives_up_before_it_takes_long() -> None:
    chooser = random.Random(6)
    body = bytes(chooser.choice(b"ab") for _ in range(60_000))
    looks = Looks(150_000)
    with pytest.raises(TooSlow):
        deflate(body, looks)
    assert -5000 < looks.left < 0
    encoder = Encoder()
    for _ in range(2):
        assert zlib.decompress(decode(encoder.encode(body, None).url), 31) == body


@pytest.mark.parametrize(
    ("content", "sections"),
    [
        ("", []),
        ("no section\nat all=1\n", []),
        ("[A]\nb=1\n\n[C]\n# x\n; y\nd = 2\\\n  more\ne=", ["A", "C", "C"]),
        ("# [A]\\\n[B]\n[C]\nd=1", ["C"]),
        ("[A]\r\nb=1\r\n", ["A"]),
        ("[A]  \nb=1", ["A"]),
        ("[\u0e01]\n\u2003b\u0e02=1\n", ["\u0e01"]),
    ],
)
def test_unit_files(content: str, sections: list[str]) -> None:
    assert sections_with_options(content) == sections


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[A", "unable to find end of section"),
        ('[A] x"\n', 'found garbage after section name : "x\\""'),
        ("[A]\nb\n", "unexpected newline encountered while parsing option name"),
        ("[A]\nb", "EOF"),
        ("x" * 3000, "line too long (max 2048 bytes)"),
        ("[A]\nb=" + "c" * 5000 + "\n", "line too long (max 2048 bytes)"),
        ("[A]\n" + "\n" * 9000 + "b" * 2048 + "=1", "line too long (max 2048 bytes)"),
    ],
)
def test_unit_files_that_cannot_be_parsed(content: str, problem: str) -> None:
    with pytest.raises(UnitFailure) as error:
        sections_with_options(content)
    assert str(error.value) == problem


def test_a_long_line_is_only_seen_while_it_is_in_the_buffer() -> None:
    assert sections_with_options("[A]\nb=" + "c" * 2000 + "\\\n" + "d" * 40 + "\n") == ["A"]
    # Here less than a line is left in the buffer when the value is read, to its end at once.
    assert sections_with_options("[A]\n" + "\n" * 2500 + "b=" + "c" * 5000 + "\n") == ["A"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/var/lib/my-app", "var-lib-my\\x2dapp"),
        ("/", "-"),
        ("", "-"),
        ("//a//b/", "a-b"),
        ("/.a/.b", "\\x2ea-.b"),
        ("/é", "\\xc3\\xa9"),
        ("a:b_c.d", "a:b_c.d"),
    ],
)
def test_names_of_units(path: str, name: str) -> None:
    assert escape_path(path) == name


@pytest.mark.parametrize(
    ("mode", "odd"), [(644, True), (755, True), (600, True), (0o644, False), (888, False), (0, False)]
)
def test_decimal_modes(mode: int, odd: bool) -> None:
    assert (decimal_mode_problem(mode, is_directory=False) is not None) is odd


def test_decimal_modes_of_directories() -> None:
    assert decimal_mode_problem(1777, is_directory=True) is not None
    assert decimal_mode_problem(1777, is_directory=False) is None
    assert decimal_mode_problem(644, is_directory=True) is None
    assert decimal_mode_problem(99999, is_directory=True) is None
    assert decimal_mode_problem(-644, is_directory=True) is None


def test_quoting() -> None:
    assert quote('a"\\\n\x00\x7f\u200b\xa0é\udcff\U0001f600\U000e0001') == (
        '"a\\"\\\\\\n\\x00\\x7f\\u200b\\u00a0é\\xff\U0001f600\\U000e0001"'
    )


def test_paths() -> None:
    assert [clean(path) for path in ("", "//a", "/../a", "a/../..", "./")] == [".", "/a", "/a", "..", "."]
    assert join("/a", "/b", "", "../c") == "/a/c"
    assert join("", "") == ""
    assert [extension(name) for name in ("a.b/c", "a.b.c", "x.")] == ["", ".c", "."]


def test_versions() -> None:
    assert [normalized(text) for text in ("1.2.3", "01.2.3-a.b+c", "1.2", "1.2.3-", "1.2.x", "1.2.3-_", "+1.-2.3")] == [
        *("1.2.3", "1.2.3-a.b+c", None, "1.2.3", None, None),
        None,
    ]
