"""The cast of the tests: who owns, who may work on one pool, who may only look at it, and who may see nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fleetui.access.models import User
from nodes.models import Node, Pool
from nodes.tests.make import make_node, make_pool, make_user


@dataclass(frozen=True)
class Cast:
    """`web` and `db` are pools with a node each; `loose` is a node without a pool."""

    owner: User
    operator: User
    viewer: User
    outsider: User
    web: Pool
    db: Pool
    web_node: Node
    db_node: Node
    loose: Node


@pytest.fixture
def cast(db: None) -> Cast:
    """An admin of everything, an operator and a viewer of the pool web, and someone without any role."""
    web, database = make_pool("web"), make_pool("db")
    return Cast(
        owner=make_user("owner", "admin"),
        operator=make_user("operator", ("operator", web)),
        viewer=make_user("viewer", ("viewer", web)),
        outsider=make_user("outsider"),
        web=web,
        db=database,
        web_node=make_node("web-1", pool=web),
        db_node=make_node("db-1", pool=database),
        loose=make_node("loose-1"),
    )
