"""What stands for and against replacing nodes, from what is stored: for plans, and again right before it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings as installation

from fleetui.core import clock
from nodes.models import IgnitionVersion, Node, Pool
from nodes.models.ignition import ReviewState
from ops.models import PoolProvisioner, Provisioner
from ops.preflight import Check, gate_check
from ops.replacement import NotReady
from ops.services.backups.gates import Gate, gates_on
from ops.services.replacing import repositories
from ops.services.replacing.provisioners import opened
from ops.services.replacing.spares import Spares, spare_capacity, spares_of

#: Why it cannot be asked, as far as the machine says it on which this is looked at.
_FILES = frozenset({"no_folder", "hook_absent", "tf_folder_absent", "tf_absent"})


@dataclass(frozen=True)
class Replacing:
    """What is known of the nodes of a plan. Six queries, however many nodes."""

    provisioners: Mapping[Any, Provisioner] = field(default_factory=dict)
    pools: Mapping[Any, Pool] = field(default_factory=dict)
    applied: Mapping[Any, str] = field(default_factory=dict)
    #: What each pool has to take the place of a machine.
    spares: Mapping[Any, Spares] = field(default_factory=dict)
    #: Backups that have to be fresh and proven before a node is taken away.
    gates: Mapping[Any, Sequence[Gate]] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> Replacing:
        ids = {node.pool_id for node in nodes if node.pool_id}
        given = PoolProvisioner.objects.filter(pool__in=ids).select_related("provisioner__source")
        pools = Pool.objects.filter(pk__in=ids).select_related("intended_version__config")
        pools = pools.defer("intended_version__source", "intended_version__rendered")
        versions = IgnitionVersion.objects.light().select_related("config")
        wanted = {node.applied_version_id for node in nodes if node.applied_version_id}
        return cls(
            provisioners={one.pool_id: one.provisioner for one in given},
            pools={pool.pk: pool for pool in pools},
            applied={one.pk: str(one) for one in versions.filter(pk__in=wanted)} if wanted else {},
            spares=spares_of(ids),
            gates=gates_on(nodes, clock.now()),
        )

    def refusal(self, node: Node) -> tuple[str, dict[str, Any]]:
        """The code why it cannot be replaced; empty when it can."""
        if node.last_seen_at is None:
            return "nothing_there", {}
        if node.pool_id is None or node.pool_id not in self.pools:
            return "no_pool", {}
        pool = self.pools[node.pool_id]
        if node.pool_id not in self.provisioners:
            return "no_provisioner", {"pool": pool.name}
        version = pool.intended_version
        if version is None:
            return "nothing_intended", {"pool": pool.name}
        if version.state != ReviewState.APPROVED:
            return "intended_not_approved", {"pool": pool.name, "version": str(version)}
        return "", {}

    def target(self, node: Node, *, is_control_plane: bool = False) -> dict[str, Any]:
        pool, provisioner = self.pools[node.pool_id], self.provisioners[node.pool_id]
        version = pool.intended_version
        found = {
            "node": node.name,
            "version": str(version),
            "ignition": str(version.pk) if version else "",
            "before": self.applied.get(node.applied_version_id, ""),
            "provisioner": provisioner.name,
            "provisioner_id": str(provisioner.pk),
            "provisioner_kind": provisioner.kind,
            "generation": node.generation + 1,
            **({"control_plane": True} if is_control_plane else {}),
        }
        source = repositories.chosen(provisioner)
        return {**found, "source": source} if source else found

    def commands(self, node: Node) -> list[list[str]]:
        try:
            return opened(self.provisioners[node.pool_id]).commands(node.name, node.address)
        except NotReady:
            # The checks say why.
            return []

    def checks(self, node: Node, params: Mapping[str, Any], *, is_control_plane: bool = False) -> list[Check]:
        provisioner = self.provisioners[node.pool_id]
        told = {"name": provisioner.name}
        source = repositories.chosen(provisioner)
        found = [Check(f"by_{provisioner.kind}", params=told)]
        if provisioner.kind == "in_place":
            found += _in_place(node)
        if source:
            found.append(Check("source_fixed" if source["ref_kind"] == "commit" else "source_chosen", params=source))
        try:
            asked = opened(provisioner)
            if provisioner.kind in ("hook", "terraform"):
                # It reads files for that, and asks nobody.
                asked.ready()
        except NotReady as error:
            # Where workers run elsewhere, those have the folder, and the first step asks one of them.
            is_elsewhere = error.code in _FILES and not installation.CELERY_BROKER_URL.startswith("filesystem")
            found.append(Check(error.code, "warn" if is_elsewhere else "block", error.params))
        found += [gate_check(gate.as_json()) for gate in self.gates.get(node.pk, ())]
        if is_control_plane and not self.gates.get(node.pk):
            found.append(Check("etcd_no_gate", "warn"))
        found.append(Check("machine_deleted", "warn", {"name": node.name}))
        if params.get("only_unreachable") and node.reachability != "unreachable":
            found.append(Check("answers_again", "block"))
        found.append(
            spare_capacity(node, self.spares.get(node.pool_id, Spares()), ignore=bool(params.get("ignore_pool")))
        )
        return found


def _in_place(node: Node) -> list[Check]:
    """What is known to stand against it before the host is asked. It is the installer of Fedora CoreOS."""
    family = node.os_family_given or node.os_family
    found = [] if family == "fcos" else [Check("in_place_family", "block", {"os": node.os_name or family})]
    return [*found, Check("in_place_away", "block")] if node.reachability == "unreachable" else found
