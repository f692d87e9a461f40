"""The node, Deployment or Certificate of one step at its cluster; what changes it is recorded first, under the lease, as on a host."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from django.db import transaction

from fleetui.audit.log import Entry, append
from fleetui.core import clock
from fleetui.core.errors import SealBroken
from ops.actions.base import LeaseLost, Whose
from ops.engine.claim import hold
from ops.kubernetes import Api, Budget, ClusterError, ClusterNode, Pod, connect
from ops.kubernetes.deployments import Deployment, ReplicaSet, hindrance
from ops.kubernetes.issued import Issued, Signed
from ops.kubernetes.volumes import Volume
from ops.models import ClusterAccess, Cordon, Operation
from ops.services.clusters.access import opened
from ops.services.clusters.cordons import is_over

Named = TypeVar("Named", Deployment, Issued)


class _AtCluster:
    """The connection to the cluster that a plan names. Nothing is sent before something is asked."""

    def __init__(self, row: Operation, lease: uuid.UUID, step: str, place: Mapping[str, str]) -> None:
        self._row, self._lease, self._step = row, lease, step
        self._place = dict(place)
        self._access = uuid.UUID(self._place["access"])
        self._open: Api | None = None

    def close(self) -> None:
        if self._open is not None:
            self._open.close()

    def _api(self) -> Api:
        if self._open is None:
            access = ClusterAccess.objects.filter(pk=self._access).first()
            if access is None:
                raise ClusterError("no_access")
            try:
                self._open = connect(opened(access))
            except SealBroken as error:
                raise ClusterError("seal_broken", said=error.message) from error
        return self._open

    def _still_there(self, read: Callable[[str, str], Named]) -> Named:
        """What the plan names, and no other of its name; `gone` when it was deleted."""
        namespace, name = self._place["namespace"], self._place["name"]
        try:
            found = read(namespace, name)
        except ClusterError as error:
            if error.kind != "not_found":
                raise
            raise ClusterError("gone", name=f"{namespace}/{name}") from error
        if found.uid != self._place["uid"]:
            raise ClusterError("gone", name=found.place)
        return found

    def _record(self, what: str, *subject: str) -> None:
        row = self._row
        with transaction.atomic():
            if not hold(row.pk, self._lease, clock.now()):
                raise LeaseLost
            append(
                [
                    Entry(
                        actor=row.request.requester,
                        action="operations.effect",
                        subject=f"operation:{row.pk}",
                        after={
                            "kind": row.kind,
                            "node": row.node_name,
                            "step": self._step,
                            "command": ["kubernetes", *what.split(), *subject],
                        },
                        reason=row.request.reason,
                    )
                ]
            )


class StepCluster(_AtCluster):
    """Implements ops.actions.base.Cluster. Raises ClusterError."""

    def __init__(self, row: Operation, lease: uuid.UUID, step: str) -> None:
        super().__init__(row, lease, step, row.plan["cluster"])

    @property
    def name(self) -> str:
        return self._place["name"]

    def missing(self) -> list[tuple[str, str]]:
        return [(str(right), right.use) for right in self._api().missing()]

    def node(self) -> ClusterNode:
        found = self._api().node(self.name)
        # Where the machine was replaced, its kubelet may have registered the node anew.
        if found.uid != self._place["uid"] and not self._row.memory.get("met"):
            raise ClusterError("replaced", name=self.name)
        return found

    def control_planes(self) -> Sequence[ClusterNode]:
        return [one for one in self._api().nodes() if one.is_control_plane]

    def pods(self) -> list[Pod]:
        return list(self._api().pods(self.name))

    def budgets(self) -> Sequence[Budget]:
        return self._api().budgets()

    def volumes(self) -> Sequence[Volume]:
        node, used = self.node(), {claim for pod in self.pods() for claim in pod.claims}
        return [one for one in self._api().volumes() if one.is_on(node, used)]

    def whose(self, node: ClusterNode) -> Whose:
        if not node.cordoned:
            return "nobody"
        if node.cordoned_by == self._row.pk.hex:
            return "ours"
        kept = Cordon.objects.filter(access=self._access, name=self.name, is_kept=True)
        # Its operation is over, and the next look at the cluster uncordons it: not while we count on it.
        return "leaving" if is_over(node.cordoned_by) and not kept.exists() else "others"

    def cordon(self, node: ClusterNode) -> None:
        mine = {"uid": node.uid, "by": self._row.pk.hex, "operation": self._row, "is_kept": False}
        self._record("cordon", node.name)
        Cordon.objects.update_or_create(access_id=self._access, name=self.name, defaults=mine)
        self._api().cordon(node, self._row.pk.hex)

    def keep(self) -> None:
        self._rows().update(is_kept=True)

    def uncordon(self) -> bool:
        """What this operation cordoned, and nothing else."""
        try:
            node = self.node()
        except ClusterError as error:
            if error.kind not in ("not_found", "replaced"):
                raise
            self._rows().delete()
            return False
        is_ours = node.cordoned_by == self._row.pk.hex
        if is_ours and node.cordoned:
            self._record("uncordon", node.name)
            self._api().uncordon(node)
        elif is_ours:
            self._api().forget_mark(node)
        self._rows().delete()
        return is_ours and node.cordoned

    def release(self, node: ClusterNode) -> None:
        """Uncordon whoever cordoned it, since a person asked for that."""
        self._record("uncordon", node.name)
        self._api().uncordon(node)
        Cordon.objects.filter(access=self._access, name=self.name).delete()

    def may_go(self, pod: Pod) -> None:
        self._api().evict(pod, dry_run=True)

    def evict(self, pod: Pod, grace_s: int | None) -> None:
        self._record("evict", pod.place)
        self._api().evict(pod, grace_s=grace_s)

    def delete(self, pod: Pod, grace_s: int | None) -> None:
        self._record("delete pod", pod.place)
        self._api().delete(pod, grace_s=grace_s)

    def remove(self, node: ClusterNode) -> None:
        self._record("delete node", node.name)
        self._api().remove(node)
        self._rows().delete()

    def _rows(self) -> Any:
        return Cordon.objects.filter(access=self._access, name=self.name, by=self._row.pk.hex)


class StepDeployment(_AtCluster):
    """Implements ops.actions.base.Deployments. Raises ClusterError."""

    def __init__(self, row: Operation, lease: uuid.UUID, step: str) -> None:
        super().__init__(row, lease, step, row.plan["deployment"])

    def missing(self) -> list[str]:
        return [str(right) for right in self._api().missing() if right.use == "deployments"]

    def read(self) -> Deployment:
        return self._still_there(self._api().deployment)

    def revisions(self, of: Deployment) -> list[ReplicaSet]:
        return self._api().replica_sets(of)

    def is_ours(self, found: Deployment) -> bool:
        return found.changed_by == self._row.pk.hex

    def set_image(self, of: Deployment, container: str, image: str) -> Deployment:
        self._record("set image", of.place, f"{container}={image}")
        return self._api().set_image(of, container, image, by=self._row.pk.hex)

    def roll_back(self, of: Deployment, to: ReplicaSet) -> Deployment:
        self._record("rollout undo", of.place, f"--to-revision={to.revision}")
        return self._api().roll_back(of, to, by=self._row.pk.hex)

    def hindrance(self, of: Deployment) -> str:
        return hindrance(self._api().pod_documents(of), of.images)


class StepIssued(_AtCluster):
    """Implements ops.actions.base.CertManager. Raises ClusterError."""

    def __init__(self, row: Operation, lease: uuid.UUID, step: str) -> None:
        super().__init__(row, lease, step, row.plan["issued"])

    def missing(self) -> list[str]:
        return [str(right) for right in self._api().missing() if right.use == "issued"]

    def read(self) -> Issued:
        return self._still_there(self._api().issued_at)

    def is_ours(self, found: Issued) -> bool:
        return found.issuing_by == self._row.pk.hex

    def issue_again(self, of: Issued) -> None:
        self._record("renew certificate", of.place)
        self._api().issue_again(of, self._row.pk.hex, clock.now())

    def signed(self, of: Issued) -> Sequence[Signed]:
        return [one for one in self._api().signed(of.namespace) if one.owner == of.uid]

    def look_again(self) -> None:
        ClusterAccess.objects.filter(pk=self._access).update(due_at=clock.now())
