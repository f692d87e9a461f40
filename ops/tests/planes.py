"""A control plane of three nodes for tests of replacements: the hosts beside it, and an etcd of which they tell.

`Told` is an etcd in this process that answers as the scripts on the hosts do; tests.etcds has a real one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import pytest

from nodes.hosts.drivers.base import unguarded
from nodes.hosts.errors import ConnectionRefused
from nodes.hosts.ssh import CommandResult
from nodes.models import Facts, HostKey, Node, Pool
from nodes.tests.make import make_node
from ops.engine import host as engine_host
from ops.replacement.etcd import CHANGED_STATUS, Member
from ops.tests.onehost import Machine
from ops.tests.test_replacement import Run

BOOT_ID = "0f5e2c6a-7d3b-4c0e-9a41-b1f6d2c3e4a5"


class Planes(Protocol):
    """Runs what is run on one of the hosts."""

    def run(self, name: str, argv: Sequence[str]) -> tuple[int, bytes, bytes]: ...


def member(title: str, number: int = 0, **over: Any) -> Member:
    number = number or int(title[1:])
    given: dict[str, Any] = {"id": f"a{number}", "name": title, "peers": (f"https://10.0.0.{number}:2380",)}
    return Member(**{**given, "is_healthy": True, **over})


@dataclass
class Told:
    """Members, and who said that one is to go. `refuses` so many removals, as etcd does right after a start."""

    members: list[Member] = field(default_factory=lambda: [member(name) for name in ("n1", "n2", "n3")])
    kind: str = "stacked"
    servers: str = ""
    removed: list[str] = field(default_factory=list)
    refuses: int = 0
    down: set[str] = field(default_factory=set)

    def run(self, name: str, argv: Sequence[str]) -> tuple[int, bytes, bytes]:
        if name in self.down:
            raise ConnectionRefused(name, 22)
        words = unguarded(tuple(argv))
        if words[:2] == ("cat", "/proc/uptime"):
            return 0, b"1000.0 1.0\n", b""
        if words[5] == "fleetui-etcd-members":
            return 0, self.look(name), b""
        assert words[5] == "fleetui-etcd-remove"
        return self.remove(words[6], words[7])

    def look(self, name: str) -> bytes:
        if self.kind != "stacked":
            return f"boot {BOOT_ID}\netcd {self.kind}\nservers {self.servers}\nend\n".encode()
        own = next((int(one.id, 16) for one in self.members if one.name == name), 0)
        status = [{"Endpoint": "https://127.0.0.1:2379", "Status": {"header": {"member_id": own}}}]
        health = [{"endpoint": _client(one), "health": one.is_healthy} for one in self.members if one.is_started]
        members = [
            {
                "ID": int(one.id, 16),
                "name": one.name,
                "peerURLs": list(one.peers),
                **({"clientURLs": [_client(one)]} if one.is_started else {}),
                **({"isLearner": True} if one.is_learner else {}),
            }
            for one in self.members
        ]
        lines = {"boot": BOOT_ID, "etcd": "stacked", "status": json.dumps(status), "health": json.dumps(health)}
        lines |= {"said": "", "members": json.dumps({"members": members})}
        return "".join(f"{word} {text}\n" for word, text in lines.items()).encode() + b"end\n"

    def remove(self, wanted: str, peers: str) -> tuple[int, bytes, bytes]:
        found = next((one for one in self.members if one.id == wanted), None)
        if found is None:
            return 0, b"there is no member\n", b""
        if ",".join(found.peers) != peers:
            return CHANGED_STATUS, b"", b"the member has other peer addresses\n"
        if self.refuses:
            self.refuses -= 1
            return 1, b"", b"Error: etcdserver: unhealthy cluster\n"
        self.members.remove(found)
        self.removed.append(wanted)
        return 0, b"Member removed\n", b""

    def turns(self, name: str, **over: Any) -> None:
        self.members = [replace(one, **over) if one.name == name else one for one in self.members]

    def join(self, number: int = 4, **over: Any) -> None:
        """What the new machine of n1 does."""
        self.members.append(member("n1", number, **over))


def _client(one: Member) -> str:
    return one.peers[0].replace("2380", "2379")


def host_beside(machine: Machine, planes: Planes, names: Mapping[Any, str]) -> type[Any]:
    """In the place of ops.engine.host.SshHost: a call to a host beside is a call in which the worker may die too."""

    class Host:
        def __init__(self, target: Any, *_meanwhile: Any, **_options: Any) -> None:
            self.name = names[target.node_id]

        def __enter__(self) -> Host:
            return self

        def __exit__(self, *_details: object) -> None:
            return None

        def run(self, command: Any) -> CommandResult:
            dies = machine.enters()
            status, out, err = planes.run(self.name, command.argv)
            if dies:
                raise machine.breaks_with()
            return CommandResult(status, out, err, 0.0)

    return Host


class OfPlanes(Run):
    """Run of n1, a control plane beside n2 and n3 of one pool. `joins` is what its new machine does at etcd."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        planes: Planes,
        *,
        joins: Callable[[], None] = lambda: None,
        addresses: Mapping[str, str] | None = None,
        cluster: Callable[[Pool, Machine, datetime], object] | None = None,
        **params: Any,
    ) -> None:
        def make(pool: Pool, machine: Machine, now: datetime) -> None:
            if cluster:
                cluster(pool, machine, now)
            make_node("n3", pool=pool, health="healthy")
            names = {}
            for node in Node.objects.filter(pool=pool):
                given = (addresses or {}).get(node.name, f"10.0.0.{node.name[1:]}")
                plane_facts(node, given, now)
                names[node.pk] = node.name
            patch.setattr(engine_host, "SshHost", host_beside(machine, planes, names))
            self.site.joins = joins

        super().__init__(patch, cluster=make, **params)


def plane_facts(node: Node, address: str, now: datetime) -> None:
    """What a poll of a control plane at that address reads, as far as it matters here."""
    interfaces = [{"name": "eth0", "addresses": [{"address": address, "prefix": 24}]}]
    network = {"hostname": f"{node.name}.example.org", "interfaces": interfaces}
    before = Facts.objects.filter(pk=node.facts_id or 0).first()
    document = {**(before.document if before else {}), "network": network, "kubernetes": {"role": "control-plane"}}
    row = Facts.objects.create(node=node, generation=1, read_at=now, hash=f"p-{node.name}", document=document)
    Node.objects.filter(pk=node.pk).update(facts=row, reachability="reachable")
    if node.name != "n1":
        HostKey.objects.create(node=node, type="ssh-ed25519", public_key="AAAA", fingerprint=node.name, state="pinned")


@contextmanager
def dying_at(run: Run, call: int) -> Iterator[None]:
    run.machine.dies_after, run.machine.dies_before_effect = call, call % 2 == 0
    yield
    run.machine.loop.close()
