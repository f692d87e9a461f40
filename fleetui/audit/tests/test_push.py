"""Audit events reach their receivers at least once, in order and signed, whatever happens on the way."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from environs import ValidationError

from fleetui import settings as project
from fleetui.audit import push as push_module
from fleetui.audit.log import Entry, record_alone
from fleetui.audit.models import AuditEvent, AuditPush
from fleetui.audit.push import push
from fleetui.audit.sinks import Syslog, Webhook
from fleetui.audit.tasks import send
from fleetui.audit.vital_signs import sent_on
from fleetui.core import clock
from fleetui.core.vitals import Glance

pytestmark = pytest.mark.django_db
SECRET = "a secret of both ends"


class Receiver(ThreadingHTTPServer):
    """Takes events like a collector; `statuses` are its next answers, 0 is a lost one after it was taken."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/audit"

    @property
    def seqs(self) -> list[list[int]]:
        return [[event["seq"] for event in json.loads(body)["events"]] for body in self.bodies]


class _Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        if not status:
            self.connection.close()
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_details: Any) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join(60)


@pytest.fixture(autouse=True)
def from_the_first_event(settings: Any) -> None:
    settings.AUDIT_SEND_ALL = True


def record(count: int) -> None:
    for number in range(count):
        record_alone(Entry(actor="user:ada", action="nodes.edit", subject=f"node:n{number}", after={"x": "ü"}))


def test_events_arrive_once_in_order_and_signed(receiver: Receiver) -> None:
    record(3)
    sink = Webhook(receiver.url, SECRET)
    assert push(sink, clock.now()) == 3
    record(2)
    assert push(sink, clock.now()) == 2
    assert push(sink, clock.now()) == 0
    assert receiver.seqs == [[1, 2, 3], [4, 5]]
    told, body = receiver.headers[0], receiver.bodies[0]
    assert (told["x-fleetui-first-seq"], told["x-fleetui-last-seq"]) == ("1", "3")
    parts = dict(part.split("=") for part in told["x-fleetui-signature"].split(","))
    wanted = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert parts["v1"] == wanted
    event = json.loads(body)["events"][0]
    stored = AuditEvent.objects.get(seq=1)
    assert (event["hash"], event["after"], event["subject"]) == (stored.hash, {"x": "ü"}, "node:n0")


def test_a_new_receiver_gets_what_happens_from_then_on_unless_all_is_asked_for(
    receiver: Receiver, settings: Any
) -> None:
    settings.AUDIT_SEND_ALL = False
    settings.AUDIT_WEBHOOK_URL, settings.AUDIT_WEBHOOK_SECRET, settings.AUDIT_SYSLOG = receiver.url, SECRET, ""
    record(3)
    send()
    assert (receiver.bodies, AuditPush.objects.get().seq) == ([], 3)
    record(2)
    send()
    assert receiver.seqs == [[4, 5]]
    call_command("audit", "resend", "--after", "0")
    send()
    assert receiver.seqs[1:] == [[1, 2, 3, 4, 5]]


def test_a_receiver_that_fails_is_asked_again_later_and_gets_all_of_it(receiver: Receiver) -> None:
    record(2)
    sink, now = Webhook(receiver.url, SECRET), clock.now()
    receiver.statuses = [500, 302, 204]
    assert push(sink, now) == 0
    row = AuditPush.objects.get()
    assert (row.failures, row.seq, row.last_error) == (1, 0, "It answered with status 500.")
    assert timedelta(seconds=3) < row.due_at - now < timedelta(seconds=60)
    # Not before its time.
    assert push(sink, now) == 0
    assert len(receiver.bodies) == 1
    record(1)
    assert push(sink, row.due_at) == 0
    again = AuditPush.objects.get()
    assert again.failures == 2
    assert again.failing_since == row.failing_since
    assert push(sink, again.due_at) == 3
    assert receiver.seqs[-1] == [1, 2, 3]
    good = AuditPush.objects.get()
    assert (good.failures, good.failing_since, good.seq) == (0, None, 3)


def test_a_lost_answer_sends_the_same_numbers_again(receiver: Receiver) -> None:
    record(2)
    sink = Webhook(receiver.url, SECRET)
    receiver.statuses = [0]
    assert push(sink, clock.now()) == 0
    assert push(sink, AuditPush.objects.get().due_at) == 2
    assert receiver.seqs == [[1, 2], [1, 2]]


def test_a_receiver_that_is_gone_puts_it_off_with_the_reason() -> None:
    record(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        assert push(Webhook(url, SECRET), clock.now()) == 0
    assert AuditPush.objects.get().last_error == "Connection refused"


def test_long_logs_go_in_batches_and_the_pause_is_bounded(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_module, "AT_ONCE", 2)
    record(5)
    sink = Webhook(receiver.url, SECRET)
    assert push(sink, clock.now()) == 5
    assert receiver.seqs == [[1, 2], [3, 4], [5]]
    AuditPush.objects.update(failures=500)
    receiver.statuses = [500]
    record(1)
    now = clock.now()
    push(sink, now)
    assert AuditPush.objects.get().due_at - now < timedelta(seconds=push_module.LONGEST_PAUSE_S * 1.3 + 60)


def test_two_processes_do_not_send_at_once(receiver: Receiver) -> None:
    record(1)
    sink, now = Webhook(receiver.url, SECRET), clock.now()
    AuditPush.objects.create(sink="webhook", due_at=now, lease_id="1" * 32, lease_until=now + timedelta(seconds=9))
    assert push(sink, now) == 0
    # One that died holds it no longer than its lease.
    assert push(sink, now + timedelta(seconds=10)) == 1


class Lines(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Read)
        self.data = b""


class _Read(socketserver.BaseRequestHandler):
    server: Lines

    def handle(self) -> None:
        while piece := self.request.recv(4096):
            self.server.data += piece


def test_syslog_over_tcp_is_framed_by_length() -> None:
    record(2)
    with Lines() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        assert push(Syslog(f"tcp://127.0.0.1:{server.server_address[1]}"), clock.now()) == 2
        server.shutdown()
        thread.join(60)
    data, messages = server.data, []
    while data:
        size, _space, data = data.partition(b" ")
        messages.append(data[: int(size)].decode())
        data = data[int(size) :]
    assert len(messages) == 2
    assert messages[0].startswith("<109>1 ")
    assert '[fleetui@32473 seq="1" action="nodes.edit"] {' in messages[0]
    assert json.loads(messages[1].partition("] ")[2])["subject"] == "node:n1"


def test_syslog_over_udp_is_one_datagram_an_event() -> None:
    record(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(60)
        assert push(Syslog(f"udp://127.0.0.1:{listening.getsockname()[1]}"), clock.now()) == 2
        assert [b'seq="1"' in listening.recv(9000), b'seq="2"' in listening.recv(9000)] == [True, True]


def test_the_task_and_the_health_page_follow_the_settings(receiver: Receiver, settings: Any) -> None:
    settings.AUDIT_WEBHOOK_URL, settings.AUDIT_WEBHOOK_SECRET, settings.AUDIT_SYSLOG = "", "", ""
    record(1)
    send()
    assert not AuditPush.objects.exists()
    assert list(sent_on(Glance(clock.now()))) == []
    settings.AUDIT_WEBHOOK_URL, settings.AUDIT_WEBHOOK_SECRET = receiver.url, SECRET
    send()
    (line,) = sent_on(Glance(clock.now()))
    assert (line.level, line.text) == ("ok", "Sent up to event 1; 0 wait.")
    record(1)
    receiver.statuses = [503]
    send()
    (line,) = sent_on(Glance(clock.now()))
    assert line.level == "warn"
    assert "1 event waits" in line.text
    assert "status 503" in line.text


def test_everything_is_sent_once_more_on_demand(receiver: Receiver, settings: Any, capsys: Any) -> None:
    settings.AUDIT_WEBHOOK_URL, settings.AUDIT_SYSLOG = "", ""
    with pytest.raises(CommandError, match="No receiver is set"):
        call_command("audit", "resend")
    settings.AUDIT_WEBHOOK_URL, settings.AUDIT_WEBHOOK_SECRET = receiver.url, SECRET
    record(3)
    send()
    call_command("audit", "resend", "--after", "1")
    send()
    assert receiver.seqs == [[1, 2, 3], [2, 3]]


def test_an_export_goes_on_where_the_last_one_ended(capsys: Any) -> None:
    record(3)
    call_command("audit", "export", "--after", "1")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["seq"] for row in rows] == [2, 3]
    assert rows[0]["hash"] == AuditEvent.objects.get(seq=2).hash


@pytest.mark.parametrize("value", ["udp://host", "tcp://host:x", "ftp://host:1", "unix://", "host:514"])
def test_a_wrong_syslog_address_is_reported(value: str) -> None:
    with pytest.raises(ValidationError):
        project._syslog(value)
    assert project._syslog("unix:///dev/log") == "unix:///dev/log"


def test_a_webhook_needs_its_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("FLEETUI_AUDIT_WEBHOOK_SECRET", raising=False)
    with pytest.raises(ValidationError, match="FLEETUI_AUDIT_WEBHOOK_SECRET"):
        project._webhook("https://collector.example/audit")
    file = tmp_path / "secret"
    file.write_text("of a file\n")
    monkeypatch.setenv("FLEETUI_AUDIT_WEBHOOK_SECRET_FILE", str(file))
    assert project._webhook("https://collector.example/audit")
    assert project._secret_file("FLEETUI_AUDIT_WEBHOOK_SECRET") == "of a file"
    with pytest.raises(ValidationError):
        project._webhook("ftp://collector.example/")
