"""Many writers, one chain: no event is lost, doubled or out of order, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from fleetui.audit.log import Entry, record_alone
from fleetui.audit.models import AuditEvent
from fleetui.audit.verify import anchor_path, verify

WRITERS, EACH = 4, 15


@pytest.mark.django_db(transaction=True)
def test_events_of_many_writers_make_one_chain() -> None:
    anchor_path().unlink(missing_ok=True)

    def write(writer: int) -> None:
        try:
            for number in range(EACH):
                record_alone(Entry(actor=f"user:w{writer}", action="nodes.edit", subject=f"node:{number}"))
        finally:
            connection.close()

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(write, range(WRITERS)))
    assert AuditEvent.objects.count() == WRITERS * EACH
    assert verify().problems == []
    for writer in range(WRITERS):
        mine = AuditEvent.objects.filter(actor=f"user:w{writer}").order_by("seq").values_list("subject", flat=True)
        assert list(mine) == [f"node:{number}" for number in range(EACH)]
