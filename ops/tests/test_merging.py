"""What was done to a node that is merged into another stays with that one; while something is done, nothing is merged."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core.errors import Conflict
from nodes.models import Node
from nodes.services.merging import merge_nodes
from nodes.tests.make import NOW, make_cluster, make_node
from ops.models import ClusterAccess, ClusterNode, Operation, OperationRequest, VersionHold

pytestmark = pytest.mark.django_db


def operation(node: Node, state: str) -> Operation:
    request = OperationRequest.objects.create(kind="reboot", requester="user:owner")
    subject = f"node:{node.pk}"
    deadline = NOW + timedelta(hours=1)
    return Operation.objects.create(
        request=request, kind="reboot", subject=subject, node=node, node_name=node.name, state=state, deadline=deadline
    )


@pytest.fixture
def pair() -> tuple[Node, Node]:
    return make_node("keep"), make_node("other")


def merge(pair: tuple[Node, Node]) -> None:
    merge_nodes(keep=pair[0], other=pair[1], reason="", actor=SYSTEM, now=NOW)


def test_holds_and_finished_operations_go_on_with_the_node_that_stays(pair: tuple[Node, Node]) -> None:
    keep, other = pair
    done = operation(other, "succeeded")
    for node, version in ((keep, "1"), (other, "1"), (other, "2")):
        VersionHold.objects.create(node=node, version=version, held_by=node.name)
    merge(pair)
    done.refresh_from_db()
    assert (done.node, done.node_name) == (keep, "other")
    assert sorted(VersionHold.objects.values_list("node__name", "version", "held_by")) == [
        ("keep", "1", "keep"),
        ("keep", "2", "other"),
    ]


def test_the_place_in_a_cluster_goes_to_the_node_that_stays(pair: tuple[Node, Node]) -> None:
    access = ClusterAccess.objects.create(
        cluster=make_cluster("prod"), server="https://127.0.0.1:6443", how="token", set_by="user:owner"
    )
    ClusterNode.objects.create(access=access, name="other", uid="1", node=pair[1], matched_by="machine")
    merge(pair)
    assert ClusterNode.objects.get().node == pair[0]


@pytest.mark.parametrize("which", [0, 1])
def test_a_merge_waits_for_what_is_under_way(pair: tuple[Node, Node], which: int) -> None:
    operation(pair[which], "running")
    with pytest.raises(Conflict, match="under way"):
        merge(pair)
    assert Node.objects.count() == 2


def test_no_row_of_the_other_is_forgotten() -> None:
    models = [one.related_model for one in Node._meta.related_objects]
    assert {model.__name__ for model in models if model._meta.app_label == "ops"} == {
        "ClusterNode",
        "Operation",
        "VersionHold",
    }
