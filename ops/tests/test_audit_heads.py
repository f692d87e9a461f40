"""The head of the audit log lies at every backup target, once a day, and proves there whether the log was cut."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, append
from fleetui.audit.models import AuditEvent, AuditHead
from fleetui.audit.verify import anchor_path
from fleetui.core import clock
from fleetui.core.vitals import lines
from nodes.tests.api.client import Api
from nodes.tests.make import make_user
from nodes.tests.pages import signed_in
from ops.models import BackupTarget
from ops.services.backups.anchoring import AGAIN, anchor_at_targets
from ops.services.backups.targets import set_target

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    anchor_path().unlink(missing_ok=True)
    folder = tmp_path / "kept"
    folder.mkdir()
    set_target(name="disk", kind="local", settings={"path": str(folder)}, credentials={}, actor=SYSTEM, now=clock.now())
    return folder


def heads(place: Path) -> list[Path]:
    return sorted((place / "audit-head").glob("*"))


def test_it_is_written_once_a_day_and_never_over_another_one(place: Path) -> None:
    now = clock.now()
    assert [anchor_at_targets(now), anchor_at_targets(now), anchor_at_targets(now + DAY / 2)] == [1, 0, 0]
    head = AuditHead.objects.get()
    (first,) = heads(place)
    assert json.loads(first.read_text()) == {
        "at": json.loads(first.read_text())["at"],
        "seq": head.seq,
        "hash": head.hash,
    }
    assert anchor_at_targets(now + DAY) == 1
    assert len(heads(place)) == 2
    row = BackupTarget.objects.get()
    assert (row.head_seq, row.head_at, row.head_problem) == (head.seq, now + DAY, {})


def test_an_end_that_was_cut_with_head_and_anchor_is_found_by_what_lies_there(place: Path) -> None:
    append([Entry(actor="user:anna", action="nodes.add", subject="node:n1")])
    anchor_at_targets(clock.now())
    (kept,) = heads(place)
    last = AuditEvent.objects.get(seq=1)
    AuditEvent.objects.filter(seq__gt=1).delete()
    AuditHead.objects.update(seq=1, hash=last.hash)
    append([Entry(actor="user:anna", action="nodes.add", subject="node:n2")])
    out = StringIO()
    # Another event has the number of the one that was cut, so that the chain alone is whole.
    call_command("audit", "verify", stdout=out)
    assert "is intact" in out.getvalue()
    cut = json.loads(kept.read_text())["seq"]
    with pytest.raises(CommandError):
        call_command("audit", "verify", "--anchors", str(kept), stdout=out)
    assert f"vent {cut} " in out.getvalue()
    assert "anchored outside the database" in out.getvalue()


@pytest.mark.parametrize(
    ("text", "said"), [("", "holds no anchor"), ('{"seq": 1}\n', "no anchor"), (None, "cannot be read")]
)
def test_a_file_that_proves_nothing_is_refused(place: Path, tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "anchors"
    if text is not None:
        file.write_text(text)
    with pytest.raises(CommandError, match=said):
        call_command("audit", "verify", "--anchors", str(file))


def test_what_goes_wrong_is_said_and_tried_again(place: Path) -> None:
    now = clock.now()
    place.rename(place.with_name("away"))
    assert anchor_at_targets(now) == 0
    assert anchor_at_targets(now + AGAIN / 2) == 0
    owner = make_user("owner", "admin")
    row = Api(owner).get("backups/targets/").json()["results"][0]
    assert row["audit_head"] is None
    assert str(place) in row["audit_head_problem"]
    assert row["audit_head_problem"] in signed_in(owner).get("/backups/targets/").content.decode()
    line = next(line for line in lines() if line.key.startswith("audit:head:"))
    assert (line.level, line.title) == ("warn", "Audit head at disk")
    place.with_name("away").rename(place)
    assert anchor_at_targets(now + AGAIN) == 1
    assert Api(owner).get("backups/targets/").json()["results"][0]["audit_head_problem"] is None
    assert not [line for line in lines() if line.key.startswith("audit:head:")]
