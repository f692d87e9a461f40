"""backups/targets/: where backups lie."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Integer, Text, read_body
from fleetui.core.api.shapes import ANY_OBJECT, INTEGER, TEXT, TIME, Document, list_of, nullable, object_of, one_of
from fleetui.core.api.views import ApiView
from ops.models import BackupTarget
from ops.services.backups import targets
from ops.wording.backups import target_problem

_TARGET = {
    "id": TEXT,
    "name": TEXT,
    "kind": one_of(BackupTarget.KINDS),
    "settings": ANY_OBJECT,
    "tried_at": nullable(TIME),
    "audit_head": nullable(object_of({"at": TIME, "seq": INTEGER})),
    "audit_head_problem": nullable(TEXT),
    "revision": INTEGER,
    "set_by": TEXT,
    "set_at": TIME,
}
TARGET = Document("BackupTarget", object_of(_TARGET))
TARGETS = Document("BackupTargetList", object_of({"results": list_of(object_of(_TARGET))}))


class TargetBody(Body):
    """Where backups lie. `credentials` are never answered; what is left out of them stays as it was."""

    name = Text(max_length=100)
    kind = serializers.ChoiceField(choices=BackupTarget.KINDS)
    settings = serializers.DictField(default=dict)
    credentials = serializers.DictField(child=Text(max_length=500), default=dict)
    revision = Integer(required=False, help_text="With PUT: the one that the change is based on.")

    secrets = frozenset({"credentials"})


def target_json(one: BackupTarget) -> dict[str, Any]:
    names = ("name", "kind", "settings", "tried_at", "revision", "set_by", "set_at")
    problem = " ".join(target_problem(**one.head_problem)) if one.head_problem else None
    head = {"at": one.head_at, "seq": one.head_seq} if one.head_at else None
    told = {"audit_head": head, "audit_head_problem": problem}
    return {"id": one.pk, **{name: getattr(one, name) for name in names}, **told}


class _Targets(ApiView):
    def target(self, target_id: uuid.UUID) -> BackupTarget:
        return targets.target_at(self.principal, target_id)

    def saved(self, request: Request, target: BackupTarget | None) -> BackupTarget:
        values = read_body(TargetBody, request)
        revision = values.pop("revision", None)
        return targets.set_target(
            **values, target=target, expected_revision=revision, actor=self.principal, now=clock.now()
        )


class TargetList(_Targets):
    """Where backups lie, by name. What is saved was written to, read from and deleted there first."""

    actions = {
        "GET": Action("backups.read", "backup_targets_list", "List backup targets", {200: TARGETS}),
        "POST": Action("backups.write", "backup_targets_add", "Add a backup target", {201: TARGET}, body=TargetBody),
    }

    def get(self, request: Request) -> Response:
        return Response({"results": [target_json(one) for one in targets.targets_of(self.principal)]})

    def post(self, request: Request) -> Response:
        return Response(target_json(self.saved(request, None)), status=201)


class TargetDetail(_Targets):
    """One target. PUT writes all of it."""

    actions = {
        "GET": Action("backups.read", "backup_targets_read", "Read a backup target", {200: TARGET}),
        "PUT": Action("backups.write", "backup_targets_set", "Change a backup target", {200: TARGET}, body=TargetBody),
        "DELETE": Action("backups.write", "backup_targets_delete", "Delete a backup target", {204: None}),
    }

    def get(self, request: Request, target_id: uuid.UUID) -> Response:
        return Response(target_json(self.target(target_id)))

    def put(self, request: Request, target_id: uuid.UUID) -> Response:
        return Response(target_json(self.saved(request, self.target(target_id))))

    def delete(self, request: Request, target_id: uuid.UUID) -> Response:
        targets.delete_target(target=self.target(target_id), actor=self.principal)
        return Response(status=204)


class TargetTest(_Targets):
    """Write, read back and delete there now; what goes wrong is the answer."""

    actions = {"POST": Action("backups.write", "backup_targets_test", "Try a backup target", {200: TARGET})}

    def post(self, request: Request, target_id: uuid.UUID) -> Response:
        targets.try_target(target=self.target(target_id), actor=self.principal, now=clock.now())
        return Response(target_json(self.target(target_id)))
