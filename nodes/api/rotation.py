"""pools/NAME/next-credential/: what is to take the place of a pool's credential, and where it works."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import require
from fleetui.core import clock
from fleetui.core.api.actions import IF_MATCH, Action
from fleetui.core.api.bodies import Body, Text, read_body
from fleetui.core.api.etag import expected_revision
from fleetui.core.api.shapes import INTEGER, TEXT, TIME, Document, list_of, nullable, object_of
from fleetui.core.api.views import ApiView
from fleetui.core.errors import NotFound
from nodes.api.bodies import ReasonBody, resolve
from nodes.models import Pool
from nodes.services import rotation
from nodes.tasks import nudge_trials
from nodes.wording import error_mend, error_sentence

MOST_FAILING = 200
STATE = Document(
    "NextCredential",
    object_of(
        {
            "pool": TEXT,
            "credential": nullable(TEXT),
            "next_credential": nullable(TEXT),
            "fingerprint": nullable(TEXT),
            "counts": object_of(dict.fromkeys(("nodes", "works", "fails", "waiting"), INTEGER)),
            "failing": list_of(
                object_of({"node": TEXT, "kind": TEXT, "sentence": TEXT, "mend": TEXT, "tried_at": nullable(TIME)})
            ),
            "failing_left_out": INTEGER,
        }
    ),
)


class NextCredentialBody(Body):
    """The credential to try, by name."""

    credential = Text(min_length=1, max_length=100)


class _OfPool(ApiView):
    def pool(self, name: str) -> Pool:
        pools = Pool.objects.visible_to(self.principal).select_related("credential", "next_credential")
        found = pools.filter(name=name).first()
        if found is None:
            raise NotFound(f"There is no pool {name} that you may see.", mend="Look at /api/v1/pools/.")
        pool: Pool = found
        return pool

    def shown(self, pool: Pool, status: int = 200) -> Response:
        found, candidate = rotation.progress(pool), pool.next_credential
        failing = rotation.trials_of(pool).filter(state="fails").select_related("node").order_by("node__name")
        rows = [
            {
                "node": trial.node.name,
                "kind": trial.error_kind,
                "sentence": error_sentence(trial.error_kind, trial.error_params),
                "mend": error_mend(trial.error_kind, trial.error_params),
                "tried_at": trial.tried_at,
            }
            for trial in failing[:MOST_FAILING]
        ]
        body: dict[str, Any] = {
            "pool": pool.name,
            "credential": pool.credential.name if pool.credential else None,
            "next_credential": candidate.name if candidate else None,
            "fingerprint": candidate.fingerprint if candidate else None,
            "counts": {"nodes": found.nodes, "works": found.works, "fails": found.fails, "waiting": found.waiting},
            "failing": rows,
            "failing_left_out": max(0, found.fails - len(rows)),
        }
        return self.tagged(body, pool.revision, status)


class NextCredential(_OfPool):
    """Read how far the trials are, begin them, or stop them."""

    actions = {
        "GET": Action("pools.read", "pools_next_credential", "Read what a pool tries", {200: STATE}),
        "PUT": Action(
            "pools.write",
            "pools_try_credential",
            "Try a credential on a pool",
            {200: STATE},
            body=NextCredentialBody,
            headers=(IF_MATCH,),
        ),
        "DELETE": Action("pools.write", "pools_stop_trial", "Stop trying", {204: None}, headers=(IF_MATCH,)),
    }

    def get(self, request: Request, name: str) -> Response:
        return self.shown(self.pool(name))

    def put(self, request: Request, name: str) -> Response:
        pool = self.pool(name)
        require(self.principal, "pools.write", pool)
        values = resolve(read_body(NextCredentialBody, request), self.principal)
        revision = expected_revision(request, pool.revision)
        rotation.propose(pool=pool, **values, actor=self.principal, now=clock.now(), expected_revision=revision)
        nudge_trials()
        return self.shown(pool)

    def delete(self, request: Request, name: str) -> Response:
        pool = self.pool(name)
        revision = expected_revision(request, pool.revision)
        rotation.stop(pool=pool, actor=self.principal, now=clock.now(), expected_revision=revision)
        return Response(status=204)


class NextCredentialSwitch(_OfPool):
    """Put it in place; with a reason where it is not proven on every node."""

    actions = {
        "POST": Action(
            "pools.write",
            "pools_switch_credential",
            "Switch to the credential that was tried",
            {200: STATE},
            body=ReasonBody,
            headers=(IF_MATCH,),
        )
    }

    def post(self, request: Request, name: str) -> Response:
        pool = self.pool(name)
        reason = read_body(ReasonBody, request)["reason"]
        revision = expected_revision(request, pool.revision)
        rotation.switch(pool=pool, reason=reason, actor=self.principal, now=clock.now(), expected_revision=revision)
        return self.shown(pool)


class NextCredentialRetry(_OfPool):
    """Try it again at once where it fails."""

    actions = {"POST": Action("pools.write", "pools_retry_trial", "Try again where it fails", {202: STATE})}

    def post(self, request: Request, name: str) -> Response:
        pool = self.pool(name)
        rotation.retry(pool=pool, actor=self.principal, now=clock.now())
        nudge_trials()
        return self.shown(pool, 202)
