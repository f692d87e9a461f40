"""The one text column that search looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nodes.models import Node


def search_text(node: Node) -> str:
    """Lower-case words of a node: name, address, pool, cluster, labels, OS, version, kernel and checksum."""
    pool = node.pool
    parts = [
        node.name,
        node.address,
        pool.name if pool else "",
        pool.cluster.name if pool and pool.cluster else "",
        node.os_name,
        node.os_family,
        node.os_variant,
        node.os_version,
        node.os_stream,
        node.booted_version,
        node.kernel,
        (node.booted or {}).get("checksum") or "",
        *(f"{key}:{value}" for key, value in sorted(node.labels.items())),
    ]
    return " ".join(part for part in parts if part).lower()
