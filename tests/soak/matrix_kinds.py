"""What is asked for in the matrix: each kind once at least, on what has something to do for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops import actions
from ops.actions.tidy import TIDY
from ops.tests.test_engine_kills import PARAMS, RESTARTS
from tests.soak.matrix_parts import CONTROL, ENDPOINT, INGRESS, ISSUED, NEXT, POLICIES, SPACE, WORKERS

Asked = tuple[str, Mapping[str, Any]]
Cell = tuple[str, str]
CADDY: Mapping[str, Any] = {"unit": "caddy.service", "soak_s": 0}
CRASHES = {**CADDY, "image": "docker.io/library/caddy:crash"}
UPDATED: Asked = ("container_update", PARAMS["container_update"])
SERVED = {"endpoint": "{}:{}".format(*ENDPOINT), "reload": "caddy.service"}
#: What is done after a failed health check: tests/test_operations_rig.py goes there on hosts that really fail.
ONLY_WHEN_UNHEALTHY = "back_"
#: What is done when a new image does not stay up. A rollback goes back to one that did.
ONLY_WHEN_IT_CRASHES = ("take_back", "restart_back", "watch_back")

#: These leave something to take back, so that their last step is seen.
TIDIED = frozenset(
    {
        *("upgrade", "rollback", "reboot", "kargs", "replace", "check", "unit_restart"),
        *("certbot_renew", "kubeadm_renew"),
        *("container_update", "container_rollback", "container_restart", "container_start", "container_stop"),
        *("container_logs", "image_pull", "image_prune", "auto_update_check", "auto_update"),
    }
)


@dataclass(frozen=True)
class Case:
    """`on` is the pool whose nodes it is done on, the namespace of Deployments, a Certificate, or a backup policy.

    `first` is done before it, and nobody is killed in that.
    """

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    on: str = "edge"
    first: Sequence[Asked] = ()
    ends: str = "succeeded"
    #: Steps that are not its own to show, beside those of hosts that fail.
    without: Sequence[str] = ONLY_WHEN_IT_CRASHES

    @property
    def cells(self) -> set[Cell]:
        names = [step.name for step in actions.get(self.kind).steps if not step.name.startswith(ONLY_WHEN_UNHEALTHY)]
        tidied = [TIDY] if self.kind in TIDIED else []
        return {(self.kind, name) for name in (*names, *tidied) if name not in self.without}

    @property
    def restarts(self) -> int:
        return RESTARTS.get(self.kind, 0) + (self.kind == "replace")


CASES: Sequence[Case] = (
    *(Case(kind, PARAMS[kind], WORKERS) for kind in ("upgrade", "rollback", "reboot", "kargs", "drain")),
    Case("uncordon", on=WORKERS, first=[("drain", {})]),
    Case("replace", {"soak_s": 0}, WORKERS),
    *(Case(kind, PARAMS[kind]) for kind in ("refresh", "check", "unit_restart", "pin", "unpin")),
    *(Case(kind) for kind in ("cleanup_pending", "cleanup_rollback", "cleanup_old", "cancel_transaction")),
    *(Case(f"zincati_{word}") for word in ("pause", "resume", "check")),
    Case("container_update", PARAMS["container_update"], "web"),
    Case("container_update", CRASHES, "web", ends="failed", without=()),
    Case("container_rollback", CADDY, "web", first=[UPDATED]),
    Case("container_restart", {"container": "caddy"}, "web"),
    Case("container_start", {"container": "caddy"}, "web", first=[("container_stop", {"container": "caddy"})]),
    Case("container_stop", {"container": "caddy"}, "web"),
    Case("container_logs", PARAMS["container_logs"], "web"),
    Case("image_pull", PARAMS["image_pull"], "web"),
    Case("image_prune", {}, "web", first=[("image_pull", PARAMS["image_pull"])]),
    Case("auto_update_check", {}, "web"),
    Case("auto_update", {}, "web"),
    Case("certbot_renew", {**PARAMS["certbot_renew"], **SERVED}, "web"),
    Case("kubeadm_renew", on=CONTROL),
    Case("cert_manager_renew", {"endpoint": "{}:{}".format(*INGRESS)}, ISSUED),
    Case("deployment_image", {"container": "c", "image": NEXT}, SPACE),
    Case("deployment_rollback", {}, SPACE),
    Case("backup", {}, POLICIES[0]),
    Case("restore_drill", {}, POLICIES[1], first=[("backup", {})]),
)
