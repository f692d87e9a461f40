"""Replacement by a service somewhere else: asked by signed POST over real HTTP, and told of by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import InvalidInput
from fleetui.core.posting import is_proven, signature
from ops import wording
from ops.models import Provisioner, Replacement
from ops.replacement import Broken, NotReady, Order
from ops.replacement.answers import read_answer
from ops.replacement.webhook import SIGNATURE, Webhook
from ops.services import control
from ops.services.replacing.provisioners import opened, set_provisioner, try_provisioner
from ops.tests.test_replacement import START, Run, sentence

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
SECRET = "a secret of both sides"
ORDER = Order("a1", "n1", "10.0.0.1", 22, "web", "", 2, "https://f/x", "sha512-1", "SHA256:x", callback="https://f/cb")
REPLACED = b'{"state": "replaced", "sentence": "made in rack 4"}'


@dataclass
class Service:
    """What makes machines. It gives the `answers` one after another, and the last one for ever; pings are always welcome."""

    answers: Sequence[tuple[int, bytes]] = ((202, b""),)
    secret: str = SECRET
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    strangers: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        return {"url": f"{self.url}/replace", "limit_s": 900}

    def answer(self, signed: str, body: bytes) -> tuple[int, bytes]:
        if not is_proven(signed, self.secret, body, float(signed.partition(",")[0].removeprefix("t="))):
            self.strangers += 1
            return 403, b"who are you?"
        asked = json.loads(body)
        if asked["action"] == "ping":
            return 204, b""
        self.asked.append(asked)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, said = found.answer(self.headers[SIGNATURE], body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def tell(url: str, body: bytes, at: datetime, secret: str = SECRET) -> int:
    """POST to a callback."""
    signed = signature(secret, int(at.timestamp()), body)
    answer = Client().post(
        urlsplit(url).path, body, content_type="application/json", headers={SIGNATURE: signed}, secure=True
    )
    return int(answer.status_code)


def test_it_is_asked_and_tells_by_itself(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.answers = [(503, b"busy"), (202, b""), (200, b'{"state": "working", "handle": {"vm": 7}, "again_s": 600}')]
    run = Run(monkeypatch, "webhook", service)
    row = run.rounds(until="webhook_is_silent")
    assert "status 503. busy" in wording.wait_sentence(row.wait_reason, row.wait_params)
    for _time in range(3):
        row = run.rounds(until="hook_works")
        if len(service.asked) == 3:
            break
    callback, url = service.asked[0]["callback_url"], service.asked[0]["ignition"]["url"]
    assert {one["id"] for one in service.asked} == {row.pk.hex}
    assert service.strangers == 0

    assert tell(callback, REPLACED, run.now, secret="another one") == 403
    assert tell(callback, REPLACED, run.now - timedelta(minutes=6)) == 403
    assert tell(callback, b"done", run.now) == 400
    assert tell(callback, b"x" * 300_000, run.now) == 413
    assert tell(callback.replace(str(row.pk), str(Provisioner.objects.get().pk)), REPLACED, run.now) == 403
    run.site.make(url)
    assert tell(callback, REPLACED, run.now) == 202
    row.refresh_from_db()
    assert row.due_at == run.now
    run.rounds()
    run.check()
    assert len(service.asked) == 3, "what it told is not asked for"
    assert tell(callback, REPLACED, run.now) == 409
    (event,) = AuditEvent.objects.filter(action="operations.told")
    assert (event.actor, json.loads(event.after)) == ("provisioner:site", {"node": "n1", "state": "replaced"})
    assert not AuditEvent.objects.filter(after__icontains=SECRET).exists()


def test_what_it_told_of_an_earlier_attempt_counts_no_more(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, "webhook", service)
    run.rounds(until="hook_works")
    failed = b'{"state": "failed", "sentence": "no quota"}'
    assert tell(service.asked[0]["callback_url"], failed, run.now) == 202
    run.rounds(until="again")
    row = run.rounds(until="hook_works")
    assert service.asked[-1]["attempt"] == 2
    run.site.make(service.asked[0]["ignition"]["url"])
    service.answers = [(200, REPLACED)]
    run.rounds()
    run.check()
    assert Replacement.objects.get(operation=row).told["number"] == 1


def test_a_service_that_is_away_stops_it_before_anything_is_touched(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.secret = "another secret of both"
    run = Run(monkeypatch, "webhook", service)
    service.secret = SECRET
    row = run.rounds()
    assert (row.state, row.result) == ("failed", "preflight")
    assert "who are you?" in sentence(row)
    with pytest.raises(InvalidInput, match=r"status 403\. who are you\?"):
        try_provisioner(provisioner=Provisioner.objects.get(), actor=SYSTEM)


def test_after_its_time_a_person_is_asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, "webhook", service)
    row = run.rounds()
    assert (row.state, row.result) == ("needs_attention", "webhook_late")
    assert "did not come to an end within 15 min" in sentence(row)
    service.answers = [(200, REPLACED)]
    run.site.make(service.asked[0]["ignition"]["url"])
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, b"nothing here", "webhook_refused"),
        (200, b"<html>", "hook_no_json"),
        (200, b'{"state": "gone"}', "hook_no_state"),
        (200, b'{"state": "replaced", "address": 7}', "hook_address"),
        (200, b'{"state": "failed", "sentence": "no quota"}', "hook_says_failed"),
    ],
)
def test_a_bad_answer_ends_the_attempt(service: Service, status: int, body: bytes, code: str) -> None:
    service.answers = [(status, body)]
    webhook = Webhook(service.settings["url"], SECRET, 60, lambda: datetime.now(UTC))
    found = webhook.look(ORDER, webhook.start(ORDER, 1))
    assert (found.state, found.code) == ("failed", code)
    assert wording.result_sentence(code, {"name": "site", "said": found.said, **found.params})


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[" * 200_000, "hook_no_json"),
        (b'{"state": "working", "again_s": NaN}', "hook_no_json"),
        (b'{"state": ["working"]}', "hook_no_state"),
        (rb'{"state": "working", "handle": {"vm": "a\u0000"}}', "hook_handle"),
        (rb'{"state": "working", "handle": {"vm": "\ud800"}}', "hook_handle"),
    ],
)
def test_an_answer_that_nobody_can_keep_is_a_bad_one(raw: bytes, code: str) -> None:
    with pytest.raises(Broken) as refused:
        read_answer(raw)
    assert refused.value.code == code


def test_text_of_an_answer_is_cleaned() -> None:
    raw = rb'{"state": "working", "again_s": 1%s, "sentence": "\ud800a\u0000", "log": ["\u001b[1mb"], "handle": {"p": "\\u0000"}}'
    found = read_answer(raw % (b"0" * 400))
    assert (found.said, found.lines, found.again_s, found.handle) == ("?a", ["b"], 600, {"p": "\\u0000"})


def test_settings_and_secret_of_a_webhook() -> None:
    def saved(**over: Any) -> Provisioner:
        url = over.pop("url", "https://machines.example/replace")
        given = {"name": "x", "kind": "webhook", "settings": {"url": url}, "base_url": "https://f.example"}
        return set_provisioner(**{**given, "secret": SECRET, **over}, actor=SYSTEM, now=START)

    for url in (
        "http://machines.example/",
        "https://a:b@machines.example/",
        "ftp://x",
        "https://",
        "",
        7,
        "https://x y/",
    ):
        with pytest.raises(InvalidInput) as refused:
            saved(url=url)
        assert refused.value.field == "url", url
    with pytest.raises(InvalidInput) as refused:
        saved(secret="short")
    assert (refused.value.field, refused.value.value) == ("secret", None)
    one = saved()
    assert SECRET not in one.sealed_secret
    assert saved(provisioner=one, secret="", name="y").sealed_secret == one.sealed_secret
    one.refresh_from_db()
    with pytest.raises(InvalidInput, match="too short"):
        saved(provisioner=one, secret="", url="https://other.example/")
    Provisioner.objects.update(sealed_secret="v1:00000000:x")
    with pytest.raises(NotReady, match="secret_sealed"):
        opened(Provisioner.objects.get())
