"""Bodies of requests: strict fields, no unknown ones, and every mistake named with its mend at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from fleetui.core.api.problems import FieldProblem, InvalidFields
from fleetui.core.errors import InvalidInput


class Text(serializers.CharField):
    """Text; numbers and booleans are not turned into text."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Integer(serializers.IntegerField):
    """A whole number; text and booleans are not turned into numbers."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class Flag(serializers.BooleanField):
    """true or false, and nothing that only looks like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Body(serializers.Serializer[Any]):
    """Base of request bodies. Text fields whose name is in `secrets` are never echoed."""

    secrets: frozenset[str] = frozenset()


def read_body(body_class: type[Body], request: Request, *, partial: bool = False) -> dict[str, Any]:
    """The validated body; raises InvalidFields. `partial` (PATCH) asks for no field."""
    sent: Any = request.data
    if not isinstance(sent, Mapping):
        if sent is not None:
            raise InvalidInput(
                "The body is not a JSON object.", value=type(sent).__name__, mend="Send one JSON object."
            )
        sent = {}
    return checked_body(body_class, sent, partial=partial)


def checked_body(body_class: type[Body], sent: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """The same for a body that was read already."""
    body = body_class(data=sent, partial=partial)
    fields = body.fields
    errors = [
        FieldProblem(str(name), f"{str(name)[:100]} is not a field of this.", f"Use {', '.join(fields)}.", None)
        for name in sent
        if name not in fields
    ]
    if not body.is_valid():
        errors += [_problem(name, found, sent, body) for name, found in body.errors.items()]
    if errors:
        raise InvalidFields(errors)
    return dict(body.validated_data)


#: What a value should have been, by the code of the refusal, with an example.
_KINDS = {"not_a_list": ("a list", '["a", "b"]'), "not_a_dict": ("an object", '{"name": "value"}')}


def _problem(name: str, found: Any, sent: Mapping[str, Any], body: Body) -> FieldProblem:
    detail = _first_text(found)
    value = None if name in body.secrets else sent.get(name)
    code = _first_code(found)
    field = body.fields.get(name)
    choices = getattr(getattr(field, "child", field), "choices", ())
    if code == "invalid_choice" and choices:
        return FieldProblem(name, f"{name}: {detail}", f"Use {', '.join(map(str, choices))}.", value)
    if code in _KINDS:
        kind, example = _KINDS[code]
        return FieldProblem(name, f"{name} is not {kind}.", f"Give {kind}, like {example}.", value)
    mend = {
        "required": f"Send {name}.",
        "null": "Leave it out, or give a value.",
        "invalid": f"Give {name} another value.",
        "blank": f"Give {name} a value.",
    }
    return FieldProblem(name, f"{name}: {detail}", mend.get(code, detail), value)


def _first(found: Any) -> Any:
    while isinstance(found, Mapping | list | tuple):
        found = next(iter(found.values() if isinstance(found, Mapping) else found), "")
    return found


def _first_text(found: Any) -> str:
    return str(_first(found))


def _first_code(found: Any) -> str:
    return str(getattr(_first(found), "code", ""))
