"""views/: saved views of the nodes list."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Flag, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import FLAG, TEXT, TEXTS, TIME, UUID, Field, PageOf, Row, Shape, column
from fleetui.core.api.views import ApiView, Listing, asked_fields, fields_param
from fleetui.core.errors import InvalidInput, NotFound
from nodes.columns import MAX_COLUMNS, columns
from nodes.filters import NodeFilter
from nodes.models import ColumnChoice, Node, SavedView
from nodes.services import views as services
from nodes.views.list import no_filters
from nodes.views.saved_views import view_url


def _url(row: Row) -> str:
    return view_url(SavedView(query=row["query"], columns=row["columns"]))


VIEW = Shape(
    "SavedView",
    {
        "id": column("id", UUID),
        "name": column("name", TEXT),
        "query": column("query", TEXT),
        "columns": column("columns", TEXTS),
        "shared": column("is_shared", FLAG),
        "default": column("is_default", FLAG),
        "owner": column("owner__username", TEXT),
        "url": Field(TEXT, ("query", "columns"), _url),
        "created_at": column("created_at", TIME),
    },
)
LISTING = Listing(VIEW, {"name": Sort("name"), "created_at": Sort("created_at", kind="time")}, "name")


class NewViewBody(Body):
    """A filter and an order as the query of the nodes list, and columns."""

    name = Text(max_length=60)
    query = Text(max_length=4000, allow_blank=True, default="", help_text="Such as health=degraded&sort=-version.")
    columns = serializers.ListField(child=Text(max_length=200), max_length=MAX_COLUMNS, default=list)
    shared = Flag(default=False)


class EditViewBody(Body):
    """What is not sent stays."""

    name = Text(max_length=60, required=False)
    query = Text(max_length=4000, allow_blank=True, required=False)
    columns = serializers.ListField(child=Text(max_length=200), max_length=MAX_COLUMNS, required=False)
    shared = Flag(required=False)


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of the row; columns and filters that are none are refused."""
    if "columns" in values:
        found, wrong = columns(values["columns"])
        if wrong:
            raise InvalidInput(wrong[0].message, field="columns", value=wrong[0].name[:100], mend=wrong[0].mend)
        values["columns"] = [one.name for one in found]
    if values.get("query"):
        query = QueryDict(services.kept_query(values["query"]))
        problems = [*no_filters(query), *NodeFilter(query, queryset=Node.objects.none()).problems()]
        if problems:
            name, value, problem, mend = problems[0]
            raise InvalidInput(
                f"The filter {name}: {problem}",
                field="query",
                value=f"{name}={value}"[:100],
                mend=mend or "See nodes/.",
            )
    if "shared" in values:
        values["is_shared"] = values.pop("shared")
    return values


class _Views(ApiView):
    def rows(self) -> Any:
        mine = ColumnChoice.objects.filter(user=self.principal.user_id, opens_with=OuterRef("pk"))
        return SavedView.objects.visible_to(self.principal).annotate(is_default=Exists(mine))

    def view(self, view_id: Any) -> SavedView:
        found: SavedView | None = self.rows().filter(pk=view_id).first()
        if found is None:
            raise NotFound("There is no such view that you may see.", mend="Look at /api/v1/views/.")
        return found

    def shown(self, view: SavedView, fields: list[str] | None = None, status: int = 200) -> Response:
        row = self.rows().filter(pk=view.pk).values(*VIEW.columns(fields)).get()
        return Response(VIEW.render(row, fields), status=status)


class ViewList(_Views):
    """One's own views and the shared ones."""

    actions = {
        "GET": Action("nodes.read", "views_list", "List saved views", {200: PageOf(VIEW)}, query=LISTING.params),
        "POST": Action("nodes.read", "views_create", "Save a view", {201: VIEW}, body=NewViewBody),
    }

    def get(self, request: Request) -> Response:
        return LISTING.answer(self.rows(), request)

    def post(self, request: Request) -> Response:
        values = _named(read_body(NewViewBody, request))
        view, _is_new = services.save_view(**values, actor=self.principal, now=clock.now())
        return self.shown(view, status=201)


class ViewDetail(_Views):
    """One saved view: changed by its owner, a shared one also by an admin."""

    actions = {
        "GET": Action("nodes.read", "views_read", "Read a saved view", {200: VIEW}, query=(fields_param(VIEW),)),
        "PATCH": Action("nodes.read", "views_edit", "Edit a saved view", {200: VIEW}, body=EditViewBody),
        "DELETE": Action("nodes.read", "views_delete", "Delete a saved view", {204: None}),
    }

    def get(self, request: Request, view_id: Any) -> Response:
        return self.shown(self.view(view_id), asked_fields(request, VIEW))

    def patch(self, request: Request, view_id: Any) -> Response:
        changes = _named(read_body(EditViewBody, request, partial=True))
        return self.shown(services.edit_view(view=self.view(view_id), changes=changes, actor=self.principal))

    def delete(self, request: Request, view_id: Any) -> Response:
        services.delete_view(view=self.view(view_id), actor=self.principal)
        return Response(status=204)


class ViewDefault(_Views):
    """Whether the list of nodes opens with this view, for the user who asks."""

    actions = {
        "PUT": Action("nodes.read", "views_set_default", "Open the list of nodes with a view", {200: VIEW}),
        "DELETE": Action("nodes.read", "views_unset_default", "Open the list of nodes with all nodes", {204: None}),
    }

    def put(self, request: Request, view_id: Any) -> Response:
        view = self.view(view_id)
        services.open_with(view=view, actor=self.principal)
        return self.shown(view)

    def delete(self, request: Request, view_id: Any) -> Response:
        view = self.view(view_id)
        if view.is_default:  # type: ignore[attr-defined]
            services.open_with(view=None, actor=self.principal)
        return Response(status=204)
