"""/metrics: counts of what the token may see, and nothing for strangers."""

from __future__ import annotations

import pytest
from django.test import Client

from fleetui.access.services import create_token, principal_for_user
from fleetui.core import clock
from nodes.tests.cast import Cast
from nodes.tests.make import make_node

pytestmark = pytest.mark.django_db


def test_a_token_scrapes_and_a_stranger_does_not(cast: Cast) -> None:
    make_node("a", health="degraded", unread_sections=2)
    make_node("b")
    assert Client().get("/metrics").status_code == 401
    user = cast.owner
    _row, text = create_token(
        user=user, name="scrape", scopes=["read"], days=1, actor=principal_for_user(user), now=clock.now()
    )
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    body = answer.content.decode()
    assert 'fleetui_nodes{axis="health",value="degraded"} 1.0' in body
    assert "fleetui_unread_sections 2.0" in body
