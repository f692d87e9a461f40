"""The OpenAPI document, made from the declared actions alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter

from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Part
from fleetui.core.api.problems import MEDIA_TYPE, PROBLEM
from fleetui.core.api.shapes import TEXT, Document, JsonSchema, PageOf, Shape, list_of, nullable

_IN_PATH = re.compile(r"{([^}]+)}")
_READ_PROBLEMS = (400, 401, 403, 404, 429)
_WRITE_PROBLEMS = (400, 401, 403, 404, 409, 412, 415, 429)
_PHRASES = {
    400: "A parameter or field cannot be used.",
    401: "No token or session, or the token is not valid.",
    403: "You may see this but not do it.",
    404: "There is no such thing that you may see.",
    409: "The state does not allow this now.",
    412: "If-Match names another revision.",
    415: "The body is not JSON.",
    429: "Too many requests; see Retry-After.",
}


class FleetSchema(AutoSchema):
    """Reads `view.actions`; nothing is guessed."""

    @property
    def action(self) -> Action:
        actions: Mapping[str, Action] = getattr(self.view, "actions", {})
        return actions[self.method]

    def is_excluded(self) -> bool:
        return self.method not in getattr(self.view, "actions", {}) or bool(getattr(self.view, "hidden", False))

    def get_operation_id(self) -> str:
        return self.action.operation_id

    def get_summary(self) -> str:
        return self.action.summary

    def get_description(self) -> str:  # type: ignore[override]
        permission = self.action.permission
        if self.action.note:
            return self.action.note
        return "Needs no token." if permission == "public" else f"Needs the permission `{permission}`."

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False

    def get_filter_backends(self) -> list[Any]:
        return []

    def get_override_parameters(self) -> list[Any]:
        path = [
            _parameter(Param(name, TEXT, "Name or id."), "path", required=True) for name in _IN_PATH.findall(self.path)
        ]
        query = [_parameter(param, "query") for param in self.action.query]
        return [*path, *query, *(_parameter(param, "header") for param in self.action.headers)]

    def get_request_serializer(self) -> Any:
        return self.action.body

    def get_response_serializers(self) -> Any:
        return {}

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        found = {str(status): self._answer(status, shape) for status, shape in self.action.answers.items()}
        for status in _READ_PROBLEMS if self.method == "GET" else _WRITE_PROBLEMS:
            content = {MEDIA_TYPE: {"schema": self._component(PROBLEM.name, PROBLEM.schema())}}
            found.setdefault(str(status), {"description": _PHRASES[status], "content": content})
        return dict(sorted(found.items()))

    def _answer(self, status: int, shape: Shape | Document | PageOf | None) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "description": {200: "Done.", 201: "Added.", 202: "Accepted.", 204: "Done, nothing to show."}.get(
                status, ""
            )
        }
        if shape is not None:
            schema = self._page(shape) if isinstance(shape, PageOf) else self._component(shape.name, shape.schema())
            answer["content"] = {media_type: {"schema": schema} for media_type in self.action.media_types}
        return answer

    def _page(self, page: PageOf) -> JsonSchema:
        rows = self._component(page.shape.name, page.shape.schema())
        address = nullable({**TEXT, "format": "uri"})
        schema = {
            "type": "object",
            "properties": {"results": list_of(rows), "next": address, "previous": address},
            "required": ["results", "next", "previous"],
        }
        return self._component(page.name, schema)

    def _component(self, name: str, schema: JsonSchema) -> JsonSchema:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]
            name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name
        )
        self.registry.register_on_missing(component)
        return dict(component.ref)

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        strict = (Body, Part)
        if isinstance(serializer, strict) or (isinstance(serializer, type) and issubclass(serializer, strict)):
            schema["additionalProperties"] = False
        return schema


def _parameter(
    param: Param, location: Literal["query", "path", "header"], *, required: bool = False
) -> OpenApiParameter:
    commas = param.schema.get("type") == "array" and param.commas
    return OpenApiParameter(
        name=param.name,
        type=param.schema,
        location=location,
        required=required,
        description=param.description,
        explode=False if commas else None,
        style="form" if commas else None,
    )
