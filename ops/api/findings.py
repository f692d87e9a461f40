"""operations/ID/findings/, packages/ and attachments/: what an operation found on its host, and what was kept of it."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core.api.actions import Action, Param
from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    TEXT,
    TIME,
    UUID,
    Document,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.errors import InvalidInput, NotFound
from nodes.hosts.drivers.package_diff import CHANGES
from ops import wording
from ops.api.operations import OneOperation
from ops.models import Attachment
from ops.services.findings import attachments_of, package_counts, packages_of

_CHECK = object_of({"name": nullable(TEXT), "code": TEXT, "passed": FLAG, "sentence": TEXT})
_KEPT = {
    "id": INTEGER,
    "kind": one_of(Attachment.KINDS),
    "title": TEXT,
    "sentence": TEXT,
    "at": TIME,
    "size_bytes": INTEGER,
    "is_cut": FLAG,
}
FINDINGS = Document(
    "OperationFindings",
    object_of(
        {
            "id": UUID,
            "health": list_of(_CHECK),
            "facts_before": nullable(ANY_OBJECT),
            "facts_after": nullable(ANY_OBJECT),
            "packages": nullable({"type": "object", "additionalProperties": INTEGER}),
            "attachments": list_of(object_of(_KEPT)),
        }
    ),
)
KEPT = Document("OperationAttachment", object_of({**_KEPT, "text": TEXT}))
_PACKAGE = object_of(
    {"change": one_of(CHANGES), "name": TEXT, "before": nullable(TEXT), "after": nullable(TEXT), "arch": nullable(TEXT)}
)
PACKAGES = Document("OperationPackages", object_of({"results": list_of(_PACKAGE)}))


def _kept(row: Attachment) -> dict[str, Any]:
    names = ("kind", "title", "at", "size_bytes", "is_cut")
    told = {name: getattr(row, name) for name in names}
    return {"id": row.pk, **told, "sentence": wording.attachment_word(row.kind, row.title)}


class OperationFindings(OneOperation):
    """Checks after the restart, facts before and after, counts of packages, and what was kept."""

    actions = {"GET": Action("operations.read", "operations_findings", "Read what an operation found", {200: FINDINGS})}

    def get(self, request: Request, operation_id: uuid.UUID) -> Response:
        operation = self.operation(operation_id)
        memory = operation.memory
        return Response(
            {
                "id": operation.pk,
                "health": [
                    {
                        "name": (one.get("params") or {}).get("name"),
                        "code": one["code"],
                        "passed": one["level"] == "ok",
                        "sentence": wording.check_sentence(one["code"], one.get("params")),
                    }
                    for one in memory.get("health") or ()
                ],
                "facts_before": before if isinstance(before := memory.get("facts_before"), dict) else None,
                "facts_after": memory.get("facts_after"),
                "packages": package_counts(operation) or None,
                "attachments": [_kept(row) for row in attachments_of(operation)],
            }
        )


class OperationPackages(OneOperation):
    """The packages that differ between the deployment before and the one that was booted next."""

    actions = {
        "GET": Action(
            "operations.read",
            "operations_packages",
            "List the packages that an operation changed",
            {200: PACKAGES},
            query=(
                Param("change", one_of(CHANGES), "Only those that changed so."),
                Param("q", {**TEXT, "maxLength": 100}, "Part of a package's name."),
            ),
        )
    }

    def get(self, request: Request, operation_id: uuid.UUID) -> Response:
        change = request.query_params.get("change", "")
        if change and change not in CHANGES:
            mend = f"Use one of {', '.join(CHANGES)}."
            raise InvalidInput(
                f"{change[:40]!r} is no change of a package.", field="change", value=change[:100], mend=mend
            )
        found = packages_of(self.operation(operation_id), change=change, name=request.query_params.get("q", "")[:100])
        rows = [{name: value or None for name, value in one.items()} for one in found or ()]
        return Response({"results": rows})


class OperationAttachment(OneOperation):
    """One thing that was kept, with its text: masked, and cut to its end where it was too long."""

    actions = {"GET": Action("operations.read", "operations_attachment", "Read what was kept of a host", {200: KEPT})}

    def get(self, request: Request, operation_id: uuid.UUID, attachment_id: int) -> Response:
        operation = self.operation(operation_id)
        row = Attachment.objects.filter(operation=operation, pk=attachment_id).exclude(kind="packages").first()
        if row is None:
            raise NotFound(
                "The operation has no such attachment.", mend=f"Look at operations/{operation.pk}/findings/."
            )
        return Response({**_kept(row), "text": row.text})
