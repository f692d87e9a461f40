"""pools/NAME/checks/: what the hosts of a pool have to pass after a restart."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Text, read_body
from fleetui.core.api.shapes import ANY_OBJECT, INTEGER, TEXT, TIME, UUID, Document, list_of, object_of, one_of
from fleetui.core.api.views import ApiView
from fleetui.core.errors import NotFound
from nodes.models import Pool
from ops import wording
from ops.models import PoolCheck
from ops.services.pool_checks import check_at, delete_check, set_check

_CHECK = object_of(
    {
        "id": UUID,
        "name": TEXT,
        "kind": one_of(PoolCheck.KINDS),
        "params": ANY_OBJECT,
        "timeout_s": INTEGER,
        "revision": INTEGER,
        "sentence": TEXT,
        "set_by": TEXT,
        "set_at": TIME,
    }
)
CHECK = Document("PoolCheck", _CHECK)
CHECKS = Document("PoolChecks", object_of({"results": list_of(_CHECK)}))


class PoolCheckBody(Body):
    """A check. `params` are those of the kind: {unit}, {host, port}, {url, status, any_certificate} or {argv}."""

    name = Text(max_length=60)
    kind = serializers.ChoiceField(choices=list(PoolCheck.KINDS))
    params = serializers.DictField(help_text='{"unit": "nginx.service"}, {"port": 443}, {"url": "http://127.0.0.1/"}.')
    timeout_s = serializers.IntegerField(default=5, help_text="Within how many seconds it has to pass.")


class _OfPool(ApiView):
    """Base of the endpoints below one pool."""

    def pool(self, name: str) -> Pool:
        found: Pool | None = Pool.objects.visible_to(self.principal).filter(name=name).first()
        if found is None:
            raise NotFound(f"There is no pool {name} that you may see.", mend="Look at pools/.")
        return found


def _shown(check: PoolCheck) -> dict[str, Any]:
    names = ("name", "kind", "params", "timeout_s", "revision", "set_by", "set_at")
    told = {name: getattr(check, name) for name in names}
    return {"id": check.pk, **told, "sentence": wording.pool_check_sentence(check.kind, check.params)}


class CheckList(_OfPool):
    """The checks of a pool."""

    actions = {
        "GET": Action("pools.read", "pool_checks_list", "List the checks of a pool", {200: CHECKS}),
        "POST": Action("pools.write", "pool_checks_create", "Add a check to a pool", {201: CHECK}, body=PoolCheckBody),
    }

    def get(self, request: Request, name: str) -> Response:
        rows = PoolCheck.objects.filter(pool=self.pool(name)).order_by("name")
        return Response({"results": [_shown(one) for one in rows]})

    def post(self, request: Request, name: str) -> Response:
        pool = self.pool(name)
        made = set_check(pool=pool, **read_body(PoolCheckBody, request), actor=self.principal, now=clock.now())
        return Response(_shown(made), status=201)


class CheckDetail(_OfPool):
    """One check of a pool. PUT sets it anew."""

    actions = {
        "GET": Action("pools.read", "pool_checks_read", "Read a check of a pool", {200: CHECK}),
        "PUT": Action(
            "pools.write", "pool_checks_update", "Change a check of a pool", {200: CHECK}, body=PoolCheckBody
        ),
        "DELETE": Action(
            "pools.write",
            "pool_checks_delete",
            "Delete a check of a pool",
            {204: None},
            query=(Param("reason", {**TEXT, "maxLength": 300}, "Why; it goes into the audit log."),),
        ),
    }

    def get(self, request: Request, name: str, check_id: uuid.UUID) -> Response:
        return Response(_shown(check_at(self.pool(name), check_id)))

    def put(self, request: Request, name: str, check_id: uuid.UUID) -> Response:
        pool = self.pool(name)
        check, values = check_at(pool, check_id), read_body(PoolCheckBody, request)
        return Response(_shown(set_check(pool=pool, check=check, **values, actor=self.principal, now=clock.now())))

    def delete(self, request: Request, name: str, check_id: uuid.UUID) -> Response:
        check = check_at(self.pool(name), check_id)
        delete_check(check=check, reason=request.query_params.get("reason", ""), actor=self.principal)
        return Response(status=204)
