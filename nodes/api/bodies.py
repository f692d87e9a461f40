"""What the API takes to add and edit nodes, pools, clusters, credentials and releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from fleetui.access.principals import Principal
from fleetui.core.api.bodies import Body, Integer, Text
from fleetui.core.api.problems import FieldProblem, InvalidFields
from nodes.axes.values import Lifecycle
from nodes.models import Cluster, Credential, JumpHost, Pool


class NodeBody(Body):
    """A node as people set it; pool and credential by name."""

    name = Text(min_length=1, max_length=100)
    address = Text(min_length=1, max_length=253)
    port = Integer(min_value=1, max_value=65535, default=22)
    pool = Text(max_length=100, allow_null=True, default=None)
    credential = Text(max_length=100, allow_null=True, default=None)
    jump_host = Text(max_length=100, allow_null=True, default=None, help_text="Null: the pool's, if it has one.")
    os_family_given = Text(max_length=30, allow_blank=True, allow_null=True, default=None, help_text="Empty: detected.")
    labels = serializers.DictField(child=Text(max_length=100, allow_blank=True, trim_whitespace=False), default=dict)
    allow_same_address = serializers.BooleanField(
        required=False,
        help_text="True: another node may have this address and port. Otherwise that is refused with 409.",
    )


class NewNodeBody(NodeBody):
    """A node to add. With `host_key` (as in known_hosts: type and base64) that key is trusted from the start."""

    host_key = Text(max_length=2000, allow_null=True, default=None)


class EditNodeBody(NodeBody):
    """An edit of a node; `lifecycle` takes `reason` into the audit log."""

    lifecycle = serializers.ChoiceField(choices=[member.value for member in Lifecycle], required=False)
    maintenance_until = serializers.DateTimeField(
        required=False, allow_null=True, help_text="When the maintenance ends by itself; null: when somebody ends it."
    )
    reason = Text(max_length=300, allow_blank=True, default="")


class PoolBody(Body):
    """A pool; its name is also its FleetLock group."""

    name = Text(min_length=1, max_length=100)
    description = Text(max_length=300, allow_blank=True, default="")
    cluster = Text(max_length=100, allow_null=True, default=None)
    role = Text(max_length=50, allow_blank=True, default="")
    credential = Text(max_length=100, allow_null=True, default=None)
    poll_interval_s = Integer(min_value=10, max_value=86400, allow_null=True, default=None)
    retire_absent_after_s = Integer(
        min_value=60,
        max_value=30 * 86400,
        allow_null=True,
        default=None,
        help_text="Enrolled nodes without contact for so long are retired; null: never.",
    )
    jump_host = Text(max_length=100, allow_null=True, default=None)
    host_ca_keys = Text(
        max_length=32768,
        allow_blank=True,
        default="",
        help_text="Public keys of SSH host certificate authorities, one a line.",
    )


class ClusterBody(Body):
    """A Kubernetes cluster that pools may belong to."""

    name = Text(min_length=1, max_length=100)
    description = Text(max_length=300, allow_blank=True, default="")


class CredentialBody(Body):
    """A user name and a key. Without `private_key` a new ed25519 key is made. Secrets go in and never come out."""

    secrets = frozenset({"private_key", "passphrase"})

    name = Text(min_length=1, max_length=100)
    username = Text(min_length=1, max_length=64, default="core")
    private_key = Text(max_length=32768, allow_null=True, default=None, write_only=True, trim_whitespace=False)
    passphrase = Text(max_length=1000, allow_null=True, default=None, write_only=True, trim_whitespace=False)
    certificate = Text(max_length=32768, allow_blank=True, default="")


class EditCredentialBody(CredentialBody):
    """An edit of a credential; without `private_key` the key stays."""


class JumpHostBody(Body):
    """A jump host; credential and the jump host before it by name, the key as in known_hosts: type and base64."""

    name = Text(min_length=1, max_length=100)
    address = Text(min_length=1, max_length=253)
    port = Integer(min_value=1, max_value=65535, default=22)
    credential = Text(min_length=1, max_length=100)
    through = Text(max_length=100, allow_null=True, default=None)
    host_key = Text(
        max_length=2000, allow_null=True, default=None, help_text="Null: nothing is contacted through it yet."
    )


class ReasonBody(Body):
    """Why this is done; it goes into the audit log."""

    reason = Text(max_length=300, allow_blank=True, default="")


class ReleasesBody(Body):
    """A release document: a Fedora CoreOS stream or update document, a Cincinnati graph, or a manifest."""

    text = Text(max_length=8_000_000, trim_whitespace=False)
    os_family = Text(max_length=30, default="fcos")
    stream = Text(max_length=100, allow_null=True, default=None)


def resolve(values: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
    """The values with pool, cluster, credential and jump host as rows; what the principal may not see is not there."""
    found = dict(values)
    errors: list[FieldProblem] = []
    for field, model, kind in (
        ("pool", Pool, "pool"),
        ("cluster", Cluster, "cluster"),
        ("credential", Credential, "credential"),
        ("jump_host", JumpHost, "jump host"),
        ("through", JumpHost, "jump host"),
    ):
        name = found.get(field)
        if not name:
            if field in found:
                found[field] = None
            continue
        row = model.objects.visible_to(principal).filter(name=name).first()
        if row is None:
            errors.append(FieldProblem(field, f"There is no {kind} {name}.", f"Name a {kind} that you may see.", name))
        found[field] = row
    if errors:
        raise InvalidFields(errors)
    return found
