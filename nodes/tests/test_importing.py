"""An import shows what it would do, does it once, and says what it could not do."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from fleetui.access.principals import EVERYWHERE, NOWHERE, SYSTEM, Principal, Reach
from fleetui.audit.models import AuditEvent
from fleetui.audit.verify import verify
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from nodes.models import HostKey, ImportPlan, JumpHost, Node, Pool, TimelineEvent
from nodes.services import importing
from nodes.services.importing import Options
from nodes.services.importing import apply as applying
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, PASSWORD, make_credential, make_jump_host, make_node, make_pool, principal
from nodes.tests.test_import_readers import KEY

pytestmark = pytest.mark.django_db


def planned(text: str, actor: Any = SYSTEM, known_hosts: str = "", **over: Any) -> ImportPlan:
    return importing.make_plan(
        text=text, source="csv", known_hosts=known_hosts, options=Options(**over), actor=actor, now=NOW
    )


def applied(plan: ImportPlan, actor: Any = SYSTEM) -> ImportPlan:
    importing.start(plan=plan, actor=actor, now=NOW)
    while importing.apply_some(plan.pk, NOW):
        pass
    plan.refresh_from_db()
    return plan


def outcomes(plan: ImportPlan) -> dict[str, str]:
    return dict(plan.rows.values_list("name", "outcome"))


def test_a_plan_changes_nothing() -> None:
    make_node("old", address="10.1.0.1", port=22, labels={"a": "b"})
    plan = planned(
        "name,address,label:a\nnew,10.1.0.2,x\nold,10.1.0.9,b\nbad name,10.1.0.3,\ntwin,10.1.0.2,\n", update=True
    )
    assert outcomes(plan) == {"new": "add", "old": "change", "bad name": "refuse", "twin": "refuse"}
    assert plan.counts == {"add": 1, "change": 1, "unchanged": 0, "refuse": 2}
    assert Node.objects.count() == 1
    twin = plan.rows.get(name="twin")
    assert twin.problems[0]["field"] == "address"
    assert "line 2" in twin.problems[0]["mend"]


def test_it_is_done_once_with_audit_and_timeline() -> None:
    make_pool("web")
    old = make_node("old", address="10.1.0.1", labels={"keep": "1"})
    plan = applied(planned("name,address,pool,label:a\nnew,10.1.0.2,web,x\nold,10.1.0.9,,y\n", update=True))
    assert (plan.state, plan.position) == ("done", 2)
    new = Node.objects.get(name="new")
    assert new.pool is not None
    assert (new.address, new.port, new.pool.name, new.labels) == ("10.1.0.2", 22, "web", {"a": "x"})
    assert "10.1.0.2" in new.search_text
    old.refresh_from_db()
    assert (old.address, old.labels, old.revision) == ("10.1.0.9", {"keep": "1", "a": "y"}, 2)
    actions = list(AuditEvent.objects.order_by("seq").values_list("action", "subject"))
    assert actions[-3:] == [("nodes.add", "node:new"), ("nodes.edit", "node:old"), ("nodes.import", "import:csv")]
    assert set(TimelineEvent.objects.values_list("kind", flat=True)) == {"node_added", "node_edited"}
    assert verify().good
    with pytest.raises(Conflict):
        importing.start(plan=plan, actor=SYSTEM, now=NOW)
    assert not importing.apply_some(plan.pk, NOW)
    assert Node.objects.count() == 2


def test_the_same_document_again_changes_nothing() -> None:
    text = "name,address,port,labels\na,10.1.0.1,22,x=y\nb,10.1.0.2,,\n"
    applied(planned(text))
    assert set(outcomes(planned(text)).values()) == {"unchanged"}


def test_an_existing_node_is_not_changed_unasked() -> None:
    make_node("old", address="10.1.0.1")
    plan = planned("name,address\nold,10.1.0.2\n")
    assert outcomes(plan) == {"old": "refuse"}


def test_what_the_document_does_not_say_stays() -> None:
    node = make_node("old", address="10.1.0.1", port=2222, pool=make_pool("web"))
    applied(planned("name,label:a\nold,b\n", update=True))
    node.refresh_from_db()
    assert node.pool is not None
    assert (node.address, node.port, node.pool.name, node.labels) == ("10.1.0.1", 2222, "web", {"a": "b"})


def test_pools_are_made_when_asked() -> None:
    text = "name,pool\na,fresh\n"
    assert outcomes(planned(text)) == {"a": "refuse"}
    plan = planned(text + "b,also\nc,\n", create_pools=True)
    assert plan.options["notes"] == ["2 pools are made: also, fresh."]
    applied(plan)
    assert planned(text).options["notes"] == []
    assert Pool.objects.get(name="fresh").nodes.count() == 1


def test_a_pool_that_cannot_be_made_is_named() -> None:
    (row,) = planned("name,pool\na,bulk\n", create_pools=True).rows.all()
    assert [(problem["field"], problem["value"]) for problem in row.problems] == [("pool", "bulk")]


def test_groups_become_pools_or_labels() -> None:
    text = "[web_servers]\na\n[eu:children]\nweb_servers\n"
    plan = importing.make_plan(text=text, options=Options(create_pools=True), actor=SYSTEM, now=NOW)
    assert plan.rows.get().values["pool"] == "web-servers"
    plan = importing.make_plan(text=text, options=Options(groups="label"), actor=SYSTEM, now=NOW)
    assert plan.rows.get().values["labels"] == {"group/web_servers": "yes", "group/eu": "yes"}


def test_known_hosts_pins_keys() -> None:
    applied(planned("name,address\na,10.1.0.1\nb,10.1.0.2\n", known_hosts=f"10.1.0.1 {KEY}\n"))
    key = HostKey.objects.get()
    assert (key.node.name, key.state) == ("a", "pinned")
    assert "Import" in key.reason


def test_another_trusted_key_is_never_replaced() -> None:
    node = make_node("a", address="10.1.0.1")
    HostKey.objects.create(node=node, type="ssh-ed25519", public_key="x", fingerprint="SHA256:other", state="pinned")
    plan = planned("name,address\na,10.1.0.1\n", known_hosts=f"10.1.0.1 {KEY}\n", update=True)
    assert plan.rows.get().problems[0]["field"] == "host_key"


def test_what_happened_since_the_preview_wins() -> None:
    node = make_node("old", address="10.1.0.1")
    plan = planned("name,address\nold,10.1.0.2\nnew,10.1.0.3\nnext,10.1.0.4\n", update=True)
    Node.objects.filter(pk=node.pk).update(address="10.1.0.5", revision=7)
    make_node("new")
    plan = applied(plan)
    assert outcomes(plan) == {"old": "refuse", "new": "refuse", "next": "add"}
    assert plan.counts["refuse"] == 2
    node.refresh_from_db()
    assert node.address == "10.1.0.5"


def test_a_dead_worker_loses_no_row_and_repeats_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "ROWS_AT_ONCE", 2)
    plan = planned("name\n" + "".join(f"n{i}\n" for i in range(5)))
    importing.start(plan=plan, actor=SYSTEM, now=NOW)
    assert importing.apply_some(plan.pk, NOW)

    def dies(*_: object) -> list[Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(applying, "_apply", dies)
        with pytest.raises(KeyboardInterrupt):
            importing.apply_some(plan.pk, NOW)
    assert Node.objects.count() == 2
    assert importing.resume(NOW) == []
    later = NOW + timedelta(minutes=2)
    assert importing.resume(later) == [plan.pk]
    assert importing.resume(later) == []
    while importing.apply_some(plan.pk, NOW):
        pass
    assert Node.objects.count() == 5
    assert AuditEvent.objects.filter(action="nodes.add").count() == 5


def test_a_row_that_the_database_refuses_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = applying._apply

    def refuses(plan: ImportPlan, batch: list[Any], now: Any) -> list[Any]:
        entries = real(plan, batch, now)
        if any(row.name == "n2" for row in batch):
            raise IntegrityError("n2 is odd")
        return entries

    monkeypatch.setattr(applying, "_apply", refuses)
    plan = applied(planned("name\n" + "".join(f"n{i}\n" for i in range(5))))
    assert (plan.state, plan.counts["add"], plan.counts["refuse"]) == ("done", 4, 1)
    assert plan.rows.get(name="n2").problems[0]["field"] == "name"
    assert sorted(Node.objects.values_list("name", flat=True)) == ["n0", "n1", "n3", "n4"]
    assert AuditEvent.objects.filter(action="nodes.add").count() == 4


@pytest.mark.django_db(transaction=True)
def test_two_workers_on_one_plan_do_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "ROWS_AT_ONCE", 5)
    plan = planned("name,pool\n" + "".join(f"n{i},fresh\n" for i in range(60)), create_pools=True)
    importing.start(plan=plan, actor=SYSTEM, now=NOW)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            more = True
            while more:
                try:
                    more = importing.apply_some(plan.pk, NOW)
                except OperationalError:
                    # SQLite lets one writer in; the task tries again too.
                    more = True
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures
    plan.refresh_from_db()
    assert (plan.state, plan.position, plan.counts["add"]) == ("done", 60, 60)
    assert Node.objects.count() == 60
    assert AuditEvent.objects.filter(action="nodes.add").count() == 60
    assert AuditEvent.objects.filter(action__in=["nodes.import", "pools.add"]).count() == 2
    assert verify().good


def test_rights_are_those_on_the_pools(cast: Cast) -> None:
    operator = principal(cast.operator)
    plan = planned("name,pool\na,web\nb,db\nc,\ndb-1,\n", operator)
    assert outcomes(plan) == {"a": "add", "b": "refuse", "c": "refuse", "db-1": "refuse"}
    applied(plan, operator)
    assert Node.objects.get(name="a").pool == cast.web
    with pytest.raises(NotAllowed):
        planned("name\na\n", principal(cast.viewer))


@pytest.mark.parametrize(
    ("text", "known_hosts", "lost"),
    [
        ("name,address\nn1,10.0.0.1\n", "", "nodes.write"),
        ("name,label:rack\nedge-1,r2\n", "", "nodes.write"),
        ("name,pool\nedge-1,web\n", "", "nodes.write"),
        ("name,address,pool\nn1,10.0.0.1,web\n", f"10.0.0.1 {KEY}\n", "nodes.accept_key"),
    ],
    ids=["a node without a pool", "a label in another pool", "out of another pool", "a host key"],
)
def test_rights_that_were_lost_since_the_preview_are_missed(db: None, text: str, known_hosts: str, lost: str) -> None:
    """Only the pools that rows named were asked about: the rest of an old plan was done without the right to it."""
    web = make_pool("web")
    make_node("edge-1", pool=make_pool("edge"), address="10.0.0.9")
    kept = dict.fromkeys(("nodes.read", "nodes.write", "nodes.accept_key"), EVERYWHERE)
    before = Principal(kind="user", name="nok", reach=dict(kept))
    options = Options(groups="nothing", update=True)
    plan = importing.make_plan(text=text, known_hosts=known_hosts, options=options, actor=before, now=NOW)
    assert plan.counts["refuse"] == 0
    kept[lost] = Reach(pools=frozenset({web.pk})) if lost == "nodes.write" else NOWHERE
    after = Principal(kind="user", name="nok", reach=kept)
    with pytest.raises(NotAllowed):
        importing.start(plan=plan, actor=after, now=NOW)
    assert ImportPlan.objects.get().state == "planned"
    importing.start(plan=plan, actor=before, now=NOW)


def test_a_script_is_told_its_own_fields(cast: Cast) -> None:
    api = Api(cast.owner)
    assert api.post("nodes/import/", {"text": "colour\nred\n", "format": "csv"}).json()["field"] == "text"
    made = api.post("nodes/import/", {"text": "name,os\na,windows\n", "dry_run": True}).json()
    (row,) = api.get(f"nodes/import/{made['id']}/rows/").json()["results"]
    assert [problem["field"] for problem in row["problems"]] == ["os"]


def test_the_refusal_of_a_document_names_its_mend() -> None:
    with pytest.raises(InvalidInput) as refused:
        planned("colour\nred\n")
    assert refused.value.field == "document"
    assert "name" in refused.value.mend


def test_a_document_of_another_kind_is_named() -> None:
    with pytest.raises(InvalidInput, match="hosts file"):
        importing.make_plan(text="10.0.0.1 web1 web1.example\n", options=Options(), actor=SYSTEM, now=NOW)
    assert importing.make_plan(text="name\na\n", options=Options(), actor=SYSTEM, now=NOW).source == "csv"


def test_queries_do_not_grow_with_the_rows() -> None:
    make_pool("web")

    def count(rows: int) -> int:
        text = "name,pool\n" + "".join(f"n{rows}-{i},web\n" for i in range(rows))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            applied(planned(text))
        return len(queries)

    # SQLite takes few values at once, so that rows go in several inserts.
    assert count(200) - count(2) < 200 / 5


def test_thousands_of_rows(django_assert_max_num_queries: Any) -> None:
    text = "name,address,label:site\n" + "".join(
        f"n{i},10.{i // 65536}.{i // 256 % 256}.{i % 256},bkk\n" for i in range(2_000)
    )
    plan = applied(planned(text))
    assert plan.counts["add"] == 2_000
    assert Node.objects.count() == 2_000


def signed_in(user: Any) -> Client:
    client = Client()
    client.login(username=user.username, password=PASSWORD)
    return client


def test_the_pages(cast: Cast) -> None:
    client = signed_in(cast.owner)
    assert client.get("/nodes/-/import/").status_code == 200
    wrong = client.post("/nodes/-/import/", {"document": "", "groups": "pool"})
    assert wrong.status_code == 422
    for field, content in (("file", b"<html></html>"), ("file", b"\x1f\x8b"), ("known_hosts", b"nothing")):
        given = {"groups": "pool", "document": "name\nfresh\n", field: SimpleUploadedFile("hosts", content)}
        assert list(client.post("/nodes/-/import/", given).context["form"].errors) == [field]
    pasted = client.post("/nodes/-/import/", {"groups": "pool", "document": "<html></html>"})
    assert list(pasted.context["form"].errors) == ["document"]
    sent = client.post("/nodes/-/import/", {"document": "name,pool\nfresh,web\nbad name,\n", "groups": "pool"})
    assert sent.status_code == 302
    page = client.get(sent["Location"])
    assert "bad name" in page.content.decode()
    assert f'href="{sent["Location"]}refused.csv"' in page.content.decode()
    assert b"fresh" in client.get(sent["Location"] + "?show=add").content
    assert b"bad name" in client.get(sent["Location"] + "refused.csv").content
    assert signed_in(cast.operator).get(sent["Location"]).status_code == 404
    plan = ImportPlan.objects.get()
    client.post(sent["Location"] + "apply/")
    plan.refresh_from_db()
    assert plan.state == "applying"
    assert b"progress" in client.get(sent["Location"]).content
    while importing.apply_some(plan.pk, NOW):
        pass
    assert b"Import done" in client.get(sent["Location"]).content


def test_places_are_said_in_the_language_of_the_reader(cast: Cast) -> None:
    client = signed_in(cast.owner)
    text = "Match user x\n  Port 9\nHost one\n  HostName 10.0.0.1\nHost two\n  HostName 10.0.0.1\n"
    with translation.override("th"):
        sent = client.post(
            "/nodes/-/import/", {"document": text, "groups": "pool", "source": "ssh-config"}, HTTP_ACCEPT_LANGUAGE="th"
        )
    thai = client.get(sent["Location"], HTTP_ACCEPT_LANGUAGE="th").content.decode()
    assert "บรรทัด 5" in thai
    assert "ซ้ำกับบรรทัด 3" in thai
    assert "line 5" in client.get(sent["Location"], HTTP_ACCEPT_LANGUAGE="en").content.decode()


def test_many_changes_ask_for_their_number(cast: Cast) -> None:
    client = signed_in(cast.owner)
    text = "name\n" + "".join(f"n{i}\n" for i in range(12))
    url = client.post("/nodes/-/import/", {"document": text, "groups": "pool"})["Location"]
    client.post(url + "apply/", {"count": "11"})
    assert ImportPlan.objects.get().state == "planned"
    client.post(url + "apply/", {"count": "12"})
    assert ImportPlan.objects.get().state == "applying"


def test_a_known_jump_host_is_taken_over(db: None) -> None:
    credential = make_credential("jump")
    bastion = JumpHost.objects.create(name="bastion", address="192.0.2.1", credential=credential)
    JumpHost.objects.create(name="inner", address="10.0.0.1", credential=credential, through=bastion)
    text = (
        "Host a\n HostName 10.1.0.1\n ProxyJump bastion\nHost b\n HostName 10.1.0.2\n ProxyJump bastion,inner\n"
        "Host c\n HostName 10.1.0.3\n ProxyJump inner\nHost d\n HostName 10.1.0.4\n ProxyJump other\n"
    )
    applied(importing.make_plan(text=text, source="ssh-config", options=Options(), actor=SYSTEM, now=NOW))
    found = {node.name: node for node in Node.objects.select_related("jump_host")}
    ways = {name: str(node.jump_host) if node.jump_host else None for name, node in found.items()}
    assert ways == {"a": "bastion", "b": "inner", "c": "inner", "d": None}
    assert {name: node.labels["ssh-proxyjump"] for name, node in found.items()} == {
        "a": "bastion",
        "b": "bastion inner",
        "c": "inner",
        "d": "other",
    }


def test_a_table_names_the_jump_host(cast: Cast) -> None:
    make_jump_host("bastion")
    text = "name,address,jump_host\na,10.7.0.1,bastion\nb,10.7.0.2,nowhere\nc,10.7.0.3,\n"
    plan = applied(importing.make_plan(text=text, options=Options(), actor=SYSTEM, now=NOW))
    assert {row.name: row.outcome for row in plan.rows.all()} == {"a": "add", "b": "refuse", "c": "add"}
    assert plan.rows.get(name="b").problems[0]["field"] == "jump_host"
    assert [Node.objects.get(name=name).jump_host_id is None for name in "ac"] == [False, True]
    # An operator sees no jump host that none of the nodes is reached through.
    theirs = importing.make_plan(text=text, options=Options(pool="web"), actor=principal(cast.operator), now=NOW)
    assert theirs.counts["refuse"] == 3


def test_a_list_that_was_taken_as_a_file_is_an_import(cast: Cast) -> None:
    """Our own CSV begins with a mark that spreadsheets need; scripts send it along."""
    make_jump_host("bastion")
    make_node(
        "x", address="10.7.0.9", port=2222, labels={"rack": "-7", "site": "bkk"}, jump_host=JumpHost.objects.get()
    )
    api = Api(cast.owner)
    path = "nodes/export/?format=csv&columns=address,port,pool,jump_host,labels&q=10.7.0.9"
    text = b"".join(api.get(path).streaming_content).decode()
    assert text.startswith("\ufeffname,")
    assert api.post("nodes/import/", {"text": text, "dry_run": True}).json()["counts"]["unchanged"] == 1
    Node.objects.get(name="x").delete()
    made = api.post("nodes/import/", {"text": text, "dry_run": True}).json()
    assert made["counts"] == {"add": 1, "change": 0, "unchanged": 0, "refuse": 0}
    values = ImportPlan.objects.get(pk=made["id"]).rows.get().values
    assert (values["jump_host"], values["port"], values["labels"]) == ("bastion", 2222, {"rack": "-7", "site": "bkk"})
