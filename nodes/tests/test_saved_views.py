"""Saved views: on the list, by page and API, one's own and shared."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.audit.models import AuditEvent
from nodes.models import SavedView
from nodes.services.views import MAX_VIEWS, kept_query
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_cluster, make_credential, make_node
from nodes.tests.pages import signed_in

ADD = "/nodes/-/views/add/"
SICK = {"query": "sort=-version&health=degraded&per_page=200&after=x", "columns": "pool,kernel", "name": " Sick  ones "}


def test_a_view_is_saved_shown_and_opened(cast: Cast) -> None:
    make_node("sick", health="degraded", pool=cast.web)
    client = signed_in(cast.operator)
    page = client.get("/nodes/?health=degraded&sort=-version&columns=pool,kernel").content.decode()
    assert "Save view" in page
    done = client.post(ADD, SICK)
    assert done["Location"] == "/nodes/?health=degraded&sort=-version&columns=pool%2Ckernel"
    view = SavedView.objects.get()
    assert (view.name, view.query, view.columns) == ("Sick ones", "health=degraded&sort=-version", ["pool", "kernel"])
    assert AuditEvent.objects.order_by("-seq")[0].action == "views.add"
    shown = client.get(done["Location"])
    assert shown.context["active_view"]["name"] == "Sick ones"
    assert b"Save view" not in shown.content
    assert shown.content.count(b'aria-current="page"') >= 1
    again = client.get("/nodes/?sort=-version&health=degraded&columns=pool,kernel&per_page=100")
    assert again.context["active_view"]["name"] == "Sick ones"
    assert client.get("/nodes/?health=degraded").context["active_view"] is None
    assert b"Sick ones" in client.get("/nodes/-/views/").content


def test_own_views_are_seen_by_oneself_only_and_shared_ones_by_all(cast: Cast) -> None:
    client = signed_in(cast.operator)
    client.post(ADD, SICK)
    client.post(ADD, {**SICK, "name": "For all", "is_shared": "on"})
    assert [one["name"] for one in signed_in(cast.viewer).get("/nodes/").context["views"]] == ["For all"]
    assert Api(cast.viewer).names("views/") == ["For all"]
    assert Api(cast.operator).names("views/") == ["For all", "Sick ones"]
    own, shared = SavedView.objects.get(name="Sick ones"), SavedView.objects.get(name="For all")
    for user, view, status in (
        (cast.viewer, own, 404), (cast.viewer, shared, 403), (cast.owner, own, 404), (cast.owner, shared, 200),
        (cast.operator, own, 200), (cast.operator, shared, 200),
    ):  # fmt: skip
        assert signed_in(user).get(f"/nodes/-/views/{view.pk}/").status_code == status
    assert Api(cast.viewer).get(f"views/{own.pk}/").status_code == 404
    assert Api(cast.viewer).patch(f"views/{shared.pk}/", {"name": "Mine"}).status_code == 403
    assert Api(cast.viewer).delete(f"views/{shared.pk}/").status_code == 403
    assert Api(cast.owner).delete(f"views/{shared.pk}/").status_code == 204


def test_saving_over_needs_to_be_said(cast: Cast) -> None:
    client = signed_in(cast.operator)
    client.post(ADD, SICK)
    refused = client.post(ADD, {**SICK, "query": "pool=web"})
    assert refused.status_code == 422
    assert "You have a view Sick ones already." in refused.content.decode()
    assert SavedView.objects.get().query == "health=degraded&sort=-version"
    client.post(ADD, {**SICK, "query": "pool=web", "overwrite": "on"})
    assert SavedView.objects.get().query == "pool=web"
    assert AuditEvent.objects.order_by("-seq")[0].action == "views.edit"


def test_a_view_that_was_renamed_says_so(cast: Cast) -> None:
    client = signed_in(cast.operator)
    client.post(ADD, SICK)
    page = client.post(f"/nodes/-/views/{SavedView.objects.get().pk}/", {**SICK, "name": "Ill ones"}, follow=True)
    assert "The view Ill ones is saved." in page.content.decode()


def test_names_of_shared_views_are_everybodys(cast: Cast) -> None:
    signed_in(cast.operator).post(ADD, {**SICK, "is_shared": "on"})
    other = signed_in(cast.viewer)
    assert other.post(ADD, SICK).status_code == 302
    assert other.post(ADD, {**SICK, "name": "Sick ones", "is_shared": "on", "overwrite": "on"}).status_code == 422
    assert SavedView.objects.filter(is_shared=True).count() == 1


def test_a_view_is_renamed_shared_and_deleted(cast: Cast) -> None:
    client = signed_in(cast.operator)
    client.post(ADD, SICK)
    view = SavedView.objects.get()
    assert client.post(f"/nodes/-/views/{view.pk}/", {"name": "Ill", "is_shared": "on"}).status_code == 302
    view.refresh_from_db()
    assert (view.name, view.is_shared, view.query) == ("Ill", True, "health=degraded&sort=-version")
    assert client.post(f"/nodes/-/views/{view.pk}/delete/").status_code == 302
    assert not SavedView.objects.exists()
    assert [event.action for event in AuditEvent.objects.order_by("-seq")[:2]] == ["views.delete", "views.edit"]


def test_the_page_teaches_when_there_is_none(cast: Cast) -> None:
    assert "No saved views" in signed_in(cast.viewer).get("/nodes/-/views/").content.decode()
    assert signed_in(cast.outsider).get("/nodes/-/views/").status_code == 403


def test_the_api_saves_edits_and_refuses(cast: Cast) -> None:
    api = Api(cast.operator)
    made = api.post(
        "views/", {"name": "Old kernels", "query": "kernel_older=6.11", "columns": ["kernel"], "shared": True}
    )
    assert made.status_code == 201
    view = made.json()
    assert view["url"] == "/nodes/?kernel_older=6.11&columns=kernel"
    assert view["owner"] == "operator"
    changed = api.patch(f"views/{view['id']}/", {"shared": False, "query": "kernel_older=6.12"}).json()
    assert (changed["shared"], changed["query"], changed["columns"]) == (False, "kernel_older=6.12", ["kernel"])
    assert api.post("views/", {"name": "Old kernels"}).status_code == 409
    for body, field in (
        ({"name": " "}, "name"), ({"name": "a", "columns": ["colour"]}, "columns"), ({"name": "a\x07b"}, "name"),
        ({"name": "a", "query": "q=" + "x" * 3000}, "query"), ({"name": "a", "query": "q=%00"}, "query"),
    ):  # fmt: skip
        problem = api.post("views/", body)
        assert (problem.status_code, problem.json()["field"]) == (400, field), body
    assert api.delete(f"views/{view['id']}/").status_code == 204


def test_there_is_an_end_to_views(cast: Cast) -> None:
    SavedView.objects.bulk_create(SavedView(owner=cast.operator, name=f"v{number}") for number in range(MAX_VIEWS))
    assert Api(cast.operator).post("views/", {"name": "one more"}).status_code == 409


@pytest.mark.parametrize(
    ("text", "kept"),
    [("?b=2&a=1&after=x&columns=a", "a=1&b=2"), ("a=&b=1", "b=1"), ("a=2&a=1", "a=1&a=2"), ("", "")],
)
def test_equal_filters_are_equal_texts(text: str, kept: str) -> None:
    assert kept_query(text) == kept


def test_views_cost_the_list_one_query(cast: Cast) -> None:
    client = signed_in(cast.operator)

    def count() -> int:
        client.get("/nodes/")
        with CaptureQueriesContext(connection) as queries:
            client.get("/nodes/")
        return len(queries)

    before = count()
    SavedView.objects.bulk_create(
        SavedView(owner=cast.operator, name=f"v{number}", query=f"q={number}") for number in range(30)
    )
    assert count() == before
    assert len(client.get("/nodes/?q=25").context["views"]) == 12
    assert client.get("/nodes/?q=25").context["active_view"]["name"] == "v25"


def test_the_list_opens_with_the_view_of_ones_own(cast: Cast) -> None:
    client = signed_in(cast.operator)
    client.post(ADD, SICK)
    view = SavedView.objects.get()
    opened = "/nodes/?health=degraded&sort=-version&columns=pool%2Ckernel"
    assert client.get("/nodes/").status_code == 200
    assert client.post(f"/nodes/-/views/{view.pk}/default/")["Location"] == opened
    assert client.get("/nodes/")["Location"] == opened
    assert AuditEvent.objects.order_by("-seq")[0].action == "views.set_default"
    page = client.get(opened)
    assert page.context["active_view"]["is_default"] is True
    assert page.context["all_url"] == "/nodes/?view=all"
    every = client.get(page.context["all_url"])
    assert every.status_code == 200
    assert every.context["is_unfiltered"] is True
    assert "Save view" not in every.content.decode()
    assert signed_in(cast.viewer).get("/nodes/").status_code == 200
    client.post(f"/nodes/-/views/{view.pk}/default/", {"off": "1", "from": "views"})
    assert client.get("/nodes/").status_code == 200
    assert AuditEvent.objects.order_by("-seq")[0].action == "views.unset_default"


def test_no_link_of_the_list_leads_back_into_the_view_by_mistake(cast: Cast) -> None:
    """The last filter is taken away, the order is set back: that is all nodes, and not the view again."""
    client = signed_in(cast.operator)
    client.post(ADD, SICK)
    client.post(f"/nodes/-/views/{SavedView.objects.get().pk}/default/")
    page = client.get("/nodes/?pool=web")
    assert [chip["remove_url"] for chip in page.context["chips"]] == ["?view=all"]
    assert ("view", "all") in page.context["hidden"]
    assert page.context["list_url"] == "/nodes/?pool=web"
    nothing = client.get("/nodes/?q=nothing", headers={"HX-Request": "true"}).content.decode()
    assert 'href="/nodes/?view=all">Clear the filters' in nothing
    fields = client.get(page.context["panel_url"]).context["fields"]
    pool = next(field for field in fields if field["label"] == "Pool")
    assert next(one["url"] for one in pool["options"] if one["active"]) == "?view=all"
    # A file has no view: its name and the audit log tell of filters only.
    client.get("/nodes/-/export/?view=all&format=csv")
    assert "view" not in str(AuditEvent.objects.order_by("-seq")[0].after)


def test_a_view_that_is_gone_or_no_longer_shared_opens_nothing(cast: Cast) -> None:
    owner, viewer = signed_in(cast.owner), signed_in(cast.viewer)
    owner.post(ADD, {**SICK, "is_shared": "on"})
    view = SavedView.objects.get()
    viewer.post(f"/nodes/-/views/{view.pk}/default/")
    assert viewer.get("/nodes/").status_code == 302
    SavedView.objects.update(is_shared=False)
    assert viewer.get("/nodes/").status_code == 200
    assert viewer.post(f"/nodes/-/views/{view.pk}/default/").status_code == 404
    view.delete()
    assert viewer.get("/nodes/").status_code == 200


def test_the_api_chooses_the_view_that_the_list_opens_with(cast: Cast) -> None:
    api, other = Api(cast.operator), Api(cast.viewer)
    first = api.post("views/", {"name": "a", "query": "pool=web", "shared": True}).json()
    second = api.post("views/", {"name": "b"}).json()
    assert first["default"] is False
    assert api.put(f"views/{first['id']}/default/", {}).json()["default"] is True
    assert other.get(f"views/{first['id']}/").json()["default"] is False
    assert other.put(f"views/{second['id']}/default/", {}).status_code == 404
    assert api.delete(f"views/{second['id']}/default/").status_code == 204
    assert api.get(f"views/{first['id']}/?fields=default").json() == {"default": True}
    api.put(f"views/{second['id']}/default/", {})
    listed = {row["name"]: row["default"] for row in api.get("views/").json()["results"]}
    assert listed == {"a": False, "b": True}
    assert api.delete(f"views/{second['id']}/default/").status_code == 204
    assert signed_in(cast.operator).get("/nodes/").status_code == 200


@pytest.mark.parametrize("query", ["pool=db", "health=degraded&pool=web,db", "cluster=far", "credential=secret"])
def test_a_shared_view_that_names_what_one_may_not_see_is_not_shown(cast: Cast, query: str) -> None:
    make_cluster("far")
    make_credential("secret")
    owner = Api(cast.owner)
    hidden = owner.post("views/", {"name": "Telling", "query": query, "shared": True}).json()
    owner.post("views/", {"name": "Plain", "query": "pool=web&has_pool=true", "shared": True})
    viewer = signed_in(cast.viewer)
    assert Api(cast.viewer).names("views/") == ["Plain"]
    assert Api(cast.viewer).get(f"views/{hidden['id']}/").status_code == 404
    for path in ("/nodes/", "/nodes/-/views/", "/palette/?q=Telling"):
        page = viewer.get(path).content.decode()
        assert "Telling" not in page, path
        assert "pool=db" not in page, path
    assert viewer.get(f"/nodes/-/views/{hidden['id']}/").status_code == 404
    assert Api(cast.owner).names("views/") == ["Plain", "Telling"]
    # One's own is one's own: who wrote the name knows it.
    SavedView.objects.filter(name="Telling").update(owner=cast.viewer)
    assert Api(cast.viewer).names("views/") == ["Plain", "Telling"]


@pytest.mark.parametrize("query", ["colour=red", "kernel_older=abc", "fact=driver%3Dx", "health=degraded&health=sick"])
def test_the_api_refuses_a_filter_that_is_none(cast: Cast, query: str) -> None:
    refused = Api(cast.viewer).post("views/", {"name": "Mine", "query": query})
    assert (refused.status_code, refused.json()["field"]) == (400, "query")
    kept = Api(cast.viewer).post("views/", {"name": "Mine", "query": "?health=degraded&sort=-version&q=web&cursor=x"})
    assert (kept.status_code, kept.json()["query"]) == (201, "health=degraded&q=web&sort=-version")
