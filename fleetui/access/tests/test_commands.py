"""What the commands of access print."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from fleetui.access.models import User
from fleetui.access.principals import SYSTEM
from fleetui.access.services import create_token
from fleetui.core import clock


@pytest.mark.django_db
def test_the_columns_of_token_list_stay_apart_whatever_they_hold() -> None:
    user = User.objects.create_user(
        username="a-name-of-more-than-twenty-letters", password="correct horse battery staple"
    )
    scopes = ["nodes.poll", "nodes.read", "pools.read"]
    token, _text = create_token(user=user, name="ci", scopes=scopes, days=3, actor=SYSTEM, now=clock.now())
    out = StringIO()
    call_command("token", "list", stdout=out)
    head, line = out.getvalue().splitlines()
    assert [line.split()[position] for position in (0, 1, 2, 5, 6)] == [
        token.prefix,
        user.username,
        "active",
        "nodes.poll,nodes.read,pools.read",
        "ci",
    ]
    assert line.index("nodes.poll") == head.index("SCOPES")
