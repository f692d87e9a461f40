"""Whatever comes in: an answer comes out, and the parts agree with each other."""

import json
import zlib
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nodes.ignition.butane import convert
from nodes.ignition.dataurl import DataUrlFailure, Encoder, decode
from nodes.ignition.dialects import dialects
from nodes.ignition.ignition import validate_document
from nodes.ignition.schema import Field, RecordType, Schema, ignition_schema
from nodes.ignition.unitfile import UnitFailure, sections_with_options
from nodes.ignition.urls import UrlFailure, parse

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["/", "/a", "/a/../b", "a", "", "data:,x", "https://x/", "a.service", "b.mount", "[A]\nb=1", "ext4", "swap"]
    ),
    st.sampled_from(["x86_64", "s390x-eckd", "raid1", "root", "gzip", "sha512-0", "/dev/sda", "/dev/dasda", "tree"]),
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "int": st.one_of(st.integers(-1, 5000), st.integers()),
    "bool": st.booleans(),
}
WRONG = st.one_of(
    st.none(), st.integers(), TEXTS, st.lists(st.integers(), max_size=2), st.dictionaries(TEXTS, TEXTS, max_size=2)
)


def values(field: Field, depth: int) -> st.SearchStrategy[Any]:
    """Values of a field, rarely of a type that is wrong."""
    target = field.target
    if target.element is not None:
        one = records(target.element.record, depth) if target.element.record else SCALARS[target.element.scalar or ""]
        right: st.SearchStrategy[Any] = st.lists(one, max_size=2)
    elif target.record is not None:
        right = records(target.record, depth)
    else:
        right = SCALARS[target.scalar or ""]
    return st.one_of(right, right, right, right, right, WRONG)


def records(type_: RecordType, depth: int) -> st.SearchStrategy[Any]:
    if depth == 0 or not type_.fields:
        return st.just({})
    named = st.sampled_from(type_.fields).flatmap(lambda field: st.tuples(st.just(field.key), values(field, depth - 1)))
    return st.lists(named, max_size=4).map(dict)


def configs(schema: Schema) -> st.SearchStrategy[Any]:
    return records(schema.root, 5)


@given(source=st.one_of(st.binary(max_size=200), st.text(max_size=200)))
@example(source=b"@" + b" " * 600 + b"\xff")
@example(source=b"[a:, b" + b" " * 600 + b"\xff")
@example(source=b"[!a, b" + b" " * 600 + b"\xff")
@example(source=b"a\n---\nb" + b" " * 600 + b"\xff")
@example(source="[a:, b]".encode("utf-16"))
@example(source="variant: fcos\nversion: 1.5.0\n? [a]\n: b\n")
@example(source="variant: fcos\nversion: 1.5.0\n? {a: b}\n: c\n? {d: e}\n: f\n")
@example(source="variant: fcos\nversion: 1.5.0\nstorage: !!null {a: b}\n")
@example(source="variant: &a fcos\nversion: 1.5.0\n*a : b\n")
def test_any_text_is_answered(source: bytes | str) -> None:
    conversion = convert(source)
    assert (conversion.error is None) is (conversion.output is not None)
    validation = validate_document(source)
    assert validation.exit_code in (0, 1)


@given(tail=st.text(alphabet="[]{}:,-?!&*#|>'\"%@` \n\tab<1", max_size=60))
def test_any_yaml_below_a_header_is_answered(tail: str) -> None:
    conversion = convert(f"variant: fcos\nversion: 1.7.0\n{tail}")
    assert (conversion.error is None) is (conversion.output is not None)


@given(data=st.data())
def test_configs_of_every_dialect(data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(dialects()))
    config = data.draw(configs(dialect.schema)) | {"variant": dialect.variant, "version": dialect.version}
    conversion = convert(json.dumps(config))
    for entry in conversion.report.entries:
        assert entry.position is not None
    if conversion.output is None:
        assert conversion.error
        return
    # What was accepted is valid Ignition, and is written as it is read.
    validation = validate_document(conversion.output)
    assert (validation.error, validation.report.has_errors) == (None, False)
    assert json.loads(convert(json.dumps(config), pretty=True).output or "") == json.loads(conversion.output)


@given(data=st.data(), version=st.sampled_from(["3.0.0", "3.2.0", "3.4.0", "3.6.0"]))
def test_documents_of_every_version(data: st.DataObject, version: str) -> None:
    document = data.draw(configs(ignition_schema(version)))
    ignition = document.get("ignition")
    document["ignition"] = {**(ignition if isinstance(ignition, dict) else {}), "version": version}
    validation = validate_document(json.dumps(document))
    assert validation.error is None
    assert validation.exit_code == int(validation.report.has_errors)


@given(body=st.binary(max_size=2000), repeats=st.integers(1, 20))
def test_bodies_come_back(body: bytes, repeats: int) -> None:
    encoded = Encoder().encode(body * repeats, None)
    packed = decode(encoded.url)
    assert (zlib.decompress(packed, 31) if encoded.compression == "gzip" else packed) == body * repeats


@given(text=st.text(max_size=80))
def test_urls_are_parsed_or_refused(text: str) -> None:
    with suppress(UrlFailure):
        assert parse(text).scheme == parse(text).scheme.lower()
    with suppress(DataUrlFailure):
        assert isinstance(decode("data:" + text), bytes)


@given(content=st.text(alphabet="[]=#;\\\n\r ab\u00a0", max_size=200), repeats=st.integers(1, 40))
def test_units_are_parsed_or_refused(content: str, repeats: int) -> None:
    with suppress(UnitFailure):
        sections = sections_with_options(content * repeats)
        assert len(sections) <= content.count("=") * repeats
