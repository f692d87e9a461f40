"""Releases as a tab of the settings: streams, one stream, and the import of a document."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from nodes.models import Release
from nodes.tests.cast import Cast
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


def test_everybody_looks_and_admins_import(cast: Cast) -> None:
    viewer = signed_in(cast.viewer)
    assert viewer.get(reverse("nodes:releases")).status_code == 200
    assert "Import releases" not in viewer.get(reverse("nodes:releases")).content.decode()
    assert viewer.get(IMPORT).status_code == 403
    assert viewer.post(IMPORT, {"document": DOCUMENT, "os_family": "fcos"}).status_code == 403
    assert viewer.get(reverse("nodes:stream", args=["fcos", "nothing"])).status_code == 404
