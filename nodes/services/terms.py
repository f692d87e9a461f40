"""Terms of facts: kept in step with what polls read, and made again for facts that were read before."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from nodes.facts.kernel import kernel_order
from nodes.facts.paths import terms_of
from nodes.models import Facts, FactTerm, Node

BATCH = 100


def replace_terms(documents: Mapping[uuid.UUID, Mapping[str, Any]]) -> None:
    """Write what differs between the terms that nodes have and those of their documents. Belongs in a transaction."""
    wanted = {(node, *one) for node, document in documents.items() for one in terms_of(document)}
    gone = []
    for pk, *row in FactTerm.objects.filter(node__in=list(documents)).values_list(
        "pk", "node_id", "path", "value", "number"
    ):
        if tuple(row) in wanted:
            wanted.discard(tuple(row))
        else:
            gone.append(pk)
    for start in range(0, len(gone), 500):
        FactTerm.objects.filter(pk__in=gone[start : start + 500]).delete()
    rows = [
        FactTerm(node_id=node, path=path, value=value, number=number)
        for node, path, value, number in sorted(wanted, key=lambda row: (row[1], row[2], str(row[0])))
    ]
    FactTerm.objects.bulk_create(rows, batch_size=200)


def reindex() -> int:
    """Terms and kernel order of every node that has facts, in short transactions; returns how many nodes."""
    done, last = 0, uuid.UUID(int=0)
    while nodes := _next(last):
        with transaction.atomic():
            documents = dict(
                Facts.objects.filter(pk__in=[facts for _node, facts, _kernel in nodes])
                .order_by()
                .values_list("node_id", "document")
            )
            replace_terms(documents)
            for node, _facts, kernel in nodes:
                Node.objects.filter(pk=node).update(kernel_order=kernel_order(kernel))
        done, last = done + len(nodes), nodes[-1][0]
    return done


def _next(last: uuid.UUID) -> Sequence[tuple[uuid.UUID, int, str]]:
    rows = Node.objects.filter(pk__gt=last, facts__isnull=False).order_by("pk")
    return list(rows.values_list("pk", "facts_id", "kernel")[:BATCH])
