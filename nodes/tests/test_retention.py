"""Retention: what is too old goes in small steps, the newest facts never do, and nobody deletes without being told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from fleetui.access.services.retention import set_retention
from fleetui.audit.models import AuditEvent
from fleetui.core import clock, retention
from fleetui.core.errors import InvalidInput, NotAllowed
from fleetui.core.models import Retention
from fleetui.core.tasks import prune
from nodes.models import Facts, Node, Sample, TimelineEvent
from nodes.services.retention import prune_facts, prune_samples, prune_timeline
from nodes.services.samples import take_samples
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_event, make_facts, make_node, principal
from nodes.tests.pages import signed_in

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
DAY = timedelta(days=1)


def facts_of(node: Node, *days_ago: int) -> list[Facts]:
    """Facts read so many days ago, the last ones the newest of the node."""
    rows = [
        Facts.objects.create(node=node, generation=1, read_at=NOW - days * DAY, hash=str(days), document={})
        for days in days_ago
    ]
    Node.objects.filter(pk=node.pk).update(facts=rows[-1])
    return rows


def test_events_go_oldest_first_and_no_more_than_asked(db: None) -> None:
    node = make_node()
    for days in range(10):
        make_event(node, "rebooted", at=NOW - days * DAY)
    assert prune_timeline(NOW - 4.5 * DAY, 3) == 3
    assert TimelineEvent.objects.order_by("at").values_list("at", flat=True).first() == NOW - 6 * DAY
    assert prune_timeline(NOW - 4.5 * DAY, 30) == 2
    assert prune_timeline(NOW - 4.5 * DAY, 30) == 0


def test_the_newest_facts_of_a_node_stay_however_old(db: None) -> None:
    quiet, busy = make_node(), make_node()
    kept = facts_of(quiet, 400)[0]
    facts_of(busy, 300, 200, 50, 1)
    assert prune_facts(NOW - 90 * DAY, 100) == 1
    assert Facts.objects.filter(pk=kept.pk).exists()
    # What held 90 days ago is still known: those facts were read before, and replaced later.
    assert set(Facts.objects.filter(node=busy).values_list("hash", flat=True)) == {"200", "50", "1"}
    assert prune_facts(NOW, 100) == 2
    assert Facts.objects.filter(node=busy).count() == 1


def test_facts_that_a_node_shows_stay_even_behind_newer_ones(db: None) -> None:
    node = make_node()
    shown = facts_of(node, 100, 50)[0]
    Node.objects.filter(pk=node.pk).update(facts=shown)
    assert prune_facts(NOW, 100) == 0


def test_fine_samples_go_early_and_coarse_ones_as_set(db: None) -> None:
    make_node()
    now = clock.now()
    for days in (0, 1, 5, 100):
        Sample.objects.bulk_create(
            [
                Sample(resolution_s=resolution_s, kind="taken", at=now - days * DAY, value="", nodes=0)
                for resolution_s in (60, 600, 3600)
            ]
        )
    prune_samples(now - 90 * DAY, 1000)
    left = sorted(Sample.objects.values_list("resolution_s", "at"))
    assert [(resolution_s, (now - at).days) for resolution_s, at in left] == [
        (60, 0), (600, 1), (600, 0), (3600, 5), (3600, 1), (3600, 0),
    ]  # fmt: skip


def test_the_task_prunes_by_what_is_set(db: None) -> None:
    node = make_node()
    make_event(node, "rebooted", at=clock.now() - 400 * DAY)
    make_event(node, "rebooted", at=clock.now() - 40 * DAY)
    prune()
    assert TimelineEvent.objects.count() == 1
    Retention.objects.create(subject="timeline", keep_days=30)
    prune()
    assert TimelineEvent.objects.count() == 0


def test_for_ever_means_for_ever(db: None) -> None:
    make_event(make_node(), "rebooted", at=clock.now() - 4000 * DAY)
    Retention.objects.create(subject="timeline", keep_days=None)
    prune()
    assert TimelineEvent.objects.count() == 1


def test_fine_samples_go_even_when_samples_are_kept_for_ever(db: None) -> None:
    Retention.objects.create(subject="samples", keep_days=None)
    for resolution_s in (60, 3600):
        at = clock.now() - 200 * DAY
        Sample.objects.create(resolution_s=resolution_s, kind="taken", at=at, value="", nodes=0)
    prune()
    assert list(Sample.objects.values_list("resolution_s", flat=True)) == [3600]


def test_one_history_that_fails_does_not_keep_the_others(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    make_event(make_node(), "rebooted", at=clock.now() - 400 * DAY)

    def broken(before: object, limit: int) -> int:
        raise RuntimeError("no")

    audit = replace(retention.histories()[0], prune=broken, default_days=1)
    assert audit.subject == "audit", "the first, so that the others come after the failure"
    monkeypatch.setitem(retention._HISTORIES, "audit", audit)
    with pytest.raises(RuntimeError):
        prune()
    assert TimelineEvent.objects.count() == 0


def test_a_change_is_audited_and_needs_the_right(cast: Cast) -> None:
    owner = principal(cast.owner)
    assert set_retention(subject="timeline", keep_days=30, actor=owner, now=NOW) == 30
    event = AuditEvent.objects.get(action="settings.retention")
    assert (event.subject, event.before, event.after) == ("retention:timeline", '{"keep_days":365}', '{"keep_days":30}')
    set_retention(subject="timeline", keep_days=None, actor=owner, now=NOW)
    assert Retention.objects.get(subject="timeline").keep_days is None
    with pytest.raises(NotAllowed):
        set_retention(subject="timeline", keep_days=30, actor=principal(cast.operator), now=NOW)
    with pytest.raises(InvalidInput, match="3 days"):
        set_retention(subject="timeline", keep_days=3, actor=owner, now=NOW)


def test_the_page_counts_before_it_saves(cast: Cast) -> None:
    for days in (40, 50, 1):
        make_event(cast.web_node, "rebooted", at=clock.now() - days * DAY)
    client = signed_in(cast.owner)
    assert "Audit log" in client.get("/settings/retention/").content.decode()
    page = client.post("/settings/retention/timeline/", {"keep_days": "30"}).content.decode()
    assert "2 rows are older and are deleted" in page
    assert not Retention.objects.exists()
    seen = re.search(r'name="seen" value="([^"]*)"', page)
    assert seen
    # Another number than the one whose effect was shown is shown first.
    client.post("/settings/retention/timeline/", {"keep_days": "20", "seen": seen[1]})
    assert not Retention.objects.exists()
    assert client.post("/settings/retention/timeline/", {"keep_days": "30", "seen": seen[1]}).status_code == 302
    assert Retention.objects.get().keep_days == 30
    refused = client.post("/settings/retention/timeline/", {"keep_days": "2"})
    assert refused.status_code == 422
    assert "Give 7 to 36,500 days" in refused.content.decode()


def test_only_admins_change_it(cast: Cast) -> None:
    viewer = signed_in(cast.viewer)
    assert viewer.get("/settings/retention/").status_code == 200
    assert viewer.get("/settings/retention/timeline/").status_code == 403
    assert signed_in(cast.owner).get("/settings/retention/nothing/").status_code == 404


def test_rest_previews_and_sets(cast: Cast) -> None:
    make_event(cast.web_node, "rebooted", at=clock.now() - 40 * DAY)
    api = Api(cast.owner)
    subjects = {row["subject"]: row for row in api.get("retention/").json()["results"]}
    assert {"timeline", "facts", "samples", "audit"} <= set(subjects)
    assert subjects["audit"]["keep_days"] is None
    assert api.get("retention/timeline/?keep_days=30").json()["would_delete"] == 1
    assert api.get("retention/timeline/?keep_days=ever").json()["would_delete"] == 0
    assert api.put("retention/timeline/", {"keep_days": 30}).json()["keep_days"] == 30
    assert api.put("retention/timeline/", {"keep_days": None}).json()["keep_days"] is None
    assert api.put("retention/audit/", {"keep_days": 5}).status_code == 400
    assert api.get("retention/nothing/").status_code == 404
    assert Api(cast.viewer).put("retention/timeline/", {"keep_days": 30}).status_code == 403


def test_samples_and_facts_are_pruned_together_with_the_rest(cast: Cast) -> None:
    make_facts(cast.web_node)
    take_samples(now=clock.now() - 200 * DAY)
    prune()
    assert not Sample.objects.exists()
    assert Facts.objects.count() == 1
