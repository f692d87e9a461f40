"""Permissions, the roles that bundle them for people, and the scopes that bundle them for tokens."""

from __future__ import annotations

from typing import Final

#: permission -> what it allows, in a sentence. The names are those of the API and of audit actions.
PERMISSIONS: Final[dict[str, str]] = {
    "nodes.read": "See nodes, their facts, deployments and timeline",
    "nodes.write": "Add, edit, retire and delete nodes",
    "nodes.poll": "Poll a node now",
    "nodes.accept_key": "Accept or refuse an offered host key",
    "pools.read": "See pools",
    "pools.write": "Add, edit and delete pools",
    "clusters.read": "See clusters",
    "clusters.write": "Add, edit and delete clusters",
    "credentials.read": "See credentials (the public half only)",
    "credentials.write": "Add, edit and delete credentials",
    "releases.read": "See streams and releases",
    "releases.write": "Import releases",
    "ignition.read": "See Ignition configs, their versions, and which node has which",
    "ignition.edit": "Add and edit Ignition configs, versions and the values of their variables",
    "ignition.approve": "Approve Ignition versions that others wrote",
    "ignition.intend": "Choose the approved Ignition version that the nodes of a pool should have",
    "operations.read": "See operations",
    "operations.request": "Request operations",
    "operations.approve": "Approve operations that others requested",
    "operations.hold": "Hold versions back from nodes and pools, and lift such holds",
    "operations.configure": "Set limits and approval rules of operations",
    "backups.read": "See backup policies and what came of them",
    "backups.run": "Make a backup now",
    "backups.report": "Report backups that other jobs made",
    "backups.restore": "Restore backups on the hosts that they are of",
    "backups.write": "Add, edit and delete backup policies and targets",
    "tokens.own": "Make and revoke one's own tokens",
    "tokens.read": "See everybody's tokens",
    "tokens.manage": "Revoke everybody's tokens",
    "users.read": "See users and roles",
    "users.write": "Add and edit users and give roles",
    "audit.read": "Read the audit log",
    "health.read": "See the health of FleetUI itself: its processes, queues, disk and keys",
    "settings.read": "See settings",
    "settings.write": "Change settings",
}

_READ: Final = frozenset(
    {
        "nodes.read",
        "pools.read",
        "clusters.read",
        "releases.read",
        "ignition.read",
        "operations.read",
        "backups.read",
        "tokens.own",
        "settings.read",
    }
)
_OPERATE: Final = _READ | {
    "nodes.write",
    "nodes.poll",
    "nodes.accept_key",
    "credentials.read",
    "ignition.edit",
    "ignition.intend",
    "operations.request",
    "operations.hold",
    "backups.run",
    "backups.report",
    "backups.restore",
}

ROLES: Final[dict[str, frozenset[str]]] = {
    "viewer": _READ,
    "operator": _OPERATE,
    "approver": _READ | {"operations.approve", "ignition.approve"},
    "auditor": _READ | {"audit.read", "users.read", "tokens.read", "credentials.read", "health.read"},
    "admin": frozenset(PERMISSIONS),
}

#: What a token may at most; its owner's roles cut it further.
SCOPES: Final[dict[str, frozenset[str]]] = {
    "read": frozenset(name for name in PERMISSIONS if name.endswith(".read")),
    "operate": frozenset(name for name in PERMISSIONS if name.endswith(".read"))
    | {
        "nodes.write",
        "nodes.poll",
        "nodes.accept_key",
        "ignition.edit",
        "ignition.intend",
        "operations.request",
        "operations.hold",
        "backups.run",
        "backups.report",
        "backups.restore",
    },
    "backups": frozenset({"backups.read", "backups.run", "backups.report", "operations.read"}),
    "admin": frozenset(PERMISSIONS),
}
