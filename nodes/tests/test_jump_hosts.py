"""Jump hosts: who may, rings, what uses them, and polls that go through them, with a real sshd."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed, StaleEdit
from nodes import tasks
from nodes.hosts import ssh
from nodes.hosts.errors import HostError, JumpFailed
from nodes.models import Credential, HostKey, JumpHost, Node
from nodes.services import host_keys
from nodes.services import jump_hosts as services
from nodes.services.credentials import add_credential
from nodes.services.nodes import edit_node
from nodes.services.polling import claim_due
from nodes.services.routes import MOST_HOPS, Routes
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import (
    HOST_KEY_LINE,
    NOW,
    make_credential,
    make_jump_host,
    make_node,
    make_pool,
    make_user,
    principal,
)
from nodes.tests.pages import signed_in
from tests.sshd import RealSshd, free_port, real_sshd

pytestmark = pytest.mark.one_database

KEY = ssh.HostKey.parse(HOST_KEY_LINE)


def edit(row: JumpHost, **changes: Any) -> JumpHost:
    fresh = JumpHost.objects.select_related("credential", "through").get(pk=row.pk)
    return services.edit_jump_host(jump_host=fresh, changes=changes, actor=SYSTEM, now=NOW)


def test_adding_is_recorded_without_the_key_itself(db: None) -> None:
    row = services.add_jump_host(
        name="bastion", address="Bastion.example.org", credential=make_credential(), host_key=KEY, actor=SYSTEM, now=NOW
    )
    event = AuditEvent.objects.get(action="jump-hosts.add")
    assert event.subject == "jump-host:bastion"
    assert KEY.fingerprint in event.after
    assert KEY.base64 not in event.after
    assert row.host_key == KEY.line


def test_only_admins_change_them(cast: Cast) -> None:
    row = make_jump_host()
    cast.web.jump_host = row
    cast.web.save()
    operator = principal(cast.operator)
    assert list(JumpHost.objects.visible_to(operator)) == [row]
    assert not JumpHost.objects.visible_to(principal(cast.viewer)).exists()
    for write in (
        lambda: services.edit_jump_host(jump_host=row, changes={"port": 23}, actor=operator, now=NOW),
        lambda: services.delete_jump_host(jump_host=row, actor=operator, now=NOW),
    ):
        with pytest.raises(NotAllowed):
            write()


def test_rings_are_refused(db: None) -> None:
    first = make_jump_host("a")
    second = make_jump_host("b", through=first)
    third = make_jump_host("c", through=second)
    for through in (first, third):
        with pytest.raises(InvalidInput) as caught:
            edit(first, through=through)
        assert caught.value.field == "through"
        assert "→" in caught.value.message
    edit(third, through=first)
    assert JumpHost.objects.get(name="c").through == first


def test_a_way_has_an_end(db: None) -> None:
    last: JumpHost | None = None
    for number in range(MOST_HOPS):
        last = make_jump_host(f"j{number}", through=last)
    with pytest.raises(InvalidInput):
        services.add_jump_host(
            name="more", address="192.0.2.9", credential=make_credential("c2"), through=last, actor=SYSTEM, now=NOW
        )


def test_a_ring_in_the_table_ends_as_an_error(db: None) -> None:
    credential = add_credential(name="jump", actor=SYSTEM, now=NOW)
    first = make_jump_host("a", credential=credential)
    second = make_jump_host("b", through=first, credential=credential)
    JumpHost.objects.filter(pk=first.pk).update(through=second)
    assert isinstance(Routes.with_ids([first.pk]).through(first.pk), JumpFailed)


def test_what_is_used_stays(db: None) -> None:
    row = make_jump_host()
    for user in (
        lambda: make_pool(jump_host=row),
        lambda: make_node(jump_host=row),
        lambda: make_jump_host("b", through=row),
    ):
        used = user()
        with pytest.raises(Conflict) as caught:
            services.delete_jump_host(jump_host=row, actor=SYSTEM, now=NOW)
        assert str(used) in caught.value.message
        used.delete()
    services.delete_jump_host(jump_host=row, actor=SYSTEM, now=NOW)
    assert AuditEvent.objects.filter(action="jump-hosts.delete").exists()


def test_an_edit_does_not_overwrite_another(db: None) -> None:
    row = make_jump_host()
    edit(row, port=2222)
    with pytest.raises(StaleEdit):
        services.edit_jump_host(jump_host=row, changes={"port": 1}, actor=SYSTEM, now=NOW, expected_revision=99)


def test_nodes_behind_are_polled_after_a_change(db: None) -> None:
    first = make_jump_host("a")
    second = make_jump_host("b", through=first)
    later = NOW + timedelta(hours=1)
    behind = [
        make_node(jump_host=second, poll_due_at=later),
        make_node(pool=make_pool(jump_host=first), poll_due_at=later),
    ]
    other = make_node(poll_due_at=later)
    edit(first, host_key=None)
    assert {node.poll_due_at for node in Node.objects.filter(pk__in=[one.pk for one in behind])} == {NOW}
    assert Node.objects.get(pk=other.pk).poll_due_at == later


def test_a_poll_of_straight_nodes_asks_for_no_jump_hosts(db: None, django_assert_num_queries: Any) -> None:
    node = make_node()
    with django_assert_num_queries(0):
        assert Routes.of([node]).to(node) == ()
    jumped = make_node(jump_host=make_jump_host(credential=add_credential(name="jump", actor=SYSTEM, now=NOW)))
    with django_assert_num_queries(1):
        way = Routes.of([node, jumped]).to(jumped)
    assert isinstance(way, tuple)
    assert [hop.name for hop in way] == ["bastion"]


@pytest.mark.parametrize(
    ("over", "inner"),
    [({"host_key": ""}, "key_unknown"), ({"credential": "broken"}, "bad_identity")],
)
def test_a_jump_host_that_cannot_be_used_is_named(db: None, over: dict[str, Any], inner: str) -> None:
    credential = make_credential("broken") if "credential" in over else add_credential(name="c", actor=SYSTEM, now=NOW)
    row = make_jump_host(**{**over, "credential": credential})
    error = Routes.with_ids([row.pk]).through(row.pk)
    assert isinstance(error, JumpFailed)
    assert (error.hop, error.inner.kind) == ("bastion", inner)
    with pytest.raises(HostError):
        services.way(row.pk)


class Lab:
    """A host and a jump host, each a real sshd, and the rows that lead there."""

    def __init__(self, host: RealSshd, jump: RealSshd, credential: Credential) -> None:
        self.host, self.jump = host, jump
        self.row = make_jump_host(
            address=jump.address, port=jump.port, credential=credential, host_key=jump.host_key_lines["ed25519"]
        )
        self.pool = make_pool(jump_host=self.row, credential=credential)
        self.node = make_node("web-1", address=host.address, port=host.port, pool=self.pool, facts_at=None)
        key = ssh.HostKey.parse(host.host_key_lines["ed25519"])
        HostKey.objects.create(
            node=self.node, type=key.type, public_key=key.base64, fingerprint=key.fingerprint, state="pinned"
        )

    def poll(self) -> Node:
        Node.objects.update(poll_due_at=clock.now(), failures=0)
        lease = claim_due(lane="live", now=clock.now())
        assert lease
        tasks.poll_batch(str(lease))
        return Node.objects.get(pk=self.node.pk)

    @property
    def logins(self) -> int:
        return self.jump.log.read_text().count("Accepted publickey")


@pytest.fixture
def lab(transactional_db: None, settings: Any) -> Iterator[Lab]:
    settings.POLL_THREADS = 4
    credential = add_credential(name="lab", username=pwd.getpwuid(os.getuid()).pw_name, actor=SYSTEM, now=NOW)
    keys = [credential.public_key]
    with real_sshd(keys) as host, real_sshd(keys, host_key_types=("ed25519",)) as jump:
        yield Lab(host, jump, credential)


def test_a_batch_goes_through_one_login(lab: Lab) -> None:
    for number in range(5):
        node = make_node(address=lab.host.address, port=lab.host.port, pool=lab.pool)
        key = ssh.HostKey.parse(lab.host.host_key_lines["ed25519"])
        HostKey.objects.create(
            node=node, type=key.type, public_key=key.base64, fingerprint=f"SHA256:{number}", state="pinned"
        )
    found = lab.poll()
    assert found.reachability == "reachable"
    assert found.facts_at is not None
    assert set(Node.objects.values_list("failures", flat=True)) == {0}
    assert lab.logins == 1


def test_the_first_key_is_offered_through_the_jump_host(lab: Lab) -> None:
    HostKey.objects.all().delete()
    assert lab.poll().last_error_kind == "key_unknown"
    assert HostKey.objects.get(state="offered").fingerprint
    assert host_keys.scan(address=lab.host.address, port=lab.host.port, jump_host_id=lab.row.pk)[
        0
    ] == ssh.HostKey.parse(lab.host.host_key_lines["ed25519"])


@pytest.mark.parametrize(
    ("change", "inner"),
    [
        pytest.param(lambda lab: {"host_key": KEY}, "key_mismatch", id="changed"),
        pytest.param(lambda lab: {"host_key": None}, "key_unknown", id="no-key"),
        pytest.param(lambda lab: {"port": free_port()}, "refused", id="down"),
        pytest.param(
            lambda lab: {"credential": add_credential(name="x", actor=SYSTEM, now=NOW)}, "authentication", id="login"
        ),
    ],
)
def test_a_failing_jump_host_is_no_changed_key_of_the_node(
    lab: Lab, change: Callable[[Lab], dict[str, Any]], inner: str
) -> None:
    edit(lab.row, **change(lab))
    found = lab.poll()
    assert (found.reachability, found.last_error_kind) == ("unreachable", "jump_failed")
    assert found.last_error_params["hop"] == "bastion"
    assert found.last_error_params["inner_kind"] == inner
    assert not HostKey.objects.filter(state="offered").exists()
    owner = signed_in(make_user("owner", "admin"))
    page = owner.get(reverse("nodes:detail", args=["web-1"])).content.decode()
    assert "The jump host bastion failed" in page
    assert reverse("nodes:jump_host", args=["bastion"]) in page


def test_trying_it_out_and_comparing_its_key_on_its_page(lab: Lab) -> None:
    owner = signed_in(make_user("owner", "admin"))
    page = owner.post(reverse("nodes:jump_host_try", args=["bastion"]), follow=True).content.decode()
    assert "lets FleetUI in" in page
    later = clock.now() + timedelta(hours=1)
    for name, reason in (("failed", "jump_failed"), ("refused", "refused")):
        make_node(name, jump_host=lab.row, reachability="unreachable", reachability_reason=reason, poll_due_at=later)
    owner.post(reverse("nodes:jump_host_try", args=["bastion"]))
    due = dict(Node.objects.filter(name__in=("failed", "refused")).values_list("name", "poll_due_at"))
    assert due["failed"] < later == due["refused"]
    Node.objects.filter(name__in=due).delete()
    page = owner.post(reverse("nodes:jump_host_key", args=["bastion"]), follow=True).content.decode()
    assert "shows the trusted key" in page
    edit(lab.row, host_key=KEY)
    page = owner.post(reverse("nodes:jump_host_try", args=["bastion"]), follow=True).content.decode()
    assert "The jump host bastion failed" in page or "another host key" in page
    response = owner.post(reverse("nodes:jump_host_key", args=["bastion"]))
    seen = ssh.HostKey.parse(lab.jump.host_key_lines["ed25519"])
    assert seen.fingerprint in response.content.decode()
    assert KEY.fingerprint in response.content.decode()
    given = {"step": "accept", "offer": response.context["offer"]}
    owner.post(reverse("nodes:jump_host_key", args=["bastion"]), given)
    assert JumpHost.objects.get().host_key == seen.line
    assert lab.poll().reachability == "reachable"


def test_a_script_asks_for_its_key_compares_it_and_trusts_it(lab: Lab) -> None:
    api = Api(make_user("owner", "admin"))
    line = lab.jump.host_key_lines["ed25519"]
    seen = ssh.HostKey.parse(line)
    asked = api.post("jump-hosts/bastion/host-key/").json()
    assert asked == {
        "jump_host": "bastion",
        "type": "ssh-ed25519",
        "fingerprint": seen.fingerprint,
        "host_key": seen.line,
        "trusted": True,
    }
    assert api.post("jump-hosts/bastion/try/").json()["jump_host"] == "bastion"
    edit(lab.row, host_key=KEY)
    assert api.post("jump-hosts/bastion/host-key/").json()["trusted"] is False
    assert JumpHost.objects.get().host_key == KEY.line
    failed = api.post("jump-hosts/bastion/try/")
    assert (failed.status_code, failed.json()["type"]) == (409, "urn:fleetui:problem:conflict")
    assert "another" in failed.json()["detail"]
    api.patch("jump-hosts/bastion/", {"host_key": asked["host_key"]})
    assert api.post("jump-hosts/bastion/try/").status_code == 200


def test_one_that_does_not_answer_says_so_to_a_script(transactional_db: None) -> None:
    owner, operator = make_user("owner", "admin"), make_user("operator", "operator")
    credential = add_credential(name="jump", actor=SYSTEM, now=NOW)
    make_jump_host(address="127.0.0.1", port=free_port(), credential=credential)
    for path in ("host-key", "try"):
        failed = Api(owner).post(f"jump-hosts/bastion/{path}/")
        assert failed.status_code == 409
        assert "refused the connection" in failed.json()["detail"]
        assert failed.json()["mend"]
        assert Api(operator).post(f"jump-hosts/bastion/{path}/").status_code == 403


def test_adding_one_on_the_page(lab: Lab) -> None:
    owner = signed_in(make_user("owner", "admin"))
    typed = {
        "name": "inner",
        "address": lab.host.address,
        "port": lab.host.port,
        "credential": str(lab.row.credential_id),
        "through": str(lab.row.pk),
    }
    response = owner.post(reverse("nodes:jump_host_add"), typed)
    assert not JumpHost.objects.filter(name="inner").exists()
    owner.post(reverse("nodes:jump_host_add"), {"step": "accept", "offer": response.context["offer"]})
    row = JumpHost.objects.get(name="inner")
    assert row.host_key == lab.host.host_key_lines["ed25519"]
    assert row.through == lab.row
    assert lab.logins == 1
    page = owner.get(reverse("nodes:jump_host", args=["inner"])).content.decode()
    assert "bastion" in page


def test_one_that_does_not_answer_can_be_added_anyway(transactional_db: None) -> None:
    owner = signed_in(make_user("owner", "admin"))
    credential = make_credential()
    typed = {"name": "far", "address": "127.0.0.1", "port": free_port(), "credential": str(credential.pk)}
    page = owner.post(reverse("nodes:jump_host_add"), typed).content.decode()
    assert "refused the connection" in page
    assert not JumpHost.objects.exists()
    owner.post(reverse("nodes:jump_host_add"), {**typed, "step": "anyway"})
    assert JumpHost.objects.get().host_key == ""
    page = owner.get(reverse("nodes:jump_host", args=["far"])).content.decode()
    assert "No key is trusted yet" in page


def test_an_offer_of_somebody_else_is_none(lab: Lab) -> None:
    owner, other = signed_in(make_user("owner", "admin")), signed_in(make_user("other", "admin"))
    edit(lab.row, host_key=None)
    offer = owner.post(reverse("nodes:jump_host_key", args=["bastion"])).context["offer"]
    other.post(reverse("nodes:jump_host_key", args=["bastion"]), {"step": "accept", "offer": offer})
    assert JumpHost.objects.get().host_key == ""


def test_pages_cost_the_same_for_many(cast: Cast, django_assert_max_num_queries: Any) -> None:
    owner = signed_in(cast.owner)
    make_jump_host("j0")
    for number in range(1, 6):
        row = make_jump_host(f"j{number}")
        make_pool(f"p{number}", jump_host=row)
        make_node(jump_host=row)
    with django_assert_max_num_queries(12):
        page = owner.get(reverse("nodes:jump_hosts")).content.decode()
    assert page.count("<tr data-id") == 6
    with django_assert_max_num_queries(16):
        assert owner.get(reverse("nodes:jump_host", args=["j1"])).status_code == 200


def test_rights_of_the_pages(cast: Cast) -> None:
    row = make_jump_host()
    operator = signed_in(cast.operator)
    assert operator.get(reverse("nodes:jump_host", args=["bastion"])).status_code == 404
    cast.web.jump_host = row
    cast.web.save()
    assert operator.get(reverse("nodes:jump_host", args=["bastion"])).status_code == 200
    assert "Ask for its key" not in operator.get(reverse("nodes:jump_host", args=["bastion"])).content.decode()
    assert operator.get(reverse("nodes:jump_host_add")).status_code == 403
    for action in ("key", "try", "delete"):
        assert operator.post(reverse(f"nodes:jump_host_{action}", args=["bastion"])).status_code == 403
    assert signed_in(cast.viewer).get(reverse("nodes:jump_hosts")).status_code == 403


def test_forms_of_node_and_pool(cast: Cast) -> None:
    row = make_jump_host()
    owner = signed_in(cast.owner)
    node, form = cast.web_node, owner.get(reverse("nodes:edit", args=["web-1"])).context["form"]
    typed = {name: form[name].value() or "" for name in form.fields} | {"jump_host": str(row.pk)}
    assert owner.post(reverse("nodes:edit", args=["web-1"]), typed).status_code == 302
    assert Node.objects.get(pk=node.pk).jump_host == row
    form = owner.get(reverse("nodes:pool_edit", args=["db"])).context["form"]
    typed = {name: form[name].value() or "" for name in form.fields} | {"jump_host": str(row.pk)}
    assert owner.post(reverse("nodes:pool_edit", args=["db"]), typed).status_code == 302
    page = owner.get(reverse("nodes:pool", args=["db"])).content.decode()
    assert reverse("nodes:jump_host", args=["bastion"]) in page
    api = Api(cast.owner)
    assert sorted(api.names("nodes/?jump_host=bastion")) == ["db-1", "web-1"]


def test_the_api(cast: Cast) -> None:
    api = Api(cast.owner)
    make_credential("jump")
    body = {"name": "bastion", "address": "192.0.2.1", "credential": "jump", "host_key": KEY.line}
    made = api.post("jump-hosts/", body)
    assert made.status_code == 201, made.content
    assert made.json()["fingerprint"] == KEY.fingerprint
    inner = api.post(
        "jump-hosts/", {"name": "inner", "address": "10.0.0.1", "credential": "jump", "through": "bastion"}
    )
    assert inner.json()["host_key"] is None
    ring = api.patch("jump-hosts/bastion/", {"through": "inner"})
    assert (ring.status_code, ring.json()["field"]) == (400, "through")
    bad = api.patch("jump-hosts/inner/", {"host_key": "nonsense"})
    assert (bad.status_code, bad.json()["field"]) == (400, "host_key")
    etag = api.get("jump-hosts/inner/")["ETag"]
    assert api.patch("jump-hosts/inner/", {"host_key": KEY.line}, if_match=etag).status_code == 200
    assert api.patch("jump-hosts/inner/", {"port": 23}, if_match=etag).status_code == 412
    assert api.names("jump-hosts/") == ["bastion", "inner"]
    assert api.patch("nodes/web-1/", {"jump_host": "inner"}).json()["jump_host"] == "inner"
    assert api.patch("pools/db/", {"jump_host": "bastion"}).json()["jump_host"] == "bastion"
    assert api.patch("nodes/web-1/", {"jump_host": "none"}).json()["field"] == "jump_host"
    used = api.delete("jump-hosts/inner/")
    assert (used.status_code, "web-1" in used.json()["detail"]) == (409, True)
    assert api.patch("nodes/web-1/", {"jump_host": None}).json()["jump_host"] is None
    assert api.delete("jump-hosts/inner/").status_code == 204
    assert Api(cast.operator).get("jump-hosts/bastion/").status_code == 404
    assert Api(cast.operator).post("jump-hosts/", body).status_code == 403


def test_a_node_is_polled_after_its_way_changed(cast: Cast) -> None:
    node = Node.objects.select_related("pool", "credential").get(pk=cast.web_node.pk)
    edit_node(node=node, changes={"jump_host": make_jump_host()}, actor=SYSTEM, now=NOW)
    assert Node.objects.get(pk=node.pk).poll_requested_at == NOW
