"""The ways to hosts: through which jump hosts, and which certificate authorities are trusted there. Rows in, values out."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from functools import lru_cache

from fleetui.core.errors import SealBroken
from nodes.hosts import ssh
from nodes.hosts.errors import BadIdentity, HostError, HostKeyUnknown, JumpFailed
from nodes.models import Credential, JumpHost, Node, Pool
from nodes.services.credentials import identity_of

MOST_HOPS = 5


def usable_identity(credential: Credential | None) -> ssh.Identity | HostError:
    """The key of a credential; one that cannot be used is the error of the contact."""
    if credential is None:
        return BadIdentity(
            "No credential is set for this node or its pool.",
            "Choose a credential on the node or the pool.",
            "no_credential",
        )
    try:
        return identity_of(credential)
    except SealBroken as error:
        return BadIdentity(error.message, error.mend, "sealed")
    except HostError as error:
        return error


def jump_host_id(node: Node) -> uuid.UUID | None:
    """The jump host that a node is reached through: its own, else its pool's."""
    return node.jump_host_id or (node.pool.jump_host_id if node.pool else None)


class Routes:
    """The jump hosts of a batch, read in one query, and none when no node needs one."""

    def __init__(self, jump_hosts: Iterable[JumpHost]) -> None:
        self._rows = {row.pk: row for row in jump_hosts}
        self._ways: dict[uuid.UUID, tuple[ssh.Hop, ...] | HostError] = {}

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Routes:
        return cls.with_ids(jump_host_id(node) for node in nodes)

    @classmethod
    def with_ids(cls, ids: Iterable[uuid.UUID | None]) -> Routes:
        # Jump hosts stand behind others, so all are read: there are few.
        return cls(JumpHost.objects.select_related("credential")) if any(ids) else cls(())

    def to(self, node: Node) -> tuple[ssh.Hop, ...] | HostError:
        """The jump hosts on the way to a node, the first one first, or why there is no way."""
        return self.through(jump_host_id(node))

    def through(self, first: uuid.UUID | None) -> tuple[ssh.Hop, ...] | HostError:
        """The jump hosts up to and with this one."""
        if first is None:
            return ()
        if first not in self._ways:
            self._ways[first] = self._way(first)
        return self._ways[first]

    def _way(self, first: uuid.UUID) -> tuple[ssh.Hop, ...] | HostError:
        hops: list[ssh.Hop] = []
        current: uuid.UUID | None = first
        while current is not None:
            row = self._rows[current]
            if len(hops) >= MOST_HOPS:
                problem = HostError("It stands behind too many others.", "Shorten the way through jump hosts.")
                return JumpFailed(row.name, problem)
            if not row.host_key:
                return JumpFailed(row.name, HostKeyUnknown(row.address))
            identity = usable_identity(row.credential)
            if isinstance(identity, HostError):
                return JumpFailed(row.name, identity)
            endpoint = ssh.Endpoint(row.address, row.port, row.credential.username)
            hops.append(ssh.Hop(endpoint, identity, ssh.HostKey.parse(row.host_key), row.name))
            current = row.through_id
        return tuple(reversed(hops))


def authorities_of(node: Node) -> ssh.Authorities | None:
    """Whose host certificates are trusted for a node, and what it may be called in one."""
    return authorities_for(node.pool, node.name, node.address)


def authorities_for(pool: Pool | None, *names: str) -> ssh.Authorities | None:
    keys = authority_keys(pool.host_ca_keys) if pool else ()
    return ssh.Authorities(keys, names) if keys else None


@lru_cache(maxsize=256)
def authority_keys(text: str) -> tuple[ssh.HostKey, ...]:
    """The public keys of a pool's certificate authorities, as they were checked when they were stored."""
    return tuple(ssh.parse_authority(line) for line in text.splitlines() if line.strip())
