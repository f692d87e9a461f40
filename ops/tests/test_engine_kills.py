"""A worker dies at each call to a host, of each kind, before the call and after it; another one takes over."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.hosts.drivers.podman_commands import kept_name
from nodes.models import Cluster, Node, Pool
from ops import registry
from ops.engine import claim_due, record, run_step, start_queued, work
from ops.kubernetes.objects import CORDONED_BY
from ops.models import ClusterAccess, Cordon, Operation, StepRun
from ops.services import control
from ops.services.plan import NodePlan
from ops.services.request import preview, request_operations
from ops.tests.kube import Kube, make_kube
from ops.tests.onehost import Killed, Machine, Place, host_of, make_hosted_node
from simfleet import boxes
from simfleet.model import Host as SimulatedHost
from simfleet.model import HostPlan

pytestmark = pytest.mark.django_db
UNIT = "chronyd.service"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PARAMS: dict[str, dict[str, Any]] = {
    "upgrade": {"soak_s": 0},
    "rollback": {"soak_s": 0},
    "reboot": {"soak_s": 0},
    "pin": {"deployment": "booted"},
    "unpin": {"deployment": "booted"},
    "cleanup_pending": {},
    "cleanup_rollback": {},
    "cleanup_old": {},
    "refresh": {},
    "check": {},
    "unit_restart": {"unit": UNIT},
    "kargs": {"append": ["panic=10"], "delete": ["mitigations=auto,nosmt"], "soak_s": 0},
    "container_update": {"unit": "caddy.service", "image": "docker.io/library/caddy:2.11", "soak_s": 0},
    "container_rollback": {"unit": "caddy.service", "soak_s": 0},
    "container_restart": {"container": "caddy"},
    "container_start": {"container": "shop-api"},
    "container_stop": {"container": "shop-frontend"},
    "container_logs": {"container": "caddy", "seconds": 30},
    "image_pull": {"image": "docker.io/library/caddy:2.12"},
    "image_prune": {},
    "auto_update_check": {},
    "auto_update": {},
    "certbot_renew": {"certificate": "shop.example.org", "force": True},
    "kubeadm_renew": {},
    "zincati_pause": {},
    "zincati_resume": {},
    "drain": {},
    "uncordon": {},
}
FLATCAR = HostPlan(
    "ingress-01", "ingress", role="edge", os="flatcar", stream="flatcar/stable", strategy="reboot", versions_behind=1
)
#: Kinds that need a host of another role.
CONTROL_PLANE = HostPlan("k8s-control-01", "k8s-control", role="k8s-control", versions_behind=1)
HOSTS = {"kubeadm_renew": CONTROL_PLANE}
FLATCAR_PARAMS: dict[str, dict[str, Any]] = {
    "upgrade": {"soak_s": 0},
    "rollback": {"soak_s": 0},
    "reboot": {"soak_s": 0},
    "cleanup_pending": {},
    "cancel_transaction": {},
}
#: With each of these on both databases; what the others write is written by these too.
BOTH = ("upgrade", "refresh")
#: How often the unit that is named is started: once, whoever dies.
STARTS = {"unit_restart": 1, "container_update": 1, "container_rollback": 1}
#: Deaths and late workers are tried in each place of these, and in some of the others; `make soak` tries all.
WHOLE = ("upgrade", "refresh", "container_update", "drain")
#: Calls from one death to the next.
LIVES = 4
#: Kinds that work on a node of a cluster; with `in_cluster` the others do too.
IN_CLUSTER = ("drain", "uncordon")
RESTARTS = {"upgrade": 1, "rollback": 1, "reboot": 1, "kargs": 1}


def with_containers(host: SimulatedHost) -> None:
    """An image that was kept, one that nothing uses, and a container that does not run."""
    host.images[kept_name("caddy.service")] = boxes.digest_of("docker.io/library/caddy:2.9")
    host.images["docker.io/library/unused:1"] = boxes.digest_of("docker.io/library/unused:1")
    host.unit_states["shop-api.service"] = "inactive"


class Run:
    """One operation of one kind on a fresh host, worked on until it ends."""

    def __init__(
        self,
        kind: str,
        patch: pytest.MonkeyPatch,
        host: HostPlan | None = None,
        *,
        in_cluster: bool = False,
        **params: Any,
    ) -> None:
        self.kind, self.now = kind, START
        patch.setattr(clock, "now", lambda: self.now)
        self.machine = Machine(host or HOSTS.get(kind))
        if host:
            # A boot is marked as good after a while.
            self.machine.ahead_s = lambda: (self.now - START).total_seconds()
        patch.setattr(work, "SshHost", host_of(self.machine))
        patch.setattr(registry, "ask", lambda reference: registry.Found("there", boxes.digest_of(str(reference))))
        with_containers(self.machine.host)
        Node.objects.all().delete()
        self.node = make_hosted_node(self.machine, self.now)
        self.kube = make_shop(patch, self.machine, self.node, self.now) if in_cluster or kind in IN_CLUSTER else None
        if self.kube and kind == "uncordon":
            self.kube.cluster.cordon("n1")
            for name in self.kube.cluster.names("n1"):
                self.kube.cluster.end(name)
            self.kube.api.done.clear()
        self.ask(kind, **(params or (FLATCAR_PARAMS if host else PARAMS)[kind]))

    def ask(self, kind: str, **params: Any) -> None:
        """Ask for an operation; it is worked on from here on."""
        answer = request_operations(nodes=[self.node], kind=kind, params=params, actor=SYSTEM, now=self.now)
        assert answer.operations, answer.refused
        self.operation = answer.operations[0]

    def plan(self, kind: str, **params: Any) -> list[NodePlan]:
        return preview(nodes=[self.node], kind=kind, params=params, actor=SYSTEM, now=self.now)

    def cancel(self) -> None:
        control.cancel(operation=self.operation, actor=SYSTEM, now=self.now)

    def rounds(self, most: int = 400) -> Operation:
        for _round in range(most):
            self.now += timedelta(seconds=4)
            self.machine.goes_on(0.005)
            if self.kube:
                run_shop(self.kube, self.machine)
            start_queued(self.now)
            claimed = claim_due(self.now)
            for operation, lease in claimed:
                self.machine.works_on(self.operation.step)
                with suppress(Killed, OperationalError):
                    run_step(operation, lease, self.now)
            self.operation.refresh_from_db()
            if not claimed:
                # Nothing happens before the lease of a dead worker is over, or the wait.
                self.now = max([self.now, *filter(None, (self.operation.lease_until, self.operation.due_at))])
            if self.operation.ended_at is not None or self.operation.state == "needs_attention":
                break
        return self.operation

    def left_behind(self) -> list[str]:
        """What of ours is on the host, or at the node of its cluster once that was looked at again."""
        if self.kube is None:
            return self.machine.left_behind()
        self.machine.dies_after = self.machine.stops_after = None
        self.machine.works_on("")
        self.kube.look(self.now)
        is_kept = self.kind == "drain" and self.operation.state == "succeeded"
        rows = Cordon.objects.filter(is_kept=True) if is_kept else Cordon.objects.none()
        assert list(Cordon.objects.all()) == list(rows)
        found = self.kube.cluster.node("n1")
        marked = CORDONED_BY in found["metadata"].get("annotations", {})
        assert marked == is_kept == rows.exists()
        cordoned = bool(found["spec"].get("unschedulable")) and not is_kept
        if self.kind == "uncordon":
            # Where what was asked for did not come about, somebody else's cordon is nothing that we left.
            cordoned = cordoned and self.operation.state == "succeeded"
        return self.machine.left_behind() + (["cordon"] if cordoned else [])

    def check(self, where: object) -> None:
        operation = self.operation
        stand = (
            where,
            operation.state,
            operation.step,
            operation.result,
            operation.result_params,
            operation.wait_reason,
        )
        assert operation.state == "succeeded", stand
        assert self.machine.reboots == RESTARTS.get(self.kind, 0), stand
        assert self.left_behind() == [], stand
        if self.kube:
            assert self.kube.cluster.names("n1") == ([] if self.kind == "uncordon" else ["ds"]), stand
            # Each pod is counted once, whoever dies between telling it to go and writing so.
            assert operation.memory.get("pods_gone", 0) == (0 if self.kind == "uncordon" else 2), stand
        unit = self.operation.params.get("unit", UNIT)
        assert self.machine.host.starts.get(unit, 0) == STARTS.get(self.kind, 0), stand
        assert ("panic=10" in self.machine.host.booted.kargs) == (self.kind == "kargs"), stand
        assert operation.lease_id is None
        assert not StepRun.objects.filter(operation=operation, ended_at=None).exists()


def make_shop(patch: pytest.MonkeyPatch, machine: Machine, node: Node, now: datetime) -> Kube:
    """The node in a cluster of two, with pods that a budget lets go one after the other, and one that stays."""
    Cordon.objects.all().delete()
    ClusterAccess.objects.all().delete()
    row, _is_new = Cluster.objects.get_or_create(name="shop")
    node.pool, _is_new = Pool.objects.get_or_create(name="shop", cluster=row)
    node.save()
    kube = make_kube(patch, row)
    ends: list[bool] = []
    kube.transport.before = lambda _method, _path: ends.append(machine.enters())

    def after(_method: str, _path: str) -> None:
        if ends.pop():
            raise machine.breaks_with()

    kube.transport.after = after
    for name in ("n1", "n2"):
        kube.cluster.add_node(name, boot_id=machine.host.boot_id)
    kube.look(now)
    fill_shop(kube)
    return kube


def fill_shop(kube: Kube) -> None:
    for number, name in enumerate(("n1", "n1", "n2")):
        kube.cluster.add_pod(name, f"web-{number}", app="web")
    kube.cluster.set_budget("web", "web", min_available=2)
    kube.cluster.add_pod("n1", "ds", owner="DaemonSet")


def run_shop(kube: Kube, machine: Machine) -> None:
    """What goes on in the cluster by itself: kubelets end pods and say how they are, and a ReplicaSet makes new ones."""
    for name in kube.cluster.kubelet():
        if name.startswith("web-") and kube.makes_new:
            kube.cluster.add_pod("n2", f"{name}-new", app="web")
    kube.cluster.set_status("n1", boot_id=machine.host.boot_id)


def of_kind(kind: str, host: HostPlan | None = None, *, in_cluster: bool = False, is_soak: bool = False) -> Any:
    """A case of a test of all kinds: which of them are for each run, and which for both databases."""
    mark = pytest.mark.soak if is_soak else pytest.mark.one_database
    return pytest.param(kind, host, in_cluster, marks=() if kind in BOTH and not host and not in_cluster else mark)


@pytest.mark.parametrize(
    ("kind", "host", "in_cluster"),
    [
        *(of_kind(kind, is_soak=kind not in WHOLE) for kind in PARAMS),
        # What differs between systems is in their drivers; here it is one of each kind of effect.
        *(of_kind(kind, FLATCAR, is_soak=True) for kind in FLATCAR_PARAMS),
        of_kind("reboot", in_cluster=True, is_soak=True),
    ],
)
def test_workers_may_die_at_every_call(
    kind: str,
    host: HostPlan | None,
    in_cluster: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One after another, before a call and after the next, until there was a death in each call of each step."""
    missing = places_of(kind, monkeypatch, host, in_cluster=in_cluster)
    assert missing
    while missing:
        died_in = run_with_deaths(missing[0], kind, monkeypatch, host, in_cluster, before=len(missing) % 2 == 0)
        missing = [place for place in missing if place not in died_in]


@pytest.mark.parametrize(
    ("kind", "host", "in_cluster"),
    [
        *(of_kind(kind) for kind in PARAMS if kind not in WHOLE),
        of_kind("upgrade", FLATCAR),
        of_kind("reboot", in_cluster=True),
    ],
)
def test_workers_die_one_after_another(
    kind: str, host: HostPlan | None, in_cluster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first call that changes something or looks, and in each fourth one after it."""
    place = places_of(kind, monkeypatch, host, in_cluster=in_cluster)[0]
    run_with_deaths(place, kind, monkeypatch, host, in_cluster, before=len(kind) % 2 == 0)


def run_with_deaths(
    place: Place, kind: str, patch: pytest.MonkeyPatch, host: HostPlan | None, in_cluster: bool, *, before: bool
) -> set[Place]:
    """Where workers died in a run that began with a death at `place`, before its effect or after it."""
    run = Run(kind, patch, host, in_cluster=in_cluster)
    run.machine.dies_at, run.machine.dies_again_after = place, LIVES
    run.machine.dies_before_effect = before
    run.rounds()
    run.check((place, run.machine.died_in))
    run.machine.loop.close()
    assert place in run.machine.died_in
    return set(run.machine.died_in)


@pytest.mark.soak
@pytest.mark.parametrize("kind", PARAMS)
def test_a_worker_may_die_before_and_after_every_call(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One death in each run. What follows a death is the same as in a run that was not disturbed."""
    deaths = 0
    for call in itertools.count():
        died = False
        for before_effect in (True, False):
            run = Run(kind, monkeypatch)
            run.machine.dies_after, run.machine.dies_before_effect = call, before_effect
            run.rounds()
            died = died or run.machine.deaths > 0
            deaths += run.machine.deaths
            run.check((call, before_effect))
            run.machine.loop.close()
        if not died:
            break
    assert deaths >= 2


def places_of(kind: str, patch: pytest.MonkeyPatch, host: HostPlan | None = None, **given: Any) -> list[Place]:
    """Each call of each step in a run that nobody disturbs. Waits ask the same more than once."""
    run = Run(kind, patch, host, **given)
    run.rounds()
    run.check("undisturbed")
    run.machine.loop.close()
    return list(dict.fromkeys(place for place in run.machine.places if place[0]))


@pytest.mark.parametrize(
    "kind",
    ["unit_restart", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("upgrade", "reboot", "rollback"))],
)
def test_the_database_may_fail_at_every_write_of_an_outcome(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = record._write
    for failing in itertools.count():
        writes = itertools.count()
        failed: list[int] = []

        def write(*given: Any, writes: Any = writes, failing: int = failing, failed: list[int] = failed) -> bool:
            number = next(writes)
            if number == failing:
                failed.append(number)
                raise OperationalError("the connection was closed")
            return whole(*given)

        monkeypatch.setattr(record, "_write", write)
        run = Run(kind, monkeypatch)
        run.rounds()
        run.check(failing)
        run.machine.loop.close()
        if not failed:
            break
    monkeypatch.setattr(record, "_write", whole)
