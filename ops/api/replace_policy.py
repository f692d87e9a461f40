"""pools/NAME/replace-policy/: whether silent machines of a pool are replaced by themselves, and what came of it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Integer, Text, read_body
from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    TEXT,
    TIME,
    UUID,
    Document,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.api.views import ApiView
from nodes.models import Pool
from ops import wording
from ops.api.pools import pool_with_operations
from ops.models import PolicyReplacement, ReplacePolicy
from ops.services.replacing import policies
from ops.services.replacing.unhealthy import standings
from ops.wording.replace_policy import STANDINGS

ASKED_SHOWN = 100
_SILENT = object_of({"node": TEXT, "generation": INTEGER, "silent_s": INTEGER, "state": one_of(STANDINGS), "why": TEXT})
_ASKED = object_of(
    {
        "node": TEXT,
        "generation": INTEGER,
        "asked_at": TIME,
        "operation_id": nullable(UUID),
        "operation_state": nullable(TEXT),
    }
)
POLICY = Document(
    "ReplacePolicy",
    object_of(
        {
            "pool": TEXT,
            "is_on": FLAG,
            "after_minutes": nullable(INTEGER),
            "most_per_day": nullable(INTEGER),
            "params": ANY_OBJECT,
            "reason": TEXT,
            "set_by": nullable(TEXT),
            "set_at": nullable(TIME),
            "silent": list_of(_SILENT),
            "asked": list_of(_ASKED),
        }
    ),
)


class ReplacePolicyBody(Body):
    """After how many minutes without an answer, and how many at most within 24 hours; null minutes turn it off."""

    after_minutes = Integer(allow_null=True, min_value=policies.LEAST_MINUTES, max_value=policies.MOST_MINUTES)
    most_per_day = Integer(default=1, min_value=1, max_value=policies.MOST_PER_DAY)
    params = serializers.DictField(required=False, default=dict, help_text='Of replace: {"drain_ending": "force"}.')
    reason = Text(max_length=policies.LONGEST_REASON, allow_blank=True, default="")


class PoolReplacePolicy(ApiView):
    """The policy of a pool, which nodes do not answer, and what it asked for; the newest 100."""

    actions = {
        "GET": Action(
            "operations.read", "pool_replace_policy_read", "Read the replace policy of a pool", {200: POLICY}
        ),
        "PUT": Action(
            "pools.write",
            "pool_replace_policy_set",
            "Set the replace policy of a pool",
            {200: POLICY},
            body=ReplacePolicyBody,
        ),
    }

    def pool(self, name: str) -> Pool:
        return pool_with_operations(self.principal, name, "The policy")

    def get(self, request: Request, name: str) -> Response:
        return self._answer(self.pool(name))

    def put(self, request: Request, name: str) -> Response:
        pool, values = self.pool(name), read_body(ReplacePolicyBody, request)
        policies.set_policy(pool=pool, **values, actor=self.principal, now=clock.now())
        return self._answer(pool)

    def _answer(self, pool: Pool) -> Response:
        policy = ReplacePolicy.objects.filter(pool=pool).select_related("pool").first()
        asked = PolicyReplacement.objects.filter(pool=pool).select_related("node", "operation").order_by("-asked_at")
        unset: dict[str, Any] = {"after_minutes": None, "most_per_day": None, "params": {}, "reason": ""}
        return Response(
            {
                "pool": pool.name,
                "is_on": policy is not None,
                **(policies.told(policy) or unset),
                "set_by": policy.set_by if policy else None,
                "set_at": policy.set_at if policy else None,
                "silent": [
                    {
                        "node": one.node.name,
                        "generation": one.node.generation,
                        "silent_s": one.node.silent_s,
                        "state": one.code,
                        "why": wording.policy_sentence(one.code, one.params),
                    }
                    for one in (standings(policy, clock.now()) if policy else ())
                ],
                "asked": [
                    {
                        "node": row.node.name,
                        "generation": row.generation,
                        "asked_at": row.asked_at,
                        "operation_id": row.operation_id,
                        "operation_state": row.operation.state if row.operation else None,
                    }
                    for row in asked[:ASKED_SHOWN]
                ],
            }
        )
