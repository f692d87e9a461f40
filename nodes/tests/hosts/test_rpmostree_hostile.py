"""Status documents that are wrong, cut or hostile: the poll goes on and the raw text is kept."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.hosts.drivers.documents import NotUnderstood
from nodes.hosts.drivers.rpmostree import parse_status
from nodes.tests.hosts.hostdoubles import CHECKSUM, answer, read
from nodes.tests.hosts.ostree_documents import deployment, parse, status


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("checksum", 5),
        ("booted", "yes"),
        ("packages", "vim"),
        ("packages", [1]),
        ("base-commit-meta", []),
        ("timestamp", 2**70),
        ("timestamp", 1.5),
        ("base-removals", [5]),
        ("base-remote-replacements", [1]),
        ("custom-origin", "x"),
    ],
)
def test_wrong_types_are_said_and_the_rest_is_read(key: str, value: Any) -> None:
    reading = read(rpm_ostree_status=status(deployment("a", booted=True), deployment("b", **{key: value})))
    assert [one.section for one in reading.facts.unread] == ["rpm_ostree_status"]
    unread = reading.facts.unread[0]
    assert unread.reason == "not_understood"
    assert key.partition("[")[0] in unread.message
    assert CHECKSUM["a"] in unread.raw
    assert reading.facts.booted is not None


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "x", '{"deployments":', "[" * 100_000, '{"a":' * 50_000, '{"deployments": [NaN]}'],
)
def test_what_is_no_status_is_kept_raw(text: str) -> None:
    with pytest.raises(NotUnderstood):
        parse_status(text, [])
    reading = read(rpm_ostree_status=text)
    unread = next(one for one in reading.facts.unread if one.section == "rpm_ostree_status")
    assert (unread.reason, unread.raw) == ("not_understood", text[:65_536])
    assert reading.facts.deployments == ()
    assert reading.facts.boot.kernel == "6.17.4-200.fc43.x86_64"


def test_strings_inside_the_document_are_cleaned() -> None:
    one = parse(deployment("a", version="43\u0000\u001b[31m.1\ud800"))[0].deployments[0]
    assert one.version == "43.1?"


def test_a_refused_command_is_a_fact() -> None:
    reading = read(rpm_ostree_status=answer(status=1, stderr="error: Permission denied"))
    assert [(one.section, one.reason) for one in reading.facts.unread] == [("rpm_ostree_status", "permission")]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mutation_of_a_document_escapes(data: st.DataObject) -> None:
    """Cut it, overwrite a part, or replace a value by another kind: facts come back, whatever they say."""
    text = status(deployment("a", staged=True), deployment("b", booted=True, **{"base-removals": [["n", "n"]]}))
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 20)))
    insert = data.draw(st.text(max_size=8) | st.sampled_from(["null", "1e999", "[]", "{}", '"', "-9" * 30, "true"]))
    reading = read(rpm_ostree_status=text[:start] + insert + text[stop:])
    json.dumps(reading.facts.as_json(), allow_nan=False).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["deployments", "transaction", "cached-update", "update-driver"]), json_values)
def test_no_value_at_the_top_escapes(key: str, value: Any) -> None:
    reading = read(rpm_ostree_status=status(deployment("a", booted=True), **{key: value}))
    json.dumps(reading.facts.as_json(), allow_nan=False).encode()


KEYS = (
    *("id", "osname", "serial", "checksum", "version", "origin", "base-commit-meta", "timestamp", "packages"),
    *("base-removals", "base-local-replacements", "base-remote-replacements", "custom-origin", "signatures"),
    *("container-image-reference", "container-image-reference-digest", "pending-base-checksum", "gpg-enabled"),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(KEYS),
    json_values,
)
def test_no_value_in_a_deployment_escapes(key: str, value: Any) -> None:
    entry = deployment("b", booted=True, **{"gpg-enabled": True} | {key: value})
    reading = read(rpm_ostree_status=status(deployment("a", staged=True), entry))
    json.dumps(reading.facts.as_json(), allow_nan=False).encode()
