"""ApiView: declared actions, English, no caching; and the list that every collection shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.utils import translation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleetui.core.api import etag
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.pagination import MAX_LIMIT, KeyKind, Sort, read_cursor, read_limit, read_order, read_page
from fleetui.core.api.problems import FieldProblem, InvalidFields
from fleetui.core.api.renderers import JsonOnly, OrjsonParser, OrjsonRenderer
from fleetui.core.api.schema import FleetSchema
from fleetui.core.api.shapes import TEXT, Shape, one_of
from fleetui.core.errors import InvalidInput
from fleetui.core.filters import FilterSet, split_values


class EnglishView(APIView):
    """Machines and scripts read what the API says, so it says it in English, whatever language is asked for."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with translation.override("en"):
            response = super().dispatch(request, *args, **kwargs)
            if isinstance(response, Response):
                response.render()  # texts that are translated late are read here, not after the override
        response.headers["Content-Language"] = "en"
        return response


class ApiView(EnglishView):
    """Base of every endpoint. A method that `actions` does not declare is refused by DeclaredPermission."""

    actions: ClassVar[Mapping[str, Action]] = {}
    hidden: ClassVar[bool] = False
    schema = FleetSchema()
    metadata_class = None
    #: So that `Allow` names only what does something.
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    parser_classes = [OrjsonParser]
    renderer_classes = [OrjsonRenderer]
    content_negotiation_class = JsonOnly

    @property
    def principal(self) -> Any:
        """Who asks (fleetui.access.principals.Principal)."""
        return self.request.principal  # type: ignore[attr-defined]

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        action = self.actions.get("GET" if request.method == "HEAD" else request.method or "")
        if action is not None:
            refuse_unknown(request, [param.name for param in action.query])

    def tagged(self, body: Any, revision: int, status: int = 200) -> Response:
        """An answer with the ETag that If-Match is compared with."""
        return Response(body, status=status, headers={"ETag": etag.tag_of(revision)})


def refuse_unknown(request: Request, allowed: Iterable[str]) -> None:
    """A parameter that does not exist is a mistake worth an answer, not something to pass over."""
    names = list(allowed)
    mend = f"Use {', '.join(names)}." if names else "This address takes no parameters."
    wrong = [
        FieldProblem(name, f"{name[:100]!r} is not a parameter of this address.", mend, request.query_params[name])
        for name in request.query_params
        if name not in names
    ]
    if wrong:
        raise InvalidFields(wrong)


def fields_param(shape: Shape) -> Param:
    schema = {"type": "array", "items": one_of(shape.fields)}
    return Param("fields", schema, "Only these fields, comma-separated.")


def asked_fields(request: Request, shape: Shape) -> list[str] | None:
    """The fields of `?fields=`, in the order of the shape; None without one."""
    names = split_values(request.query_params.getlist("fields"))
    for name in names:
        if name not in shape.fields:
            raise InvalidInput(
                f"{name!r} is not a field.", field="fields", value=name, mend=f"Use {', '.join(shape.fields)}."
            )
    return [name for name in shape.fields if name in names] if names else None


def filter_params(filterset: type[FilterSet]) -> list[Param]:
    """The filters of a FilterSet as documented parameters."""
    return [
        Param(name, found.api_schema, str(found.extra.get("help_text", "")), commas=found.commas)
        for name, found in filterset.base_filters.items()
    ]


def list_params(
    shape: Shape, sorts: Mapping[str, Sort], default_sort: str, filterset: type[FilterSet] | None
) -> tuple[Param, ...]:
    """Every parameter of a list."""
    orders = [text for name in sorts for text in (name, f"-{name}")]
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100}
    return (
        Param("limit", limit, "How many at most."),
        Param("cursor", TEXT, "Where to read on: taken from `next` or `previous`."),
        Param("sort", {**one_of(orders), "default": default_sort}, "The order; empty values stand last."),
        fields_param(shape),
        *(filter_params(filterset) if filterset else ()),
    )


EMPTY_MEND = "Give a value, or leave the filter out."


def filtered(queryset: QuerySet[Any], filterset: type[FilterSet], request: Request) -> QuerySet[Any]:
    """The rows that the request's filters leave; raises InvalidFields."""
    narrowed = filterset(data=request.query_params, queryset=queryset, request=request)
    if empty := narrowed.empty():
        raise InvalidFields([FieldProblem(name, f"{name} is empty.", EMPTY_MEND, "") for name in empty])
    if not narrowed.is_valid():
        raise InvalidFields(
            [FieldProblem(name, f"{name}: {text}", mend, value) for name, value, text, mend in narrowed.problems()]
        )
    return narrowed.qs  # type: ignore[no-any-return]


#: Takes the rows of a page and what was made of them.
Extend = Callable[[list[dict[str, Any]], list[dict[str, Any]]], None]


class Listing:
    """How one kind of row is listed: its shape, its orders and its filters. `prepare` may add to the rows of a page."""

    def __init__(
        self,
        shape: Shape,
        sorts: Mapping[str, Sort],
        default_sort: str,
        filterset: type[FilterSet] | None = None,
        key: str = "id",
        key_kind: KeyKind = "uuid",
        prepare: Callable[[list[dict[str, Any]]], None] | None = None,
        more_params: tuple[Param, ...] = (),
    ) -> None:
        self.shape, self.sorts, self.default_sort = shape, sorts, default_sort
        self.filterset, self.key, self.key_kind = filterset, key, key_kind
        self.prepare = prepare
        self.params = (*list_params(shape, sorts, default_sort, filterset), *more_params)

    def answer(self, queryset: QuerySet[Any], request: Request, extend: Extend | None = None) -> Response:
        """One page of the rows that pass the filters. `extend` may add to what was made of them."""
        query = request.query_params
        names = asked_fields(request, self.shape)
        limit = read_limit(query.get("limit"))
        order = read_order(query.get("sort"), self.sorts, self.default_sort, self.key, self.key_kind)
        cursor = read_cursor(query["cursor"], order) if query.get("cursor") else None
        if self.filterset:
            queryset = filtered(queryset, self.filterset, request)
        page = read_page(
            queryset,
            columns=[*self.shape.columns(names), *([self.key] if extend else [])],
            documents=self.shape.documents(names),
            order=order,
            cursor=cursor,
            limit=limit,
            request=request,
        )
        if self.prepare:
            self.prepare(page.rows)
        results = list(map(self.shape.renderer(names), page.rows))
        if extend:
            extend(page.rows, results)
        return Response({"results": results, "next": page.next, "previous": page.previous})
