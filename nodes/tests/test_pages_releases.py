"""Releases as a tab of the settings: streams, one stream, and the import of a document."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from nodes.models import Release, Stream
from nodes.services.releases import import_releases, view_of
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
IMPORT = reverse("nodes:releases_import")
DOCUMENT = json.dumps(
    {
        "stream": "stable",
        "metadata": {"last-modified": "2026-11-05T10:00:00Z"},
        "releases": [
            {"version": "43.20260901.3.0", "metadata": {"barrier": {"reason": "https://example.org/barrier"}}},
            {"version": "43.20260915.3.0", "metadata": {"deadend": {"reason": "https://example.org/dead-end"}}},
            {"version": "44.20261101.3.0", "metadata": {}},
        ],
    }
)


@pytest.mark.parametrize("how", ["paste", "file"])
def test_a_document_is_taken_in(cast: Cast, how: str) -> None:
    browser = signed_in(cast.owner)
    part = {"document": DOCUMENT} if how == "paste" else {"file": SimpleUploadedFile("stable.json", DOCUMENT.encode())}
    assert browser.post(IMPORT, {"os_family": "fcos", "stream": "", **part}).status_code == 302
    assert Release.objects.count() == 3
    page = browser.get(reverse("nodes:releases"))
    (row,) = page.context["rows"]
    assert (row["newest"].version, row["stream"].barrier_count, row["stream"].deadend_count) == (
        "44.20261101.3.0",
        1,
        1,
    )
    assert row["node_count"] > 0
    stream = browser.get(reverse("nodes:stream", args=["fcos", "stable"]))
    assert stream.context["rows"][0]["release"].version == "44.20261101.3.0"
    assert "https://example.org/dead-end" in stream.content.decode()


@pytest.mark.parametrize(
    ("document", "told"), [("{nope", "not JSON"), ("", "Choose a file"), ('{"nodes": [], "edges": []}', "stream")]
)
def test_what_cannot_be_read_is_told_and_kept(cast: Cast, document: str, told: str) -> None:
    page = signed_in(cast.owner).post(IMPORT, {"os_family": "fcos", "stream": "", "document": document})
    assert page.status_code == 422
    assert told in str(page.context["form"].errors)
    assert not Release.objects.exists()


@pytest.mark.parametrize("field", ["file", "document"])
def test_what_is_wrong_is_told_at_the_field_that_it_came_by(cast: Cast, field: str) -> None:
    given = SimpleUploadedFile("x.json", b"{nope") if field == "file" else "{nope"
    page = signed_in(cast.owner).post(IMPORT, {"os_family": "fcos", "stream": "", field: given})
    assert list(page.context["form"].errors) == [field]


def test_everybody_looks_and_admins_import(cast: Cast) -> None:
    viewer = signed_in(cast.viewer)
    assert viewer.get(reverse("nodes:releases")).status_code == 200
    assert "Import releases" not in viewer.get(reverse("nodes:releases")).content.decode()
    assert viewer.get(IMPORT).status_code == 403
    assert viewer.post(IMPORT, {"document": DOCUMENT, "os_family": "fcos"}).status_code == 403
    assert viewer.get(reverse("nodes:stream", args=["fcos", "nothing"])).status_code == 404


def test_a_release_that_should_not_be_there_is_deleted_and_its_stream_goes_with_the_last(cast: Cast) -> None:
    import_releases(text=DOCUMENT, actor=SYSTEM, now=NOW)
    assert view_of("fcos", "stable", NOW).find("44.20261101.3.0")
    wrong = Release.objects.get(version="44.20261101.3.0")
    gone = reverse("nodes:release_delete", args=[wrong.pk])
    stream = reverse("nodes:stream", args=["fcos", "stable"])
    assert signed_in(cast.viewer).post(gone).status_code == 403
    assert "Delete" not in signed_in(cast.viewer).get(stream).content.decode()
    browser = signed_in(cast.owner)
    assert f'action="{gone}" data-confirm="Delete release 44.20261101.3.0"' in browser.get(stream).content.decode()
    assert browser.post(gone).headers["Location"] == stream
    assert browser.post(gone).status_code == 404
    event = AuditEvent.objects.get(action="releases.delete")
    assert event.subject == "release:fcos/stable/44.20261101.3.0"
    assert not view_of("fcos", "stable", NOW).find("44.20261101.3.0")

    api = Api(cast.owner)
    left = [one["id"] for one in api.get("releases/?stream=stable").json()["results"]]
    assert Api(cast.viewer).delete(f"releases/{left[0]}/").status_code == 403
    assert [api.delete(f"releases/{pk}/").status_code for pk in left] == [204, 204]
    assert api.delete(f"releases/{left[0]}/").status_code == 404
    assert not Stream.objects.exists()
    assert browser.get(stream).status_code == 404


def test_a_barrier_and_a_dead_end_are_taken_back_by_a_manifest_that_says_so(cast: Cast) -> None:
    import_releases(text=DOCUMENT, actor=SYSTEM, now=NOW)
    versions = ("43.20260901.3.0", "43.20260915.3.0")

    def again(**said: object) -> list[tuple[bool, str, bool, str]]:
        releases = [{"stream": "stable", "version": version, **said} for version in versions]
        import_releases(text=json.dumps({"streams": ["stable"], "releases": releases}), actor=SYSTEM, now=NOW)
        marks = Release.objects.filter(version__in=versions).order_by("version")
        return list(marks.values_list("is_barrier", "barrier", "is_deadend", "deadend"))

    before = [(True, "https://example.org/barrier", False, ""), (False, "", True, "https://example.org/dead-end")]
    assert again() == before
    assert again(barrier=False) == [(False, "", False, ""), before[1]]
    assert again(deadend=False) == [(False, "", False, "")] * 2
