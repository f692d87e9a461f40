"""Connections that stay open between polls, with a real sshd: when they are used again, and everything that ends them."""

from __future__ import annotations

import os
import pwd
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes import tasks
from nodes.hosts import ssh
from nodes.hosts.errors import ChannelRefused, CommandFailed, ConnectionLost
from nodes.hosts.ssh import connection as connections
from nodes.hosts.ssh.kept import MOST, KeptConnections
from nodes.models import HostKey, Node
from nodes.services.credentials import add_credential
from nodes.services.nodes import edit_node, set_lifecycle
from nodes.services.polling import claim_due
from nodes.services.polling.contact import Target, over_kept
from nodes.services.polling.kept import KEEPER, close_outdated
from nodes.services.polling.targets import target_of
from nodes.tests.make import NOW, make_node, make_pool
from tests.sshd import RealSshd, real_sshd

pytestmark = pytest.mark.sshd


class Lab:
    """Nodes that are all the same real sshd."""

    def __init__(self, host: RealSshd, other_key: str) -> None:
        self.host, self.other_key = host, other_key
        name = pwd.getpwuid(os.getuid()).pw_name
        credential = add_credential(name="lab", username=name, actor=SYSTEM, now=NOW)
        with (host.folder / "authorized_keys").open("a") as keys:
            keys.write(f"{credential.public_key}\n")
        self.pool = make_pool(credential=credential, poll_interval_s=60)

    def node(self, name: str = "web-1", kind: str = "ed25519") -> Node:
        node = make_node(name, address=self.host.address, port=self.host.port, pool=self.pool, facts_at=None)
        HostKey.pinned(node, self.key(kind), by="user:tests", now=NOW).save()
        return node

    def key(self, kind: str) -> ssh.HostKey:
        return ssh.HostKey.parse(self.host.host_key_lines[kind])

    def poll(self) -> None:
        Node.objects.update(poll_due_at=clock.now(), failures=0)
        lease = claim_due(lane="live", now=clock.now())
        assert lease
        tasks.poll_batch(str(lease))

    @property
    def logins(self) -> int:
        return self.host.log.read_text().count("Accepted publickey")


def kept() -> KeptConnections:
    found = KEEPER.connections()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def host() -> Iterator[RealSshd]:
    with real_sshd([], host_key_types=("ed25519", "ecdsa")) as server:
        yield server


@pytest.fixture
def lab(transactional_db: None, host: RealSshd, settings: Any) -> Iterator[Lab]:
    settings.POLL_THREADS, settings.POLL_KEEP_OPEN = 4, 2
    host.log.write_text("")
    yield Lab(host, "ecdsa")
    KEEPER.close()
    assert [thread for thread in threading.enumerate() if thread.name == "ssh-transport"] == []


def run_on(node: Node, script: str) -> bytes:
    """Run a script on the kept connection, which waits again afterwards; $PPID there is its session on the host."""
    way = kept()._waiting[node.pk].way
    connection = kept().take(node.pk, way)
    assert connection is not None
    printed = connection.run(["sh", "-c", script], deadline=ssh.Deadline.after(60)).stdout
    kept().give(node.pk, way, connection)
    return printed


def target_of_one(lab: Lab) -> Target:
    node = lab.node()
    return target_of(node, HostKey.objects.get(node=node))


def over(target: Target, work: Any, connections: KeptConnections | None = None) -> Any:
    return over_kept(target, work, kept() if connections is None else connections, deadline=ssh.Deadline.after(60))


def test_a_second_poll_signs_in_no_more(lab: Lab) -> None:
    node = lab.node()
    lab.poll()
    first = Node.objects.get(pk=node.pk)
    lab.poll()
    again = Node.objects.get(pk=node.pk)
    assert first.last_seen_at
    assert again.last_seen_at
    assert again.last_seen_at > first.last_seen_at
    assert (lab.logins, len(kept())) == (1, 1)


def test_without_the_setting_every_poll_signs_in(lab: Lab, settings: Any) -> None:
    settings.POLL_KEEP_OPEN = 0
    lab.node()
    lab.poll()
    lab.poll()
    assert lab.logins == 2
    assert KEEPER.connections() is None


def test_no_more_are_kept_than_the_setting_says(lab: Lab) -> None:
    nodes = [lab.node(f"web-{number}") for number in range(3)]
    lab.poll()
    lab.poll()
    assert len(kept()) == 2
    assert lab.logins == 3 + 1
    assert not Node.objects.filter(pk__in=[node.pk for node in nodes], last_seen_at=None).exists()


def test_nodes_that_are_polled_seldom_are_not_kept(lab: Lab) -> None:
    lab.pool.poll_interval_s = 3600
    lab.pool.save()
    lab.node()
    lab.poll()
    assert len(kept()) == 0


def test_a_connection_that_the_host_ended_costs_no_failure(lab: Lab) -> None:
    node = lab.node()
    lab.poll()
    run_on(node, "(sleep 0.2; kill -9 $PPID) >/dev/null 2>&1 &")
    next(one for one in threading.enumerate() if one.name == "ssh-transport").join(60)
    lab.poll()
    node.refresh_from_db()
    assert (node.failures, node.reachability, lab.logins) == (0, "reachable", 2)


def test_a_connection_that_no_longer_answers_is_tried_once_over_a_fresh_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "RESTED_TIMEOUT_S", 0.5)
    node = lab.node()
    lab.poll()
    session = int(run_on(node, "echo $PPID; (sleep 0.2; kill -STOP $PPID) >/dev/null 2>&1 &"))
    try:
        while Path(f"/proc/{session}/stat").read_text().rpartition(") ")[2][0] != "T":
            time.sleep(0.05)
        lab.poll()
    finally:
        os.kill(session, 9)
    node.refresh_from_db()
    assert (node.failures, node.reachability, lab.logins) == (0, "reachable", 2)
    assert len(kept()) == 1


@pytest.mark.parametrize("lost", [ConnectionLost("host"), ChannelRefused("host", "no more sessions")])
def test_a_loss_during_the_work_is_tried_once_more_and_not_twice(lab: Lab, lost: Exception) -> None:
    target = target_of_one(lab)
    tried: list[ssh.Connection] = []

    def work(connection: ssh.Connection) -> str:
        tried.append(connection)
        if len(tried) == 2:
            raise lost
        return "read"

    assert [over(target, work), over(target, work)] == ["read", "read"]
    assert len(tried) == 3
    assert tried[0] is tried[1]
    assert not tried[1].is_alive
    failures: list[ssh.Connection] = []

    def fail(connection: ssh.Connection) -> None:
        failures.append(connection)
        raise lost

    with pytest.raises(type(lost)):
        over(target, fail)
    assert len(failures) == 2
    assert len(kept()) == 0


def test_another_error_is_not_tried_again_and_closes_the_connection(lab: Lab) -> None:
    target = target_of_one(lab)
    over(target, lambda connection: None)
    with pytest.raises(CommandFailed):
        over(target, lambda connection: connection.run(["false"], deadline=ssh.Deadline.after(60), check=True))
    assert (len(kept()), lab.logins) == (0, 1)


def test_a_new_credential_signs_in_anew(lab: Lab) -> None:
    lab.node()
    lab.poll()
    name = pwd.getpwuid(os.getuid()).pw_name
    other = add_credential(name="next", username=name, actor=SYSTEM, now=NOW)
    with (lab.host.folder / "authorized_keys").open("a") as keys:
        keys.write(f"{other.public_key}\n")
    lab.pool.credential = other
    lab.pool.save()
    lab.poll()
    assert (lab.logins, len(kept())) == (2, 1)


def test_a_host_key_that_is_no_longer_pinned_ends_it(lab: Lab) -> None:
    node = lab.node()
    lab.poll()
    HostKey.objects.update(state="refused")
    lab.poll()
    node.refresh_from_db()
    assert (node.last_error_kind, len(kept()), lab.logins) == ("key_unknown", 0, 1)


def test_another_pinned_key_signs_in_anew(lab: Lab) -> None:
    node = lab.node()
    lab.poll()
    HostKey.objects.all().delete()
    HostKey.pinned(node, lab.key(lab.other_key), by="user:tests", now=NOW).save()
    lab.poll()
    assert (lab.logins, len(kept())) == (2, 1)


def test_edited_retired_and_deleted_nodes_lose_theirs(lab: Lab) -> None:
    node = lab.node()
    lab.poll()
    close_outdated(kept())
    assert len(kept()) == 1
    edit_node(node=node, changes={"name": "web-2"}, actor=SYSTEM, now=NOW)
    close_outdated(kept())
    assert len(kept()) == 0
    lab.poll()
    set_lifecycle(node=Node.objects.get(), lifecycle="retired", reason="gone", actor=SYSTEM, now=NOW)
    close_outdated(kept())
    assert len(kept()) == 0
    Node.objects.update(lifecycle="active")
    lab.poll()
    assert len(kept()) == 1
    Node.objects.all().delete()
    close_outdated(kept())
    assert len(kept()) == 0


def test_old_and_idle_ones_and_those_whose_certificate_ran_out_are_closed(lab: Lab) -> None:
    target = target_of_one(lab)
    for short in (KeptConnections(1, idle_s=0.0), KeptConnections(1, oldest_s=0.0)):
        over(target, lambda connection: None, short)
        assert len(short) == 1
        assert short.take(target.node_id, target.way) is None
        over(target, lambda connection: None, short)
        short.close_unless(lambda way: True)
        assert len(short) == 0
    over(target, lambda connection: None)
    kept()._waiting[target.node_id].connection.trusted_until = 1.0
    assert kept().take(target.node_id, target.way) is None


def test_what_comes_back_after_the_end_is_closed(lab: Lab) -> None:
    target, before = target_of_one(lab), kept()
    over(target, lambda connection: None)
    connection = before.take(target.node_id, target.way)
    assert connection is not None
    KEEPER.close()
    before.give(target.node_id, target.way, connection)
    assert not connection.is_alive
    assert len(before) == 0


@pytest.mark.parametrize("most", [0, -1, MOST + 1])
def test_the_limit_of_a_process_is_hard(most: int) -> None:
    with pytest.raises(ValueError, match="800"):
        KeptConnections(most)
