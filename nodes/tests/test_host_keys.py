"""What becomes of the keys that hosts show: decided once, and never offered for another host than the one that showed it."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from nodes.hosts.errors import HostKeyUnknown
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import HostKey, Node
from nodes.services.host_keys import offer, refuse_key
from nodes.services.polling import Outcome, store
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, principal

pytestmark = pytest.mark.django_db
KEY = SshHostKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIE0p5H0bqGlYPzDJ8bzQnO7Lf1cE0mJ5mW9Yv7yq3b5K")


def test_a_refused_key_is_not_offered_again(cast: Cast) -> None:
    first = offer(node=cast.web_node, key=KEY, now=NOW)
    assert first is not None
    refuse_key(host_key=first, actor=principal(cast.operator), now=NOW)
    assert offer(node=cast.web_node, key=KEY, now=NOW) is None
    assert [key.state for key in HostKey.objects.filter(node=cast.web_node)] == ["refused"]


def test_a_key_that_is_trusted_meanwhile_is_not_offered(cast: Cast) -> None:
    first = offer(node=cast.web_node, key=KEY, now=NOW)
    assert first is not None
    HostKey.objects.filter(pk=first.pk).update(state="pinned")
    assert offer(node=cast.web_node, key=KEY, now=NOW) is None


def test_a_key_of_the_address_before_is_not_offered(cast: Cast) -> None:
    Node.objects.filter(pk=cast.web_node.pk).update(revision=cast.web_node.revision + 1)
    assert offer(node=cast.web_node, key=KEY, now=NOW) is None


def test_a_node_that_was_deleted_meanwhile_costs_nobody_anything(cast: Cast) -> None:
    Node.objects.filter(pk=cast.web_node.pk).delete()
    assert offer(node=cast.web_node, key=KEY, now=NOW) is None


@pytest.mark.parametrize(("behind", "offered"), [(0, 1), (1, 0)])
def test_a_poll_offers_no_key_of_the_address_before(cast: Cast, behind: int, offered: int) -> None:
    lease, node = uuid.uuid4(), cast.web_node
    Node.objects.filter(pk=node.pk).update(poll_lease=lease, poll_lease_until=NOW + timedelta(minutes=1))
    problem = HostKeyUnknown(node.address, KEY)
    outcome = Outcome(node.pk, error=problem, seen_key=KEY, revision=node.revision - behind)
    assert store([outcome], lease=lease, now=NOW) == 1
    assert HostKey.objects.filter(node=node, state="offered").count() == offered
