"""From the rows of a node to what a contact needs."""

from __future__ import annotations

from nodes.hosts import ssh
from nodes.hosts.ssh.kept import IDLE_S
from nodes.models import Credential, HostKey, Node
from nodes.services.polling.contact import Target
from nodes.services.polling.due import JITTER, interval_s
from nodes.services.routes import Routes, authorities_of, usable_identity

#: Connections are not kept open for what comes later: they would be closed as idle before.
SOON_S = IDLE_S * (1 - 2 * JITTER)


def target_of(
    node: Node, pinned: HostKey | None, routes: Routes | None = None, credential: Credential | None = None
) -> Target:
    """The node's address, way, key and pinned host key. For many nodes at once give the `routes` of all of them.

    `credential` stands in for the node's own while it is tried.
    """
    credential = credential or node.effective_credential
    return Target(
        node_id=node.pk,
        endpoint=ssh.Endpoint(node.address, node.port, credential.username if credential else "core"),
        identity=usable_identity(credential),
        pinned=ssh.HostKey(pinned.type, pinned.public_key) if pinned else None,
        family=node.os_family_given or node.os_family,
        family_given=bool(node.os_family_given),
        revision=node.revision,
        jumps=(routes or Routes.of([node])).to(node),
        authorities=authorities_of(node) if pinned is None else None,
        again_soon=interval_s(node) <= SOON_S,
    )
