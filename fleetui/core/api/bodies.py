"""Bodies of requests: strict fields, no unknown ones, and every mistake named with its mend at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from fleetui.core.api.problems import FieldProblem, InvalidFields
from fleetui.core.errors import InvalidInput
from fleetui.core.words import any_of


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


class Part(serializers.Serializer[Any]):
    """An object within a body. A misspelt field is refused there too."""

    @property
    def takes(self) -> str:
        return f"an object of {any_of(self.fields)}"

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := [str(name) for name in data if name not in self.fields]):
            raise serializers.ValidationError({unknown[0][:100]: [f"{unknown[0][:100]} is not a field of this."]})
        return super().to_internal_value(data)


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
#: What a field takes; the first that fits is said.
_TAKES: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], str], ...] = (
    (serializers.BooleanField, "true or false"),
    (serializers.IntegerField, "a whole number"),
    (serializers.UUIDField, "an id, like 01990b7e-8c5a-7000-8000-000000000000"),
    (serializers.DateTimeField, "a time, like 2026-11-27T08:30:00Z"),
    (serializers.DateField, "a day, like 2026-11-27"),
    (serializers.EmailField, "an e-mail address, like anna@example.org"),
    (serializers.CharField, "text"),
    (serializers.ListField, "a list"),
    (serializers.DictField, "an object"),
)


def _problem(name: str, found: Any, sent: Mapping[str, Any], body: Body) -> FieldProblem:
    detail = _first_text(found)
    value = None if name in body.secrets else sent.get(name)
    code = _first_code(found)
    if code in _KINDS:
        kind, example = _KINDS[code]
        return FieldProblem(name, f"{name} is not {kind}.", f"Give {kind}, like {example}.", value)
    field = body.fields.get(name)
    # Of a list or an object, what is wrong is mostly one of its members, or a field of one.
    inner, inner_field = _inner(field, found)
    of_member = not inner and (isinstance(found, Mapping) or inner_field is not field)
    taken = _taken(getattr(field, "child", field) if of_member else inner_field)
    mend = f"Each takes {taken}." if of_member else f"Give {taken}."
    if inner:
        detail = f"{inner}: {detail}"
    if code == "invalid_choice":
        mend = f"Use {taken}."
    elif code == "required":
        mend = f"Send {inner or name}: {taken}."
    elif code == "null":
        mend = f"Leave it out, or give {taken}."
    elif code == "null_characters_not_allowed":
        mend = "Leave out the characters with the code 0."
    return FieldProblem(name, f"{name}: {detail}", mend, value)


def _inner(field: Any, found: Any) -> tuple[str, Any]:
    """The name of the field within an object that is wrong, empty where it is none of them, and that field."""
    name = ""
    while isinstance(found, Mapping | list | tuple):
        key, found = _first_of(found)
        if (child := getattr(field, "child", None)) is not None and isinstance(found, Mapping | list | tuple):
            field = child
        elif (inner := getattr(field, "fields", {}).get(key)) is not None:
            name, field = str(key), inner
        else:
            break
    return name, field


def _taken(field: Any) -> str:
    """What a field takes: its type, choices, range and length, unless it says so itself."""
    if said := getattr(field, "takes", ""):
        return str(said)
    if choices := getattr(field, "choices", None):
        return any_of(one for one in choices if one != "")
    kind = next((words for type_, words in _TAKES if isinstance(field, type_)), "another value")
    if isinstance(field, serializers.IntegerField):
        return kind + _between(field.min_value, field.max_value, "from", "")
    if isinstance(field, serializers.CharField):
        least: int | None = field.min_length or (0 if field.allow_blank else 1)
        return kind + _between(least if field.max_length else field.min_length, field.max_length, "of", "characters")
    if isinstance(field, serializers.ListField):
        least = field.min_length or (None if field.allow_empty else 1)
        of = f"{_taken(field.child)} each" if getattr(field.child, "choices", None) else ""
        return kind + _between(least, field.max_length, "of", "members") + (f", {of}" if of else "")
    return kind


def _between(least: Any, most: Any, word: str, unit: str) -> str:
    if least is not None and most is not None:
        limits = f" {word} {least} to {most}"
    elif most is not None:
        limits = f" of at most {most}"
    else:
        limits = f" of at least {least}" if least is not None else ""
    return f"{limits} {unit}" if limits and unit else limits


def _first(found: Any) -> Any:
    while isinstance(found, Mapping | list | tuple):
        _key, found = _first_of(found)
    return found


def _first_of(found: Any) -> tuple[Any, Any]:
    """The first member that says something: of a list of objects, those without a mistake say nothing."""
    members = found.items() if isinstance(found, Mapping) else enumerate(found)
    return next(((key, member) for key, member in members if member), ("", ""))


def _first_text(found: Any) -> str:
    return str(_first(found))


def _first_code(found: Any) -> str:
    return str(getattr(_first(found), "code", ""))
