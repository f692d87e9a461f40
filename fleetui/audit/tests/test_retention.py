"""Retention removes the front of the chain and nothing else; what is left is proved, and whoever cuts more is found."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from fleetui.audit import triggers
from fleetui.audit.log import Entry, record_alone
from fleetui.audit.models import AuditEvent
from fleetui.audit.retention import prune_audit
from fleetui.audit.tasks import anchor
from fleetui.audit.verify import anchor_path, verify
from fleetui.core import clock
from fleetui.core.errors import Conflict

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
START = datetime(2026, 1, 1, tzinfo=UTC)
CUT = START + timedelta(days=10)


@pytest.fixture(autouse=True)
def ten_days(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Twenty events, one a day."""
    anchor_path().unlink(missing_ok=True)
    for day in range(20):
        monkeypatch.setattr(clock, "now", lambda day=day: START + timedelta(days=day))
        record_alone(Entry(actor="user:ada", action="nodes.edit", subject=f"node:n{day}"))
    yield
    anchor_path().unlink(missing_ok=True)


def seqs() -> list[int]:
    return list(AuditEvent.objects.order_by("seq").values_list("seq", flat=True))


def test_what_is_old_goes_and_the_rest_is_proved() -> None:
    assert prune_audit(CUT, 100) == 10
    assert seqs() == list(range(11, 22))
    told = json.loads(AuditEvent.objects.get(seq=21).after)
    assert (told["first"], told["last"], told["events"]) == (1, 10, 10)
    verdict = verify()
    assert verdict.good, verdict.problems
    assert (verdict.begins_at, verdict.checkpoint, verdict.events) == (11, 21, 11)
    out = io.StringIO()
    call_command("audit", "verify", stdout=out)
    assert "It begins at event 11: retention removed what was before, as event 21 says." in out.getvalue()


def test_it_goes_on_where_it_stopped_and_over_its_own_checkpoints() -> None:
    assert prune_audit(CUT, 4) == 4
    assert verify().good
    assert prune_audit(CUT, 4) == 4
    assert verify().begins_at == 9
    assert prune_audit(START + timedelta(days=400), 100) == 13
    assert verify().good
    assert seqs() == [22, 23]


def test_less_than_a_day_is_left_for_the_next_day() -> None:
    assert prune_audit(CUT, 100) == 10
    rows = AuditEvent.objects.count()
    assert prune_audit(CUT + timedelta(hours=20), 100) == 0
    assert AuditEvent.objects.count() == rows


def test_who_cuts_more_than_the_checkpoint_says_is_found() -> None:
    prune_audit(CUT, 100)
    AuditEvent.objects.filter(seq=11).delete()
    assert any("Events 1 to 11 are missing" in problem for problem in verify().problems)


def test_a_forged_checkpoint_is_found() -> None:
    AuditEvent.objects.filter(seq__lte=5).delete()
    last = AuditEvent.objects.get(seq=20)
    after = json.dumps({"first": 1, "last": 5, "last_hash": "0" * 64})
    AuditEvent.objects.filter(seq=20).update(action="audit.prune", after=after)
    assert last.hash == AuditEvent.objects.get(seq=20).hash
    problems = verify().problems
    assert any("Event 6 does not match" in problem for problem in problems)
    assert any("Event 20 does not match" in problem for problem in problems)


def test_events_that_were_changed_are_evidence_and_stay() -> None:
    AuditEvent.objects.filter(seq=3).update(actor="user:eve")
    with pytest.raises(Conflict, match="event 3 does not follow"):
        prune_audit(CUT, 100)
    assert len(seqs()) == 20


def test_the_last_removed_event_is_held_against_the_anchor() -> None:
    anchor()
    event = AuditEvent.objects.get(seq=10)
    with anchor_path().open("a") as file:
        file.write(json.dumps({"seq": 10, "hash": event.hash}) + "\n")
    prune_audit(CUT, 100)
    assert verify().good
    with anchor_path().open("a") as file:
        file.write(json.dumps({"seq": 10, "hash": "f" * 64}) + "\n")
    assert any("Event 10, the last that retention removed" in problem for problem in verify().problems)


def test_the_triggers_let_retention_through_and_nobody_else() -> None:
    triggers.install()
    try:
        assert prune_audit(CUT, 100) == 10
        assert triggers.missing() == set()
        for change in (
            lambda: AuditEvent.objects.filter(seq=11).delete(),
            lambda: AuditEvent.objects.update(actor="x"),
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                change()
        assert len(seqs()) == 11
    finally:
        triggers.remove()


def test_on_postgresql_no_more_than_was_named_can_go() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite names no event: its trigger is away for this transaction")
    triggers.install()
    try:
        with pytest.raises(DatabaseError), transaction.atomic(), triggers.deletion_allowed(5):
            AuditEvent.objects.filter(seq__lte=6).delete()
    finally:
        triggers.remove()
