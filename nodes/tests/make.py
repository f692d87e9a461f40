"""Rows for tests: each function makes one with plain values, and takes what matters to the test."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import fleetui
from fleetui.access.models import RoleBinding, User
from fleetui.access.principals import SYSTEM, Principal
from fleetui.access.services import create_token, principal_for_user
from fleetui.core.models import Heartbeat
from nodes.models import (
    Cluster,
    Credential,
    Deployment,
    Facts,
    HostKey,
    IgnitionConfig,
    IgnitionReview,
    IgnitionVersion,
    JumpHost,
    Node,
    Pool,
    TimelineEvent,
)
from nodes.services.ignition.versions import save_version
from nodes.services.search import search_text

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PASSWORD = "correct horse battery staple"
#: A key that no machine has.
HOST_KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIObLDg41cZFJtosEThU0kmZ+fEjC1c5UitOlaYPJ6jYx"
_numbers = itertools.count(1)


def make_user(username: str, *roles: str | tuple[str, Pool]) -> User:
    """A person; each role is a name (on everything) or a name with a pool."""
    user = User.objects.create_user(username=username, password=PASSWORD)
    for role in roles:
        name, pool = (role, None) if isinstance(role, str) else role
        RoleBinding.objects.create(user=user, role=name, pool=pool)
    return user


def principal(user: User) -> Principal:
    return principal_for_user(user)


def make_token(user: User, scope: str = "admin", **over: Any) -> str:
    """The text of a new token of the user."""
    given: dict[str, Any] = {
        "name": f"token-{next(_numbers)}",
        "scopes": [scope],
        "days": 30,
        "now": datetime.now(UTC),
        **over,
    }
    return create_token(user=user, actor=SYSTEM, **given)[1]


def make_cluster(name: str = "cluster-1", **over: Any) -> Cluster:
    return Cluster.objects.create(name=name, **over)


def make_pool(name: str = "web", **over: Any) -> Pool:
    return Pool.objects.create(name=name, **over)


def make_credential(name: str = "fleet", **over: Any) -> Credential:
    """A credential whose sealed key opens nowhere: enough for what never connects."""
    given = {
        "sealed_private_key": "v1:none:none",
        "public_key": "ssh-ed25519 AAAA",
        "fingerprint": "SHA256:aaaa",
        **over,
    }
    return Credential.objects.create(name=name, **given)


def make_jump_host(name: str = "bastion", **over: Any) -> JumpHost:
    """A jump host with a trusted key that no machine has."""
    credential = over.pop("credential", None) or Credential.objects.first() or make_credential()
    given = {"address": "192.0.2.1", "host_key": HOST_KEY_LINE, **over}
    return JumpHost.objects.create(name=name, credential=credential, **given)


def deployment(version: str = "44.20261101.3.0", **over: Any) -> dict[str, Any]:
    """A deployment document as drivers write it."""
    return {
        "index": 0, "version": version, "checksum": "c" * 64, "origin": "fedora:fedora/x86_64/coreos/stable", "image": "",
        "image_digest": "", "layered": [], "pinned": False, "booted": True, "staged": False, "rollback": False, **over,
    }  # fmt: skip


def make_node(name: str = "", **over: Any) -> Node:
    """A reachable, healthy Fedora CoreOS node that is up to date."""
    number = next(_numbers)
    given: dict[str, Any] = {
        "address": f"10.0.{number // 250}.{number % 250 + 1}", "os_family": "fcos", "os_name": "Fedora CoreOS", "os_variant": "coreos",
        "os_version": "44.20261101.3.0", "os_stream": "stable", "arch": "x86_64", "kernel": "6.17.5-200.fc44.x86_64",
        "booted_version": "44.20261101.3.0", "booted": deployment(), "boot_id": "b" * 32, "booted_at": NOW,
        "reachability": "reachable", "reachability_reason": "", "reachability_since": NOW,
        "health": "healthy", "health_reason": "", "health_since": NOW,
        "update_state": "up_to_date", "update_state_reason": "", "update_state_since": NOW,
        "facts_at": NOW, "last_seen_at": NOW, "poll_due_at": NOW, **over,
    }  # fmt: skip
    node = Node(name=name or f"node-{number:03}", **given)
    node.search_text = search_text(node)
    node.save()
    return node


def make_facts(node: Node, **over: Any) -> Facts:
    """Newest facts of the node, with a deployment row."""
    document = {
        "os": {"family": "fcos", "version": node.os_version},
        "deployments": [deployment()],
        "unread": [],
        **over,
    }
    facts = Facts.objects.create(node=node, generation=node.generation, read_at=NOW, hash="f" * 64, document=document)
    Node.objects.filter(pk=node.pk).update(facts=facts)
    Deployment.objects.create(
        node=node, index=0, version=node.booted_version, checksum="c" * 64, is_booted=True, document=deployment()
    )
    return facts


def make_host_key(node: Node, state: str = "offered", **over: Any) -> HostKey:
    given = {
        "type": "ssh-ed25519",
        "public_key": "AAAAC3",
        "fingerprint": f"SHA256:{next(_numbers):043}",
        "seen_at": NOW,
        **over,
    }
    return HostKey.objects.create(node=node, state=state, **given)


def make_event(node: Node, kind: str = "node_added", **over: Any) -> TimelineEvent:
    return TimelineEvent.objects.create(node=node, kind=kind, **{"at": NOW, **over})


def make_heartbeat(kind: str = "worker", *, age_s: float = 5.0, **over: Any) -> Heartbeat:
    """A sign of life that is so old; a worker takes both queues."""
    seen = datetime.now(UTC) - timedelta(seconds=age_s)
    given: dict[str, Any] = {
        "hostname": "host-a", "pid": next(_numbers), "version": fleetui.__version__, "seen_at": seen,
        "started_at": seen - timedelta(hours=1), "queues": ["ops", "poll"] if kind == "worker" else [], **over,
    }  # fmt: skip
    if kind == "worker":
        given.setdefault("document", {"last_task_at": seen.isoformat()})
    return Heartbeat.objects.create(kind=kind, **given)


def make_running() -> None:
    """Worker, beat and the anchor of the audit log, as in an installation where all is well."""
    make_heartbeat("worker")
    make_heartbeat("beat")
    make_heartbeat("job", name="audit-anchor", document={"seq": 1})


BUTANE = """variant: fcos
version: 1.6.0
passwd:
  users:
    - name: core
      ssh_authorized_keys:
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Zr1bXn0nJ2bXo0E5v0l6mJx0P3m9cQh6m0aYzY1Xq ops@example.org
storage:
  files:
    - path: /etc/motd
      mode: 0644
      contents:
        inline: {motd}
"""


def make_config(name: str = "edge", *pools: Pool, **over: Any) -> IgnitionConfig:
    config = IgnitionConfig.objects.create(name=name, **over)
    config.pools.set(pools)
    return config


def make_version(config: IgnitionConfig, **over: Any) -> IgnitionVersion:
    """A version that was written by somebody else and converts. `motd` makes it differ from others."""
    motd = over.pop("motd", f"number {config.last_number + 1}")
    state = over.pop("state", "draft")
    given: dict[str, Any] = {
        "source": BUTANE.replace("{motd}", motd),
        "author": "Mira Chen <mira@example.org>",
        "actor": SYSTEM,
        "now": NOW,
        **over,
    }
    version = save_version(config=config, **given)
    if state == "approved":
        review = {"reviewer": "user:reviewer", "author": version.author, "verdict": "approved", "at": NOW}
        IgnitionReview.objects.create(version=version, **review)
    if state != "draft":
        IgnitionVersion.objects.filter(pk=version.pk).update(state=state, state_since=NOW)
        version.state = state
    return version
