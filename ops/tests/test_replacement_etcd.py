"""A control plane is replaced: its etcd member goes once, only with a quorum left, and the new one has to come."""

from __future__ import annotations

import itertools
import json
from typing import Any, cast

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from nodes.models import Node
from ops.actions.members import SILENT_FOR
from ops.models import Operation
from ops.replacement.etcd import Etcd, Identity, Member, Unclear, is_elsewhere, member_of, read, votes
from ops.replacement.planes import Asked, removal
from ops.services import control
from ops.tests.onehost import Killed
from ops.tests.planes import OfPlanes, Told, dying_at, member
from ops.tests.test_replacement import sentence
from ops.tests.test_replacement_cluster import DRAINED, InCluster
from ops.wording import check_sentence

pytestmark = pytest.mark.one_database
db = pytest.mark.django_db
N1 = Identity.of(["n1", "n1.example.org"], ["10.0.0.1"])
OTHERS = {name: Identity.of([name], [f"10.0.0.{name[1:]}"]) for name in ("n2", "n3", "n4", "n5")}


def verdict(members: list[Member], mine: Identity = N1) -> tuple[list[str], str]:
    """The codes of what stands for and against it, and the first sentence."""
    asked = Asked("n2", Etcd("stacked", own="a2", members=tuple(members)))
    found = removal("n1", mine, OTHERS, asked)
    first = found.checks[0]
    return [check.code for check in found.checks], check_sentence(first.code, first.params)


def some(count: int, **states: dict[str, Any]) -> list[Member]:
    return [member(f"n{number}", **states.get(f"n{number}", {})) for number in range(1, count + 1)]


ILL: dict[str, Any] = {"is_healthy": False}


@pytest.mark.parametrize(
    ("members", "codes", "says"),
    [
        (some(2), ["etcd_quorum_stays", "etcd_thin"], "leaves 1 member with a vote (healthy: 1); a quorum needs 1"),
        (some(2, n1=ILL), ["etcd_no_quorum"], "1 of 2 members with a vote are healthy, and it takes 2"),
        (some(3), ["etcd_quorum_stays", "etcd_thin"], "leaves 2 members with a vote (healthy: 2); a quorum needs 2"),
        (
            some(3, n1=ILL),
            ["etcd_quorum_stays", "etcd_thin"],
            "leaves 2 members with a vote (healthy: 2); a quorum needs 2",
        ),
        (some(3, n3=ILL), ["etcd_quorum_lost"], "2 members with a vote, and 1 of them healthy: a quorum needs 2"),
        (some(3, n3={"name": ""}), ["etcd_quorum_lost"], "Mend first: https://10.0.0.3:2380."),
        (
            some(3, n3={"is_learner": True, "is_healthy": False}),
            ["etcd_quorum_stays", "etcd_thin"],
            "leaves 1 member with",
        ),
        (some(4), ["etcd_quorum_stays"], "leaves 3 members with a vote (healthy: 3); a quorum needs 2"),
        (some(5), ["etcd_quorum_stays"], "leaves 4 members with a vote (healthy: 4); a quorum needs 3"),
        (
            some(5, n5=ILL),
            ["etcd_quorum_stays", "etcd_thin"],
            "leaves 4 members with a vote (healthy: 3); a quorum needs 3",
        ),
        (some(5, n4=ILL, n5=ILL), ["etcd_quorum_lost"], "and 2 of them healthy: a quorum needs 3"),
        (some(5, n1=ILL, n5=ILL), ["etcd_quorum_stays", "etcd_thin"], "(healthy: 3); a quorum needs 3"),
        (some(5, n1=ILL, n4=ILL, n5=ILL), ["etcd_no_quorum"], "2 of 5 members with a vote"),
        (
            some(3, n1={"is_learner": True, "is_healthy": False}),
            ["etcd_quorum_stays", "etcd_thin"],
            "leaves 2 members with",
        ),
    ],
)
def test_a_quorum_has_to_be_left(members: list[Member], codes: list[str], says: str) -> None:
    found, sentence_of = verdict(members)
    assert found == codes
    assert says in sentence_of


def test_the_only_member_with_a_vote_stays() -> None:
    members = [member("n1"), member("n2", is_learner=True)]
    asked = Asked("n2", Etcd("stacked", own="a1", members=tuple(members)))
    (check,) = removal("n1", N1, OTHERS, asked).checks
    assert (check.code, check.level) == ("etcd_last", "block")
    (check,) = removal("n1", N1, {}, asked).checks
    assert check.code == "etcd_no_sibling"
    assert (votes([]).is_quorum, votes(some(1)).is_quorum) == (False, True)


def test_whose_member_it_is() -> None:
    assert member_of(some(3), N1) == member("n1")
    # It was named otherwise, and is at its address; or is at another address under its name.
    renamed = member("n1", name="cp-a")
    assert member_of([renamed, *some(3)[1:]], N1) == renamed
    moved = member("n1", peers=("https://10.9.0.1:2380",))
    assert member_of([moved, *some(3)[1:]], N1) == moved
    # A member of the same name, long dead, beside that at its address: the latter is it.
    assert member_of([moved, member("n1", 1), member("n2")], N1) == member("n1", 1)
    crossed = [member("n1", peers=("https://10.9.0.1:2380",)), member("n2", peers=("https://10.0.0.1:2380",))]
    with pytest.raises(Unclear):
        member_of(crossed, N1)
    assert verdict(crossed)[0] == ["etcd_unclear"]
    assert member_of(some(3), Identity.of(["web-1"], ["127.0.0.1", "10.9.9.9"])) is None
    # Its machine is gone, its member too, and another control plane has its address by now.
    assert verdict([member("n2", peers=("https://10.0.0.1:2380",)), member("n3")])[0] == ["etcd_unclear"]


def test_one_that_is_gone_already_is_no_hindrance_and_one_of_nobody_is() -> None:
    assert verdict(some(3)[1:])[0] == ["etcd_gone_before"]
    codes, says = verdict([member("old", 9), *some(3)[1:]])
    assert codes == ["etcd_strange"]
    assert "belong to no control plane that FleetUI knows: old" in says


def test_an_etcd_elsewhere_is_left_alone() -> None:
    def told(servers: str, kind: str = "away") -> str:
        found = read(f"boot b\netcd {kind}\nservers {servers}\nend\n".encode())
        assert found is not None
        return removal("n1", N1, OTHERS, Asked("n2", found)).checks[0].code

    assert told("https://etcd-1.example.org:2379,https://10.5.0.2:2379") == "etcd_external"
    assert told("https://10.0.0.2:2379,https://10.0.0.1:2379") == "etcd_beside"
    # Its manifest lies aside for a moment, as in a restart by kubeadm.
    assert told("https://127.0.0.1:2379") == "etcd_unknown"
    assert told("", "none") == "etcd_unknown"
    assert not is_elsewhere(Etcd("away", servers=("https://[::1]:2379",)))


@pytest.mark.parametrize("output", [b"", b"boot x\netcd stacked\n", b"etcd odd\nend\n", b"\xff\xfe\nend\n"])
def test_an_answer_that_is_not_whole_is_none(output: bytes) -> None:
    assert read(output) is None


@pytest.mark.parametrize("members", ["", "[]", '{"members": [1, {"ID": "x"}, {"ID": -1}]}', "{", '{"members": 7}'])
def test_what_a_host_prints_never_breaks_the_reading(members: str) -> None:
    lines = f"etcd stacked\nstatus [1]\nhealth {{}}\nmembers {members}\nend\n"
    found = read(lines.encode())
    assert found is not None
    assert (found.members, found.is_sure) == ((), False)


def test_what_no_database_takes_is_left_out() -> None:
    name = "n1" + chr(92) + "u0000" + chr(92) + "u001b[2J"
    members = f'{{"members": [{{"ID": 7, "name": "{name}", "peerURLs": ["https://a{chr(92)}u0000:2380"]}}]}}'
    found = read(f"etcd stacked\nmembers {members}\nend\n".encode())
    assert found is not None
    (one,) = found.members
    assert (one.name, one.peers) == ("n1", ("https://a:2380",))


@db
def test_it_goes_once_and_the_new_one_has_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told)
    row = run.rounds(until="member_absent")
    assert (told.removed, row.step, run.site.made) == (["a1"], "await_member", 1)
    assert row.memory["etcd"]["removes"]["id"] == "a1"
    for over, waits in (
        ({"name": ""}, "member_unstarted"),
        ({"is_learner": True, "is_healthy": False}, "member_learner"),
        (ILL, "member_unhealthy"),
    ):
        told.members = [one for one in told.members if one.id != "a4"]
        told.join(**over)
        plane = Node.objects.get(pk=run.node.pk)
        assert plane.name == "n1"
        if waits == "member_unstarted":
            # It has no name yet, and is known by where it is to be.
            Node.objects.filter(pk=run.node.pk).update(address="10.0.0.4")
        assert run.rounds(until=waits).wait_reason == waits
    told.turns("n1", is_healthy=True)
    run.rounds()
    run.check()
    assert sentence(run.operation).endswith("and its etcd member n1 is one of 3 that vote.")
    effects = [json.loads(one.after) for one in AuditEvent.objects.filter(action="operations.effect")]
    (event,) = [one for one in effects if one.get("on")]
    assert (event["on"], event["command"][-2:]) == ("n2", ["a1", "https://10.0.0.1:2380"])


@db
def test_one_that_was_removed_by_a_worker_who_died_then_is_not_removed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told, joins=told.join)
    remove = told.remove

    def removes(wanted: str, peers: str) -> tuple[int, bytes, bytes]:
        remove(wanted, peers)
        raise Killed

    monkeypatch.setattr(told, "remove", removes)
    run.rounds()
    run.check()
    assert told.removed == ["a1"]
    assert sum("fleetui-etcd-remove" in one.after for one in AuditEvent.objects.all()) == 1


class InBoth(InCluster, OfPlanes):
    """And FleetUI reaches the API of the cluster."""


@db
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.soak), 21])
def test_drained_out_of_etcd_deleted_and_then_out_of_the_cluster(every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = 0
    for call in itertools.count(0, every):
        told = Told()
        run = InBoth(monkeypatch, planes=told)
        run.site.joins = told.join
        done, removes = run.kube.api.done, told.remove

        def remove(wanted: str, peers: str, done: list[str] = done, removes: Any = removes) -> tuple[int, bytes, bytes]:
            done.append(f"etcd {wanted}")
            return cast("tuple[int, bytes, bytes]", removes(wanted, peers))

        monkeypatch.setattr(told, "remove", remove)
        with dying_at(run, call):
            run.rounds(400)
            run.check(call)
            assert (told.removed, [one for one in done if "pod" not in one]) == (
                ["a1"],
                [*DRAINED, "etcd a1", "remove n1"],
            )
        deaths += run.machine.deaths
        if not run.machine.deaths:
            break
    assert deaths * every >= 20


@db
def test_the_first_look_waits_for_one_that_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(down={"n2", "n3"})
    run = OfPlanes(monkeypatch, told)
    row = run.rounds(until="planes_silent")
    assert (row.state, row.step) == ("waiting", "preflight")
    told.down.clear()
    assert run.rounds(until="offers").wait_reason == "offers"


@db
@pytest.mark.parametrize("down", [{"n2"}, {"n2", "n3"}])
def test_another_one_is_asked(monkeypatch: pytest.MonkeyPatch, down: set[str]) -> None:
    told = Told(down=down)
    run = OfPlanes(monkeypatch, told, joins=told.join)
    row = run.rounds()
    if down == {"n2"}:
        run.check()
        assert (row.memory["etcd"]["asked"], told.removed) == ("n3", ["a1"])
        return
    assert (row.state, row.result, run.site.asked, told.removed) == ("failed", "preflight", set(), [])
    assert "No other control plane could tell what etcd consists of (asked: n2, n3)" in sentence(row)


@db
def test_one_whose_own_member_is_ill_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told([*some(5, n2=ILL)])
    run = OfPlanes(monkeypatch, told, joins=told.join)
    row = run.rounds()
    run.check()
    assert row.memory["etcd"]["asked"] == "n3"


@db
def test_what_changed_since_the_first_look_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another member fails while it drains: nothing is removed, and nothing is deleted."""
    told = Told()
    run = OfPlanes(monkeypatch, told)
    run.rounds(until="offers")
    told.turns("n3", is_healthy=False)
    row = run.rounds()
    assert (row.state, row.step, told.removed, run.site.asked) == ("failed", "tidy", [], set())
    assert "2 members with a vote, and 1 of them healthy: a quorum needs 2" in sentence(row)

    told = Told()
    run = OfPlanes(monkeypatch, told)
    run.rounds(until="offers")
    told.turns("n1", peers=("https://10.9.9.9:2380",))
    row = run.rounds()
    assert (row.state, row.result, told.removed, run.site.asked) == ("failed", "member_changed", [], set())


@db
def test_etcd_that_refuses_is_asked_again_and_then_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(refuses=3)
    run = OfPlanes(monkeypatch, told, joins=told.join)
    assert run.rounds(until="etcd_refuses").wait_params["said"] == "Error: etcdserver: unhealthy cluster"
    run.rounds()
    run.check()
    told = Told(refuses=10_000)
    run = OfPlanes(monkeypatch, told)
    row = run.rounds(500)
    assert (row.state, row.result, told.removed, run.site.asked) == ("failed", "member_stays", [], set())


@db
def test_what_fails_afterwards_says_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told, joins=told.join)
    run.site.fails = 3
    row = run.rounds()
    assert (row.state, row.step) == ("needs_attention", "provision")
    said = sentence(row)
    assert "The old machine still answers with its host key." in said
    assert said.endswith(
        "Its etcd member n1 was removed and is not put back (members with a vote then: 2). "
        "A new machine joins as a new member."
    )
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()
    assert told.removed == ["a1"]


@db
def test_a_removal_whose_end_nobody_tells_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies in it, and then no other control plane answers: neither a cancel nor the deadline ends that."""
    told = Told()
    run = OfPlanes(monkeypatch, told, joins=told.join)
    run.rounds(until="member_leaves")
    told.down |= {"n2", "n3"}
    row = run.rounds(400)
    assert (row.state, row.result) == ("needs_attention", "removal_unknown")
    assert sentence(row).startswith("Whether the etcd member n1 was removed is not known: for 10 min")
    told.down.clear()
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()
    assert told.removed == ["a1"]


@db
def test_its_time_begins_with_the_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long nobody told before, and again after a person let it go on."""
    told = Told()
    run = OfPlanes(monkeypatch, told, joins=told.join)
    run.rounds(until="offers")
    told.down |= {"n2", "n3"}
    began, row = run.now, run.rounds(200)
    assert (row.wait_reason, run.now - began > SILENT_FOR) == ("planes_silent", True)
    told.down.clear()
    told.refuses = 2
    assert run.rounds(until="etcd_refuses").state == "waiting"
    told.down |= {"n2", "n3"}
    assert run.rounds(20).state == "waiting"
    row = run.rounds(400)
    assert (row.state, row.result) == ("needs_attention", "removal_unknown")
    told.down.clear()
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()
    assert (told.removed, told.refuses) == (["a1"], 0)


@db
def test_one_that_does_not_join_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told)
    row = run.rounds(500)
    assert (row.state, row.result, row.step) == ("needs_attention", "member_absent", "await_member")
    assert "did not join etcd within 15 min, says n2. Look there for why “kubeadm join" in sentence(row)
    assert Operation.objects.get(pk=row.pk).ended_at is None, "it keeps its place"
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    assert run.rounds(until="member_absent").state == "waiting"
    told.join()
    run.rounds()
    run.check()


@db
def test_with_an_etcd_elsewhere_nothing_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(kind="away", servers="https://etcd-1.example.org:2379")
    run = OfPlanes(monkeypatch, told)
    row = run.rounds()
    run.check()
    assert told.removed == []
    assert "etcd_external" in [one["code"] for one in row.memory["checks"]]


@db
def test_a_plan_that_did_not_know_it_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told)
    plan = {**run.operation.plan, "target": {**run.operation.plan["target"], "control_plane": False}}
    Operation.objects.filter(pk=run.operation.pk).update(is_control_plane=False, plan=plan)
    row = run.rounds()
    assert (row.state, told.removed, run.site.asked) == ("failed", [], set())
    assert "It is a control plane by now" in sentence(row)
