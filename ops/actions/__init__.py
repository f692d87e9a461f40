"""One kind of operation each: its steps, and nothing else."""

from __future__ import annotations

from ops.actions.backup import BACKUP
from ops.actions.base import ASKED, Action
from ops.actions.cert_manager import CERT_MANAGER_RENEW
from ops.actions.certbot import CERTBOT_RENEW
from ops.actions.container_image import CONTAINER_ROLLBACK, CONTAINER_UPDATE
from ops.actions.container_logs import CONTAINER_LOGS
from ops.actions.container_power import POWER
from ops.actions.deployment import DEPLOYMENTS
from ops.actions.drain import DRAIN, UNCORDON
from ops.actions.drill import RESTORE_DRILL
from ops.actions.images import AUTO_UPDATE, AUTO_UPDATE_CHECK, IMAGE_PRUNE, IMAGE_PULL
from ops.actions.kargs import KARGS
from ops.actions.kubeadm import KUBEADM_RENEW
from ops.actions.looking import CHECK, REFRESH
from ops.actions.ostree import ROLLBACK, UPGRADE
from ops.actions.replace import REPLACE
from ops.actions.restore import RESTORE, RESTORE_BESIDE
from ops.actions.simple import RESTART, SIMPLE
from ops.actions.unit import UNIT_RESTART

_ALL: dict[str, Action] = {
    action.kind: action
    for action in (
        *(REFRESH, CHECK, UPGRADE, ROLLBACK, RESTART, UNIT_RESTART, KARGS, DRAIN, UNCORDON, REPLACE, *SIMPLE),
        *(BACKUP, RESTORE_DRILL, RESTORE, RESTORE_BESIDE),
        *DEPLOYMENTS,
        *(
            CONTAINER_UPDATE,
            CONTAINER_ROLLBACK,
            *POWER,
            CONTAINER_LOGS,
            IMAGE_PULL,
            IMAGE_PRUNE,
            AUTO_UPDATE_CHECK,
            AUTO_UPDATE,
            CERTBOT_RENEW,
            KUBEADM_RENEW,
            CERT_MANAGER_RENEW,
        ),
    )
}


def get(kind: str) -> Action:
    return _ALL[kind]


def kinds() -> tuple[str, ...]:
    return tuple(_ALL)


def askable() -> tuple[str, ...]:
    """Those that are asked for as operations on nodes."""
    elsewhere = ("deployment", "issued")
    return tuple(kind for kind, action in _ALL.items() if action.permission == ASKED and action.on not in elsewhere)
