"""What the endpoints that an admin has named serve, and the inventory of certificates, for the node of one step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q

from nodes import certificates
from nodes.hosts import tls
from nodes.hosts.ssh import Deadline
from nodes.models import CertificateSource, Node

LOOK_S = 8.0


class StepCertificates:
    """Implements ops.actions.base.Certificates. An endpoint of another pool is none; of what is done to no node, any is one."""

    def __init__(self, node: Node | None, now: datetime) -> None:
        self._node, self._now = node, now

    def served(self, endpoint: str) -> Mapping[str, Any]:
        source = self._source(endpoint)
        if source is None:
            return {"problem": "unknown", "fingerprint": "", "not_after": ""}
        try:
            chain = tls.served_chain(source.host, source.port, source.server_name, Deadline.after(LOOK_S))
            found = certificates.read_der(chain[0])
        except tls.EndpointError as error:
            return {"problem": error.kind, "fingerprint": "", "not_after": ""}
        except certificates.Unreadable:
            return {"problem": "no_certificate", "fingerprint": "", "not_after": ""}
        ends = found.not_after.isoformat() if found.not_after else ""
        return {"problem": "", "fingerprint": found.fingerprint, "not_after": ends}

    def read_again(self, endpoint: str = "") -> None:
        source = self._source(endpoint) if endpoint else None
        of_node = Q(node=self._node) if self._node is not None else Q(pk=None)
        rows = CertificateSource.objects.filter(of_node | Q(pk=source.pk if source else None))
        rows.update(due_at=self._now)

    def _source(self, endpoint: str) -> CertificateSource | None:
        host, _colon, port = endpoint.rpartition(":")
        of_pool = Q(pool=None) | Q(pool=self._node.pool_id) if self._node is not None else Q()
        rows = CertificateSource.objects.filter(of_pool, host=host.strip("[]"), port=int(port))
        found: CertificateSource | None = rows.filter(kind__in=CertificateSource.SERVED).order_by("server_name").first()
        return found
