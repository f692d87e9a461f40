"""Filters of operations by ids: what is none is told, and no failure."""

from __future__ import annotations

import uuid

from nodes.tests.api.client import Api
from nodes.tests.cast import Cast, cast
from nodes.tests.pages import signed_in

__all__ = ["cast"]


def test_a_request_that_is_no_id_is_refused(cast: Cast) -> None:
    api = Api(cast.owner)
    for address in ("operations/", "operations/export/"):
        refused = api.get(f"{address}?request={uuid.uuid4()},abc")
        assert refused.status_code == 400
        assert (refused.json()["field"], refused.json()["mend"]) == ("request", "Give ids as lists show them.")
        assert api.get(f"{address}?request={uuid.uuid4()}").status_code == 200
    page = signed_in(cast.owner).get("/operations/?request=abc")
    assert page.status_code == 200
    assert "is not an id" in page.content.decode()
