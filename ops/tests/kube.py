"""A cluster without a network for tests of rows and pages: the rows of tests.kubeapi, asked in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleetui.core.crypto import seal
from nodes.models import Cluster as ClusterRow
from ops.kubernetes.access import Access
from ops.models import ClusterAccess
from ops.services.clusters.refresh import claim_due, refresh
from tests.kubeapi import Api
from tests.kubecluster import Cluster

SERVER = "https://kube.example:6443"


@dataclass
class InProcess:
    """A transport to the rows; `before` and `after` see each request, and may raise."""

    api: Api
    before: Callable[[str, str], None] = lambda _method, _path: None
    after: Callable[[str, str], None] = lambda _method, _path: None
    asked: list[str] = field(default_factory=list)

    def send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b"", kind: str = ""
    ) -> tuple[int, bytes]:
        self.asked.append(f"{method} {path}")
        self.before(method, path)
        status, document = self.api.handle(method, path, dict(query or {}), json.loads(body) if body else {}, kind)
        self.after(method, path)
        return status, json.dumps(document).encode()

    def close(self) -> None:
        return None


@dataclass
class Kube:
    """A cluster, what FleetUI reaches it by, and the rows that FleetUI has of it."""

    api: Api
    transport: InProcess
    cluster: Cluster
    row: ClusterRow
    access: ClusterAccess
    #: Whether a ReplicaSet makes a new pod for one that went.
    makes_new: bool = True

    def look(self, now: Any) -> None:
        """Look at the cluster now, as a worker does."""
        ClusterAccess.objects.update(due_at=now)
        for access, lease in claim_due(now):
            refresh(access, lease)


def make_kube(patch: pytest.MonkeyPatch, row: ClusterRow, *, space: str = "shop") -> Kube:
    """An API with nothing in it but a namespace, and a sealed access of that cluster to it."""
    api = Api()
    transport = InProcess(api)
    patch.setattr("ops.kubernetes.api.HttpsTransport", lambda _access: transport)
    cluster = Cluster(InProcess(api), space=space)
    api.namespaces[space] = {"metadata": {"name": space}}
    access = ClusterAccess(cluster=row, server=SERVER, how="token", set_by="user:owner", state="good")

    access.sealed = seal(Access(SERVER, token="t").as_text(), place=access.seal_place)
    access.save()
    return Kube(api, transport, cluster, row, access)
