"""A new key for a pool: tried on every node, shown where it does not work, switched to with eyes open."""

from __future__ import annotations

import os
import pwd
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed, StaleEdit
from nodes import tasks
from nodes.hosts import ssh
from nodes.hosts.errors import AuthenticationFailed, TimedOut
from nodes.models import Credential, CredentialTrial, HostKey, Node, Pool
from nodes.services import rotation, trials
from nodes.services.credentials import add_credential, delete_credential, edit_credential
from nodes.services.groups import edit_pool
from nodes.services.polling.contact import Target
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_credential, make_jump_host, make_node, make_pool, make_user, principal
from nodes.tests.pages import signed_in
from tests.sshd import RealSshd, real_sshd


class Played:
    """Every host: the next key works, but not on those that are named."""

    def __init__(self) -> None:
        self.fails: set[str] = set()
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.during: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    def __call__(self, target: Target, shared: object = None) -> None:
        with self._lock:
            self.asked.append(target.endpoint.address)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.during()
            if target.endpoint.address in self.fails:
                raise AuthenticationFailed(target.endpoint.address, target.endpoint.username, "no such key")
        finally:
            with self._lock:
                self.at_once -= 1


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Played:
    played = Played()
    monkeypatch.setattr(trials, "attempt", played)
    return played


@pytest.fixture
def pool(db: None) -> Pool:
    """Three nodes that use the pool's credential, one with its own, and a retired one."""
    made: Pool = make_pool(credential=make_credential("old"))
    for number in range(3):
        make_node(f"n{number}", pool=made, address=f"10.9.0.{number}")
    make_node("own", pool=made, credential=make_credential("own"))
    make_node("gone", pool=made, lifecycle="retired")
    make_credential("new", fingerprint="SHA256:new")
    return made


def fresh(pool: Pool) -> Pool:
    found: Pool = Pool.objects.select_related("credential", "next_credential").get(pk=pool.pk)
    return found


def proposed(pool: Pool) -> Pool:
    credential = Credential.objects.get(name="new")
    return rotation.propose(pool=fresh(pool), credential=credential, actor=SYSTEM, now=NOW)


def worked(now: datetime = NOW) -> int:
    """What a worker does with everything that is due."""
    trials.prepare(now)
    count = 0
    while True:
        lease, found = trials.claim(now)
        if not found:
            return count
        count += trials.store(trials.run(found), lease=lease, now=now)


def counts(pool: Pool) -> tuple[int, int, int, int]:
    found = rotation.progress(fresh(pool))
    return found.nodes, found.works, found.fails, found.waiting


def test_it_is_tried_where_the_pools_credential_is_used(pool: Pool, hosts: Played) -> None:
    hosts.fails = {"10.9.0.1"}
    proposed(pool)
    assert counts(pool) == (3, 0, 0, 3)
    assert worked() == 3
    assert sorted(hosts.asked) == ["10.9.0.0", "10.9.0.1", "10.9.0.2"]
    assert counts(pool) == (3, 2, 1, 0)
    failing = CredentialTrial.objects.get(state="fails")
    assert (failing.node.name, failing.error_kind) == ("n1", "authentication")
    assert fresh(pool).credential == Credential.objects.get(name="old")


def test_where_it_fails_it_is_tried_again_by_itself_and_at_once_when_asked(pool: Pool, hosts: Played) -> None:
    hosts.fails = {"10.9.0.1"}
    proposed(pool)
    worked()
    assert worked() == 0
    assert worked(NOW + trials.AGAIN_AFTER) == 1
    hosts.fails = set()
    assert rotation.retry(pool=fresh(pool), actor=SYSTEM, now=NOW) == 1
    assert worked() == 1
    assert counts(pool) == (3, 3, 0, 0)
    assert rotation.retry(pool=fresh(pool), actor=SYSTEM, now=NOW) == 0
    assert AuditEvent.objects.filter(action="pools.retry_trial").count() == 1


def test_switching_when_it_works_everywhere(pool: Pool, hosts: Played) -> None:
    Node.objects.update(poll_due_at=NOW + timedelta(hours=1))
    proposed(pool)
    worked()
    rotation.switch(pool=fresh(pool), actor=SYSTEM, now=NOW)
    after = fresh(pool)
    assert (str(after.credential), after.next_credential) == ("new", None)
    assert not CredentialTrial.objects.exists()
    assert set(Node.objects.filter(name__startswith="n").values_list("poll_due_at", flat=True)) == {NOW}
    assert Node.objects.get(name="own").poll_due_at > NOW
    event = AuditEvent.objects.get(action="pools.switch_credential")
    assert '"old"' in event.before
    assert '"works":3' in event.after.replace(" ", "")
    delete_credential(credential=Credential.objects.get(name="old"), actor=SYSTEM, now=NOW)


def test_switching_before_it_works_needs_a_reason_and_names_the_nodes(pool: Pool, hosts: Played) -> None:
    hosts.fails = {"10.9.0.1"}
    proposed(pool)
    worked()
    for reason in ("", "  "):
        with pytest.raises(InvalidInput) as caught:
            rotation.switch(pool=fresh(pool), actor=SYSTEM, now=NOW, reason=reason)
        assert caught.value.field == "reason"
        assert "n1" in caught.value.message
    assert str(fresh(pool).credential) == "old"
    rotation.switch(pool=fresh(pool), actor=SYSTEM, now=NOW, reason="n1 is rebuilt tonight")
    event = AuditEvent.objects.get(action="pools.switch_credential")
    assert event.reason == "n1 is rebuilt tonight"
    assert '"n1"' in event.after


def test_stopping_keeps_what_the_pool_has(pool: Pool, hosts: Played) -> None:
    proposed(pool)
    worked()
    with pytest.raises(Conflict):
        delete_credential(credential=Credential.objects.get(name="new"), actor=SYSTEM, now=NOW)
    rotation.stop(pool=fresh(pool), actor=SYSTEM, now=NOW)
    assert (str(fresh(pool).credential), fresh(pool).next_credential) == ("old", None)
    assert not CredentialTrial.objects.exists()
    for act in (rotation.stop, rotation.switch, rotation.retry):
        with pytest.raises(Conflict):
            act(pool=fresh(pool), actor=SYSTEM, now=NOW)


def test_another_credential_begins_anew(pool: Pool, hosts: Played) -> None:
    proposed(pool)
    worked()
    other = make_credential("third", fingerprint="SHA256:third")
    rotation.propose(pool=fresh(pool), credential=other, actor=SYSTEM, now=NOW)
    assert counts(pool) == (3, 0, 0, 3)
    assert not CredentialTrial.objects.exists()
    with pytest.raises(InvalidInput):
        rotation.propose(pool=fresh(pool), credential=Credential.objects.get(name="old"), actor=SYSTEM, now=NOW)


def test_a_new_key_of_the_next_credential_voids_what_was_tried(db: None, hosts: Played) -> None:
    old, new = (add_credential(name=name, actor=SYSTEM, now=NOW) for name in ("old", "new"))
    pool = make_pool(credential=old)
    make_node("n0", pool=pool)
    rotation.propose(pool=fresh(pool), credential=new, actor=SYSTEM, now=NOW)
    worked()
    assert counts(pool) == (1, 1, 0, 0)
    key = ssh.generate_identity()[0]
    edit_credential(credential=Credential.objects.get(name="new"), changes={"private_key": key}, actor=SYSTEM, now=NOW)
    assert counts(pool) == (1, 0, 0, 1)
    assert worked() == 1
    assert counts(pool) == (1, 1, 0, 0)


def test_a_result_for_a_key_that_was_replaced_meanwhile_is_dropped(db: None, hosts: Played) -> None:
    old, new = (add_credential(name=name, actor=SYSTEM, now=NOW) for name in ("old", "new"))
    pool = make_pool(credential=old)
    make_node("n0", pool=pool)
    rotation.propose(pool=fresh(pool), credential=new, actor=SYSTEM, now=NOW)
    trials.prepare(NOW)
    lease, found = trials.claim(NOW)
    edit_credential(
        credential=Credential.objects.get(name="new"),
        changes={"private_key": ssh.generate_identity()[0]},
        actor=SYSTEM,
        now=NOW,
    )
    trials.prepare(NOW)
    assert trials.store(trials.run(found), lease=lease, now=NOW) == 0
    assert counts(pool) == (1, 0, 0, 1)


def test_nodes_that_come_and_go(pool: Pool, hosts: Played) -> None:
    proposed(pool)
    worked()
    late = make_node("late", pool=pool)
    assert counts(pool) == (4, 3, 0, 1)
    assert worked() == 1
    Node.objects.filter(pk=late.pk).update(credential=Credential.objects.get(name="own"))
    Node.objects.filter(name="n2").update(lifecycle="retired")
    assert counts(pool) == (2, 2, 0, 0)
    assert trials.forget_orphans() == 2
    assert CredentialTrial.objects.count() == 2


def test_a_worker_that_dies_leaves_no_lease_for_ever(pool: Pool, hosts: Played) -> None:
    proposed(pool)
    trials.prepare(NOW)
    lease, found = trials.claim(NOW)
    assert len(found) == 3
    assert trials.claim(NOW + timedelta(seconds=1)) == (NOW + timedelta(seconds=1) + trials.LEASE, [])
    assert not trials.is_due(NOW + timedelta(seconds=1))
    later = NOW + trials.LEASE
    assert trials.is_due(later)
    assert worked(later) == 3
    # The one that was thought dead wakes up.
    assert trials.store(trials.run(found), lease=lease, now=later) == 0


def test_never_more_at_once_than_polls_may(pool: Pool, settings: Any) -> None:
    settings.POLL_THREADS = 2
    proposed(pool)
    trials.prepare(NOW)
    _lease, first = trials.claim(NOW)
    assert len(first) == 2
    assert trials.claim(NOW)[1] == []


def test_nodes_that_do_not_answer_come_last(pool: Pool) -> None:
    Node.objects.filter(name="n0").update(failures=3)
    proposed(pool)
    trials.prepare(NOW)
    _lease, found = trials.claim(NOW)
    assert len(found) == 2
    _lease, found = trials.claim(NOW + trials.DEAD_LATER)
    assert len(found) == 1


def test_the_task_works_all_of_it(pool: Pool, hosts: Played) -> None:
    proposed(pool)
    tasks.begin_trials()
    assert counts(pool) == (3, 3, 0, 0)
    tasks.try_credentials()
    assert len(hosts.asked) == 3


def test_a_fault_of_ours_is_told_as_one(pool: Pool, hosts: Played) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    hosts.during = broken
    proposed(pool)
    worked()
    assert set(CredentialTrial.objects.values_list("state", "error_kind")) == {("fails", "host_error")}


def test_time_outs_are_failures_with_their_phase(pool: Pool, hosts: Played) -> None:
    def slow() -> None:
        raise TimedOut("auth", "10.9.0.1")

    hosts.during = slow
    proposed(pool)
    worked()
    assert CredentialTrial.objects.filter(error_params__phase="auth").count() == 3


def test_two_people_at_once(pool: Pool, hosts: Played) -> None:
    first, second = fresh(pool), fresh(pool)
    rotation.propose(pool=first, credential=Credential.objects.get(name="new"), actor=SYSTEM, now=NOW)
    with pytest.raises(StaleEdit):
        rotation.propose(pool=second, credential=Credential.objects.get(name="own"), actor=SYSTEM, now=NOW)
    stale = fresh(pool)
    rotation.stop(pool=fresh(pool), actor=SYSTEM, now=NOW)
    with pytest.raises(StaleEdit):
        rotation.switch(pool=stale, actor=SYSTEM, now=NOW, reason="mine")


def test_the_form_of_the_pool_does_not_go_round_it(pool: Pool) -> None:
    proposed(pool)
    with pytest.raises(Conflict) as caught:
        edit_pool(pool=fresh(pool), changes={"credential": Credential.objects.get(name="new")}, actor=SYSTEM, now=NOW)
    assert caught.value.field == "credential"


def test_only_who_may_change_the_pool(cast: Cast, hosts: Played) -> None:
    credential = make_credential("new")
    operator = principal(cast.operator)
    with pytest.raises(NotAllowed):
        rotation.propose(pool=cast.web, credential=credential, actor=operator, now=NOW)
    browser = signed_in(cast.operator)
    assert browser.get(reverse("nodes:pool_key", args=["web"])).status_code == 403
    for action in ("switch", "stop", "retry"):
        assert browser.post(reverse(f"nodes:pool_key_{action}", args=["web"])).status_code == 403
    assert Api(cast.operator).put("pools/web/next-credential/", {"credential": "new"}).status_code == 403
    assert Api(cast.viewer).get("pools/web/next-credential/").status_code == 200
    assert Api(cast.viewer).get("pools/db/next-credential/").status_code == 404


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("nodes.views.rotation", "nodes.views.credentials", "nodes.api.rotation"):
        monkeypatch.setattr(f"{module}.nudge_trials", lambda: None)


def test_on_the_page(pool: Pool, hosts: Played, quiet: None, django_assert_max_num_queries: Any) -> None:
    owner = signed_in(make_user("owner", "admin"))
    url = reverse("nodes:pool_key", args=["web"])
    page = owner.get(url).content.decode()
    assert "Try it on 3 nodes" in page
    response = owner.post(url, {"source": "existing", "credential": ""})
    assert response.status_code == 422
    owner.post(url, {"source": "existing", "credential": str(Credential.objects.get(name="new").pk)})
    assert str(fresh(pool).next_credential) == "new"
    page = owner.get(url).content.decode()
    assert "works on 0 of 3 nodes" in page
    assert "Switch all the same" in page
    hosts.fails = {"10.9.0.1"}
    worked()
    with django_assert_max_num_queries(28):
        page = owner.get(url).content.decode()
    assert "no such key" in page
    assert reverse("nodes:detail", args=["n1"]) in page
    assert "login not accepted · 1" in page
    assert reverse("nodes:detail", args=["n0"]) in owner.get(url, {"show": "works"}).content.decode()
    part = owner.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "works on 2 of 3" in owner.get(reverse("nodes:pool", args=["web"])).content.decode()
    owner.post(reverse("nodes:pool_key_switch", args=["web"]))
    assert str(fresh(pool).credential) == "old"
    owner.post(reverse("nodes:pool_key_switch", args=["web"]), {"reason": "known"})
    assert str(fresh(pool).credential) == "new"
    gone = owner.get(url, headers={"HX-Request": "true"})
    assert gone["HX-Redirect"] == reverse("nodes:pool", args=["web"])


def test_a_new_key_is_made_on_the_page(pool: Pool, quiet: None) -> None:
    owner = signed_in(make_user("owner", "admin"))
    url = reverse("nodes:pool_key", args=["web"])
    form = owner.get(url).context["form"]
    assert form["name"].value() == "old-2"
    owner.post(url, {"source": "generate", "name": "old-2", "username": "core"})
    made = fresh(pool).next_credential
    assert made is not None
    assert made.name == "old-2"
    assert made.public_key.startswith("ssh-ed25519 ")
    taken = owner.post(url, {"source": "generate", "name": "old", "username": "core"})
    assert taken.status_code == 422


def test_replacing_the_key_of_a_credential_is_the_same(pool: Pool, quiet: None) -> None:
    second = make_pool("second", credential=pool.credential)
    owner = signed_in(make_user("owner", "admin"))
    old = Credential.objects.get(name="old")
    url = reverse("nodes:credential_rotate", args=[old.pk])
    assert "Try it on all nodes first" in owner.get(url).content.decode()
    owner.post(url, {"source": "generate", "how": "try", "revision": old.revision})
    assert {str(fresh(one).next_credential) for one in (pool, second)} == {"old-2"}
    made = Credential.objects.get(name="old-2")
    page = owner.get(reverse("nodes:credential", args=[made.pk])).content.decode()
    assert "Being tried on" in page
    assert Credential.objects.get(name="old").fingerprint == old.fingerprint


def test_the_api(pool: Pool, hosts: Played, quiet: None) -> None:
    api = Api(make_user("owner", "admin"))
    path = "pools/web/next-credential/"
    assert api.get(path).json()["next_credential"] is None
    assert api.put(path, {"credential": "none"}).json()["field"] == "credential"
    begun = api.put(path, {"credential": "new"})
    assert begun.json()["counts"] == {"nodes": 3, "works": 0, "fails": 0, "waiting": 3}
    hosts.fails = {"10.9.0.1"}
    worked()
    state = api.get(path)
    assert state.json()["counts"] == {"nodes": 3, "works": 2, "fails": 1, "waiting": 0}
    assert [row["node"] for row in state.json()["failing"]] == ["n1"]
    refused = api.post(f"{path}switch/")
    assert (refused.status_code, refused.json()["field"]) == (400, "reason")
    assert api.post(f"{path}switch/", {"reason": "x"}, if_match='"r99"').status_code == 412
    assert api.post(f"{path}retry/").status_code == 202
    done = api.post(f"{path}switch/", {"reason": "known"}, if_match=state["ETag"])
    assert (done.json()["credential"], done.json()["next_credential"]) == ("new", None)
    assert api.delete(path).status_code == 409
    api.put(path, {"credential": "old"})
    assert api.delete(path).status_code == 204
    assert api.get("pools/web/").json()["next_credential"] is None


@pytest.fixture
def host() -> Iterator[RealSshd]:
    with real_sshd([]) as server:
        yield server


def test_with_a_real_host_and_jump_host(transactional_db: None, host: RealSshd) -> None:
    username = pwd.getpwuid(os.getuid()).pw_name
    old, new = (add_credential(name=name, username=username, actor=SYSTEM, now=NOW) for name in ("old", "new"))
    (host.folder / "authorized_keys").write_text(old.public_key + "\n")
    with real_sshd([old.public_key], host_key_types=("ed25519",)) as bastion:
        row = make_jump_host(
            address=bastion.address, port=bastion.port, credential=old, host_key=bastion.host_key_lines["ed25519"]
        )
        pool = make_pool(credential=old, jump_host=row)
        node = make_node("n0", pool=pool, address=host.address, port=host.port)
        assert worked() == 0
        rotation.propose(pool=fresh(pool), credential=new, actor=SYSTEM, now=NOW)
        worked()
        assert CredentialTrial.objects.get().error_kind == "key_unknown"
        key = ssh.HostKey.parse(host.host_key_lines["ed25519"])
        HostKey.objects.create(
            node=node, type=key.type, public_key=key.base64, fingerprint=key.fingerprint, state="pinned"
        )
        rotation.retry(pool=fresh(pool), actor=SYSTEM, now=NOW)
        worked()
        assert CredentialTrial.objects.get().error_kind == "authentication"
        (host.folder / "authorized_keys").write_text(f"{old.public_key}\n{new.public_key}\n")
        rotation.retry(pool=fresh(pool), actor=SYSTEM, now=NOW)
        worked()
        assert counts(pool) == (1, 1, 0, 0)
        assert bastion.log.read_text().count("Accepted publickey") == 3
