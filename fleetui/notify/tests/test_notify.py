"""Notifications: what a rule asks for is in the outbox with the event, reaches the receiver, and is tried again until given up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import translation

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from fleetui.core.posting import NotSent, post, refuse_link_local, signature
from fleetui.core.retention import prune
from fleetui.notify import outbox, sender
from fleetui.notify.channels import delete_channel, rotate_seals, secrets_of, set_channel
from fleetui.notify.events import EVENTS, GATHER_S
from fleetui.notify.models import Channel, Delivery
from fleetui.notify.outbox import Told, tell
from fleetui.notify.sender import MOST_ATTEMPTS, send_due
from fleetui.notify.tests.receivers import Heard, http_receiver
from nodes.models import Pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_pool, make_user
from nodes.tests.pages import signed_in

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
SECRET = "a secret of sixteen and more"


@pytest.fixture
def heard() -> Iterator[Heard]:
    with http_receiver() as found:
        yield found


def webhook(heard: Heard, **over: Any) -> Channel:
    told: dict[str, Any] = {
        "name": "hook",
        "kind": "webhook",
        "settings": {"url": f"{heard.url}/in"},
        "secrets": {"secret": SECRET},
        **over,
    }
    return set_channel(**told, actor=SYSTEM, now=clock.now())


def happens(
    event: str = "schedule.failed", *, count: int = 1, pool: Pool | None = None, severity: str = "critical"
) -> int:
    """The event with its deliveries, so long ago that they are due."""
    where, name = (pool.pk, pool.name) if pool else (None, "")
    told = [Told(event, severity, f"{event} {n}", f"/nodes/n{n}/", f"node:n{n}", where, name) for n in range(count)]
    with transaction.atomic():
        return tell(told, now=clock.now() - timedelta(minutes=1))


def test_a_webhook_gets_a_signed_payload(heard: Heard, settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://fleet.example"]
    webhook(heard)
    pool = make_pool("web")
    happens(pool=pool)
    assert send_due(clock.now()) == 1
    path, headers, body = heard.requests[0]
    at = int(headers["x-fleetui-signature"].split(",")[0].removeprefix("t="))
    assert headers["x-fleetui-signature"] == signature(SECRET, at, body)
    assert (path, headers["x-fleetui-event"]) == ("/in", "schedule.failed")
    document = heard.documents()[0]
    assert sorted(document) == ["count", "event", "id", "items", "severity", "title", "version"]
    assert (document["version"], document["event"], document["count"]) == (1, "schedule.failed", 1)
    item = document["items"][0]
    assert sorted(item) == ["at", "details", "pool", "severity", "subject", "text", "url"]
    assert (item["pool"], item["subject"]) == ("web", "node:n0")
    assert item["url"] == "https://fleet.example/nodes/n0/"
    row = Delivery.objects.get()
    assert (row.state, row.said, str(row.message_id)) == ("sent", "200 thank you", document["id"])
    assert send_due(clock.now()) == 0


def test_nothing_is_told_when_the_event_is_taken_back(heard: Heard) -> None:
    webhook(heard)

    class Undone(Exception):
        pass

    def undone() -> None:
        with transaction.atomic():
            assert tell([Told("schedule.failed", "critical", "x")], now=clock.now()) == 1
            raise Undone

    with pytest.raises(Undone):
        undone()
    assert not Delivery.objects.exists()


def test_rules_ask_by_event_pool_and_severity(heard: Heard) -> None:
    web, db = make_pool("web"), make_pool("db")
    rules = [{"events": ["schedule.failed"], "pool_id": web.pk, "severity": "warning"}]
    channel = webhook(heard, rules=rules)
    assert happens(pool=web) == 1
    assert happens(pool=web, severity="info") == 0
    assert happens(pool=db) == 0
    assert happens() == 0
    assert happens("schedule.missed", pool=web) == 0
    Channel.objects.filter(pk=channel.pk).update(is_on=False)
    assert happens(pool=web) == 0


def test_a_channel_that_goes_while_it_is_told_takes_no_other_with_it(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = webhook(heard), webhook(heard, name="gone")
    asks = outbox._asks

    def deleted_meanwhile(*given: Any) -> bool:
        Channel.objects.filter(pk=gone.pk).delete()
        return asks(*given)

    monkeypatch.setattr(outbox, "_asks", deleted_meanwhile)
    assert happens() == 1
    assert list(Delivery.objects.values_list("channel", flat=True)) == [kept.pk]


@pytest.mark.django_db(transaction=True)
def test_a_channel_is_deleted_when_who_tells_it_something_is_done(heard: Heard) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Elsewhere one writes at a time.")
    kept, gone = webhook(heard), webhook(heard, name="gone")
    failed: list[BaseException] = []

    def delete() -> None:
        try:
            delete_channel(channel=gone, actor=SYSTEM)
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=delete)
    with transaction.atomic():
        assert tell([Told("schedule.failed", "critical", "x")], now=clock.now()) == 2
        thread.start()
        # It waits for this transaction, as the database sees.
        deadline = monotonic() + 60
        while not _somebody_waits() and monotonic() < deadline:
            sleep(0.01)
        assert _somebody_waits()
    thread.join(60)
    assert not failed
    assert list(Delivery.objects.values_list("channel", flat=True)) == [kept.pk]
    assert list(Channel.objects.all()) == [kept]


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_many_nodes_give_one_message(heard: Heard) -> None:
    webhook(heard)
    with transaction.atomic():
        told = [Told("node.unreachable", "warning", f"n{n} does not answer any more") for n in range(500)]
        assert tell(told, now=clock.now()) == 500
    assert send_due(clock.now()) == 0
    assert send_due(clock.now() + timedelta(seconds=GATHER_S + 1)) == 500
    document = heard.documents()[0]
    assert (len(heard.requests), document["count"], len(document["items"])) == (1, 500, 500)


def test_it_is_sent_again_with_growing_pauses_and_then_given_up(heard: Heard) -> None:
    webhook(heard)
    happens()
    heard.status = 503
    now, pauses = clock.now(), []
    for _ in range(MOST_ATTEMPTS):
        assert send_due(now) == 0
        row = Delivery.objects.get()
        pauses.append((row.due_at - clock.now()).total_seconds())
        now = max(row.due_at, now) + timedelta(seconds=1)
    assert 5 < pauses[0] < 15 < pauses[2] < pauses[6]
    assert (row.state, row.attempts) == ("dead", MOST_ATTEMPTS)
    assert row.said == "It answered with status 503. go away"
    assert len({document["id"] for document in heard.documents()}) == 1
    page = signed_in(make_user("anna", "admin"))
    assert "Messages to hook were given up" in page.get("/settings/notifications/").content.decode()


def test_a_worker_that_dies_lets_another_send_the_same_message(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook(heard)
    happens()

    class Killed(BaseException):
        pass

    def die(*_: Any) -> str:
        raise Killed

    now = clock.now()
    with monkeypatch.context() as patched:
        patched.setattr(sender, "send", die)
        with pytest.raises(Killed):
            send_due(now)
    first = Delivery.objects.get().message_id
    assert send_due(now + timedelta(seconds=1)) == 0
    assert send_due(now + timedelta(seconds=91)) == 1
    assert heard.documents()[0]["id"] == str(first)


def test_one_dead_channel_keeps_no_other_back(heard: Heard) -> None:
    webhook(heard)
    webhook(heard, name="gone", settings={"url": "http://127.0.0.1:9/"})
    happens()
    assert send_due(clock.now()) == 1
    assert {row.channel.name: row.state for row in Delivery.objects.all()} == {"hook": "sent", "gone": "waiting"}


def test_a_redirect_is_not_followed(heard: Heard) -> None:
    webhook(heard)
    happens()
    heard.status, heard.location = 302, f"{heard.url}/other"
    assert send_due(clock.now()) == 0
    assert len(heard.requests) == 1


@pytest.mark.parametrize("peer", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254"])
def test_nothing_is_sent_to_link_local_addresses(peer: str) -> None:
    with pytest.raises(ConnectionRefusedError):
        refuse_link_local(peer)
    refuse_link_local("127.0.0.1")


def test_who_does_not_listen_is_said() -> None:
    with pytest.raises(NotSent, match="Connection refused"):
        post("http://127.0.0.1:9/", b"", {})


def test_slack_teams_and_alertmanager_get_their_own_form(heard: Heard) -> None:
    for kind in ("slack", "teams"):
        webhook(heard, name=kind, kind=kind, settings={}, secrets={"url": f"{heard.url}/{kind}"})
    over = {"settings": {"url": heard.url, "username": "fleet"}, "secrets": {"password": "pass"}}
    webhook(heard, name="alerts", kind="alertmanager", **over)
    happens("node.unreachable", count=2)
    assert send_due(clock.now()) == 6
    found = {
        path: (headers, document)
        for (path, headers, _body), document in zip(heard.requests, heard.documents(), strict=True)
    }
    blocks = found["/slack"][1]["blocks"]
    assert blocks[0]["text"]["text"].startswith("🔴 2 × node.unreachable")
    card = found["/teams"][1]["attachments"][0]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["content"]["type"] == "AdaptiveCard"
    headers, alerts = found["/api/v2/alerts"]
    assert headers["authorization"].startswith("Basic ")
    assert [one["labels"]["subject"] for one in alerts] == ["node:n0", "node:n1"]
    # What says that it is well again has the labels of what it ends.
    happens("node.recovered", count=1, severity="info")
    send_due(clock.now())
    ended = next(
        one
        for (path, _h, _b), one in zip(heard.requests[::-1], heard.documents()[::-1], strict=True)
        if "alerts" in path
    )
    assert ended[0]["labels"]["alertname"] == alerts[0]["labels"]["alertname"]
    assert datetime.fromisoformat(ended[0]["endsAt"]) < datetime.now(UTC)


def test_channels_over_rest_never_answer_a_secret(heard: Heard) -> None:
    api = Api(make_user("anna", "admin"))
    body = {"name": "hook", "kind": "webhook", "settings": {"url": heard.url}, "credentials": {"secret": SECRET}}
    made = api.post("notifications/", body)
    assert made.status_code == 201, made.content
    path = f"notifications/{made.json()['id']}/"
    assert (
        SECRET
        not in made.content.decode() + api.get(path).content.decode() + api.get("notifications/").content.decode()
    )
    assert not AuditEvent.objects.filter(after__contains=SECRET).exists()
    assert SECRET not in Channel.objects.get().sealed
    tried = api.post(f"{path}test/").json()
    assert tried == {"taken": True, "said": "200 thank you"}
    heard.status = 401
    assert api.post(f"{path}test/").json() == {"taken": False, "said": "It answered with status 401. go away"}
    other = api.put(path, {**body, "kind": "slack", "settings": {}, "credentials": {"url": "https://hooks.example/x"}})
    assert (other.status_code, other.json()["detail"]) == (400, "The kind of a channel stays.")
    # The secret stays with its address, and does not follow to another one.
    assert api.put(path, {**body, "credentials": {}, "name": "renamed"}).status_code == 200
    moved = api.put(path, {**body, "credentials": {}, "settings": {"url": "https://elsewhere.example/"}})
    assert (moved.status_code, moved.json()["field"]) == (400, "secret")
    assert secrets_of(Channel.objects.get()) == {"secret": SECRET}
    happens()
    assert api.get(f"{path}deliveries/").json()["results"][0]["event"] == "schedule.failed"
    assert api.delete(path).status_code == 204


def test_only_admins_of_everything_see_channels(heard: Heard) -> None:
    channel = webhook(heard)
    own = Api(make_user("webadmin", ("admin", make_pool("web"))))
    for path in ("notifications/", f"notifications/{channel.pk}/", f"notifications/{channel.pk}/deliveries/"):
        assert own.get(path).status_code == 403, path
    page = signed_in(make_user("dbadmin", ("admin", make_pool("db"))))
    assert page.get("/settings/notifications/").status_code == 403


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"settings": {"url": "ftp://x"}}, "url"),
        ({"settings": {"url": "http://user:pass@x/"}}, "url"),
        ({"settings": {"url": "http://x", "more": 1}}, "more"),
        ({"credentials": {"secret": "short"}}, "secret"),
        ({"rules": [{"events": ["no.such"]}]}, "rules"),
        ({"rules": [{"pool_id": "0f5a3c9e-6d2a-4f5b-9b1e-6f0a2f8f6a11"}]}, "rules"),
        ({"rules": [{}] * 51}, "rules"),
        ({"kind": "slack", "settings": {}, "credentials": {"url": "http://hooks.example/x"}}, "url"),
        ({"kind": "email", "settings": {"host": "m", "sender": "a@b", "recipients": ["a@b\nBcc: c@d"]}}, "recipients"),
    ],
)
def test_what_is_no_channel_is_refused(over: dict[str, Any], field: str) -> None:
    body = {"name": "x", "kind": "webhook", "settings": {"url": "http://x"}, "credentials": {"secret": SECRET}, **over}
    answer = Api(make_user("anna", "admin")).post("notifications/", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.content


def test_the_pages_add_test_and_delete(heard: Heard) -> None:
    page = signed_in(make_user("anna", "admin"))
    assert "Nobody is told of anything" in page.get("/settings/notifications/").content.decode()
    for kind in Channel.KINDS:
        assert page.get(f"/settings/notifications/-/add/?kind={kind}").status_code == 200
    form = {"name": "hook", "url": heard.url, "secret": SECRET, "severity": "warning", "is_on": "on"}
    assert page.post("/settings/notifications/-/add/?kind=webhook", {**form, "secret": "short"}).status_code == 422
    assert page.post("/settings/notifications/-/add/?kind=webhook", form).status_code == 302
    path = f"/settings/notifications/{Channel.objects.get().pk}/"
    assert SECRET not in page.get(path).content.decode()
    said = page.post(f"{path}do/", {"do": "test"}, follow=True).content.decode()
    assert "200 thank you" in said
    assert page.post(path, {**form, "secret": "", "events": ["schedule.failed"], "revision": "1"}).status_code == 302
    assert page.post(f"{path}do/", {"do": "delete"}).status_code == 302
    assert not Channel.objects.exists()


def test_the_pages_say_states_and_severities_in_the_readers_language(heard: Heard) -> None:
    webhook(heard, rules=[{"severity": "critical"}])
    happens()
    page = signed_in(make_user("anna", "admin"))
    said = page.get("/settings/notifications/", headers={"Accept-Language": "th"}).content.decode()
    for word in ("critical", "waiting"):
        assert f">{word}<" not in said, word
        assert f" {word} " not in said, word
        assert f", {word}<" not in said, word
    with translation.override("th"):
        assert str(translation.gettext("critical")) in said


def test_secrets_are_sealed_again(heard: Heard, settings: Any) -> None:
    channel = webhook(heard)
    settings.ENCRYPTION_KEYS = ["ab" * 32, *settings.ENCRYPTION_KEYS]
    assert rotate_seals() == 1
    assert rotate_seals() == 0
    channel.refresh_from_db()
    assert secrets_of(channel) == {"secret": SECRET}


def test_every_event_has_a_sentence() -> None:
    assert all((said and "." in name) or name == "test" for name, said in EVENTS.items())


def test_old_messages_are_removed_and_those_that_wait_stay(heard: Heard) -> None:
    webhook(heard)
    happens(count=2)
    Delivery.objects.filter(pk=Delivery.objects.earliest("pk").pk).update(
        state="sent", ended_at=clock.now() - timedelta(days=91)
    )
    assert prune(clock.now())["messages"] == 1
    assert Delivery.objects.get().state == "waiting"


@pytest.mark.parametrize("kind", ["webhook", "email"])
def test_a_host_name_that_no_dns_holds_keeps_no_other_channel_back(heard: Heard, kind: str) -> None:
    host = f"{'a' * 64}.example"
    mail = {"host": host, "port": 25, "security": "none", "sender": "a@b.example", "recipients": ["c@d.example"]}
    settings = mail if kind == "email" else {"url": f"http://{host}/"}
    webhook(heard, name="a-bad", kind=kind, settings=settings, secrets={} if kind == "email" else {"secret": SECRET})
    webhook(heard)
    happens()
    assert send_due(clock.now()) == 1
    bad = Delivery.objects.get(channel__name="a-bad")
    assert (bad.state, bad.attempts) == ("waiting", 1)
    assert bad.said


def test_a_channel_that_another_worker_waits_for_is_left_alone(heard: Heard) -> None:
    webhook(heard)
    happens(count=2)
    slow = Delivery.objects.order_by("pk").first()
    assert slow is not None
    Delivery.objects.filter(pk=slow.pk).update(lease_until=clock.now() + timedelta(seconds=60))
    assert send_due(clock.now()) == 0
    Delivery.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    assert send_due(clock.now()) == 2


def test_control_characters_in_settings_reach_no_database(heard: Heard) -> None:
    assert webhook(heard, settings={"url": f"{heard.url}/in\0"}).settings == {"url": f"{heard.url}/in"}


@pytest.mark.parametrize(
    ("kind", "settings", "field"),
    [
        ("alertmanager", {"url": "http://alerts.example", "username": "anna"}, "url"),
        (
            "email",
            {
                "host": "mail.example",
                "port": 25,
                "security": "none",
                "username": "anna",
                "sender": "a@b.example",
                "recipients": ["c@d.example"],
            },
            "security",
        ),
    ],
)
def test_a_password_does_not_travel_in_clear(heard: Heard, kind: str, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        webhook(heard, kind=kind, settings=settings, secrets={"password": "hunter2"})
    assert refused.value.field == field
