"""certificates/, those of one node, and the TLS endpoints that are looked at."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Integer, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import (
    FLAG,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    Field,
    PageOf,
    Row,
    Shape,
    column,
    document,
    json_column,
    known,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.api.views import ApiView, Listing
from nodes.api import shapes
from nodes.api.bodies import resolve
from nodes.api.nodes import OneNode, no_such
from nodes.certificates import Form, Level, Use, time_finding
from nodes.filters import CertificateFilter
from nodes.models import NEVER, Certificate, CertificateSource
from nodes.services.certificates import endpoints
from nodes.services.certificates.looks import request_look, source_of
from nodes.tasks import nudge_certificates
from nodes.wording.certificates import FINDINGS, UNREAD, failure_words, finding_words

FINDING = object_of(
    {
        "code": one_of(FINDINGS),
        "level": one_of([level.value for level in Level]),
        "message": TEXT,
        "mend": TEXT,
    }
)


def _ends(row: Row) -> datetime | None:
    ends: datetime = row["not_after"]
    return None if ends >= NEVER else ends


def _findings(row: Row) -> list[dict[str, Any]]:
    """With what time says of it, as of now."""
    of_time = time_finding(row["not_before"], _ends(row), clock.now())
    all_of_them = [*([of_time.as_json()] if of_time else []), *document(row["findings"])]
    found = []
    for one in all_of_them:
        said, mend = finding_words(one["code"], one["params"])
        found.append({"code": one["code"], "level": one["level"], "message": said, "mend": mend})
    return found


CERTIFICATE = Shape(
    "Certificate",
    {
        "id": column("id", INTEGER),
        "node": column("node_name", nullable(TEXT)),
        "endpoint": Field(
            nullable(TEXT),
            ("endpoint_host", "place", "source_kind"),
            lambda row: row["place"] if row["source_kind"] in CertificateSource.SERVED else None,
        ),
        "cluster": column("cluster_name", nullable(TEXT)),
        "pool": column("pool_name", nullable(TEXT)),
        "place": column("place", TEXT),
        "position": column("position", INTEGER),
        "use": column("use", one_of([use.value for use in Use])),
        "form": column("form", one_of([form.value for form in Form])),
        "subject": column("subject", TEXT),
        "names": json_column("names", TEXTS),
        "issuer": column("issuer", TEXT),
        "serial": column("serial", TEXT),
        "not_before": column("not_before", nullable(TIME)),
        "not_after": Field(nullable(TIME), ("not_after",), _ends),
        "key_type": column("key_type", TEXT),
        "key_bits": column("key_bits", INTEGER),
        "is_ca": column("is_ca", FLAG),
        "fingerprint": column("fingerprint", TEXT),
        "findings": Field(
            list_of(FINDING), ("findings", "not_before", "not_after"), _findings, documents=("findings",)
        ),
        "since": column("since", TIME),
    },
)
_SORTS = {"not_after": Sort("not_after", kind="time"), "subject": Sort("subject")}
LISTING = Listing(CERTIFICATE, _SORTS, "not_after", CertificateFilter, key_kind="integer")
OF_NODE = Listing(CERTIFICATE, _SORTS, "not_after", key_kind="integer")


def _failure(row: Row) -> dict[str, Any] | None:
    if row["failed_at"] is None:
        return None
    said, mend = failure_words(row["error_kind"], document(row["error_params"]), is_endpoint=True)
    return {"kind": row["error_kind"], "message": said, "mend": mend, "at": row["failed_at"]}


ENDPOINT = Shape(
    "CertificateEndpoint",
    {
        "id": column("id", UUID),
        "host": column("host", TEXT),
        "port": column("port", INTEGER),
        "server_name": known("server_name", TEXT),
        "pool": column("pool__name", nullable(TEXT)),
        "is_own": Field(FLAG, ("kind",), lambda row: row["kind"] == "own"),
        "checked_at": column("checked_at", nullable(TIME)),
        "due_at": column("due_at", TIME),
        "is_requested": Field(FLAG, ("requested_at",), lambda row: row["requested_at"] is not None),
        "failure": Field(
            nullable(object_of({"kind": TEXT, "message": TEXT, "mend": TEXT, "at": TIME})),
            ("failed_at", "error_kind", "error_params"),
            _failure,
            documents=("error_params",),
        ),
        "not_read": json_column("unread", list_of(object_of({"place": TEXT, "why": one_of(UNREAD)}))),
    },
)
ENDPOINTS = Listing(ENDPOINT, {"host": Sort("host"), "checked_at": Sort("checked_at", kind="time")}, "host")


class EndpointBody(Body):
    """A host and a port that speaks TLS, and what is asked for there where it is another name."""

    host = Text(min_length=1, max_length=255)
    port = Integer(min_value=1, max_value=65535, default=443)
    server_name = Text(max_length=255, allow_blank=True, default="")
    pool = Text(max_length=100, allow_null=True, default=None)


class CertificateList(ApiView):
    """Every place of every certificate that one may see, the first to end first."""

    actions = {
        "GET": Action(
            "nodes.read", "certificates_list", "List certificates", {200: PageOf(CERTIFICATE)}, query=LISTING.params
        )
    }

    def get(self, request: Request) -> Response:
        return LISTING.answer(Certificate.objects.visible_to(self.principal).with_names(), request)


class NodeCertificates(OneNode):
    """The certificates that were found on a node."""

    actions = {
        "GET": Action(
            "nodes.read",
            "nodes_certificates",
            "List a node's certificates",
            {200: PageOf(CERTIFICATE)},
            query=OF_NODE.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        return OF_NODE.answer(Certificate.objects.filter(source__node=self.node(name)).with_names(), request)


class NodeCertificatesRead(OneNode):
    """Read the certificates of a node at once."""

    actions = {
        "POST": Action(
            "nodes.poll", "nodes_certificates_read", "Read a node's certificates now", {202: shapes.POLL_ACCEPTED}
        )
    }

    def post(self, request: Request, name: str) -> Response:
        node, now = self.node(name), clock.now()
        request_look(source=source_of(node, now), actor=self.principal, now=now)
        nudge_certificates()
        url = f"{shapes.node_url(node.name)}certificates/"
        return Response({"nodes": 1, "url": url}, status=202, headers={"Location": url})


class _Endpoints(ApiView):
    def rows(self) -> QuerySet[CertificateSource]:
        rows = CertificateSource.objects.visible_to(self.principal)
        found: QuerySet[CertificateSource] = rows.filter(kind__in=CertificateSource.SERVED)
        return found

    def one(self, source_id: uuid.UUID) -> CertificateSource:
        row = self.rows().select_related("pool").filter(pk=source_id).first()
        if row is None:
            raise no_such("endpoint", str(source_id))
        return row

    def shown(self, source_id: uuid.UUID, status: int = 200) -> Response:
        row = self.rows().filter(pk=source_id).values(*ENDPOINT.columns()).get()
        return Response(ENDPOINT.render(row), status=status)


class EndpointList(_Endpoints):
    """The TLS endpoints that are looked at."""

    actions = {
        "GET": Action(
            "nodes.read",
            "certificate_endpoints_list",
            "List TLS endpoints",
            {200: PageOf(ENDPOINT)},
            query=ENDPOINTS.params,
        ),
        "POST": Action(
            endpoints.PERMISSION,
            "certificate_endpoints_create",
            "Have a TLS endpoint looked at",
            {201: ENDPOINT},
            body=EndpointBody,
        ),
    }

    def get(self, request: Request) -> Response:
        return ENDPOINTS.answer(self.rows(), request)

    def post(self, request: Request) -> Response:
        values = resolve(read_body(EndpointBody, request), self.principal)
        added = endpoints.add_endpoint(**values, actor=self.principal, now=clock.now())
        nudge_certificates()
        return self.shown(added.pk, 201)


class EndpointDetail(_Endpoints):
    """One TLS endpoint. What it serves is in certificates/."""

    actions = {
        "GET": Action("nodes.read", "certificate_endpoints_read", "Read a TLS endpoint", {200: ENDPOINT}),
        "DELETE": Action(
            endpoints.PERMISSION, "certificate_endpoints_delete", "Look at a TLS endpoint no more", {204: None}
        ),
    }

    def get(self, request: Request, source_id: uuid.UUID) -> Response:
        return self.shown(self.one(source_id).pk)

    def delete(self, request: Request, source_id: uuid.UUID) -> Response:
        endpoints.delete_endpoint(endpoint=self.one(source_id), actor=self.principal)
        return Response(status=204)


class EndpointLook(_Endpoints):
    """Look at a TLS endpoint at once."""

    actions = {
        "POST": Action("nodes.poll", "certificate_endpoints_look", "Look at a TLS endpoint now", {202: ENDPOINT})
    }

    def post(self, request: Request, source_id: uuid.UUID) -> Response:
        source = self.one(source_id)
        request_look(source=source, actor=self.principal, now=clock.now())
        nudge_certificates()
        return self.shown(source.pk, 202)
