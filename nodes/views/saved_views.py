"""Saved views of the nodes list: the menu above the list, saving one, renaming, sharing and deleting it."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.filters import split_values
from fleetui.core.form_errors import submitted
from nodes.columns import DEFAULT, columns
from nodes.filters import NodeFilter
from nodes.models import ColumnChoice, SavedView
from nodes.services import views as services
from nodes.views.cells import column_word
from nodes.views.columns import choice_of, columns_wanted, sort_wanted
from nodes.views.facets import chips
from nodes.views.subject import principal_of

_FILTERS = tuple(NodeFilter.base_filters)
#: What stands in the address of the list when it has no filter, and is not to be the view that it opens with.
ALL_NODES = {"view": "all"}
#: Beyond these the page of all views is nearer.
MENU_SIZE = 12


class ViewForm(forms.Form):
    """The query and columns come from the list; a person gives the rest."""

    query = forms.CharField(widget=forms.HiddenInput, required=False, max_length=4000)
    columns = forms.CharField(widget=forms.HiddenInput, required=False, max_length=4000)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    is_shared = forms.BooleanField(
        label=gettext_lazy("Share it with everybody"),
        required=False,
        help_text=gettext_lazy("Each person sees only the nodes that they may see."),
    )
    overwrite = forms.BooleanField(label=gettext_lazy("Save over a view of mine with this name"), required=False)


def seen_by(principal: Principal) -> Any:
    """One's own views and the shared ones."""
    return SavedView.objects.visible_to(principal).select_related("owner")


def default_view(principal: Principal, choice: ColumnChoice | None) -> SavedView | None:
    """The view that the list opens with, while its user still sees it."""
    pk = choice.opens_with_id if choice is not None else None
    found: SavedView | None = seen_by(principal).filter(pk=pk).first() if pk else None
    return found


def all_nodes_url(choice: ColumnChoice | None) -> str:
    """The list without a filter; its bare address may open a view."""
    opens_view = choice is not None and choice.opens_with_id is not None
    return f"{reverse('nodes:list')}?{urlencode(ALL_NODES)}" if opens_view else reverse("nodes:list")


def view_url(view: SavedView) -> str:
    """The list as the view shows it: a plain address that works for everybody."""
    query = QueryDict(view.query, mutable=True)
    if view.columns:
        query["columns"] = ",".join(view.columns)
    return f"{reverse('nodes:list')}?{query.urlencode()}"


def shown(view: SavedView, principal: Principal) -> dict[str, Any]:
    return {
        "pk": view.pk,
        "name": view.name,
        "url": view_url(view),
        "is_shared": view.is_shared,
        "owner": view.owner.username,
        "created_at": view.created_at,
        "may_change": services.may_change(view, principal),
    }


def menu(principal: Principal, query: QueryDict, names: list[str], choice: ColumnChoice | None) -> dict[str, Any]:
    """The tabs above the list. One query, and one more for those who do not see everything."""
    opened = choice.opens_with_id if choice is not None else None
    here = services.kept_query(query.urlencode())
    has_columns = bool(query.get("columns"))
    found, active = [], None
    for view in seen_by(principal)[: MENU_SIZE * 4]:
        is_active = view.query == here and (list(view.columns) == names or not (view.columns or has_columns))
        is_active = is_active and active is None and bool(here or view.columns)
        one = {**shown(view, principal), "is_active": is_active, "is_default": view.pk == opened}
        active = one if is_active else active
        found.append(one)
    place = QueryDict(mutable=True)
    place.update({"query": here, "columns": ",".join(names)})
    return {
        "views": found[:MENU_SIZE]
        if active is None or active in found[:MENU_SIZE]
        else [*found[: MENU_SIZE - 1], active],
        "active_view": active,
        "is_unfiltered": not here and (not has_columns or tuple(names) == DEFAULT),
        "save_view_url": f"{reverse('nodes:view_add')}?{place.urlencode()}",
    }


@require_safe
@needs("nodes.read")
def view_list(request: HttpRequest) -> HttpResponse:
    """All views that one sees."""
    principal = principal_of(request)
    choice = choice_of(principal.user_id)
    opened = choice.opens_with_id if choice is not None else None
    found = [
        {
            **shown(view, principal),
            "chips": chips(QueryDict(view.query), _FILTERS),
            "is_default": view.pk == opened,
        }
        for view in seen_by(principal)
    ]
    return render(request, "nodes/views.html", {"views": found})


@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.read")
def view_add(request: HttpRequest) -> HttpResponse:
    """Save the list as it is under a name."""
    principal = principal_of(request)
    initial = {name: request.GET.get(name, "") for name in ("query", "columns")}
    form = ViewForm(request.POST if request.method == "POST" else None, initial=initial)

    def save(given: dict[str, Any]) -> HttpResponse:
        view, _is_new = services.save_view(
            name=given["name"],
            query=given["query"],
            columns=[one.name for one in columns(split_values([given["columns"]]))[0]],
            is_shared=given["is_shared"],
            overwrite=given["overwrite"],
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("The view %(name)s is saved.") % {"name": view.name})
        return HttpResponseRedirect(view_url(view))

    answer, status = submitted(request, form, save)
    return answer or _form_page(request, form, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.read")
def view_edit(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Another name, or other people."""
    principal = principal_of(request)
    view = _changeable(principal, pk)
    initial = {"name": view.name, "is_shared": view.is_shared, "query": view.query, "columns": ",".join(view.columns)}
    form = ViewForm(request.POST if request.method == "POST" else None, initial=initial)
    del form.fields["overwrite"]

    def edit(given: dict[str, Any]) -> HttpResponse:
        changes = {name: given[name] for name in ("name", "is_shared")}
        services.edit_view(view=view, changes=changes, actor=principal)
        messages.info(request, _("The view %(name)s is saved.") % {"name": given["name"]})
        return redirect("nodes:views")

    answer, status = submitted(request, form, edit)
    return answer or _form_page(request, form, view=view, status=status)


@require_POST
@needs("nodes.read")
def view_delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    principal = principal_of(request)
    view = _changeable(principal, pk)
    services.delete_view(view=view, actor=principal)
    messages.info(request, _("The view %(name)s is deleted.") % {"name": view.name})
    return redirect("nodes:views")


@require_POST
@needs("nodes.read")
def view_default(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Open the list with this view from now on; with `off` with all nodes again."""
    principal = principal_of(request)
    view: SavedView | None = seen_by(principal).filter(pk=pk).first()
    if view is None:
        raise Http404(str(pk))
    is_off = bool(request.POST.get("off"))
    services.open_with(view=None if is_off else view, actor=principal)
    said = _("The list of nodes opens with all nodes.") if is_off else _("The list of nodes opens with %(name)s.")
    messages.info(request, said % {"name": view.name})
    return redirect("nodes:views") if request.POST.get("from") == "views" else HttpResponseRedirect(view_url(view))


def _changeable(principal: Principal, pk: uuid.UUID) -> SavedView:
    view: SavedView | None = seen_by(principal).filter(pk=pk).first()
    if view is None:
        raise Http404(str(pk))
    if not services.may_change(view, principal):
        raise PermissionDenied("settings.write")
    return view


def _form_page(request: HttpRequest, form: ViewForm, view: SavedView | None = None, status: int = 200) -> HttpResponse:
    query = QueryDict(str(form["query"].value() or "") if view is None else view.query, mutable=True)
    names = str(form["columns"].value() or "") if view is None else ",".join(view.columns)
    sort = sort_wanted(query.get("sort", ""))
    query["columns"] = names
    wanted = columns_wanted(query, None)[0]
    context = {
        "form": form,
        "view": view,
        "chips": chips(query, _FILTERS),
        "sort": column_word(sort.removeprefix("-")) if sort.removeprefix("-") != "name" else _("Name"),
        "columns": [column_word(one.name) for one in wanted],
        "list_url": f"{reverse('nodes:list')}?{query.urlencode()}",
    }
    return render(request, "nodes/view_form.html", context, status=status)
