from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers

from fleetui.core.api.bodies import Body, Text, checked_body
from fleetui.core.api.problems import InvalidFields


class Sent(Body):
    keys = serializers.ListField(child=Text(max_length=5), required=False)
    labels = serializers.DictField(child=Text(), required=False)


@pytest.mark.parametrize(
    ("sent", "field", "detail", "mend"),
    [
        ({"keys": "ssh-ed25519 AAAA"}, "keys", "keys is not a list.", 'Give a list, like ["a", "b"].'),
        ({"labels": ["a"]}, "labels", "labels is not an object.", 'Give an object, like {"name": "value"}.'),
        ({"key": []}, "key", "key is not a field of this.", "Use keys, labels."),
    ],
)
def test_a_wrong_body_names_field_and_mend(sent: dict[str, Any], field: str, detail: str, mend: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        checked_body(Sent, sent)
    (error,) = refused.value.errors
    assert (error.field, error.detail, error.mend) == (field, detail, mend)
