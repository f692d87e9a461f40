"""Variables: strict, typed, and never more than a value."""

import time
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodes.ignition.butane import convert
from nodes.ignition.report import Position
from nodes.ignition.variables import (
    REASONS,
    Declaration,
    Substituted,
    VariablesRefused,
    VariableType,
    references,
    substitute,
    value_problem,
)
from nodes.tests.ignition.sources import butane

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Zr1bXn0nJ2bXo0E5v0l6mJx0P3m9cQh6m0aYzY1Xq it's me"
PEM = "-----BEGIN X-----\n  abc\n\nend\n"


def put(source: str, value: str, type_: VariableType = VariableType.STRING) -> Substituted:
    return substitute(source, [Declaration("v", type_)], {"v": value})


def refused(source: str, declarations: list[Declaration], values: dict[str, str]) -> list[tuple[str, tuple[int, int]]]:
    with pytest.raises(VariablesRefused) as caught:
        substitute(source, declarations, values)
    return [(problem.code, tuple(problem.position or (0, 0))) for problem in caught.value.problems]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("source", "type_", "value", "text"),
    [
        ("a: ${fleetui:v}", VariableType.STRING, "yes", 'a: "yes"'),
        ("a: ${fleetui:v}", VariableType.STRING, "", 'a: ""'),
        ("a: ${fleetui:v}", VariableType.STRING, "x: {y} # z", 'a: "x: {y} # z"'),
        ("a: ${fleetui:v} # c", VariableType.INTEGER, "8080", "a: 8080 # c"),
        ("a: ${fleetui:v}", VariableType.BOOLEAN, "true", "a: true"),
        ("a: &x !!str ${fleetui:v}", VariableType.HOSTNAME, "null", 'a: &x !!str "null"'),
        ("a: http://${fleetui:v}/\\x", VariableType.HOSTNAME, "h.test", 'a: "http://h.test/\\\\x"'),
        ("[${fleetui:v}]", VariableType.ADDRESS, "2001:db8::1/64", None),
        ('["${fleetui:v}"]', VariableType.ADDRESS, "2001:db8::1/64", '["2001:db8::1/64"]'),
        ("a: '${fleetui:v}'", VariableType.SSH_KEY, KEY, f"a: '{KEY}'".replace("it's", "it''s")),
        ('a: "${fleetui:v}"', VariableType.STRING, 'q"\\', 'a: "q\\"\\\\"'),
        ("a: |\n  x=${fleetui:v}\n", VariableType.STRING, '"#', 'a: |\n  x="#\n'),
        ("a: |\n  k:\n    ${fleetui:v}\n", VariableType.SECRET, "1\n\n2\n", "a: |\n  k:\n    1\n\n    2\n"),
        ('a: "${fleetui:v}"', VariableType.SECRET, "1\n2", 'a: "1\\n2"'),
        ("a: ${fleetui:v}", VariableType.SECRET, "1\n2", 'a: "1\\n2"'),
        ("a: 1 # ${fleetui:v} ${fleetui:other}", VariableType.STRING, "x", "a: 1 # ${fleetui:v} ${fleetui:other}"),
        ("a: ${v} $${v} %v {{v}}", VariableType.STRING, "x", "a: ${v} $${v} %v {{v}}"),
    ],
)
def test_values_stand_as_their_place_needs(source: str, type_: VariableType, value: str, text: str | None) -> None:
    if text is None:
        assert refused(source, [Declaration("v", type_)], {"v": value})
    else:
        assert put(source, value, type_).text == text


def test_butane_reads_what_was_meant() -> None:
    source = butane(
        """
        storage:
          files:
            - path: /etc/hostname
              mode: ${fleetui:mode}
              contents: {inline: "${fleetui:host}"}
            - path: /etc/key
              contents:
                inline: |
                  ${fleetui:pem}
        """
    )
    done = substitute(
        source,
        [
            Declaration("mode", VariableType.INTEGER, default="384"),
            Declaration("host", VariableType.HOSTNAME),
            Declaration("pem", VariableType.SECRET),
        ],
        {"host": "edge-01", "pem": PEM.replace("  abc", "abc")},
    )
    conversion = convert(done.text)
    assert (conversion.error, conversion.report.entries) == (None, [])
    assert '"mode":384' in (conversion.output or "")
    assert "data:,edge-01" in (conversion.output or "")
    assert "BEGIN" in done.text
    assert "BEGIN" not in done.redacted
    assert "[secret pem]" in done.redacted
    assert convert(done.redacted).error is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a: b\nc: ${fleetui:w}", [("reference_undeclared", (2, 4))]),
        ("a: ${fleetui:v", [("reference_malformed", (1, 4))]),
        ("a: ${fleetui:V}", [("reference_malformed", (1, 4))]),
        ("a: ${fleetui:v|upper}", [("reference_malformed", (1, 4))]),
        ("${fleetui:v}: 1", [("reference_outside_value", (1, 1))]),
        ("a: one\n  ${fleetui:v}", [("reference_outside_value", (2, 3))]),
        ("a: [${fleetui:v}", [("source_unreadable", (0, 0))]),
    ],
)
def test_references_are_checked(source: str, expected: list[tuple[str, tuple[int, int]]]) -> None:
    assert refused(source, [Declaration("v")], {"v": "x"}) == expected


def test_declarations_and_values_are_checked() -> None:
    bad = [
        Declaration("A"),
        Declaration("b", VariableType.INTEGER, default="x"),
        Declaration("c", VariableType.SECRET, default="hush"),
        Declaration("d"),
        Declaration("d"),
    ]
    assert [code for code, _ in refused("a: ${fleetui:d}", bad, {"z": "1", "b": "1.5"})] == [
        *("declaration_name", "default_invalid", "declaration_default", "declaration_twice"),
        *("value_unknown", "value_invalid", "value_missing"),
    ]


@pytest.mark.parametrize(
    ("source", "value", "code"),
    [
        ("a: '${fleetui:v}'", "1\n2", "value_needs_block"),
        ("a: >\n  ${fleetui:v}\n", "1\n2", "value_needs_block"),
        ("a: |\n  ${fleetui:v}\n  b\n", "  1", "value_does_not_fit"),
    ],
)
def test_what_would_change_the_file_is_refused(source: str, value: str, code: str) -> None:
    assert refused(source, [Declaration("v", VariableType.SECRET)], {"v": value})[0][0] == code


def test_no_value_in_what_is_told() -> None:
    declared = [Declaration("v", VariableType.SECRET), Declaration("n", VariableType.INTEGER)]
    with pytest.raises(VariablesRefused) as caught:
        substitute("a: ${fleetui:v}", declared, {"v": "hush\x00hush", "n": "hush"})
    assert "hush" not in repr(caught.value.problems) + str(caught.value)
    done = put("a: ${fleetui:v}", "hushhushhush", VariableType.SECRET)
    assert "hush" not in repr(done)
    failed = convert(put(butane("storage: ${fleetui:v}\n"), "hushhushhush", VariableType.SECRET).text)
    assert "hushhus..." in (failed.error or "")
    assert "hush" not in done.masked(failed.error or "")
    assert (
        put("a: ${fleetui:v}", PEM, VariableType.SECRET).masked("  abcdef -----BEGIN X----- x") == "  abcdef [secret] x"
    )


def test_positions_lead_back() -> None:
    source = dedent(
        """\
        a: |
          one ${fleetui:v} two
        b: ${fleetui:v} x
        c: 1
        """
    )
    done = put(source, "1\n2\n3", VariableType.SECRET)
    assert done.text.splitlines()[:5] == ["a: |", "  one 1", "  2", "  3 two", 'b: "1\\n2\\n3 x"']
    assert done.to_source(Position(2, 3)) == (2, 3)
    assert done.to_source(Position(3, 3)) == (2, 7)
    assert done.to_source(Position(4, 5)) == (2, 20)
    assert done.to_source(Position(5, 1)) == (3, 1)
    assert done.to_source(Position(6, 4)) == (4, 4)
    assert done.redacted.splitlines()[1] == "  one [secret v] two"
    assert done.redacted_to_source(Position(2, 9)) == (2, 7)
    assert done.redacted_to_source(Position(2, 18)) == (2, 20)
    assert done.redacted_to_source(Position(4, 4)) == (4, 4)


def test_references() -> None:
    assert [(one.name, one.position) for one in references("a: ${fleetui:x}\n# ${fleetui:y} ${fleetui:}")] == [
        ("x", (1, 4)),
        ("y", (2, 3)),
    ]


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (VariableType.STRING, ["", "a\tb", "é"], ["a\nb", "\x00", "x" * 5000, "\u202e"]),
        (VariableType.HOSTNAME, ["a", "edge-01.example.test"], ["", "-a", "a_b", "a..b", "a" * 64, "a\n"]),
        (
            VariableType.ADDRESS,
            ["192.0.2.1/24", "2001:db8::1/64"],
            ["192.0.2.1", "x/24", "192.0.2.1/33", "1.2.3.4/255.0.0.0"],
        ),
        (VariableType.INTEGER, ["0", "-5", "42"], ["", "01", "1.5", "٣", "1\n", "0x1"]),
        (VariableType.BOOLEAN, ["true", "false"], ["yes", "True", ""]),
        (VariableType.SSH_KEY, [KEY], ["ssh-ed25519 AAAA", "x", "", f" {KEY}", f"{KEY}\nssh"]),
        (VariableType.SECRET, [PEM, "a"], ["", "a\rb", "x" * 70000]),
    ],
)
def test_types(type_: VariableType, good: list[str], bad: list[str]) -> None:
    assert [value_problem(type_, value) for value in good] == [None] * len(good)
    assert {value_problem(type_, value) for value in bad} <= set(REASONS)


def with_value(node: Any, value: str) -> Any:
    if isinstance(node, dict):
        return {key: with_value(child, value) for key, child in node.items()}
    if isinstance(node, list):
        return [with_value(child, value) for child in node]
    return node.replace("${fleetui:v}", value) if isinstance(node, str) else node


PLACES = st.sampled_from(
    [
        "a: ${fleetui:v}\nb: 1\n",
        "a: x ${fleetui:v} ${fleetui:v}\nb: 1\n",
        'a: "x ${fleetui:v}"\nb: 1\n',
        "a: '${fleetui:v} y'\nb: 1\n",
        "a: |\n  x\n  ${fleetui:v} y\n  z\nb: 1\n",
        "a: |\n  ${fleetui:v}\nb: 1\n",
        "a: >-\n  x ${fleetui:v}\nb: 1\n",
        "a: {c: '${fleetui:v}', b: 1}\n",
        "- [x, ${fleetui:v}]\n- 1\n",
    ]
)


@given(source=PLACES, value=st.text(max_size=30), secret=st.booleans())
def test_a_value_never_changes_the_structure(source: str, value: str, secret: bool) -> None:
    try:
        done = put(source, value, VariableType.SECRET if secret else VariableType.STRING)
    except VariablesRefused:
        return
    after = yaml.safe_load(done.text)
    if "\n" in value:
        assert str(list(after.values() if isinstance(after, dict) else after)[-1]) in ("1", str({"c": value, "b": 1}))
    else:
        assert after == with_value(yaml.safe_load(source), value)
    for line in range(1, done.text.count("\n") + 1):
        assert done.to_source(Position(line, 1)).line <= source.count("\n") + 1


@pytest.mark.parametrize(
    ("secret", "told", "shown"),
    [
        # Whoever reads a value quotes it without the spaces round it, or only the part that was no address.
        ("ab: hush-hush ", "The image ab: hush-hush has no tag.", "The image [secret] has no tag."),
        ("192.0.2.1;hush-hush", "The name server hush-hush is no address.", "The name server [secret] is no address."),
        ("http://[hush-hush", "open files/http:/[hush-hush: no such file", "open files/http:/[secret]: no such file"),
        # Cut off behind seven bytes, of which the source wrote the first.
        ("hush-hush", "cannot unmarshal !!str `x-hush-...` into int", "cannot unmarshal !!str `x-[secret]` into int"),
        ("hu", "cannot unmarshal !!str `hu` into int", "cannot unmarshal !!str `[secret]` into int"),
        # One line begins where another ends: neither is left in part.
        ("abcdefgh\nefghijkl", "abcdefghijkl", "[secret]"),
        ('say "hush-hush"\n', '"say \\"hush-hush\\"\\n"', '"[secret]\\n"'),
    ],
)
def test_a_secret_is_masked_in_parts_too(secret: str, told: str, shown: str) -> None:
    assert put("a: |\n  ${fleetui:v}\n", secret, VariableType.SECRET).masked(told) == shown


def test_a_secret_of_many_lines_is_masked_at_once() -> None:
    secret = "\n".join(f"{number:06}" for number in range(9_000))
    done = put("a: |\n  ${fleetui:v}\n", secret, VariableType.SECRET)
    begun = time.process_time()
    assert {done.masked(f"line {number:06} of it") for number in range(2_000)} == {"line [secret] of it"}
    # Seconds for each text where every line is tried on it.
    assert time.process_time() - begun < 5


def test_many_positions_of_a_long_source_lead_back_at_once() -> None:
    done = put("# line\n" * 50_000 + "a: ${fleetui:v}\nb: 1\n", "x\ny", VariableType.SECRET)
    begun = time.process_time()
    assert {done.to_source(Position(50_002, 1)) for _ in range(500)} == {Position(50_002, 1)}
    assert {done.redacted_to_source(Position(50_001, 6)) for _ in range(500)} == {Position(50_001, 4)}
    assert time.process_time() - begun < 2, "10 s and more where the lines are counted for each"
