"""The host certificates that a batch saw: written only where one is new, so that a quiet poll writes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from nodes.hosts import ssh
from nodes.models import HostCertificate, Node

_COLUMNS = (
    "authority_fingerprint",
    "key_type",
    "key_fingerprint",
    "key_id",
    "serial",
    "principals",
    "valid_after",
    "valid_before",
)


class SeenCertificates:
    """Compares what hosts showed with what they showed before."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._known: dict[uuid.UUID, HostCertificate] = {}
        self._changed: list[HostCertificate] = []

    def recall(self, nodes: Collection[uuid.UUID]) -> None:
        """Load what was seen of these nodes before: one query, and none when no node showed a certificate."""
        if nodes:
            self._known = HostCertificate.objects.in_bulk(list(nodes))

    def take(self, node: Node, seen: ssh.HostCertificate) -> bool:
        """Whether the certificate is another than before."""
        columns = _columns(seen)
        old = self._known.get(node.pk)
        if old is not None and all(getattr(old, name) == columns[name] for name in _COLUMNS):
            return False
        self._changed.append(HostCertificate(node=node, seen_at=self.now, **columns))
        return True

    def write(self) -> None:
        HostCertificate.objects.bulk_create(
            self._changed,
            batch_size=100,
            update_conflicts=True,
            unique_fields=["node"],
            update_fields=[*_COLUMNS, "seen_at"],
        )


def _columns(seen: ssh.HostCertificate) -> dict[str, Any]:
    return {
        "authority_fingerprint": seen.authority.fingerprint,
        "key_type": seen.key.type,
        "key_fingerprint": seen.key.fingerprint,
        "key_id": seen.key_id[:200],
        "serial": str(seen.serial),
        "principals": list(seen.principals[:50]),
        "valid_after": seen.valid_after,
        "valid_before": seen.valid_before,
    }
