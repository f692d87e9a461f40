"""From an offer to the first contact: the same bytes for every fetch, and a machine that is known by the key in them."""

from __future__ import annotations

import io
import json
import logging
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.db import OperationalError
from django.test import Client

from fleetui.audit.models import AuditEvent
from fleetui.core.crypto import unseal
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from fleetui.core.logging import WithoutTokens
from nodes.hosts.errors import HostKeyMismatch
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import HostKey, IgnitionVersion, Node, Pool, Provisioning, TimelineEvent
from nodes.services import importing
from nodes.services.bulk import change_many
from nodes.services.generations import forget_machine
from nodes.services.host_keys import refuse_key
from nodes.services.ignition.configs import delete_config
from nodes.services.nodes import edit_node
from nodes.services.polling import Outcome
from nodes.services.provisioning.offer import Offered, forget_expired, provision, revoke, rotate_seals
from nodes.services.provisioning.refusal import Refusal
from nodes.services.provisioning.serve import fetch
from nodes.services.provisioning.snippets import snippets_for
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_config, make_node, make_version, principal
from nodes.tests.pages import signed_in
from nodes.tests.test_polling import KEY, poll, seen

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def version(cast: Cast) -> IgnitionVersion:
    return make_version(make_config("edge", cast.web), state="approved")


def fresh(cast: Cast, name: str = "web-9") -> Node:
    return make_node(name, pool=cast.web, last_seen_at=None)


def offered(node: Node, version: IgnitionVersion, cast: Cast, **over: Any) -> Offered:
    return provision(node=node, version=version, actor=principal(cast.owner), now=NOW, **over)


def got(done: Offered, **over: Any) -> str:
    found = fetch(done.text, **{"address": "10.0.0.9", "agent": "Ignition/2.26.0", "now": LATER, **over})
    assert isinstance(found, str)
    return found


def file_in(config: str, path: str) -> str:
    (found,) = [one for one in json.loads(config)["storage"]["files"] if one["path"] == path]
    return unquote(found["contents"]["source"].removeprefix("data:,"))


def key_in(config: str) -> SshHostKey:
    return SshHostKey.parse(file_in(config, "/etc/ssh/ssh_host_ed25519_key.pub"))


def shows(node: Node, key: SshHostKey) -> Outcome:
    error = HostKeyMismatch(node.address, "SHA256:old", key.fingerprint, key)
    return Outcome(node.pk, None, error, key)


class TestOffering:
    def test_the_config_holds_what_was_approved_a_key_of_its_own_and_where_it_came_from(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        done = offered(fresh(cast), version, cast)
        config = got(done)
        for section, value in json.loads(version.rendered).items():
            if section != "storage":
                assert json.loads(config)[section] == value
        assert "OPENSSH PRIVATE KEY" in file_in(config, "/etc/ssh/ssh_host_ed25519_key")
        assert key_in(config).fingerprint == done.provisioning.fingerprint
        marker = json.loads(file_in(config, "/etc/fleetui/ignition.json"))
        assert marker["source_sha256"] == version.content_hash
        assert (marker["config"], marker["version"], marker["generation"]) == ("edge", 1, 1)

    def test_a_new_node_trusts_the_key_at_once_and_a_known_one_does_not(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        new, known = fresh(cast), fresh(cast, "web-8")
        HostKey.pinned(known, KEY, by="user:anna", now=NOW).save()
        for node, keys in ((new, 1), (known, 1)):
            done = offered(node, version, cast)
            pinned = HostKey.objects.filter(node=node, state="pinned")
            assert pinned.count() == keys
            assert (pinned.get().fingerprint == done.provisioning.fingerprint) is (node is new)
        assert Provisioning.objects.get(node=known).generation == 2

    def test_a_later_offer_ends_the_one_before(self, cast: Cast, version: IgnitionVersion) -> None:
        node = fresh(cast)
        first, second = offered(node, version, cast), offered(node, version, cast)
        assert fetch(first.text, address="", agent="", now=LATER) is Refusal.GONE
        assert got(second)
        assert Provisioning.objects.get(pk=first.provisioning.pk).sealed_config == ""

    def test_the_key_of_a_new_node_follows_the_last_offer(self, cast: Cast, version: IgnitionVersion) -> None:
        node = fresh(cast)
        offered(node, version, cast)
        second = offered(node, version, cast)
        assert HostKey.objects.get(node=node, state="pinned").fingerprint == second.provisioning.fingerprint

    def test_nothing_that_is_not_approved(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        with pytest.raises(Conflict, match="Version 1 of edge is not approved"):
            offered(fresh(cast), make_version(config), cast)
        with pytest.raises(Conflict, match="no Ignition version"):
            provision(node=fresh(cast, "web-7"), actor=principal(cast.owner), now=NOW)

    def test_what_changed_since_it_was_read_is_not_offered_to(self, cast: Cast, version: IgnitionVersion) -> None:
        """A machine that was seen meanwhile would lose the key by which it is known."""
        changes: list[dict[str, Any]] = [{"last_seen_at": NOW}, {"pool": cast.db}, {"lifecycle": "retired"}]
        for number, change in enumerate(changes):
            node = fresh(cast, f"new-{number}")
            Node.objects.filter(pk=node.pk).update(**change)
            with pytest.raises(Conflict, match="changed meanwhile"):
                offered(node, version, cast)
            assert not HostKey.objects.filter(node=node).exists()
        assert not Provisioning.objects.exists()

    def test_no_config_of_another_pool(self, cast: Cast) -> None:
        other = make_version(make_config("db", cast.db), state="approved")
        with pytest.raises(Conflict, match="not for the pool"):
            offered(fresh(cast), other, cast)

    def test_who_may_not_choose_configs_offers_none(self, cast: Cast, version: IgnitionVersion) -> None:
        with pytest.raises(NotAllowed):
            provision(node=fresh(cast), version=version, actor=principal(cast.viewer), now=NOW)

    @pytest.mark.parametrize("hours", [0, 721])
    def test_a_deadline_within_bounds(self, cast: Cast, version: IgnitionVersion, hours: int) -> None:
        with pytest.raises(InvalidInput, match="not a deadline"):
            offered(fresh(cast), version, cast, hours=hours)

    def test_a_config_with_a_host_key_of_its_own_is_refused(self, cast: Cast) -> None:
        source = (
            "variant: fcos\nversion: 1.6.0\nstorage:\n  files:\n    - path: /etc/ssh/ssh_host_ed25519_key\n"
            "      contents:\n        inline: mine\n"
        )
        own = make_version(make_config("edge", cast.web), source=source, state="approved")
        with pytest.raises(Conflict, match="writes /etc/ssh/ssh_host_ed25519_key itself"):
            offered(fresh(cast), own, cast)

    def test_a_config_that_was_offered_is_kept_and_the_node_is_named(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        offered(fresh(cast), version, cast)
        with pytest.raises(Conflict) as refused:
            delete_config(config=version.config, actor=principal(cast.owner), now=NOW)
        assert refused.value.message == "edge is in use: web-9."

    def test_the_audit_log_tells_of_it_and_holds_no_secret(self, cast: Cast, version: IgnitionVersion) -> None:
        done = offered(fresh(cast), version, cast)
        event = AuditEvent.objects.get(action="nodes.provision")
        assert done.provisioning.fingerprint in event.after
        assert "PRIVATE" not in event.after
        assert done.text.split("_", 2)[-1] not in event.after


class TestFetching:
    def test_every_fetch_gets_the_same_bytes_and_is_noted(self, cast: Cast, version: IgnitionVersion) -> None:
        done = offered(fresh(cast), version, cast)
        assert len({got(done, address=f"10.0.0.{number}") for number in range(3)}) == 1
        row = Provisioning.objects.get()
        assert (row.fetches, row.last_address, row.first_fetched_at) == (3, "10.0.0.2", LATER)
        told = TimelineEvent.objects.filter(kind="ignition_fetched")
        assert {event.params["address"] for event in told} == {"10.0.0.0", "10.0.0.1", "10.0.0.2"}

    def test_the_timeline_is_not_flooded(self, cast: Cast, version: IgnitionVersion) -> None:
        done = offered(fresh(cast), version, cast)
        for _number in range(25):
            got(done)
        assert TimelineEvent.objects.filter(kind="ignition_fetched").count() == 20

    def test_after_the_deadline_it_is_gone_and_not_kept(self, cast: Cast, version: IgnitionVersion) -> None:
        done = offered(fresh(cast), version, cast, hours=1)
        late = NOW + timedelta(hours=1)
        assert fetch(done.text, address="", agent="", now=late) is Refusal.GONE
        assert forget_expired(late - timedelta(seconds=1)) == 0
        assert forget_expired(late) == 1
        assert Provisioning.objects.get().sealed_config == ""

    @pytest.mark.parametrize("change", [lambda text: text[:-1] + "!", lambda text: "x", lambda text: text + "a" * 300])
    def test_no_other_token(self, cast: Cast, version: IgnitionVersion, change: Any) -> None:
        done = offered(fresh(cast), version, cast)
        assert fetch(change(done.text), address="", agent="", now=LATER) is Refusal.UNKNOWN

    def test_what_cannot_be_opened_is_told_as_not_ready(self, cast: Cast, version: IgnitionVersion) -> None:
        done = offered(fresh(cast), version, cast)
        other = offered(fresh(cast, "web-8"), version, cast)
        Provisioning.objects.filter(pk=done.provisioning.pk).update(sealed_config=other.provisioning.sealed_config)
        assert fetch(done.text, address="", agent="", now=LATER) is Refusal.NOT_READY

    def test_a_retired_node_or_a_withdrawn_version_gives_nothing(self, cast: Cast, version: IgnitionVersion) -> None:
        node = fresh(cast)
        done = offered(node, version, cast)
        Node.objects.filter(pk=node.pk).update(lifecycle="retired")
        assert fetch(done.text, address="", agent="", now=LATER) is Refusal.GONE
        Node.objects.filter(pk=node.pk).update(lifecycle="active")
        assert got(done)
        IgnitionVersion.objects.filter(pk=version.pk).update(state="withdrawn")
        assert fetch(done.text, address="", agent="", now=LATER) is Refusal.GONE

    def test_a_revoked_one_is_gone(self, cast: Cast, version: IgnitionVersion) -> None:
        done = offered(fresh(cast), version, cast)
        for _time in range(2):
            revoke(provisioning=done.provisioning, actor=principal(cast.owner), now=LATER)
        assert fetch(done.text, address="", agent="", now=LATER) is Refusal.GONE
        assert AuditEvent.objects.filter(action="nodes.provision_revoke").count() == 1


class TestOverHttp:
    def address(self, cast: Cast, version: IgnitionVersion) -> str:
        return f"/ignition/{offered(fresh(cast), version, cast, hours=720).text}"

    @pytest.mark.parametrize("accept", ["*/*", "application/vnd.coreos.ignition+json;version=3.5.0", "text/html", ""])
    def test_any_machine_gets_it_without_a_session(
        self, cast: Cast, version: IgnitionVersion, accept: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fleetui.core.clock.now", lambda: LATER)
        answer = Client().get(self.address(cast, version), headers={"Accept": accept})
        assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
        assert json.loads(answer.content)["ignition"]["version"]

    def test_not_in_the_clear_over_a_network(
        self, cast: Cast, version: IgnitionVersion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fleetui.core.clock.now", lambda: LATER)
        address = self.address(cast, version)
        assert Client(REMOTE_ADDR="10.0.0.9").get(address).status_code == 403
        assert Client(REMOTE_ADDR="10.0.0.9").get(address, secure=True).status_code == 200

    def test_refusals_have_words_and_no_log_has_the_token(
        self, cast: Cast, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        text = "fleetui-ignition_0123456789ab_averysecretpart"
        answer = Client().get(f"/ignition/{text}")
        assert answer.status_code == 404
        assert answer.content
        assert "averysecretpart" not in caplog.text + "".join(capsys.readouterr())

    @pytest.mark.parametrize("tail", ["", "/more"])
    def test_a_fault_of_ours_is_logged_without_the_token(
        self, tail: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*_args: object, **_named: object) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr("nodes.views.provisioning.fetch", broken)
        handlers = logging.getLogger().handlers
        (handler,) = [one for one in handlers if any(isinstance(each, WithoutTokens) for each in one.filters)]
        written = io.StringIO()
        monkeypatch.setattr(handler, "stream", written)
        caplog.set_level(logging.DEBUG, logger="django.request")
        address = f"/ignition/fleetui-ignition_0123456789ab_averysecretpart{tail}"
        answer = Client(raise_request_exception=False).get(address)
        assert answer.status_code == (404 if tail else 500)
        assert "/ignition/fleetui-ignition_0123456789ab_***" in written.getvalue()
        assert "averysecretpart" not in written.getvalue()

    def test_a_database_that_is_away_is_asked_again(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_args: object, **_named: object) -> None:
            raise OperationalError("away")

        monkeypatch.setattr("nodes.views.provisioning.fetch", away)
        answer = Client().get("/ignition/fleetui-ignition_0123456789ab_x")
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")


class TestArriving:
    def test_a_new_node_is_proven_by_its_first_contact(self, cast: Cast, version: IgnitionVersion) -> None:
        node = fresh(cast)
        done = offered(node, version, cast)
        got(done)
        found = poll(seen(node), LATER)
        assert (found.applied_version, found.applied_how, found.applied_at) == (version, "fetch", LATER)
        assert found.generation == 1
        assert fetch(done.text, address="", agent="", now=LATER) is Refusal.GONE
        assert AuditEvent.objects.filter(action="nodes.provisioned").count() == 1

    def test_a_contact_before_any_fetch_proves_nothing(self, cast: Cast, version: IgnitionVersion) -> None:
        node = fresh(cast)
        done = offered(node, version, cast)
        assert poll(seen(node), NOW).applied_version is None
        assert got(done)

    def test_another_machine_of_a_known_node_begins_the_next_generation(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        node = poll(seen(make_node("web-9", pool=cast.web)), NOW)
        HostKey.pinned(node, KEY, by="user:anna", now=NOW).save()
        done = offered(node, version, cast)
        key = key_in(got(done))
        poll(shows(node, key), LATER)
        found = Node.objects.get(pk=node.pk)
        assert (found.generation, found.applied_version, found.booted_version) == (2, version, "")
        assert (found.failures, found.facts, found.poll_requested_at) == (0, None, LATER)
        assert {row.state: row.fingerprint for row in HostKey.objects.filter(node=node)} == {
            "replaced": KEY.fingerprint,
            "pinned": key.fingerprint,
        }
        assert fetch(done.text, address="", agent="", now=LATER) is Refusal.GONE
        after = poll(seen(found), LATER + timedelta(minutes=1))
        assert (after.generation, after.reachability, after.applied_version) == (2, "reachable", version)

    def test_whoever_fetched_what_was_revoked_is_not_trusted_as_a_new_node(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        node = fresh(cast)
        done = offered(node, version, cast)
        got(done)
        revoke(provisioning=done.provisioning, actor=principal(cast.owner), now=LATER)
        assert not HostKey.objects.filter(node=node, state="pinned").exists()
        # A contact that began before is of no account either.
        assert Node.objects.get(pk=node.pk).revision == node.revision + 1

    def test_a_revoked_offer_that_is_over_unpins_nothing(self, cast: Cast, version: IgnitionVersion) -> None:
        node = fresh(cast)
        done = offered(node, version, cast)
        got(done)
        poll(seen(node), LATER)
        revoke(provisioning=done.provisioning, actor=principal(cast.owner), now=LATER)
        assert HostKey.objects.get(node=node, state="pinned").fingerprint == done.provisioning.fingerprint

    def test_what_was_offered_ends_when_another_machine_takes_the_place(
        self, cast: Cast, version: IgnitionVersion
    ) -> None:
        node = poll(seen(make_node("web-9", pool=cast.web)), NOW)
        done = offered(node, version, cast)
        forget_machine(node, LATER)
        row = Provisioning.objects.get(pk=done.provisioning.pk)
        assert (row.ending, row.sealed_config) == ("replaced", "")

    def test_a_key_that_a_person_refused_stays_refused(self, cast: Cast, version: IgnitionVersion) -> None:
        node = poll(seen(make_node("web-9", pool=cast.web)), NOW)
        HostKey.pinned(node, KEY, by="user:anna", now=NOW).save()
        done = offered(node, version, cast)
        made = SshHostKey.parse(_public_key_of(done))
        # Somebody copied the key out of the config before FleetUI saw any fetch of it.
        poll(shows(node, made), NOW)
        refuse_key(host_key=HostKey.objects.get(state="offered"), actor=principal(cast.owner), now=NOW)
        assert fetch(done.text, address="", agent="", now=LATER) is Refusal.GONE
        assert json.loads(AuditEvent.objects.get(action="nodes.refuse_key").after)["offer"] == "revoked"
        # And where an offer was left open by an earlier FleetUI.
        Provisioning.objects.update(ended_at=None, ending="", fetches=1)
        Node.objects.filter(pk=node.pk).update(poll_requested_at=NOW)
        Node.objects.exclude(pk=node.pk).update(lifecycle="retired")
        poll(shows(Node.objects.get(pk=node.pk), made), LATER)
        found = Node.objects.get(pk=node.pk)
        assert (found.generation, found.reachability, found.applied_version) == (1, "key_mismatch", None)
        assert HostKey.objects.get(fingerprint=made.fingerprint).state == "refused"

    @pytest.mark.parametrize("way", ["edit", "bulk", "import"])
    def test_what_was_offered_ends_with_the_pool(self, cast: Cast, version: IgnitionVersion, way: str) -> None:
        """The config is the one of the pool before, and its key must not make a machine of that pool the node."""
        node = fresh(cast)
        done = offered(node, version, cast)
        got(done)
        WAYS[way](node, cast)
        assert Node.objects.get(pk=node.pk).pool_id != cast.web.pk
        assert fetch(done.text, address="", agent="", now=LATER) is Refusal.GONE
        assert Provisioning.objects.get().ending == "moved"
        assert not HostKey.objects.filter(node=node, state="pinned").exists()
        told = TimelineEvent.objects.get(node=node, kind="provision_moved")
        assert told.params == {"version": "edge version 1"}
        page = signed_in(cast.owner).get(f"/nodes/{node.name}/provision/").content.decode()
        assert "the node changed its pool" in page

    def test_an_edit_of_something_else_ends_nothing(self, cast: Cast, version: IgnitionVersion) -> None:
        node = fresh(cast)
        done = offered(node, version, cast)
        edit_node(node=node, changes={"labels": {"rack": "r1"}}, actor=principal(cast.owner), now=NOW)
        assert got(done)

    @pytest.mark.parametrize("case", ["not fetched", "revoked", "another key"])
    def test_any_other_key_is_for_a_person_to_decide(self, cast: Cast, version: IgnitionVersion, case: str) -> None:
        node = poll(seen(make_node("web-9", pool=cast.web)), NOW)
        HostKey.pinned(node, KEY, by="user:anna", now=NOW).save()
        done = offered(node, version, cast)
        if case != "not fetched":
            got(done)
        made = SshHostKey.parse(_public_key_of(done))
        if case == "revoked":
            revoke(provisioning=done.provisioning, actor=principal(cast.owner), now=LATER)
        shown = SshHostKey("ssh-ed25519", KEY.base64[:-4] + "AAAA") if case == "another key" else made
        poll(shows(node, shown), LATER)
        found = Node.objects.get(pk=node.pk)
        assert (found.generation, found.reachability) == (1, "key_mismatch")
        assert HostKey.objects.get(node=node, state="offered").fingerprint == shown.fingerprint


def _by_edit(node: Node, cast: Cast) -> None:
    edit_node(node=Node.objects.get(pk=node.pk), changes={"pool": cast.db}, actor=principal(cast.owner), now=LATER)


def _by_bulk(node: Node, cast: Cast) -> None:
    change_many(ids=[node.pk], action="pool", params={"pool": cast.db}, actor=principal(cast.owner), now=LATER)


def _by_import(node: Node, cast: Cast) -> None:
    plan = importing.make_plan(
        text=f"name,address,pool\n{node.name},{node.address},db\n",
        source="csv",
        options=importing.Options(update=True),
        actor=principal(cast.owner),
        now=LATER,
    )
    importing.start(plan=plan, actor=principal(cast.owner), now=LATER)
    while importing.apply_some(plan.pk, LATER):
        pass


WAYS = {"edit": _by_edit, "bulk": _by_bulk, "import": _by_import}


def _public_key_of(done: Offered) -> str:
    row = done.provisioning
    return file_in(unseal(row.sealed_config, place=row.seal_place), "/etc/ssh/ssh_host_ed25519_key.pub")


class TestPages:
    def test_the_offer_is_shown_once_with_what_machines_need(self, cast: Cast, version: IgnitionVersion) -> None:
        node, client = fresh(cast), signed_in(cast.owner)
        page = client.get(f"/nodes/{node.name}/provision/")
        assert "edge version 1" in page.content.decode()
        made = client.post(f"/nodes/{node.name}/provision/", {"version": str(version.pk), "hours": "2"})
        text = made.content.decode()
        row = Provisioning.objects.get()
        assert f"/ignition/fleetui-ignition_{row.prefix}_" in text
        assert "coreos-installer install /dev/sda --ignition-url http" in text
        assert row.sha512 in text
        again = client.get(f"/nodes/{node.name}/provision/").content.decode()
        assert f"fleetui-ignition_{row.prefix}_" not in again
        assert "waits for a machine" in again
        client.post(f"/nodes/{node.name}/provision/{row.pk}/revoke/")
        assert Provisioning.objects.get().ending == "revoked"

    def test_without_an_approved_version_it_teaches(self, cast: Cast) -> None:
        page = signed_in(cast.owner).get(f"/nodes/{fresh(cast).name}/provision/")
        assert "No approved version for this node" in page.content.decode()

    def test_a_viewer_is_refused(self, cast: Cast) -> None:
        assert signed_in(cast.viewer).get(f"/nodes/{fresh(cast).name}/provision/").status_code == 403


def test_flatcar_gets_its_own_arguments(cast: Cast) -> None:
    source = "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n    - path: /etc/motd\n      contents:\n        inline: hi\n"
    version = make_version(make_config("edge", cast.web), source=source, state="approved")
    made = snippets_for(version, url="https://fleet.example/ignition/t", sha512="sha512-00")
    assert made.kernel_arguments == "flatcar.first_boot=1 ignition.config.url=https://fleet.example/ignition/t"
    assert made.install == ""
    assert json.loads(made.pointer)["ignition"]["config"]["replace"]["verification"] == {"hash": "sha512-00"}


class TestApi:
    def test_an_offer_is_made_listed_and_revoked(self, cast: Cast, version: IgnitionVersion) -> None:
        node, api = fresh(cast), Api(cast.owner)
        made = api.post(f"nodes/{node.name}/provisionings/", {"version": str(version.pk), "hours": 2})
        assert made.status_code == 201, made.content
        body = made.json()
        assert "/ignition/fleetui-ignition_" in body["url"]
        assert (body["config"], body["number"], body["state"], body["fetches"]) == ("edge", 1, "waiting", 0)
        (listed,) = api.get(f"nodes/{node.name}/provisionings/").json()["results"]
        assert "url" not in listed
        one = f"nodes/{node.name}/provisionings/{body['id']}/"
        assert api.get(one).json()["host_key_fingerprint"] == body["host_key_fingerprint"]
        assert api.delete(one).status_code == 204
        assert api.get(one).json()["state"] == "revoked"

    def test_what_the_pool_intends_needs_no_name(self, cast: Cast, version: IgnitionVersion) -> None:
        Pool.objects.filter(pk=cast.web.pk).update(intended_version=version)
        made = Api(cast.owner).post(f"nodes/{fresh(cast).name}/provisionings/")
        assert (made.status_code, made.json()["version"]) == (201, str(version.pk))

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            ({}, 409, "version"),
            ({"config": "edge"}, 400, "version"),
            ({"config": "edge", "version": 7}, 400, "version"),
        ],
    )
    def test_what_cannot_be_offered_names_the_field(
        self, cast: Cast, version: IgnitionVersion, body: dict[str, Any], status: int, field: str
    ) -> None:
        answer = Api(cast.owner).post(f"nodes/{fresh(cast).name}/provisionings/", body)
        assert answer.status_code == status
        assert field in answer.content.decode()

    def test_a_viewer_offers_nothing(self, cast: Cast, version: IgnitionVersion) -> None:
        assert Api(cast.viewer).post(f"nodes/{fresh(cast).name}/provisionings/").status_code == 403


def test_seals_follow_the_newest_key(cast: Cast, version: IgnitionVersion, settings: Any) -> None:
    done = offered(fresh(cast), version, cast)
    before = got(done)
    settings.ENCRYPTION_KEYS = ["77" * 32, *settings.ENCRYPTION_KEYS]
    assert rotate_seals() == 1
    assert rotate_seals() == 0
    assert got(done) == before
