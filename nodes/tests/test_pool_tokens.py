"""Machines of a pool that fetch with one token: each becomes a node, is known by its own key, and gets the same bytes again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from fleetui.audit.models import AuditEvent
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from nodes.hosts.errors import TimedOut
from nodes.models import HostKey, IgnitionVersion, Node, Pool, PoolToken, Provisioning, TimelineEvent
from nodes.services.lifecycle import ABSENT
from nodes.services.nodes import delete_node, edit_node, set_lifecycle
from nodes.services.polling import Outcome
from nodes.services.provisioning.ending import end_open
from nodes.services.provisioning.instance import checked_id, name_part
from nodes.services.provisioning.pool_tokens import add_pool_token, revoke_pool_token
from nodes.services.provisioning.refusal import Refusal
from nodes.services.provisioning.serve import fetch
from nodes.services.provisioning.snippets import ID_PLACE
from nodes.services.provisioning.unseen import retire_unseen
from nodes.services.token_terms import token_state
from nodes.tests.cast import Cast
from nodes.tests.enrolling import enrol, make_enrolment
from nodes.tests.make import NOW, make_config, make_node, make_version, principal
from nodes.tests.test_polling import poll, seen
from nodes.tests.test_provisioning import file_in, key_in

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)
UUID = "4c4c4544-0042-3510-8052-b4c04f564231"


@pytest.fixture
def version(cast: Cast) -> IgnitionVersion:
    found = make_version(make_config("edge", cast.web), state="approved")
    Pool.objects.filter(pk=cast.web.pk).update(intended_version=found)
    return found


def token_of(cast: Cast, **over: Any) -> str:
    given: dict[str, Any] = {"name": "asg", "days": 30, "actor": principal(cast.owner), "now": NOW, **over}
    return add_pool_token(pool=Pool.objects.get(pk=cast.web.pk), **given)[1]


def asked(text: str, instance_id: str = "", address: str = "10.0.7.9", **over: Any) -> str | Refusal:
    return fetch(
        text, **{"address": address, "agent": "Ignition/2.26.0", "now": LATER, "instance_id": instance_id, **over}
    )


def got(text: str, instance_id: str = "", address: str = "10.0.7.9", **over: Any) -> str:
    found = asked(text, instance_id, address, **over)
    assert isinstance(found, str), found
    return found


def arrive(node: Node) -> Node:
    Node.objects.exclude(pk=node.pk).update(lifecycle="retired")
    return poll(seen(node), LATER)


class TestAdmitting:
    def test_each_machine_becomes_a_node_that_is_known_by_its_own_key(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        text = token_of(cast)
        configs = [got(text, address="10.0.7.9"), got(text, address="10.0.7.10"), got(text, UUID)]
        assert len(set(configs)) == 3
        nodes = list(Node.objects.filter(name__in=["web-10-0-7-9", "web-10-0-7-10", "web-b4c04f564231"]))
        assert len(nodes) == 3
        for node in nodes:
            assert (node.pool, node.reachability, node.reachability_reason) == (cast.web, "never_seen", "provisioning")
            assert node.enrolled_at == LATER
        keys = {key.fingerprint for key in HostKey.objects.filter(node__in=nodes, state="pinned")}
        assert keys == {key_in(config).fingerprint for config in configs}
        token = PoolToken.objects.get()
        assert (token.uses, token.last_used_at) == (3, LATER)
        marker = json.loads(file_in(configs[0], "/etc/fleetui/ignition.json"))
        assert (marker["config"], marker["version"], marker["generation"]) == ("edge", 1, 1)

    def test_the_same_machine_gets_the_same_bytes_whatever_is_intended_meanwhile(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        text = token_of(cast, max_uses=1)
        first = got(text, UUID)
        Pool.objects.filter(pk=cast.web.pk).update(intended_version=make_version(version.config, state="approved"))
        # Another address, another spelling of the id: a lease that changed, a UUID as firmware prints it.
        assert got(text, UUID.upper(), address="10.0.7.99") == first
        assert Provisioning.objects.get().fetches == 2
        assert Node.objects.filter(enrolled_at=LATER).count() == 1
        told = TimelineEvent.objects.filter(kind="ignition_fetched").order_by("pk")
        assert {one.params["address"] for one in told} == {"10.0.7.9", "10.0.7.99"}

    def test_no_more_than_the_limit(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast, max_uses=2)
        got(text, "i-0001"), got(text, "i-0002")
        assert asked(text, "i-0003") is Refusal.USED_UP
        assert got(text, "i-0002")
        assert token_state(PoolToken.objects.get(), LATER) == "used_up"

    def test_networks_and_ids(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast, networks=["10.0.0.0/8"], needs_id=True)
        assert asked(text, "i-0001", address="192.0.2.7") is Refusal.WRONG_NETWORK
        assert asked(text, "i-0001", address="") is Refusal.WRONG_NETWORK
        for shared in (
            "",
            "0",
            "${uuid}",
            "00000000-0000-0000-0000-000000000000",
            "ff:ff:ff:ff:ff:ff",
            "Not Settable",
            # What the snippets have where an id belongs.
            ID_PLACE,
            "03000200-0400-0500-0006-000700080009",
            "a" * 101,
            "To be filled by O.E.M.",
        ):
            assert asked(text, shared) is Refusal.NO_ID, shared
        assert not Provisioning.objects.exists()
        assert got(text, "i-0001")

    def test_an_address_of_this_machine_itself_tells_nobody_apart(self, cast: Cast, version: IgnitionVersion) -> None:
        """That of a proxy which TRUSTED_PROXIES does not name: all machines would get one host key."""
        text = token_of(cast)
        for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", ""):
            assert asked(text, address=address) is Refusal.NO_ID
        assert got(text, UUID, address="127.0.0.1")

    def test_not_ready_is_asked_again(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast)
        Pool.objects.filter(pk=cast.web.pk).update(intended_version=None)
        assert asked(text) is Refusal.NOT_READY
        source = (
            "variant: fcos\nversion: 1.6.0\n# fleetui:variable site string\nstorage:\n  files:\n"
            "    - path: /etc/site\n      contents:\n        inline: ${fleetui:site}\n"
        )
        unset = make_version(version.config, source=source, state="approved")
        Pool.objects.filter(pk=cast.web.pk).update(intended_version=unset)
        assert asked(text) is Refusal.NOT_READY
        assert not Provisioning.objects.exists()
        assert PoolToken.objects.get().uses == 0
        Pool.objects.filter(pk=cast.web.pk).update(intended_version=version)
        assert got(text)

    def test_an_expired_token_admits_nobody_and_still_serves_who_is_on_the_way(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        text = token_of(cast, days=1)
        late = NOW + timedelta(days=1)
        before = got(text, UUID, now=late - timedelta(minutes=1))
        assert got(text, UUID, now=late) == before
        assert asked(text, "i-0002", now=late) is Refusal.GONE

    def test_after_its_deadline_a_machine_gets_nothing(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast, arrive_within_minutes=10)
        got(text, UUID)
        assert asked(text, UUID, now=LATER + timedelta(minutes=10)) is Refusal.GONE

    def test_a_name_that_is_taken_gets_letters_of_its_own(self, cast: Cast, version: IgnitionVersion) -> None:
        taken = make_node("web-10-0-7-9")
        got(token_of(cast))
        node = Provisioning.objects.get().node
        assert node != taken
        assert node.name.startswith("web-10-0-7-9-")

    def test_names_by_number(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast, name_pattern="edge-{n}.example")
        got(text, "i-0001"), got(text, "i-0002")
        assert {row.node.name for row in Provisioning.objects.all()} == {"edge-1.example", "edge-2.example"}

    def test_the_audit_log_tells_of_it_and_holds_no_secret(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast)
        got(text, UUID)
        event = AuditEvent.objects.get(action="nodes.provision_admit")
        assert event.actor == "provisioning:web/asg"
        assert json.loads(event.after)["instance"] == "id:4c4c454400423510" + "8052b4c04f564231"
        whole = str(list(AuditEvent.objects.values()))
        assert "PRIVATE" not in whole
        assert text.split("_", 2)[-1] not in whole


class TestArriving:
    def test_the_first_contact_proves_the_key_and_ends_the_offer(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast)
        got(text, UUID)
        found = arrive(Provisioning.objects.get().node)
        assert (found.applied_version, found.applied_how, found.generation) == (version, "fetch", 1)
        assert found.reachability == "reachable"
        assert asked(text, UUID) is Refusal.GONE

    def test_an_address_that_is_free_again_is_another_machine(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast)
        first = got(text)
        arrive(Provisioning.objects.get().node)
        second = got(text)
        assert key_in(first).fingerprint != key_in(second).fingerprint
        assert Provisioning.objects.filter(holds_instance=True).count() == 1
        assert got(text) == second

    def test_a_machine_that_boots_asks_for_nobody_and_is_looked_for_often(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        got(token_of(cast), UUID)
        node = Provisioning.objects.get().node
        Node.objects.exclude(pk=node.pk).update(lifecycle="retired")
        for number in range(4):
            at = LATER + timedelta(minutes=number)
            node = poll(Outcome(node.pk, None, TimedOut(node.address)), at)
            assert (node.reachability, node.reachability_reason) == ("never_seen", "provisioning")
            assert node.poll_due_at - at < timedelta(minutes=2)
        assert not Node.objects.needing_attention().exists()
        node = poll(Outcome(node.pk, None, TimedOut(node.address)), LATER + timedelta(hours=2))
        assert node.reachability_reason == "timed_out"
        assert Node.objects.needing_attention().exists()

    def test_it_may_announce_another_address(self, cast: Cast, version: IgnitionVersion) -> None:
        """Behind NAT the address of the fetch is not that of the machine: the announcement says it, the key proves it."""
        config = got(token_of(cast), UUID)
        node = Provisioning.objects.get().node
        _token, announcing = make_enrolment(cast.web)
        line = file_in(config, "/etc/ssh/ssh_host_ed25519_key.pub").strip()
        said = enrol(announcing, node.name, host_key=[line], client_address="10.9.0.5")
        assert (said.status_code, said.json()["outcome"]) == (200, "moved")
        assert Node.objects.get(pk=node.pk).address == "10.9.0.5"

    def test_the_pool_of_the_node_ends_it(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast)
        got(text, UUID)
        node = Provisioning.objects.get().node
        edit_node(node=node, changes={"pool": cast.db}, actor=principal(cast.owner), now=LATER)
        assert asked(text, UUID) is Refusal.GONE


class TestEnding:
    def test_a_revoked_token_gives_nothing_and_what_is_on_its_way_is_not_trusted(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        text = token_of(cast)
        got(text, UUID), got(text, "i-0002")
        came = arrive(Provisioning.objects.get(instance="id:i-0002").node)
        for _time in range(2):
            revoke_pool_token(token=PoolToken.objects.get(), actor=principal(cast.owner), now=LATER)
        assert asked(text, UUID) is asked(text, "i-0003") is Refusal.GONE
        assert {row.instance[:6]: row.ending for row in Provisioning.objects.all()} == {
            "id:4c4": "revoked",
            "id:i-0": "arrived",
        }
        assert [key.node for key in HostKey.objects.filter(state="pinned", reason="Made for provisioning")] == [came]
        assert AuditEvent.objects.filter(action="pools.revoke_provisioning_token").count() == 1

    def test_a_machine_that_never_came_is_retired_and_its_id_is_free(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        text = token_of(cast, arrive_within_minutes=10)
        first = got(text, UUID)
        node = Provisioning.objects.get().node
        over = LATER + timedelta(minutes=10)

        def tried(failures: int, due: Any) -> int:
            Node.objects.filter(pk=node.pk).update(failures=failures, failing_since=LATER, poll_due_at=due)
            return retire_unseen(over + timedelta(hours=1))

        Node.objects.exclude(pk=node.pk).update(last_seen_at=over + timedelta(hours=1), failures=0)
        assert tried(1, over + timedelta(hours=2)) == 0
        # The last contact began before the deadline: it is tried once more, at once.
        assert tried(9, over + timedelta(minutes=9)) == 0
        assert Node.objects.get(pk=node.pk).lifecycle == "active"
        # Nothing else answers: it is rather our own network.
        Node.objects.exclude(pk=node.pk).update(failures=3)
        assert tried(9, over + timedelta(hours=1, minutes=10)) == 0
        Node.objects.exclude(pk=node.pk).update(failures=0)
        assert tried(9, over + timedelta(hours=1, minutes=10)) == 1
        assert retire_unseen(over + timedelta(hours=1)) == 0
        found = Node.objects.get(pk=node.pk)
        assert (found.lifecycle, Provisioning.objects.get().ending) == ("retired", "absent")
        assert found.lifecycle_reason.startswith(ABSENT)
        assert TimelineEvent.objects.filter(node=node, kind="retired_unseen").exists()
        # It comes in the end: another node, since nobody knows who has the first key by now.
        assert got(text, UUID, now=over + timedelta(hours=2)) != first

    def test_a_node_that_a_person_retired_or_deleted(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast)
        got(text, UUID)
        node = Provisioning.objects.get().node
        set_lifecycle(node=node, lifecycle="retired", reason="", actor=principal(cast.owner), now=LATER)
        assert asked(text, UUID) is Refusal.GONE
        delete_node(node=node, reason="", actor=principal(cast.owner), now=LATER)
        assert got(text, UUID)

    def test_an_end_of_one_machine_is_not_the_end_of_the_token(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast)
        got(text, UUID)
        end_open(Provisioning.objects.get().node, "revoked", LATER)
        assert asked(text, UUID) is Refusal.GONE
        assert got(text, "i-0002")


class TestMaking:
    @pytest.mark.parametrize(
        ("over", "field"),
        [
            ({"name": " "}, "name"),
            ({"days": 0}, "days"),
            ({"max_uses": 0}, "max_uses"),
            ({"networks": ["10.0.0.0/99"]}, "networks"),
            ({"arrive_within_minutes": 9}, "arrive_within_minutes"),
            ({"name_pattern": "{pool}"}, "name_pattern"),
            ({"name_pattern": "-{id}"}, "name_pattern"),
            ({"name_pattern": "{pool}/{id}"}, "name_pattern"),
            ({"name_pattern": "{host}-{id}"}, "name_pattern"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, cast: Cast, over: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            token_of(cast, **over)
        assert refused.value.field == field

    def test_one_of_a_name(self, cast: Cast) -> None:
        token_of(cast)
        with pytest.raises(Conflict, match="has a provisioning token named asg"):
            token_of(cast)

    def test_who_may_not_provision_makes_none(self, cast: Cast) -> None:
        with pytest.raises(NotAllowed):
            token_of(cast, actor=principal(cast.viewer))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (UUID, "4c4c454400423510" + "8052b4c04f564231"),
        ("52:54:00:AB:CD:EF", "525400abcdef"),
        ("52-54-00-ab-cd-ef", "525400abcdef"),
        ("i-0abc123def4567890", "i-0abc123def4567890"),
        (" i-0001 ", "i-0001"),
        ("abc", None),
        ("ab\ncd", None),
    ],
)
def test_ids_in_one_spelling(text: str, found: str | None) -> None:
    assert checked_id(text) == found


def test_the_part_of_a_name() -> None:
    assert name_part("id:i-0abc123def4567890") == "i-0abc123def4567890"
    assert name_part("address:fd00::7") == "fd00-7"
    assert name_part("id:52540" + "0abcdef") == "525400abcdef"


@pytest.mark.parametrize(
    ("query", "address", "status"),
    [
        ("", "10.0.7.9", 200),
        ("?id=", "10.0.7.9", 400),
        ("?id=i-0001", "10.0.7.9", 200),
        ("?id=%24{uuid}", "10.0.7.9", 400),
        ("", "192.0.2.1", 403),
    ],
)
def test_over_http(
    cast: Cast, version: IgnitionVersion, query: str, address: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetui.core.clock.now", lambda: LATER)
    text = token_of(cast, networks=["10.0.0.0/8"])
    client = Client(REMOTE_ADDR=address)
    answer = client.get(f"/ignition/{text}{query}", secure=True)
    assert (answer.status_code, bool(answer.content)) == (status, True)
    assert client.get(f"/ignition/{text}{query}").status_code == 403, "not in the clear"
    if status == 200:
        assert client.get(f"/ignition/{text}{query}", secure=True).content == answer.content
        assert Client().get(f"/ignition/{text[:-2]}xx{query}").status_code == 404


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Fetches that come together, each on a connection of its own."""

    def _together(self, asks: list[Callable[[], str | Refusal]]) -> list[str | Refusal]:
        found: list[str | Refusal] = []
        barrier = threading.Barrier(len(asks))

        def work(ask: Callable[[], str | Refusal]) -> None:
            try:
                barrier.wait(60)
                found.append(ask())
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(ask,)) for ask in asks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(found) == len(asks)
        return found

    @pytest.fixture(autouse=True)
    def _postgresql(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has one writer at a time")

    def test_one_machine_is_one_node(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast, max_uses=1)
        found = self._together([lambda: asked(text, UUID)] * 6)
        assert len(set(found)) == 1
        assert isinstance(found[0], str)
        assert (PoolToken.objects.get().uses, Provisioning.objects.count()) == (1, 1)

    def test_the_limit_holds(self, cast: Cast, version: IgnitionVersion) -> None:
        text = token_of(cast, max_uses=3, name_pattern="edge-{n}")
        found = self._together([lambda number=number: asked(text, f"i-000{number}") for number in range(8)])  # type: ignore[misc]
        assert sum(isinstance(one, str) for one in found) <= 3
        assert all(isinstance(one, str) or one in (Refusal.USED_UP, Refusal.NOT_READY) for one in found)
        # Whoever was told to ask again asks again.
        again = [asked(text, f"i-000{number}") for number in range(8)]
        assert sum(isinstance(one, str) for one in again) == PoolToken.objects.get().uses == 3
        assert len({row.fingerprint for row in Provisioning.objects.all()}) == 3
