"""The audit log proves what it claims: changes, gaps and cuts are found, and the triggers hold."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from fleetui.audit import triggers
from fleetui.audit.log import Entry, append, record_alone
from fleetui.audit.models import AuditEvent, AuditHead
from fleetui.audit.querysets import AuditEventQuerySet
from fleetui.audit.tasks import anchor
from fleetui.audit.verify import anchor_path, verify
from fleetui.core import context

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def no_anchor_of_others() -> Iterator[None]:
    anchor_path().unlink(missing_ok=True)
    yield
    anchor_path().unlink(missing_ok=True)


def record(number: int) -> None:
    record_alone(
        Entry(
            actor="user:ada",
            action="nodes.edit",
            subject=f"node:n{number}",
            before={"x": 1},
            after={"x": "ü\x00\x1b[1m"},
        )
    )


def test_a_chain_verifies_and_keeps_context() -> None:
    context.request_id.set("abc")
    context.source_address.set("10.0.0.9")
    for number in range(5):
        record(number)
    event = AuditEvent.objects.get(seq=3)
    assert (event.request_id, event.source_address) == ("abc", "10.0.0.9")
    assert "ü" in json.loads(event.after)["x"]
    assert "\x00" not in event.after
    assert verify().good
    context.request_id.set("")
    context.source_address.set("")


@pytest.mark.parametrize("field", ["actor", "action", "subject", "after", "reason", "outcome", "source_address", "at"])
def test_a_changed_field_is_found(field: str) -> None:
    for number in range(3):
        record(number)
    value: Any = "2020-01-01T00:00:00Z" if field == "at" else "forged"
    AuditEvent.objects.filter(seq=2).update(**{field: value})
    assert any("Event 2 does not match" in problem for problem in verify().problems)


def test_a_removed_event_is_found() -> None:
    for number in range(3):
        record(number)
    AuditEvent.objects.filter(seq=2).delete()
    assert "Event 2 is missing." in verify().problems


def test_an_inserted_event_is_found() -> None:
    """Whoever writes rows without the key, with the numbers after it moved on and the head with them."""
    for number in range(4):
        record(number)
    rows = list(AuditEvent.objects.filter(seq__gte=3).order_by("-seq").values())
    AuditEvent.objects.filter(seq__gte=3).delete()
    for row in rows:
        AuditEvent.objects.create(**{**row, "seq": row["seq"] + 1})
    AuditEvent.objects.create(**{**rows[-1], "seq": 3, "actor": "user:mallory"})
    AuditHead.objects.update(seq=5)
    problems = verify().problems
    assert any("Event 3 does not match" in problem for problem in problems)
    assert any("Event 4 does not match" in problem for problem in problems)


def test_swapped_events_are_found() -> None:
    for number in range(3):
        record(number)
    second, third = AuditEvent.objects.filter(seq__in=(2, 3)).order_by("seq").values()
    AuditEvent.objects.filter(seq__in=(2, 3)).delete()
    AuditEvent.objects.create(**{**second, "seq": 3})
    AuditEvent.objects.create(**{**third, "seq": 2})
    assert any("Event 2 does not match" in problem for problem in verify().problems)


def test_a_head_that_does_not_move_is_written_once_a_day() -> None:
    record(1)
    anchor()
    anchor()
    old = anchor_path().stat().st_mtime - 90_000
    os.utime(anchor_path(), (old, old))
    anchor()
    assert len(anchor_path().read_text().splitlines()) == 2
    assert verify().good


def test_a_cut_end_is_found_by_the_head_and_by_the_anchor() -> None:
    for number in range(3):
        record(number)
    anchor()
    last = AuditEvent.objects.get(seq=2)
    AuditEvent.objects.filter(seq=3).delete()
    assert any("cut off" in problem for problem in verify().problems)
    AuditHead.objects.update(seq=2, hash=last.hash)
    problems = verify().problems
    assert problems == ["Event 3 was anchored outside the database, but the log ends at 2: it was cut."]


def test_the_anchor_is_written_once_per_head() -> None:
    record(1)
    anchor()
    anchor()
    assert len(anchor_path().read_text().splitlines()) == 1
    assert anchor_path().stat().st_mode & 0o777 == 0o600


def test_append_outside_a_transaction_is_refused(transactional_db: None) -> None:
    with pytest.raises(RuntimeError):
        append([Entry(actor="a", action="b", subject="c")])


def test_a_rolled_back_change_leaves_no_event() -> None:
    def append_and_fail() -> None:
        with transaction.atomic():
            append([Entry(actor="a", action="b", subject="c")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_fail()
    assert not AuditEvent.objects.exists()


def test_triggers_refuse_changes_and_are_missed_when_gone() -> None:
    record(1)
    assert triggers.missing()
    triggers.install()
    try:
        assert not triggers.missing()
        for change in (lambda: AuditEvent.objects.update(actor="x"), lambda: AuditEvent.objects.all().delete()):
            with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
                change()
    finally:
        triggers.remove()
    assert connection.vendor in ("sqlite", "postgresql")


def test_the_command_says_what_is_proved(capsys: Any) -> None:
    record(1)
    anchor()
    call_command("audit", "verify")
    assert "intact: 1 events" in capsys.readouterr().out
    AuditEvent.objects.update(actor="forged")
    with pytest.raises(CommandError, match="not intact"):
        call_command("audit", "verify")


def test_a_log_that_was_cut_and_grew_again_is_found() -> None:
    for number in range(3):
        record(number)
    anchor()
    AuditEvent.objects.filter(seq__gt=1).delete()
    AuditHead.objects.update(seq=1, hash=AuditEvent.objects.get(seq=1).hash)
    record(11)
    anchor()
    record(12)
    # What stood at 3 before is not forgotten, though 3 is anchored anew.
    with anchor_path().open("a") as file:
        file.write(json.dumps({"at": "", "seq": 3, "hash": AuditHead.objects.get().hash}) + "\n")
    assert "Event 3 is not the one that was anchored outside the database." in verify().problems


def test_events_that_come_while_the_chain_is_walked_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        record(number)
    walk = AuditEventQuerySet.iterator

    def busy(rows: Any, *args: Any, **options: Any) -> Iterator[Any]:
        found = list(walk(rows, *args, **options))
        record(99)
        return iter(found)

    monkeypatch.setattr(AuditEventQuerySet, "iterator", busy)
    assert verify().good


def test_events_beyond_the_head_and_a_head_of_another_chain_are_found() -> None:
    for number in range(3):
        record(number)
    AuditHead.objects.update(seq=2, hash=AuditEvent.objects.get(seq=2).hash)
    assert any("cut off or added" in problem for problem in verify().problems)
    AuditHead.objects.update(seq=3, hash="0" * 64)
    assert any("cut off or added" in problem for problem in verify().problems)
