"""What the single kinds of operation do and refuse, on one simulated host without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from nodes.hosts import drivers
from nodes.hosts.look import Look
from nodes.models import Facts, Node
from nodes.services.nodes import edit_node
from nodes.services.releases import import_releases
from nodes.tests.make import deployment, make_facts, make_node, make_user
from nodes.tests.pages import signed_in
from nodes.tests.test_polling import seen
from ops.engine.inventory import StoredNode
from ops.models import LogLine, Operation
from ops.services.request import checked_params, preview
from ops.tests.onehost import poll
from ops.tests.test_engine_kills import UNIT, Run
from ops.wording import result_sentence
from simfleet import transitions
from simfleet.model import Fault

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a run of a kind on a fresh host; closes its loop afterwards."""
    made: list[Run] = []

    def run(kind: str, **params: Any) -> Run:
        made.append(Run(kind, monkeypatch, **params))
        return made[-1]

    yield run
    for one in made:
        one.machine.loop.close()


def said(operation: Operation) -> str:
    return result_sentence(operation.result, operation.result_params)


def log_of(operation: Operation) -> str:
    return "\n".join(LogLine.objects.filter(operation=operation).values_list("text", flat=True))


# refresh and check


def test_a_refresh_stores_what_it_read_and_says_what_changed(runs: Any) -> None:
    run = runs("refresh")
    before = Facts.objects.count()
    transitions.stage(run.machine.host, run.machine.catalog.tip("stable"))
    done = run.rounds()
    version = run.machine.catalog.tip("stable").version
    assert (done.state, said(done)) == ("succeeded", f"1 change: Staged {version}.")
    assert Facts.objects.count() == before + 1
    node = Node.objects.get()
    assert node.staged is not None
    assert node.staged["version"] == version
    assert node.poll_lease is None
    page = signed_in(make_user("reader", "admin"))
    assert page.get(f"/operations/{done.pk}/").status_code == 200
    assert page.get(f"/api/v1/operations/{done.pk}/findings/").json()["facts_before"] is None


def test_a_refresh_of_what_is_as_before_says_so_and_takes_no_exclusive_place(runs: Any) -> None:
    run = runs("reboot", soak_s=0)
    poll(run.node, run.machine, run.now)
    run.ask("refresh")
    done = run.rounds()
    assert said(done) == "Read and stored; nothing has changed."
    assert Operation.objects.filter(kind="reboot").exclude(state="failed").exists()


def test_what_was_read_while_the_node_was_edited_is_read_again() -> None:
    """It is not stored, so that no refresh may say that nothing has changed."""
    node = make_node("host")

    def edited_meanwhile() -> Look:
        edit_node(node=Node.objects.get(pk=node.pk), changes={"labels": {"a": "b"}}, actor=SYSTEM, now=clock.now())
        found = seen(node).look
        assert found is not None
        return found

    assert not StoredNode(Node.objects.get(pk=node.pk)).take_in(edited_meanwhile)
    assert not Facts.objects.exists()
    now_known = seen(node).look
    assert now_known is not None
    assert StoredNode(Node.objects.get(pk=node.pk)).take_in(lambda: now_known)
    assert Facts.objects.count() == 1


def test_a_refresh_waits_for_a_poll_that_is_under_way(runs: Any) -> None:
    run = runs("refresh")
    Node.objects.update(poll_lease=run.node.pk, poll_lease_until=run.now.replace(year=2027))
    waits = run.rounds(5)
    assert (waits.state, waits.wait_reason) == ("waiting", "poll_ends")
    Node.objects.update(poll_lease=None)
    assert run.rounds().state == "succeeded"


def test_a_check_names_the_version_that_is_there_or_none(runs: Any) -> None:
    run = runs("check")
    assert said(run.rounds()) == f"An update to {run.machine.catalog.tip('stable').version} is available."
    assert run.machine.host.pending is None
    transitions.stage(run.machine.host, run.machine.catalog.tip("stable"))
    poll(run.node, run.machine, run.now)
    run.ask("check")
    assert "is staged and waits for a restart" in said(run.rounds())
    transitions.boot(run.machine.host, run.machine.catalog, run.machine.now())
    poll(run.node, run.machine, run.now)
    run.ask("check")
    assert said(run.rounds()).startswith("No update: nothing newer than")


def test_no_check_beside_a_change(runs: Any) -> None:
    run = runs("upgrade", soak_s=0)
    (plan,) = run.plan("check")
    assert plan.refused == "busy"


# units


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "not a unit"),
        ("a b.service", "name of a unit"),
        ("x;reboot.service", "name of a unit"),
        ("-H.service", "name of a unit"),
        ("../x.service", "name of a unit"),
        ("reboot.target", "no unit that can be restarted"),
        ("init.scope", "no unit that can be restarted"),
        ("boot.mount", "no unit that can be restarted"),
        ("systemd-reboot.service", "takes the host down"),
        ("ostree-finalize-staged.service", "takes the host down"),
        ("emergency", "takes the host down"),
        ("sshd", "carries the way to the host"),
        ("ssh.socket", "carries the way to the host"),
        ("NetworkManager.service", "carries the way to the host"),
        ("dbus-broker.service", "carries the way to the host"),
        ("user@1000.service", "carries the way to the host"),
        ("fleetui-x-stage-1.service", "runs a command of FleetUI"),
        (7, "name of a unit"),
    ],
)
def test_units_that_are_not_restarted(name: Any, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_params("unit_restart", {"unit": name})
    assert refused.value.field == "params.unit"
    assert code.removeprefix("not a unit") in refused.value.message
    assert refused.value.mend


def test_a_bare_name_is_a_service() -> None:
    assert checked_params("unit_restart", {"unit": " kubelet "}) == {"unit": "kubelet.service"}
    assert checked_params("unit_restart", {"unit": "foo@1.timer"}) == {"unit": "foo@1.timer"}


def test_a_unit_is_restarted_and_said_to_be_active(runs: Any) -> None:
    run = runs("unit_restart", unit=UNIT)
    done = run.rounds()
    assert (done.state, said(done)) == ("succeeded", f"{UNIT} was restarted and is active (running).")
    assert run.machine.host.starts[UNIT] == 1


def test_a_late_worker_does_not_restart_again(runs: Any) -> None:
    run = runs("unit_restart", unit=UNIT)
    run.rounds()
    before = run.operation.memory["seen"]["unit"]["InvocationID"]
    late = drivers.get("fcos").command("unit_restart", unit=UNIT, invocation=before)
    assert run.machine.ask(*late.argv).status == 75
    assert run.machine.host.starts[UNIT] == 1


def test_a_unit_that_fails_again_is_told_with_its_last_lines(runs: Any) -> None:
    run = runs("unit_restart", unit="log-shipper.service")
    run.machine.host.faults[Fault.FAILED_UNIT.value] = 2.0
    broken = run.machine.ask("systemctl", "list-units", "--failed").out.decode().split()[0]
    Operation.objects.update(params={"unit": broken})
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "unit_failed")
    assert f"{broken} is down: it failed after the restart (exit-code, status 1)" in said(done)
    assert "Failed with result 'exit-code'" in log_of(done)
    assert run.machine.left_behind() == []


def test_a_unit_that_does_not_stay_up_is_recognised(runs: Any) -> None:
    run = runs("unit_restart", unit=UNIT)
    while run.operation.wait_reason != "unit_stays":
        run.rounds(1)
    run.machine.host.starts[UNIT] += 1
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "unit_unstable")


def test_what_somebody_else_restarted_meanwhile_is_left_alone(runs: Any) -> None:
    run = runs("unit_restart", unit=UNIT)
    while run.operation.step != "restart_unit":
        run.rounds(1)
    run.machine.host.starts[UNIT] = 1
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "unit_changed")
    assert run.machine.host.starts[UNIT] == 1


def test_a_unit_that_is_not_there_changes_nothing(runs: Any) -> None:
    done = runs("unit_restart", unit="nothing.service").rounds()
    assert (done.state, done.result) == ("failed", "preflight")
    assert "no unit nothing.service" in said(done)


# kernel arguments


@pytest.mark.parametrize(
    ("params", "field", "said"),
    [
        ({}, "append", "No kernel argument is named"),
        ({"append": 5}, "append", "not a list"),
        ({"append": ["a b"]}, "append", "not a kernel argument"),
        ({"append": ['x="y"']}, "append", "not a kernel argument"),
        ({"append": ["x\\y"]}, "append", "not a kernel argument"),
        ({"append": ["--"]}, "append", "not a kernel argument"),
        ({"append": ["init=/bin/sh"]}, "append", "decides how the host boots"),
        ({"append": ["rd.break"]}, "append", "decides how the host boots"),
        ({"delete": ["root=UUID=1"]}, "delete", "decides how the host boots"),
        ({"replace": ["ostree=/x"]}, "replace", "decides how the host boots"),
        ({"replace": ["quiet"]}, "replace", "no new value"),
        ({"append": ["a=1"], "delete": ["a=1"]}, "append", "more than once"),
        ({"append": ["a"] * 21}, "append", "too many"),
        ({"append": ["quiet"], "soak_s": -1}, "soak_s", "not a soak time"),
    ],
)
def test_kernel_arguments_that_are_refused(params: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_params("kargs", params)
    assert (refused.value.field, refused.value.mend != "") == (f"params.{field}", True)
    assert said in refused.value.message


def test_the_plan_shows_the_arguments_before_and_after(runs: Any) -> None:
    run = runs("refresh")
    (plan,) = run.plan("kargs", append=["panic=10"], delete=["console=tty0"], replace=["ignition.platform.id=qemu"])
    before, after = plan.target["arguments"]["before"], plan.target["arguments"]["after"]
    assert "console=tty0" in before
    assert set(before) - set(after) == {"console=tty0", "ignition.platform.id=metal"}
    assert set(after) - set(before) == {"panic=10", "ignition.platform.id=qemu"}
    assert plan.commands[1][-3:] == (
        "--delete-if-present=console=tty0",
        "--replace=ignition.platform.id=qemu",
        "--append-if-missing=panic=10",
    )


def test_arguments_that_cannot_be_taken_away_change_nothing(runs: Any) -> None:
    done = runs("kargs", delete=["nothing=1"], replace=["console=ttyS1"]).rounds()
    assert (done.state, done.result) == ("failed", "preflight")
    assert "nothing=1 is not among the kernel arguments" in said(done)
    assert "console is not there exactly once" in said(done)


def test_arguments_that_are_there_already_are_nothing_to_do(runs: Any) -> None:
    run = runs("kargs", append=["mitigations=auto,nosmt"])
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("succeeded", "arguments_there", 0)


def test_arguments_are_not_changed_on_top_of_what_waits_for_a_restart(runs: Any) -> None:
    run = runs("kargs", append=["panic=10"])
    transitions.stage(run.machine.host, run.machine.catalog.tip("stable"))
    done = run.rounds()
    assert (done.result, "waits for a restart" in said(done)) == ("preflight", True)


def test_a_cancelled_change_of_arguments_leaves_nothing_staged(runs: Any) -> None:
    run = runs("kargs", append=["panic=10"])
    while not run.machine.host.pending:
        run.rounds(1)
    run.cancel()
    done = run.rounds()
    assert (done.state, run.machine.host.pending, run.machine.reboots) == ("cancelled", None, 0)
    assert run.machine.left_behind() == []


def test_a_host_that_falls_back_has_its_old_arguments(runs: Any) -> None:
    run = runs("kargs", append=["panic=10"], soak_s=0)
    run.machine.host.faults[Fault.FALLBACK.value] = 1.0
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "arguments_fell_back")
    assert "panic=10" not in run.machine.host.booted.kargs


def test_a_host_that_is_not_healthy_goes_back_to_its_old_arguments(runs: Any) -> None:
    run = runs("kargs", append=["panic=10"], soak_s=0, roll_back=True)
    while not run.machine.reboots:
        run.rounds(1)
    run.machine.host.faults[Fault.FAILED_UNIT.value] = 1.0
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("failed", "went_back", 2)
    assert "panic=10" not in run.machine.host.booted.kargs
    assert run.machine.left_behind() == []


# pages


def test_what_a_kind_has_to_know_is_asked_for_before_the_plan() -> None:
    node = make_node("web-1")
    make_facts(node, health={"system_state": "degraded", "failed_units": [{"name": "app.service", "result": None}]})
    admin = signed_in(make_user("admin", "admin"))
    given = {"kind": "unit_restart", "id": str(node.pk)}
    page = admin.post("/operations/-/plan/", given).content.decode()
    assert "Show the plan" in page
    assert '<option value="app.service">' in page
    assert "is not the name of a unit" not in page
    again = {"kind": "unit_restart", "ids": str(node.pk), "hours": "4", "again": "1", "unit": "sshd"}
    page = admin.post("/operations/-/plan/", again).content.decode()
    assert "nobody gets in" in page
    page = admin.post("/operations/-/plan/", {**again, "unit": "app"}).content.decode()
    assert "systemctl restart app.service" in page
    assert "What the unit serves is interrupted" in page
    answer = admin.post("/operations/-/plan/", {**given, **again, "unit": "app", "go": "1"})
    assert answer.status_code == 302
    assert Operation.objects.get().params == {"unit": "app.service"}


def test_one_argument_needs_no_list() -> None:
    assert checked_params("kargs", {"append": "a=1"}) == {"append": ["a=1"]}


def test_arguments_are_given_by_lines_or_spaces() -> None:
    node = make_node("web-1")
    make_facts(node, boot={"boot_id": "b", "arguments": ["quiet", "console=tty0"]})
    admin = signed_in(make_user("admin", "admin"))
    given = {"kind": "kargs", "ids": str(node.pk), "hours": "4", "again": "1", "append": "a=1  b\nc", "delete": "quiet"}
    page = admin.post("/operations/-/plan/", given).content.decode()
    for words in ("− quiet", "+ a=1", "+ b", "+ c"):
        assert words in page
    assert admin.post("/operations/-/plan/", {**given, "go": "1"}).status_code == 302
    assert Operation.objects.get().params == {"append": ["a=1", "b", "c"], "delete": ["quiet"]}


# container-native hosts

DIGEST = "sha256:" + "1" * 64


def a_host_of_an_image(origin: str, name: str = "web-1") -> Node:
    booted = deployment("44.20260101.3.0", origin=origin, image="quay.io/fedora/fedora-coreos:stable", booted=True)
    node = make_node(name, os_family="fcos", os_stream="stable", arch="x86_64", booted_version="44.20260101.3.0")
    make_facts(node, deployments=[booted])
    node.refresh_from_db()
    return node


def known_release(version: str, **over: Any) -> None:
    releases = {"streams": ["stable"], "releases": [{"stream": "stable", "version": version, **over}]}
    import_releases(text=json.dumps(releases), actor=SYSTEM, now=clock.now())


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (
            "ostree-image-signed:docker://quay.io/f/c:stable",
            ("ostree-image-signed:docker://quay.io/f/c:stable", DIGEST),
        ),
        (
            f"ostree-unverified-registry:quay.io/f/c@sha256:{'2' * 64}",
            (f"ostree-unverified-registry:quay.io/f/c@{DIGEST}",),
        ),
    ],
)
def test_a_host_of_an_image_goes_to_the_digest_of_the_release(origin: str, words: tuple[str, ...]) -> None:
    node = a_host_of_an_image(origin)
    known_release("44.20260201.3.0", images={"x86_64": f"quay.io/f/c@{DIGEST}"})
    (plan,) = preview(nodes=[node], kind="upgrade", params={}, actor=SYSTEM, now=clock.now())
    assert not plan.refused, (plan.refused, plan.params)
    assert plan.commands[1][:5] == ("sudo", "-n", "rpm-ostree", "rebase", "--bypass-driver")
    assert plan.commands[1][6:] == words


def test_without_a_digest_only_the_newest_of_the_tag_can_be_had() -> None:
    node = a_host_of_an_image("ostree-image-signed:docker://quay.io/f/c:stable")
    known_release("44.20260201.3.0", checksums={"x86_64": "a" * 64})
    (newest,) = preview(nodes=[node], kind="upgrade", params={}, actor=SYSTEM, now=clock.now())
    assert newest.commands[1] == ("sudo", "-n", "rpm-ostree", "upgrade", "--bypass-driver", "--unchanged-exit-77")
    (given,) = preview(
        nodes=[node], kind="upgrade", params={"version": "44.20260201.3.0"}, actor=SYSTEM, now=clock.now()
    )
    assert given.refused == "no_digest"
    pinned = a_host_of_an_image(f"ostree-unverified-registry:quay.io/f/c@sha256:{'2' * 64}", name="web-2")
    (refused,) = preview(nodes=[pinned], kind="upgrade", params={}, actor=SYSTEM, now=clock.now())
    assert refused.refused == "no_digest"


def test_a_host_that_was_looked_at_once_was_not_healthy_for_no_seconds() -> None:
    assert result_sentence("healthy", {"seconds": 0, "checks": 0}) == "Done; the host is healthy."
    assert "for 60 s" in result_sentence("healthy", {"seconds": 60, "checks": 0})


def test_what_never_began_says_that_nothing_was_changed() -> None:
    never = result_sentence("deadline", {"waited_for": "turn", "untouched": True})
    assert never.startswith(
        "Nothing was changed: it could not start before its deadline. Until then: Waits for its turn"
    )
    assert result_sentence("deadline", {"waited_for": "unreachable"}).startswith("The deadline has passed.")


def test_a_node_that_is_gone_and_one_that_was_replaced_differ() -> None:
    assert "retired or deleted" in result_sentence("void", {})
    assert "(generation 1, now 2)" in result_sentence("void", {"generation": 1, "now": 2})
