"""Operations on the pages of nodes: what can be asked for, and what is under way."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from fleetui.access.principals import Principal
from nodes.hosts import drivers
from nodes.models import Node
from ops import actions, wording
from ops.models import Operation, PoolProvisioner
from ops.services.clusters.nodes import in_clusters
from ops.services.holds import PERMISSION
from ops.views.holds import holds_shown
from ops.views.words import shown

_ICONS = {
    "refresh": "refresh",
    "check": "search",
    "upgrade": "arrow-up",
    "rollback": "arrow-back-up",
    "reboot": "power",
    "unit_restart": "rotate-clockwise",
    "kargs": "terminal-2",
    "container_update": "arrow-up",
    "container_rollback": "arrow-back-up",
    "container_restart": "rotate-clockwise",
    "container_start": "player-play",
    "container_stop": "player-pause",
    "container_logs": "terminal-2",
    "image_pull": "box",
    "image_prune": "trash",
    "auto_update_check": "search",
    "auto_update": "refresh",
    "certbot_renew": "certificate",
    "kubeadm_renew": "certificate",
    "drain": "logout",
    "uncordon": "player-play",
    "replace": "cpu",
    "pin": "pin",
    "unpin": "pin",
    "cleanup_pending": "trash",
    "cleanup_rollback": "trash",
    "cleanup_old": "trash",
    "cancel_transaction": "ban",
    "zincati_pause": "player-pause",
    "zincati_resume": "player-play",
}
#: Offered on the list, where hosts of several systems may be selected.
_ON_LIST = (
    *("refresh", "upgrade", "reboot", "rollback", "unit_restart", "drain", "uncordon"),
    *("container_update", "container_rollback", "image_prune", "auto_update"),
)
LAST_SHOWN = 5
#: Offered beside each container of Podman; the first ones only where a unit runs it.
_OF_UNITS = ("container_update", "container_rollback")
_OF_CONTAINERS = (*_OF_UNITS, "container_restart", "container_start", "container_stop", "container_logs")


def node_operations(principal: Principal, node: Node | None) -> dict[str, Any]:
    """For a node: the kinds that its driver supports, and its last operations. For the list: the kinds of a bulk action."""
    plan_url = reverse("operation_plan")
    if node is None:
        may = principal.may_somewhere("operations.request")
        return {"operation_plan_url": plan_url, "operation_kinds": [_kind(kind) for kind in _ON_LIST] if may else []}
    if not principal.may("operations.read", node):
        return {}
    may = principal.may("operations.request", node) and node.lifecycle != "retired"
    known = bool(in_clusters([node]).rows)
    kinds = [kind for kind in actions.askable() if _is_supported(node, kind, known)] if may else []
    rows = Operation.objects.filter(node=node).select_related("request").order_by("-created_at")[:LAST_SHOWN]
    return {
        "operation_plan_url": plan_url,
        "operation_kinds": [_kind(kind) for kind in kinds if kind not in _OF_CONTAINERS],
        "container_kinds": [{**_kind(kind), "needs_unit": kind in _OF_UNITS} for kind in _OF_CONTAINERS]
        if _OF_CONTAINERS[0] in kinds
        else [],
        "may_renew_by_certbot": "certbot_renew" in kinds,
        "may_renew_by_kubeadm": "kubeadm_renew" in kinds,
        "may_replace": "replace" in kinds,
        "last_operations": [shown(row) for row in rows],
        "holds": holds_shown(principal, node=node),
        "may_hold": principal.may(PERMISSION, node),
    }


def _kind(kind: str) -> dict[str, str]:
    return {"kind": kind, "word": wording.kind_word(kind), "icon": _ICONS.get(kind, "activity")}


def _is_supported(node: Node, kind: str, in_cluster: bool) -> bool:  # noqa: FBT001
    if actions.get(kind).on == "cluster":
        return in_cluster
    if actions.get(kind).on == "machine":
        return node.pool_id is not None and PoolProvisioner.objects.filter(pool=node.pool_id).exists()
    if node.os_family not in drivers.families():
        return False
    if kind == "kubeadm_renew":
        facts = node.current_facts
        if facts is None or (facts.document.get("kubernetes") or {}).get("role") != "control-plane":
            return False
    capabilities = drivers.get(node.os_family).capabilities
    needed = [capabilities.get(name) for name in actions.get(kind).capabilities]
    return all(capability is not None and capability.supported for capability in needed)
