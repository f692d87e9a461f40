"""From the rows of a node to what a contact needs."""

from __future__ import annotations

from fleetui.core.errors import SealBroken
from nodes.hosts import ssh
from nodes.hosts.errors import BadIdentity, HostError
from nodes.models import HostKey, Node
from nodes.services.credentials import identity_of
from nodes.services.polling.contact import Target


def target_of(node: Node, pinned: HostKey | None) -> Target:
    """The node's address, key and pinned host key; a credential that cannot be used is the contact's error."""
    credential = node.effective_credential
    identity: ssh.Identity | HostError
    if credential is None:
        identity = BadIdentity(
            "No credential is set for this node or its pool.",
            "Choose a credential on the node or the pool.",
            "no_credential",
        )
    else:
        try:
            identity = identity_of(credential)
        except SealBroken as error:
            identity = BadIdentity(error.message, error.mend, "sealed")
        except HostError as error:
            identity = error
    return Target(
        node_id=node.pk,
        endpoint=ssh.Endpoint(node.address, node.port, credential.username if credential else "core"),
        identity=identity,
        pinned=ssh.HostKey(pinned.type, pinned.public_key) if pinned else None,
        family=node.os_family_given or node.os_family,
        family_given=bool(node.os_family_given),
        revision=node.revision,
    )
