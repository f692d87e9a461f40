from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers

from fleetui.core.api.bodies import Body, Flag, Integer, Part, Text, checked_body
from fleetui.core.api.problems import InvalidFields


class Pair(Part):
    id = serializers.UUIDField()
    port = Integer(min_value=1, max_value=9)


class Sent(Body):
    pairs = Pair(many=True, required=False)
    keys = serializers.ListField(child=Text(max_length=5), required=False)
    labels = serializers.DictField(child=Text(), required=False)
    port = Integer(min_value=1, max_value=65535, required=False)
    seconds = Integer(min_value=0, required=False)
    name = Text(max_length=100, required=False)
    note = Text(allow_blank=True, max_length=300, required=False)
    is_on = Flag(required=False)
    kind = serializers.ChoiceField(choices=["one", "two", "three"], required=False)
    until = serializers.DateTimeField(required=False)
    few = serializers.ListField(child=serializers.UUIDField(), max_length=2, allow_empty=False, required=False)


class Whole(Body):
    port = Integer(min_value=1, max_value=65535)


PORT, NAME = "Give a whole number from 1 to 65535.", "Give text of 1 to 100 characters."
UNTIL = "until: Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
ID = "an id, like 01990b7e-8c5a-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("sent", "field", "detail", "mend"),
    [
        ({"keys": "ssh-ed25519 AAAA"}, "keys", "keys is not a list.", 'Give a list, like ["a", "b"].'),
        ({"labels": ["a"]}, "labels", "labels is not an object.", 'Give an object, like {"name": "value"}.'),
        ({"key": []}, "key", "key is not a field of this.", f"Use {', '.join(Sent().fields)}."),
        ({"port": "22"}, "port", "port: A valid integer is required.", PORT),
        ({"port": 0}, "port", "port: Ensure this value is greater than or equal to 1.", PORT),
        (
            {"seconds": -1},
            "seconds",
            "seconds: Ensure this value is greater than or equal to 0.",
            "Give a whole number of at least 0.",
        ),
        ({"name": "x" * 101}, "name", "name: Ensure this field has no more than 100 characters.", NAME),
        ({"name": ""}, "name", "name: This field may not be blank.", NAME),
        ({"name": 3}, "name", "name: Not a valid string.", NAME),
        (
            {"name": "a\0"},
            "name",
            "name: Null characters are not allowed.",
            "Leave out the characters with the code 0.",
        ),
        ({"note": 3}, "note", "note: Not a valid string.", "Give text of 0 to 300 characters."),
        (
            {"note": None},
            "note",
            "note: This field may not be null.",
            "Leave it out, or give text of 0 to 300 characters.",
        ),
        ({"is_on": "yes"}, "is_on", "is_on: Must be a valid boolean.", "Give true or false."),
        ({"kind": "four"}, "kind", 'kind: "four" is not a valid choice.', "Use one, two or three."),
        ({"until": "soon"}, "until", UNTIL, "Give a time, like 2026-11-27T08:30:00Z."),
        ({"few": []}, "few", "few: This list may not be empty.", "Give a list of 1 to 2 members."),
        ({"few": ["x"]}, "few", "few: Must be a valid UUID.", f"Each takes {ID}."),
        (
            {"pairs": [{"id": ID[-36:], "port": 1}, {"id": ID[-36:]}]},
            "pairs",
            "pairs: port: This field is required.",
            "Send port: a whole number from 1 to 9.",
        ),
        ({"pairs": [{"id": "x", "port": 1}]}, "pairs", "pairs: id: Must be a valid UUID.", f"Give {ID}."),
        (
            {"pairs": [{"id": ID[-36:], "port": 1, "prot": 1}]},
            "pairs",
            "pairs: prot is not a field of this.",
            "Each takes an object of id or port.",
        ),
        (
            {"keys": ["longer"]},
            "keys",
            "keys: Ensure this field has no more than 5 characters.",
            "Each takes text of 1 to 5 characters.",
        ),
    ],
)
def test_a_wrong_body_names_field_and_mend(sent: dict[str, Any], field: str, detail: str, mend: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        checked_body(Sent, sent)
    (error,) = refused.value.errors
    assert (error.field, error.detail, error.mend) == (field, detail, mend)


def test_a_field_that_is_missing_is_asked_for_with_what_it_takes() -> None:
    with pytest.raises(InvalidFields) as refused:
        checked_body(Whole, {})
    (error,) = refused.value.errors
    assert error.mend == "Send port: a whole number from 1 to 65535."
