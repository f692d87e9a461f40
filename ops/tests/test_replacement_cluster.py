"""A machine of a cluster is replaced: drained, its node deleted, and Ready again when it has joined anew."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest

from nodes.models import Cluster, Pool
from ops.actions import health
from ops.actions.base import Context
from ops.models import ClusterAccess, Cordon
from ops.preflight import Check
from ops.tests.kube import Kube, make_kube
from ops.tests.onehost import Machine
from ops.tests.test_replacement import Run

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
DRAINED = ["cordon n1", "evict shop/web-0", "delete shop/web-0"]


class InCluster(Run):
    """The pool is a cluster of two. The new machine joins when it has come up, or, without `joins_late`, never."""

    kube: Kube
    joins_late = True

    def __init__(
        self, patch: pytest.MonkeyPatch, *, denied: str = "", dies_at: int | None = None, **params: Any
    ) -> None:
        def make(pool: Pool, machine: Machine, now: datetime) -> None:
            Cordon.objects.all().delete()
            ClusterAccess.objects.all().delete()
            pool.cluster = Cluster.objects.create(name=f"prod-{Cluster.objects.count()}")
            pool.save()
            self.kube = kube = make_kube(patch, pool.cluster)
            kube.api.denied |= {denied} if denied else set()
            for name in ("n1", "n2"):
                kube.cluster.add_node(name, boot_id=machine.host.boot_id, machine_id=f"old-{name}")
            kube.cluster.add_pod("n1", "web-0", app="web")
            kube.look(now)
            kube.api.done.clear()
            ends: list[bool] = []

            def after(_method: str, _path: str) -> None:
                if ends.pop():
                    raise machine.breaks_with()

            kube.transport.before = lambda _method, _path: ends.append(machine.enters())
            kube.transport.after = after

        super().__init__(patch, cluster=make, **params)

    def join(self) -> None:
        """What the kubelet of the new machine does at its start: it registers, or takes what stands there under its name."""
        told: dict[str, Any] = {"boot_id": self.machine.host.boot_id, "machine_id": "new-n1"}
        if "n1" in self.kube.api.nodes:
            self.kube.cluster.set_status("n1", **told)
        else:
            self.kube.cluster.add_node("n1", **told)

    def rounds(self, most: int = 200, until: str = "") -> Any:
        for _round in range(most):
            row = super().rounds(1, until)
            self.kube.cluster.kubelet()
            if self.site.made and row.step in ("read_machine", "verify_machine", "soak") and self.joins_late:
                self.join()
                self.joins_late = False
            if row.ended_at or row.state == "needs_attention":
                break
        return row


def test_the_node_of_the_old_machine_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = InCluster(monkeypatch)
    run.rounds()
    run.check()
    assert run.kube.api.done == [*DRAINED, "remove n1"]
    assert (run.kube.api.nodes["n1"]["status"]["nodeInfo"]["machineID"], Cordon.objects.count()) == ("new-n1", 0)


def test_a_kubelet_that_was_quicker_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run = InCluster(monkeypatch)
    run.site.joins, run.joins_late = run.join, False
    uid = run.kube.api.nodes["n1"]["metadata"]["uid"]
    run.rounds()
    run.check()
    assert run.kube.api.nodes["n1"]["metadata"]["uid"] == uid
    assert run.kube.api.done == [*DRAINED, "uncordon n1"]


def test_without_the_right_the_node_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    run = InCluster(monkeypatch, denied="delete nodes")
    row = run.rounds()
    run.check()
    assert "node_stays" in [one["code"] for one in row.memory["checks"]]
    assert run.kube.api.done == [*DRAINED, "uncordon n1"]


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.soak), 5])
def test_a_worker_may_die_at_every_call(every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = 0
    for call in itertools.count(0, every):
        run = InCluster(monkeypatch)
        run.machine.dies_after = call
        run.machine.dies_before_effect = call % 2 == 0
        run.rounds(400)
        run.check(call)
        assert run.kube.api.done.count("remove n1") == 1, call
        assert "n1" in run.kube.api.nodes
        run.machine.loop.close()
        deaths += run.machine.deaths
        if not run.machine.deaths:
            break
    assert deaths * every >= 20


@pytest.mark.parametrize(
    ("code", "params", "state"),
    [
        ("kubelet_silent", {"said": "refused"}, "succeeded"),
        ("system_not_up", {"state": "starting"}, "succeeded"),
        ("system_not_up", {"state": "maintenance"}, "needs_attention"),
    ],
)
def test_a_first_boot_has_time_to_join(
    code: str, params: dict[str, Any], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(ctx: Context, *_looked: Any) -> tuple[list[Check], int]:
        return [Check(code, "block", params)] if ctx.now - ctx.since < timedelta(minutes=3) else [], 0

    monkeypatch.setattr(health, "_checked", checked)
    assert Run(monkeypatch).rounds().state == state
