"""provisioners/: what deletes and makes machines; and what a person does by hand in a replacement."""

from __future__ import annotations

import uuid
from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Integer, Text, read_body
from fleetui.core.api.shapes import (
    ANY_OBJECT,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    Document,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.api.views import ApiView
from fleetui.core.errors import InvalidInput
from nodes.models import Pool
from nodes.services.provisioning.standing import STANDINGS, standing
from ops.api.etcd import ETCD, seen_by
from ops.api.operations import OneOperation
from ops.models import Operation, PoolProvisioner, Provisioner
from ops.services.replacing import confirming, repositories
from ops.services.replacing import provisioners as services
from ops.services.replacing.repositories import works_from

_PROVISIONER = {
    "id": TEXT,
    "name": TEXT,
    "kind": one_of(Provisioner.KINDS),
    "settings": ANY_OBJECT,
    "base_url": TEXT,
    "pools": TEXTS,
    "revision": INTEGER,
    "set_by": TEXT,
    "set_at": TIME,
}
#: The commit that a directory is taken out of.
_SOURCE = object_of(
    dict.fromkeys(
        ("url", "ref_kind", "ref", "directory", "commit", "author", "message", "committed_at", "signer"), TEXT
    )
)
_MACHINE = {
    "provisioner": nullable(TEXT),
    "config": nullable(one_of(STANDINGS)),
    "host_key_fingerprint": nullable(TEXT),
    "confirmed": ANY_OBJECT,
    "source": nullable(_SOURCE),
    "etcd": nullable(ETCD),
}
PROVISIONER = Document("Provisioner", object_of(_PROVISIONER))
PROVISIONERS = Document("ProvisionerList", object_of({"results": list_of(object_of(_PROVISIONER))}))
MACHINE = Document("NewMachine", object_of(_MACHINE))
TRIED = Document("ProvisionerTried", object_of({"source": nullable(_SOURCE)}))
CONFIG = Document("NewMachineConfig", object_of({"url": TEXT, "sha512": TEXT}))


class ProvisionerBody(Body):
    """docs/replacement.md has the settings of each kind."""

    name = Text(max_length=100)
    kind = serializers.ChoiceField(choices=Provisioner.KINDS)
    settings = serializers.DictField(default=dict)
    base_url = Text(max_length=200, help_text="This FleetUI as new machines reach it.")
    secret = Text(
        max_length=20_000,
        allow_blank=True,
        default="",
        help_text="Of a webhook: it signs. With settings.git: the token, password or private deploy key. Without it the "
        "one that is there stays, as long as the address does.",
    )
    pools = serializers.ListField(child=Text(max_length=100), default=list, help_text="All of its pools, by name.")
    revision = Integer(required=False, help_text="With PUT: the one that the change is based on.")

    secrets = frozenset({"secret"})


class ProvisionerHostKeyBody(Body):
    """The fingerprint that a person compared, as trying names it."""

    fingerprint = Text(max_length=100)


class ConfirmBody(Body):
    """What was done by hand."""

    what = serializers.ChoiceField(choices=confirming.WHAT)


def provisioner_json(one: Provisioner) -> dict[str, Any]:
    names = ("name", "kind", "base_url", "revision", "set_by", "set_at")
    pools = PoolProvisioner.objects.filter(provisioner=one).order_by("pool__name").values_list("pool__name", flat=True)
    found = {name: getattr(one, name) for name in names}
    return {"id": one.pk, **found, "settings": services.settings_of(one), "pools": list(pools)}


class _Provisioners(ApiView):
    def provisioner(self, provisioner_id: uuid.UUID) -> Provisioner:
        return services.provisioner_at(self.principal, provisioner_id)

    def saved(self, request: Request, provisioner: Provisioner | None) -> Provisioner:
        values = read_body(ProvisionerBody, request)
        revision, names = values.pop("revision", None), values.pop("pools")
        pools = {pool.name: pool for pool in Pool.objects.visible_to(self.principal).filter(name__in=names)}
        if missing := [name for name in names if name not in pools]:
            mend = "Give names as pools/ has them."
            raise InvalidInput(f"There is no pool {missing[0]}.", field="pools", value=missing[0], mend=mend)
        return services.set_provisioner(
            **values,
            pools=list(pools.values()),
            provisioner=provisioner,
            expected_revision=revision,
            actor=self.principal,
            now=clock.now(),
        )


class ProvisionerList(_Provisioners):
    """What deletes and makes machines, by name. For admins of everything."""

    actions = {
        "GET": Action("settings.write", "provisioners_list", "List provisioners", {200: PROVISIONERS}),
        "POST": Action(
            "settings.write", "provisioners_add", "Add a provisioner", {201: PROVISIONER}, body=ProvisionerBody
        ),
    }

    def get(self, request: Request) -> Response:
        return Response({"results": [provisioner_json(one) for one in services.provisioners_of(self.principal)]})

    def post(self, request: Request) -> Response:
        return Response(provisioner_json(self.saved(request, None)), status=201)


class ProvisionerDetail(_Provisioners):
    """One provisioner. PUT writes all of it, its pools too."""

    actions = {
        "GET": Action("settings.write", "provisioners_read", "Read a provisioner", {200: PROVISIONER}),
        "PUT": Action(
            "settings.write", "provisioners_set", "Change a provisioner", {200: PROVISIONER}, body=ProvisionerBody
        ),
        "DELETE": Action("settings.write", "provisioners_delete", "Delete a provisioner", {204: None}),
    }

    def get(self, request: Request, provisioner_id: uuid.UUID) -> Response:
        return Response(provisioner_json(self.provisioner(provisioner_id)))

    def put(self, request: Request, provisioner_id: uuid.UUID) -> Response:
        return Response(provisioner_json(self.saved(request, self.provisioner(provisioner_id))))

    def delete(self, request: Request, provisioner_id: uuid.UUID) -> Response:
        services.delete_provisioner(provisioner=self.provisioner(provisioner_id), actor=self.principal)
        return Response(status=204)


class ProvisionerTry(_Provisioners):
    """Whether it could be asked now, from the process that answers; of a repository also what it would work from."""

    actions = {"POST": Action("settings.write", "provisioners_try", "Try a provisioner", {200: TRIED})}

    def post(self, request: Request, provisioner_id: uuid.UUID) -> Response:
        found = services.try_provisioner(provisioner=self.provisioner(provisioner_id), actor=self.principal)
        return Response({"source": dict(found) or None})


class ProvisionerHostKey(_Provisioners):
    """The host key of the server that has the repository."""

    actions = {
        "POST": Action(
            "settings.write",
            "provisioners_trust",
            "Trust the host key of the repository's server",
            {200: PROVISIONER},
            body=ProvisionerHostKeyBody,
        )
    }

    def post(self, request: Request, provisioner_id: uuid.UUID) -> Response:
        fingerprint = read_body(ProvisionerHostKeyBody, request)["fingerprint"]
        provisioner = self.provisioner(provisioner_id)
        repositories.trust_host_key(provisioner=provisioner, fingerprint=fingerprint, actor=self.principal)
        return Response(provisioner_json(self.provisioner(provisioner_id)))


def _machine_json(operation: Operation, principal: Principal) -> dict[str, Any]:
    found = services.under_way(operation)
    offered = found.provisioning if found else None
    return {
        "provisioner": found.provisioner.name if found and found.provisioner else None,
        "config": standing(offered, clock.now()) if offered else None,
        "host_key_fingerprint": offered.fingerprint if offered else None,
        "confirmed": found.confirmed if found else {},
        "source": works_from(operation) or None,
        "etcd": seen_by(operation, principal),
    }


class OperationMachine(OneOperation):
    """The new machine of a replacement. POST says that a part was done by hand."""

    actions = {
        "GET": Action("operations.read", "operations_machine", "Read how far a new machine is", {200: MACHINE}),
        "POST": Action(
            "operations.request",
            "operations_machine_confirm",
            "Confirm what was done by hand",
            {200: MACHINE},
            body=ConfirmBody,
            note="Needs nodes.write, nodes.accept_key and ignition.intend as well.",
        ),
    }

    def get(self, request: Request, operation_id: uuid.UUID) -> Response:
        return Response(_machine_json(self.operation(operation_id), self.principal))

    def post(self, request: Request, operation_id: uuid.UUID) -> Response:
        operation = self.operation(operation_id)
        what = read_body(ConfirmBody, request)["what"]
        confirming.confirm(operation=operation, what=what, actor=self.principal, now=clock.now())
        return Response(_machine_json(operation, self.principal))


class OperationMachineConfig(OneOperation):
    """The address of the config of the new machine, as long as one is waited for. Each look is in the audit log."""

    actions = {
        "POST": Action(
            "operations.request",
            "operations_machine_config",
            "Read the address of a new machine's config",
            {200: CONFIG},
            note="Needs nodes.write, nodes.accept_key and ignition.intend as well: the address leads to the secrets of "
            "the config, and the machine that uses it is trusted as the node.",
        )
    }

    def post(self, request: Request, operation_id: uuid.UUID) -> Response:
        made, text = confirming.token_of(operation=self.operation(operation_id), actor=self.principal)
        url = request.build_absolute_uri(reverse("nodes:fetch_config", args=[text]))
        sha512 = made.provisioning.sha512 if made.provisioning else ""
        return Response({"url": url, "sha512": sha512}, headers={"Cache-Control": "no-store"})
