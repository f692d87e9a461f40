"""What plain and tagged scalars are."""

import math

import pytest

from nodes.ignition.source.failure import YamlFailure
from nodes.ignition.source.scalars import as_bool, as_int, decode_binary, resolve


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0644", 0o644),
        ("0o644", 0o644),
        ("-0o17", -15),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0b101", 5),
        ("0b-1", -1),
        ("1_000", 1000),
        ("+5", 5),
        ("-7", -7),
        ("0", 0),
        ("00", 0),
        ("0689", 689),
        ("10.5", 10),
        ("-10.9", -10),
        ("1e3", 1000),
        (".5", 0),
        (".5_2e0_2", 52),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("-.inf", -(2**63)),
    ],
)
def test_whole_numbers(text: str, number: int) -> None:
    assert as_int(resolve("", text)[1]) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "~",
        "1:30",
        "abc",
        "true",
        "0x",
        "0b2",
        "9223372036854775808",
        "99999999999999999999",
        ".nan",
        ".inf",
        "1e400",
        ".5_",
        ".5__2",
    ],
)
def test_no_whole_numbers(text: str) -> None:
    assert as_int(resolve("", text)[1]) is None


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("true", "!!bool"),
        ("yes", "!!str"),
        ("Null", "!!null"),
        ("", "!!null"),
        ("12", "!!int"),
        ("99999999999999999999", "!!float"),
        ("1e400", "!!str"),
        (".e5", "!!str"),
        ("2024-01-02", "!!timestamp"),
        ("2024-1-2T03:04:05Z", "!!timestamp"),
        ("2024-01-02 03:04:05", "!!timestamp"),
        ("2024-01-02T03:04:05", "!!str"),
        ("2024-01-02 03:04:05Z", "!!str"),
        ("2024-02-30", "!!str"),
        ("2024-01-02 25:00:00", "!!str"),
        ("<<", "!!merge"),
        ("+", "!!str"),
    ],
)
def test_tags_of_plain_scalars(text: str, tag: str) -> None:
    assert resolve("", text)[0] == tag


@pytest.mark.parametrize(("text", "flag"), [("yes", True), ("On", True), ("n", False), ("OFF", False)])
def test_words_for_flags(text: str, flag: bool) -> None:
    assert as_bool(resolve("", text)[1]) is flag


@pytest.mark.parametrize("text", ["1", "yEs", "t", "1.0"])
def test_no_words_for_flags(text: str) -> None:
    assert as_bool(resolve("", text)[1]) is None


def test_tags_that_fit() -> None:
    assert resolve("!!float", "3") == ("!!float", 3.0)
    assert resolve("!!str", "3") == ("!!str", "3")
    assert resolve("!vault", "3") == ("!vault", "3")
    assert math.isnan(float(str(resolve("!!float", ".nan")[1])))


@pytest.mark.parametrize(
    ("tag", "text", "failure"),
    [
        ("!!int", "abc", "cannot decode !!str `abc` as a !!int"),
        ("!!int", "3.5", "cannot decode !!float `3.5` as a !!int"),
        ("!!null", "x", "cannot decode !!str `x` as a !!null"),
        ("!!bool", "yes", "cannot decode !!str `yes` as a !!bool"),
    ],
)
def test_tags_that_do_not_fit(tag: str, text: str, failure: str) -> None:
    with pytest.raises(YamlFailure) as error:
        resolve(tag, text)
    assert str(error.value) == failure


def test_binary() -> None:
    assert decode_binary("aGVs\nbG8=") == "hello"
    assert decode_binary("/w==") == "\udcff"
    with pytest.raises(YamlFailure, match="invalid base64"):
        decode_binary("a")


def test_digits_without_end_cost_nothing() -> None:
    assert as_int(resolve("", "9" * 1_000_000)[1]) is None
    assert as_int(resolve("", "0" * 1_000_000 + "17")[1]) == 0o17
