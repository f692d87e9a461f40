"""The log of an operation: numbers without gaps, only under the lease, secrets masked, bounded with a notice, resumed anywhere."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import Node
from nodes.tests.make import make_facts, make_node, make_pool, make_user
from ops.engine import log
from ops.engine.log import StepLog, masked
from ops.models import LogLine, Operation
from ops.services.request import request_operations
from ops.tests.test_api_operations import Api

pytestmark = pytest.mark.django_db
LEASE = uuid.UUID(int=1)


@pytest.fixture
def operation() -> Operation:
    node = make_node("web-1", pool=make_pool("web"))
    make_facts(node)
    answer = request_operations(
        nodes=[Node.objects.get(pk=node.pk)], kind="reboot", params={}, actor=SYSTEM, now=clock.now()
    )
    assert answer.operations, answer.refused
    (made,) = answer.operations
    made.lease_id, made.lease_until = LEASE, clock.now() + timedelta(minutes=1)
    made.save()
    return made


def lines(operation: Operation) -> list[tuple[int, str, str]]:
    rows = LogLine.objects.filter(operation=operation).order_by("seq")
    return list(rows.values_list("seq", "stream", "text"))


def is_whole(operation: Operation) -> bool:
    """Numbers from one on, without gaps, and the row knows the last one."""
    operation.refresh_from_db()
    return [seq for seq, *_rest in lines(operation)] == list(range(1, operation.log_seq + 1))


def test_streams_stay_apart_and_two_writers_share_no_number(operation: Operation) -> None:
    first, second = (StepLog(operation.pk, LEASE, step) for step in ("stage", "tidy"))
    first.note("step_started", step="stage", attempt=1)
    second.output("out", "one")
    first.output("err", "two")
    assert lines(operation) == [(1, "note", "step_started"), (2, "out", "one"), (3, "err", "two")]
    assert is_whole(operation)


def test_who_has_lost_the_lease_writes_nothing(operation: Operation) -> None:
    StepLog(operation.pk, uuid.uuid4(), "stage").output("out", "late")
    assert lines(operation) == []
    assert is_whole(operation)


def test_a_long_text_is_cut_into_pieces_and_loses_nothing(operation: Operation) -> None:
    text = "x" * (20 * log.MAX_PIECE_CHARS + 5)
    StepLog(operation.pk, LEASE, "stage").output("out", text)
    assert "".join(piece for _seq, _stream, piece in lines(operation)) == text
    assert is_whole(operation)


def test_the_log_is_bounded_with_one_notice_and_keeps_what_fleetui_says(
    operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "MAX_LOG_BYTES", 100)
    monkeypatch.setattr(log, "MAX_PIECE_CHARS", 30)
    write = StepLog(operation.pk, LEASE, "stage")
    write.output("out", "a" * 60)
    # Of this one a piece still has its place.
    write.output("out", "b" * 90)
    write.output("err", "c" * 20)
    write.note("reboot_asked")
    write.output("out", "d")
    write.note("booted", version="1")
    kept = [(stream, text[:12]) for _seq, stream, text in lines(operation)]
    assert kept == [
        *[("out", "a" * 12)] * 2,
        ("out", "b" * 12),
        ("note", "log_full"),
        ("note", "reboot_asked"),
        ("note", "booted"),
    ]
    assert is_whole(operation)
    assert operation.log_bytes <= 100 + 90, "what is not kept does not count for ever"


def test_a_full_log_takes_exactly_what_it_says(operation: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_LOG_BYTES", 10)
    write = StepLog(operation.pk, LEASE, "stage")
    write.output("out", "a" * 10)
    assert [stream for _seq, stream, _text in lines(operation)] == ["out"]
    write.output("out", "b")
    assert [text for _seq, _stream, text in lines(operation)][1:] == ["log_full"]
    assert is_whole(operation)


SECRET = "s3cr3t-value-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"curl -H 'authorization: Basic {SECRET}=='",
        f"token fleetui_{SECRET.replace('-', '_')}",
        f"password={SECRET}",
        f"DB_PASSWORD: '{SECRET}'",
        f'client_secret = "{SECRET}"',
        f"api-key={SECRET}",
        f"passphrase={SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f'{{"user": "robot", "password": "{SECRET}", "port": 5432}}',
        f'{{"token":"quoted \\"{SECRET}\\""}}',
        f"pulling https://robot:{SECRET}@registry.example/v2/",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\nafter",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
        f"mysql --user root --password {SECRET}",
        f"podman login --registry-token '{SECRET}' example.org",
        f"curl -fsS -u robot:{SECRET} https://registry.example/",
        f"curl -sSu robot:{SECRET} https://registry.example/",
        f"curl --user 'robot:{SECRET}' https://registry.example/",
    ],
)
def test_secrets_are_masked_in_output_and_in_parameters(operation: Operation, text: str) -> None:
    write = StepLog(operation.pk, LEASE, "stage")
    write.output("out", text)
    write.note("hold_not_removed", said=text, status=1)
    rows = list(LogLine.objects.filter(operation=operation).values_list("text", "params"))
    assert len(rows) == 2
    assert "3cr3t" not in str(rows), rows
    assert "********" in rows[0][0]
    assert "********" in rows[1][1]["said"]


def test_what_is_no_secret_stays() -> None:
    text = "Staging deployment... done\nUpgraded: token-bucket 1.2 -> 1.3, pass 3 of 4\nssh://host.example/path"
    assert masked(text) == text


def test_what_stands_beside_a_secret_stays() -> None:
    text = '{"user": "robot", "password": "x", "access_key": "y", "port": 5432}'
    assert masked(text) == '{"user": "robot", "password": ********, "access_key": ********, "port": 5432}'


def test_a_reader_goes_on_at_any_place(operation: Operation) -> None:
    write = StepLog(operation.pk, LEASE, "stage")
    for number in range(7):
        write.output("out", f"line {number}")
    api = Api(make_user("owner", "admin"))
    for after in range(9):
        found: dict[str, Any] = api.get(f"{operation.pk}/log/?after={after}")
        assert [line["seq"] for line in found["lines"]] == list(range(after + 1, 8))
        assert found["is_final"] is False
