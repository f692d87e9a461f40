"""Comparisons of nodes with their Ignition version: which are due, who works on them, what is kept, and the state that follows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import Conflict, NotAllowed
from nodes import tasks
from nodes.drift import Answer, Comparison, Difference, Question, Sort, What
from nodes.hosts.errors import ConnectionRefused, HostError
from nodes.models import Drift, IgnitionVersion, Node, Pool, TimelineEvent
from nodes.services.drift import checks, compare, states
from nodes.services.drift.checks import Failure
from nodes.services.ignition import values
from nodes.services.ignition.intent import intend, set_applied
from nodes.tests.cast import Cast
from nodes.tests.drift.hosts import Machine
from nodes.tests.make import NOW, make_config, make_node, make_pool, make_user, make_version, principal

pytestmark = pytest.mark.django_db
SOURCE = """\
variant: fcos
version: 1.5.0
# fleetui:variable join secret -- Token of the cluster
storage:
  files:
    - path: {folder}/conf
      mode: 0644
      contents:
        inline: port = 1
    - path: {folder}/join
      mode: 0600
      contents:
        inline: ${{fleetui:join}}
"""
DISKS = """\
variant: fcos
version: 1.5.0
storage:
  disks:
    - device: /dev/vdb
      wipe_table: true
      partitions: [{number: 1, label: data}]
"""
SECRET = "very-secret-word"


class OverSsh:
    """A connection to a machine of the tests."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", **_: Any) -> Any:
        words = argv[11:]
        name = {"getent": words[1] if len(words) > 1 else "", "sh": "read"}.get(words[0], words[0])
        answer = self.machine.ask(Question(name, argv, stdin))

        class Done:
            exit_status, stdout, stderr = answer.status, answer.out, answer.err

        return Done


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine | HostError], None]:
    """Says what answers instead of a real host."""

    def answers(what: Machine | HostError) -> None:
        def signed_in(target: Any, work: Any, **_: Any) -> Any:
            if isinstance(what, HostError):
                raise what
            return work(OverSsh(what))

        monkeypatch.setattr(compare, "signed_in", signed_in)

    return answers


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads have a database of their own on SQLite."""
    monkeypatch.setattr(compare, "run", lambda found: [compare._compare(one, None) for one in found])  # type: ignore[arg-type]


def born(pool: Pool, version: IgnitionVersion, name: str = "web-9") -> Node:
    """A node of the pool that was provisioned with the version."""
    node = make_node(name, pool=pool)
    return set_applied(node=node, version=version, actor=SYSTEM, now=NOW)


def found(*sorts: Sort) -> Comparison:
    return Comparison(tuple(Difference("files", f"/etc/{sort}", What.CONTENTS, sort) for sort in sorts), ())


def stored(node: Node, result: Comparison | Failure, *, secrets: Any = (), now: Any = NOW) -> bool:
    lease, ids = checks.claim(now)
    assert node.pk in ids
    return checks.store(node=node, lease=lease, result=result, secrets=secrets, asked_at=None, now=now)


def state(node: Node) -> str:
    return Node.objects.values_list("ignition_state", flat=True).get(pk=node.pk)


@pytest.fixture
def pool() -> Pool:
    return make_pool("web")


@pytest.fixture
def version(pool: Pool) -> IgnitionVersion:
    return make_version(make_config("edge", pool), state="approved")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (found(), "in_step"),
        (found(Sort.OS), "in_step"),
        (found(Sort.OS, Sort.IN_PLACE), "drifted"),
        (found(Sort.IN_PLACE, Sort.REPLACEMENT), "needs_replacement"),
        (Failure("refused", {}), "unknown"),
    ],
)
def test_the_state_follows_from_the_comparison(
    pool: Pool, version: IgnitionVersion, result: Comparison | Failure, expected: str
) -> None:
    node = born(pool, version)
    assert state(node) == "unknown"
    assert stored(node, result)
    assert state(node) == expected
    told = TimelineEvent.objects.filter(node=node, kind="ignition_state_changed")
    assert [one.params for one in told] == ([] if expected == "unknown" else [{"before": "unknown", "after": expected}])


def test_a_failure_keeps_what_was_found_before(pool: Pool, version: IgnitionVersion) -> None:
    node = born(pool, version)
    stored(node, found(Sort.IN_PLACE))
    later = NOW + timedelta(days=1)
    stored(node, Failure("refused", {"address": "10.0.0.1"}), now=later)
    row = Drift.objects.get(pk=node.pk)
    assert (row.verdict, row.checked_at, row.failed_at, row.error_kind) == ("drifted", NOW, later, "refused")
    assert state(node) == "drifted"
    assert later < row.due_at < later + timedelta(minutes=20)


def test_a_pool_that_intends_another_version_leaves_its_nodes_behind(pool: Pool, version: IgnitionVersion) -> None:
    node = born(pool, version)
    stored(node, found())
    newer = make_version(version.config, state="approved")
    intend(pool=pool, version=newer, actor=SYSTEM, now=NOW)
    tasks.settle_ignition()
    assert state(node) == "behind"
    other = make_pool("other")
    Node.objects.filter(pk=node.pk).update(pool=other)
    tasks.settle_ignition()
    assert state(node) == "in_step"


def test_another_layout_of_disks_needs_another_machine(pool: Pool, version: IgnitionVersion) -> None:
    node = born(pool, version)
    stored(node, found())
    newer = make_version(version.config, source=DISKS, state="approved")
    intend(pool=pool, version=newer, actor=SYSTEM, now=NOW)
    states.settle(NOW)
    assert state(node) == "needs_replacement"


def test_another_version_or_machine_begins_anew(pool: Pool, version: IgnitionVersion) -> None:
    node = born(pool, version)
    stored(node, found(Sort.IN_PLACE))
    Node.objects.filter(pk=node.pk).update(generation=2)
    assert states.settle(NOW) == 1
    assert checks.prepare(NOW) == 1
    row = Drift.objects.get(pk=node.pk)
    assert (row.generation, row.verdict, row.differences, row.due_at) == (2, "", [], NOW)
    assert state(node) == "unknown"
    assert checks.prepare(NOW) == 0
    Node.objects.filter(pk=node.pk).update(applied_version=None)
    checks.prepare(NOW)
    assert not Drift.objects.filter(pk=node.pk).exists()


def test_what_a_late_worker_found_is_dropped(pool: Pool, version: IgnitionVersion) -> None:
    node = born(pool, version)
    lease, _ids = checks.claim(NOW)
    later = NOW + checks.LEASE + timedelta(seconds=1)
    again, ids = checks.claim(later)
    assert ids == [node.pk]
    assert not checks.store(node=node, lease=lease, result=found(Sort.IN_PLACE), secrets=[], asked_at=None, now=later)
    assert checks.store(node=node, lease=again, result=found(), secrets=[], asked_at=None, now=later)
    assert state(node) == "in_step"
    assert not checks.store(node=node, lease=again, result=found(Sort.IN_PLACE), secrets=[], asked_at=None, now=later)


def test_what_was_found_on_a_host_that_was_another_one_by_then_is_dropped(pool: Pool, version: IgnitionVersion) -> None:
    node = born(pool, version)
    lease, _ids = checks.claim(NOW)
    Node.objects.filter(pk=node.pk).update(address="10.9.9.9", revision=node.revision + 1)
    assert not checks.store(node=node, lease=lease, result=found(), secrets=[], asked_at=None, now=NOW)
    assert state(node) == "unknown"


def test_no_more_are_under_way_than_the_settings_allow(pool: Pool, version: IgnitionVersion, settings: Any) -> None:
    settings.DRIFT_THREADS = 2
    for number in range(3):
        born(pool, version, f"web-{number}")
    assert [len(checks.claim(NOW)[1]) for _ in range(2)] == [2, 0]
    assert len(checks.claim(NOW + checks.LEASE)[1]) == 2


def test_what_somebody_asked_for_goes_first(pool: Pool, version: IgnitionVersion, settings: Any) -> None:
    settings.DRIFT_THREADS = 1
    nodes = [born(pool, version, f"web-{number}") for number in range(3)]
    checks.request_check(node=nodes[2], actor=SYSTEM, now=NOW)
    claimed = [checks.claim(NOW)[1]]
    settings.DRIFT_THREADS = 4
    claimed.append(checks.claim(NOW)[1])
    assert claimed[0] == [nodes[2].pk]
    assert set(claimed[1]) == {nodes[0].pk, nodes[1].pk}


def test_two_that_count_the_same_room_claim_no_more_than_it(
    pool: Pool, version: IgnitionVersion, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DRIFT_THREADS = 2
    for number in range(5):
        born(pool, version, f"web-{number}")
    wanted, others = checks.wanted, []

    def another_first(now: datetime) -> Any:
        monkeypatch.setattr(checks, "wanted", wanted)
        others.extend(checks.claim(now)[1])
        return wanted(now)

    monkeypatch.setattr(checks, "wanted", another_first)
    assert (checks.claim(NOW)[1], len(others)) == ([], 2)
    assert set(Drift.objects.filter(lease__isnull=False).values_list("pk", flat=True)) == set(others)


def test_what_is_asked_for_during_a_comparison_is_done_after_it(
    pool: Pool, version: IgnitionVersion, host: Callable[[Machine], None]
) -> None:
    node, later = born(pool, version), NOW + timedelta(seconds=1)
    checks.request_check(node=node, actor=SYSTEM, now=NOW)
    lease, ids = checks.claim(NOW)
    (check,) = compare.load(ids)
    assert check.asked_at == NOW
    # Even by a clock that is late: whoever asks now may have changed what was looked at already.
    checks.request_check(node=node, actor=SYSTEM, now=NOW - timedelta(seconds=9))

    def stored_now(lease: Any, asked_at: datetime | None) -> bool:
        return checks.store(node=node, lease=lease, result=found(), secrets=[], asked_at=asked_at, now=later)

    assert stored_now(lease, check.asked_at)
    assert (state(node), checks.is_due(later)) == ("in_step", True)
    assert Drift.objects.filter(requested_at__isnull=False).exists()
    lease, ids = checks.claim(later)
    (check,) = compare.load(ids)
    assert stored_now(lease, check.asked_at)
    assert not Drift.objects.filter(requested_at__isnull=False).exists()
    assert not checks.is_due(later)


@pytest.mark.parametrize("over", [{"reachability": "unreachable"}, {"lifecycle": "retired"}])
def test_nodes_that_do_not_answer_are_left_alone(pool: Pool, version: IgnitionVersion, over: dict[str, str]) -> None:
    node = born(pool, version)
    Node.objects.filter(pk=node.pk).update(**over)
    assert checks.claim(NOW)[1] == []
    assert not checks.is_due(NOW)


def test_without_an_interval_only_what_is_asked_for_is_compared(cast: Cast, settings: Any) -> None:
    settings.DRIFT_INTERVAL_S = 0
    node = set_applied(node=cast.web_node, version=make_version(make_config("edge", cast.web)), actor=SYSTEM, now=NOW)
    assert not checks.is_due(NOW)
    checks.request_check(node=node, actor=principal(cast.operator), now=NOW)
    assert checks.claim(NOW)[1] == [node.pk]
    assert AuditEvent.objects.filter(action="ignition.check_drift", subject="node:web-1").count() == 1


def test_a_comparison_is_asked_for_by_those_who_may_and_where_there_is_something_to_compare(cast: Cast) -> None:
    with pytest.raises(Conflict, match="not known"):
        checks.request_check(node=cast.web_node, actor=principal(cast.operator), now=NOW)
    with pytest.raises(NotAllowed):
        checks.request_check(node=cast.web_node, actor=principal(cast.viewer), now=NOW)


def test_a_node_that_does_not_answer_is_not_said_to_be_compared(pool: Pool, version: IgnitionVersion) -> None:
    node = born(pool, version)
    node.reachability = "unreachable"
    node.save()
    with pytest.raises(Conflict, match="does not answer"):
        checks.request_check(node=node, actor=SYSTEM, now=NOW)
    assert not Drift.objects.filter(requested_at__isnull=False).exists()


def test_a_whole_comparison_names_what_was_changed_and_keeps_no_secret(
    tmp_path: Path, pool: Pool, host: Callable[[Machine], None]
) -> None:
    version = make_version(make_config("edge", pool), source=SOURCE.format(folder=tmp_path), state="approved")
    node = make_node("web-9", pool=pool)
    values.set_value(place=pool, name="join", value=SECRET, is_secret=True, actor=SYSTEM, now=NOW)
    set_applied(node=node, version=version, actor=SYSTEM, now=NOW)
    (tmp_path / "conf").write_text(f"port = 2\nnote {SECRET}\n")
    (tmp_path / "join").write_text(SECRET)
    (tmp_path / "join").chmod(0o640)
    (tmp_path / "conf").chmod(0o644)
    host(Machine())

    tasks.check_drift()

    row = Drift.objects.get(pk=node.pk)
    named = [(one["what"], one["subject"]) for one in row.differences if one["what"] != "owner"]
    assert named == [("contents", f"{tmp_path}/conf"), ("mode", f"{tmp_path}/join")]
    assert (row.verdict, row.error_kind, state(node)) == ("drifted", "", "drifted")
    assert SECRET not in str(row.differences)
    assert ["added", "note [secret join]"] in row.differences[0]["diff"]


def test_a_missing_value_or_an_os_without_ignition_is_said(pool: Pool, host: Callable[[Machine], None]) -> None:
    host(Machine())
    version = make_version(make_config("edge", pool), source=SOURCE.format(folder="/etc"), state="approved")
    node = born(pool, version)
    other = born(pool, version, "talos-1")
    Node.objects.filter(pk=other.pk).update(os_family="talos", os_name="Talos Linux")
    tasks.check_drift()
    kinds = dict(Drift.objects.values_list("node__name", "error_kind"))
    assert kinds == {"web-9": "no_config", "talos-1": "not_supported"}
    assert "join" in Drift.objects.get(pk=node.pk).error_params["why"]


def test_an_answer_that_is_not_understood_is_kept_as_it_came(
    pool: Pool, version: IgnitionVersion, host: Callable[[Any], None]
) -> None:
    class Strange(Machine):
        def ask(self, question: Question) -> Answer:
            return Answer(0, b"who are you?", b"")

    node = born(pool, version)
    host(Strange())
    tasks.check_drift()
    row = Drift.objects.get(pk=node.pk)
    assert (row.error_kind, row.error_params["question"], row.raw) == ("not_understood", "stat", "who are you?")


def test_what_was_not_understood_keeps_no_secret_either(pool: Pool, version: IgnitionVersion) -> None:
    """A path or the target of a link may hold one; so may what is cut off in the middle."""
    node = born(pool, version)
    raw = f"/etc/{SECRET}/x\n{'a' * (checks.MOST_RAW - 20)}{SECRET}"
    failure = Failure("not_understood", {"question": "stat", "why": f"'/etc/{SECRET}' is no line of it"}, raw)
    assert stored(node, failure, secrets=[(SECRET, "join")])
    row = Drift.objects.get(pk=node.pk)
    assert (row.error_params["question"], row.raw[:24]) == ("stat", "/etc/[secret join]/x\naaa")
    assert len(row.raw) == checks.MOST_RAW
    assert SECRET[:4] not in row.raw + row.error_params["why"]


def test_a_host_that_refuses_is_tried_again(pool: Pool, version: IgnitionVersion, host: Callable[[Any], None]) -> None:
    node = born(pool, version)
    host(ConnectionRefused("10.0.0.1", 22))
    tasks.check_drift()
    row = Drift.objects.get(pk=node.pk)
    assert (row.error_kind, row.lease) == ("refused", None)
    assert row.due_at > NOW


def test_states_are_settled_in_as_many_queries_for_many_nodes_as_for_few(pool: Pool, version: IgnitionVersion) -> None:
    newer = make_version(version.config, state="approved")
    intend(pool=pool, version=newer, actor=SYSTEM, now=NOW)
    # Looked up once for each pair of versions.
    assert not states.needs_another_machine(version.pk, newer.pk)

    def queries(count: int) -> int:

        nodes = [make_node(f"n{count}-{one}", pool=pool, applied_version=version) for one in range(count)]
        with CaptureQueriesContext(connection) as caught:
            assert states.settle(NOW) == count
        assert {state(node) for node in nodes} == {"behind"}
        return len(caught)

    assert queries(2) == queries(9)


def test_two_workers_never_get_the_same_node(pool: Pool, version: IgnitionVersion, settings: Any) -> None:
    settings.DRIFT_THREADS = 10
    nodes = {born(pool, version, f"web-{number}").pk for number in range(4)}
    first, second = checks.claim(NOW)[1], checks.claim(NOW)[1]
    assert (set(first), second) == (nodes, [])
    assert uuid.UUID(int=0) not in first


def test_someone_outside_sees_no_row(cast: Cast) -> None:
    set_applied(node=cast.web_node, version=make_version(make_config("edge", cast.web)), actor=SYSTEM, now=NOW)
    assert Drift.objects.visible_to(principal(cast.viewer)).count() == 1
    assert Drift.objects.visible_to(principal(make_user("stranger"))).count() == 0
