"""Versions that are held back: by hand and after a rollback, in plans, on pages and over the API."""

from __future__ import annotations

from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from nodes.models import Node, Pool
from nodes.releases.graph import Release, ReleasesView
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast, cast
from nodes.tests.make import make_facts, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops.models import Operation, VersionHold
from ops.services.holds import hold_version
from ops.services.request import preview, request_operations
from ops.tests.test_engine_kills import Run
from ops.wording import refusal_sentence, result_sentence

__all__ = ["cast"]

VIEW = ReleasesView.of("stable", [Release("stable", f"43.2026010{n}.3.0") for n in range(1, 5)])


def test_the_next_step_passes_over_what_is_held_but_no_barrier() -> None:
    first, *_rest, newest = [one.version for one in VIEW.releases]
    held = VIEW.next_step(first, held={newest})
    assert held is not None
    assert held.version == "43.20260103.3.0"
    assert VIEW.next_step(first, held={one.version for one in VIEW.releases}) is None
    barrier = Release("stable", "43.20260102.3.0", barrier="keys")
    with_barrier = ReleasesView.of("stable", [*VIEW.releases[:1], barrier, *VIEW.releases[2:]])
    assert with_barrier.next_step(first, held={barrier.version}) is None


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["upgrade", "rollback"])
def test_what_a_node_was_rolled_back_from_is_held_back_from_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(kind, monkeypatch)
    before = run.machine.host.booted.version
    done = run.rounds()
    assert done.state == "succeeded", (done.result, done.result_params)
    holds = list(VersionHold.objects.values_list("node__name", "version", "why", "operation"))
    assert holds == ([] if kind == "upgrade" else [("n1", before, "rolled_back", done.pk)])
    if kind == "rollback":
        event = AuditEvent.objects.get(action="operations.hold_version")
        text = signed_in(make_user("anna", "admin")).get("/nodes/n1/").content.decode()
        assert "Held back from it" in text
        assert "Rolled back from" in text
        assert (event.subject, event.after) == ("node:n1", f'{{"version":"{before}","why":"rolled_back"}}')
    run.machine.loop.close()


@pytest.mark.django_db
def test_a_version_that_is_held_while_an_operation_waits_is_dropped_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host itself finds the newest, since no releases are known here."""
    run = Run("upgrade", monkeypatch)
    tip = run.machine.catalog.tip(run.machine.host.booted.stream).version
    hold_version(version=tip, node=run.node, reason="INC-1", actor=SYSTEM, now=run.now)
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("failed", "held_staged", 0)
    assert tip in result_sentence(done.result, done.result_params)
    assert run.machine.left_behind() == []
    assert run.machine.host.deployments[0] is run.machine.host.booted
    run.machine.loop.close()


@pytest.mark.django_db
def test_a_version_that_is_asked_for_and_held_since_stops_at_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch, version="44.20991231.3.0", soak_s=0)
    hold_version(version="44.20991231.3.0", node=run.node, reason="INC-1", actor=SYSTEM, now=run.now)
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("failed", "preflight", 0)
    assert [one["code"] for one in done.result_params["checks"]] == ["held"]
    (plan,) = run.plan("upgrade", version="44.20991231.3.0")
    assert (plan.refused, plan.params["why"]) == ("held", "INC-1")
    assert refusal_sentence(plan.refused, plan.params).endswith(": INC-1")
    run.machine.loop.close()


@pytest.mark.django_db
def test_who_is_refused_reads_what_the_version_did_and_not_only_why_it_was_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run("refresh", monkeypatch)
    run.rounds()
    version = "44.20991231.3.0"
    VersionHold.objects.create(
        node=run.node, version=version, held_at=run.now, held_by="user:anna", why="went_back", reason="CVE-2026-1"
    )
    (plan,) = run.plan("upgrade", version=version)
    told = refusal_sentence(plan.refused, plan.params)
    assert told.endswith(": Was not healthy, and went back by itself (asked for by anna: CVE-2026-1).")
    run.machine.loop.close()


@pytest.fixture
def web() -> Pool:
    return make_pool("web")


@pytest.fixture
def node(web: Pool) -> Node:
    node = make_node("web-1", pool=web)
    make_facts(node)
    return node


@pytest.mark.django_db
def test_a_hold_is_made_seen_and_lifted_over_the_api_with_a_reason(web: Pool, node: Node) -> None:
    owner = Api(make_user("owner", "admin"))
    body: dict[str, Any] = {"version": "43.20260301.3.1", "node": "web-1", "reason": "INC-7: no network"}
    made = owner.post("version-holds/", body)
    assert made.status_code == 201, made.content
    assert made.json()["why_sentence"] == "Held by hand"
    assert owner.post("version-holds/", body).status_code == 409
    assert owner.post("version-holds/", {**body, "pool": "web"}).status_code == 400
    assert owner.post("version-holds/", {**body, "version": "4 3"}).json()["field"] == "version"
    assert owner.post("version-holds/", {**body, "node": None, "pool": "web"}).status_code == 201
    assert len(owner.get("version-holds/").json()["results"]) == 2
    assert len(owner.get("version-holds/?node=web-1").json()["results"]) == 1
    address = f"version-holds/{made.json()['id']}/"
    assert owner.delete(address).json()["field"] == "reason"
    assert owner.delete(f"{address}?reason=fixed").status_code == 204
    assert owner.get(address).status_code == 404
    lifted = AuditEvent.objects.get(action="operations.lift_hold")
    assert (lifted.subject, lifted.reason) == ("node:web-1", "fixed")


@pytest.mark.django_db
def test_rights_on_holds(cast: Cast) -> None:
    mine = hold_version(version="1.0", node=cast.web_node, reason="x", actor=SYSTEM, now=clock.now())
    other = hold_version(version="1.0", pool=cast.db, reason="x", actor=SYSTEM, now=clock.now())
    operator, viewer = Api(cast.operator), Api(cast.viewer)
    assert [one["id"] for one in operator.get("version-holds/").json()["results"]] == [mine.pk]
    assert operator.delete(f"version-holds/{other.pk}/?reason=x").status_code == 404
    assert viewer.delete(f"version-holds/{mine.pk}/?reason=x").status_code == 403
    assert viewer.post("version-holds/", {"version": "2", "pool": "web", "reason": "x"}).status_code == 403
    assert operator.post("version-holds/", {"version": "2", "node": "loose-1", "reason": "x"}).status_code == 400
    assert operator.delete(f"version-holds/{mine.pk}/?reason=x").status_code == 204


@pytest.mark.django_db
def test_pages_show_holds_and_lift_them_with_a_reason(web: Pool) -> None:
    make_node("web-1", pool=web)
    page = signed_in(make_user("anna", "admin"))
    assert "No version is held back" in page.get("/operations/holds/").content.decode()
    refused = page.post("/operations/holds/-/add/", {"node": "web-9", "version": "43.1", "reason": "x"})
    assert refused.status_code == 404 or "web-9" in refused.content.decode()
    sent = page.post("/operations/holds/-/add/", {"node": "web-1", "version": "43.1", "reason": "INC-3"})
    assert sent.status_code == 302, sent.content
    page.post("/operations/holds/-/add/", {"pool": "web", "version": "43.2", "reason": "INC-4"})
    for address, words in (
        ("/operations/holds/", ("43.1", "43.2")),
        ("/pools/web/", ("43.2", "INC-4")),
    ):
        text = page.get(address).content.decode()
        assert all(word in text for word in words), address
    hold = VersionHold.objects.get(version="43.1")
    page.post(f"/operations/holds/{hold.pk}/lift/", {"back": "node"})
    assert VersionHold.objects.filter(pk=hold.pk).exists()
    answer = page.post(f"/operations/holds/{hold.pk}/lift/", {"back": "node", "reason": "fixed"})
    assert (answer.status_code, answer["Location"]) == (302, "/nodes/web-1/")
    assert not VersionHold.objects.filter(pk=hold.pk).exists()


@pytest.mark.django_db
def test_the_plan_costs_the_same_for_many_nodes(web: Pool, node: Node, django_assert_max_num_queries: Any) -> None:
    for _ in range(12):
        one = make_node(pool=web)
        make_facts(one)
        hold_version(version="1.0", node=one, reason="x", actor=SYSTEM, now=clock.now())
    nodes = list(Node.objects.select_related("pool__cluster"))
    preview(nodes=nodes, kind="upgrade", params={}, actor=SYSTEM, now=clock.now())
    with django_assert_max_num_queries(7):
        preview(nodes=nodes, kind="upgrade", params={}, actor=SYSTEM, now=clock.now())
    assert request_operations(nodes=nodes[:1], kind="reboot", actor=SYSTEM, now=clock.now()).operations
    assert Operation.objects.count() == 1
