"""clusters/NAME/certificates/: the Certificates of cert-manager, and a new one for it."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import (
    FLAG,
    INTEGER,
    TEXT,
    TIME,
    PageOf,
    Shape,
    column,
    json_column,
    list_of,
    nullable,
)
from fleetui.core.api.views import Listing
from ops.api import shapes
from ops.api.clusters import OfCluster
from ops.api.keys import KEY, asked_key
from ops.api.operations import requested
from ops.filters import ClusterCertificateFilter
from ops.models import ClusterCertificate
from ops.services.clusters.deployments import may_see
from ops.services.clusters.issued import certificate_at, request_renewal

CERTIFICATE = Shape(
    "ClusterCertificate",
    {
        "namespace": column("namespace", TEXT),
        "name": column("name", TEXT),
        "uid": column("uid", TEXT),
        "names": json_column("names", list_of(TEXT)),
        "issuer": column("issuer", TEXT),
        "secret": column("secret", TEXT),
        "revision": column("revision", INTEGER),
        "is_ready": column("is_ready", FLAG),
        "is_issuing": column("is_issuing", FLAG),
        "said": column("said", TEXT),
        "not_before": column("not_before", nullable(TIME)),
        "not_after": column("not_after", nullable(TIME)),
        "renews_at": column("renews_at", nullable(TIME)),
        "checked_at": column("access__checked_at", nullable(TIME)),
    },
)
CERTIFICATES = Listing(CERTIFICATE, {"name": Sort("name")}, "name", ClusterCertificateFilter, key_kind="integer")


class RenewBody(Body):
    """Where it is served, and why."""

    endpoint = Text(
        max_length=300,
        allow_blank=True,
        default="",
        help_text="HOST:PORT of one of the TLS endpoints: a handshake there proves that the new certificate is served.",
    )
    reason = Text(max_length=300, allow_blank=True, default="")


class IssuedList(OfCluster):
    """The Certificates of cert-manager in a cluster as they were last looked at."""

    actions = {
        "GET": Action(
            "clusters.read",
            "cluster_certificates_list",
            "List the Certificates of cert-manager in a cluster",
            {200: PageOf(CERTIFICATE)},
            query=CERTIFICATES.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        rows = ClusterCertificate.objects.filter(access__cluster=self.cluster(name))
        return CERTIFICATES.answer(rows if may_see(self.principal) else rows.none(), request)


class IssuedRenew(OfCluster):
    """As `cmctl renew`, followed to its end by an operation."""

    actions = {
        "POST": Action(
            "operations.request",
            "cluster_certificate_renew",
            "Have cert-manager issue a Certificate anew",
            {201: shapes.REQUESTED},
            body=RenewBody,
            headers=(KEY,),
        )
    }

    def post(self, request: Request, name: str, namespace: str, certificate: str) -> Response:
        row = certificate_at(self.principal, self.cluster(name), namespace, certificate)
        values = read_body(RenewBody, request)
        reason, key = values.pop("reason"), asked_key(request)
        told = {"reason": reason, "idempotency_key": key, "actor": self.principal, "now": clock.now()}
        return requested(request_renewal(row=row, params={k: v for k, v in values.items() if v}, **told))
