"""fleetui-cli as a process against a real server: what it prints, and the code that it ends with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from fleetui.core import clock
from nodes.models import Pool
from nodes.tests.make import make_facts, make_node, make_pool, make_token, make_user
from ops.models import ApprovalRule, LogLine, Operation, Stop

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]
WAIT_S = 60.0


class Cli:
    """Runs the client with a token of its own, and nothing of this process's settings."""

    def __init__(self, url: str, token: str, home: Path) -> None:
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "FLEETUI_URL": url, "FLEETUI_TOKEN": token}

    def start(self, *args: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "fleetui_cli", *args]
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            env=self.env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A test run in the background of a shell ignores Ctrl-C, and so would what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def __call__(self, *args: str, code: int = 0) -> tuple[str, str]:
        process = self.start(*args)
        out, err = process.communicate(timeout=WAIT_S)
        assert process.returncode == code, f"{process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return out, err

    def json(self, *args: str, code: int = 0) -> Any:
        return json.loads(self(*args, "--json", code=code)[0])


@pytest.fixture
def web() -> Pool:
    pool = make_pool("web")
    for number in range(1, 4):
        make_facts(make_node(f"web-{number}", pool=pool))
    return pool


@pytest.fixture
def cli(live_server: Any, tmp_path: Path, web: Pool) -> Cli:
    return Cli(live_server.url, make_token(make_user("anna", "admin")), tmp_path)


@pytest.fixture
def ended() -> Iterator[Callable[..., None]]:
    """Ends what is asked for, as the engine would: the nth operation in the nth of these states."""
    threads: list[threading.Thread] = []
    over = threading.Event()

    def end(*states: str) -> None:
        def work() -> None:
            try:
                while not over.is_set():
                    rows = list(Operation.objects.filter(state="queued").order_by("node_name"))
                    if len(rows) >= len(states):
                        for row, state in zip(rows, states, strict=False):
                            at = None if state == "needs_attention" else clock.now()
                            Operation.objects.filter(pk=row.pk).update(
                                state=state, ended_at=at, result="done", wait_reason=""
                            )
                        return
                    time.sleep(0.1)
            finally:
                connection.close()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield end
    over.set()
    for thread in threads:
        thread.join(WAIT_S)


def test_nodes_are_listed_and_shown(cli: Cli) -> None:
    text = cli("nodes", "list", "--pool", "web")[0]
    assert [line.split()[0] for line in text.splitlines()] == ["NAME", "web-1", "web-2", "web-3"]
    assert "44.20261101.3.0" in text
    rows = cli.json("nodes", "list", "--filter", "q=web-2", "--columns", "name,health")
    assert rows == [{"name": "web-2", "health": "healthy"}]
    assert cli.json("nodes", "list", "--limit", "2", "--columns", "name") == [{"name": "web-1"}, {"name": "web-2"}]
    assert "No node matches." in cli("nodes", "list", "-q", "nothing")[0]
    assert cli.json("nodes", "show", "web-1")["pool"] == "web"
    assert "no node" in cli("nodes", "show", "web-9", code=7)[1].lower()
    assert "is not a filter" in cli("nodes", "list", "--filter", "web", code=2)[1]


def test_a_plan_shows_the_commands_and_makes_nothing(cli: Cli) -> None:
    text = cli("plan", "reboot", "web-1")[0]
    assert "$ sudo -n systemctl reboot" in text
    assert "Nothing has happened yet." in text
    assert cli.json("plan", "reboot", "--pool", "web")["dry_run"] is True
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("state", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1), ("timed_out", 1), ("needs_attention", 5)]
)
def test_waiting_ends_with_the_code_of_the_state(cli: Cli, ended: Callable[..., None], state: str, code: int) -> None:
    ended(state)
    out = cli("reboot", "web-1", "--reason", "kernel", "--wait", code=code)[0]
    assert out.startswith(f"web-1: {state.replace('_', ' ')}")
    assert Operation.objects.get().request.reason == "kernel"


def test_many_are_waited_for_and_those_that_failed_are_named(cli: Cli, ended: Callable[..., None]) -> None:
    ended("succeeded", "failed", "succeeded")
    out, err = cli("reboot", "--pool", "web", "--wait", code=1)
    assert out == "web-2: failed. Done.\n"
    assert "3 of 3 over: 2 succeeded, 1 failed" in err


def test_time_is_up_and_it_goes_on(cli: Cli) -> None:
    err = cli("reboot", "web-1", "--wait", "--timeout", "1s", code=4)[1]
    operation = Operation.objects.get()
    assert f"fleetui-cli wait {operation.pk}" in err
    # Where it stands then, and what it waits for.
    assert "web-1: queued. Waits" in err
    assert operation.state == "queued"
    made = cli.json("reboot", "web-2", "--wait", "--timeout", "1s", code=4)
    assert made["operations"][0]["node"] == "web-2"


def test_what_is_waited_for_is_printed_as_it_stands_when_time_is_up(cli: Cli) -> None:
    one = cli.json("reboot", "web-1")["operations"][0]
    waited = cli.json("wait", one["id"], "--timeout", "1s", code=4)
    assert (waited["id"], waited["state"]) == (one["id"], "queued")
    many = cli.json("wait", str(Operation.objects.get().request_id), "--timeout", "1s", code=4)
    assert many["states"] == {"queued": 1}
    assert json.loads(cli("follow", one["id"], "--json", "--timeout", "1s", code=4)[0])["id"] == one["id"]


@pytest.mark.parametrize(
    ("given", "told"),
    [(("--timeout", "1h"), "neither is given"), (("--wait", "--timeout", "soon"), "'soon' is not a time")],
)
def test_a_time_that_limits_nothing_is_told_before_anything_is_asked_for(
    cli: Cli, given: tuple[str, ...], told: str
) -> None:
    assert told in cli("reboot", "web-1", *given, code=2)[1]
    assert not Operation.objects.exists()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_says_that_it_goes_on(cli: Cli, sent: signal.Signals, code: int) -> None:
    process = cli.start("reboot", "web-1", "--wait")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Request ")
    process.send_signal(sent)
    _out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == code
    assert "goes on" in err
    assert f"fleetui-cli cancel {Operation.objects.get().pk}" in err
    assert "Traceback" not in err


def test_a_log_is_followed_to_its_end(cli: Cli) -> None:
    asked = cli.json("reboot", "web-1")["operations"][0]["id"]
    row = Operation.objects.get(pk=asked)
    texts = ["one\ntwo", "\x1b]0;stolen\x07three"]
    for seq, text in enumerate(texts, 1):
        LogLine.objects.create(operation=row, seq=seq, at=clock.now(), stream="out", text=text)
    Operation.objects.filter(pk=asked).update(state="succeeded", ended_at=clock.now(), result="done", log_seq=2)
    lines = cli("follow", asked)[0].splitlines()
    assert [re.sub(r"^\S+ +", "", line) for line in lines[:3]] == ["one", "two", "]0;stolenthree"]
    assert lines[3] == "web-1: succeeded. Done."
    told = [json.loads(line) for line in cli("follow", asked, "--json")[0].splitlines()]
    assert [one["seq"] for one in told[:2]] == [1, 2]
    assert told[2]["state"] == "succeeded"


def test_the_same_key_makes_nothing_twice(cli: Cli) -> None:
    first = cli.json("reboot", "web-1", "--key", "night-1")
    assert cli.json("reboot", "web-1", "--key", "night-1") == first
    assert "used for another request" in cli("reboot", "web-2", "--key", "night-1", code=3)[1]
    assert Operation.objects.count() == 1


def test_what_cannot_be_done_is_refused_with_the_reason(cli: Cli) -> None:
    cli("reboot", "web-1")
    err = cli("reboot", "web-1", code=3)[1]
    assert "Another operation is active on it" in err
    # Some of them: done, unless --strict.
    cli("run", "pin", "web-1", "web-2", "--param", "deployment=booted")
    cli("run", "pin", "web-1", "web-3", "--param", "deployment=booted", "--strict", code=3)
    assert "no node web-9" in cli("reboot", "web-1", "web-9", code=7)[1]
    assert "explode" in cli("run", "explode", "web-1", code=3)[1]
    assert Operation.objects.count() == 3


def test_no_soak_time_is_a_soak_time(cli: Cli) -> None:
    cli("reboot", "web-1", "--soak", "0")
    assert Operation.objects.get().params == {"soak_s": 0}


def test_more_than_ten_need_their_number(cli: Cli, web: Pool) -> None:
    for number in range(4, 14):
        make_facts(make_node(f"web-{number}", pool=web))
    assert "--expect 13" in cli("reboot", "--pool", "web", code=2)[1]
    assert "13 nodes, not to 12" in cli("reboot", "--pool", "web", "--expect", "12", code=3)[1]
    assert not Operation.objects.exists()
    cli("reboot", "--pool", "web", "--expect", "13")
    assert Operation.objects.count() == 13


def test_the_first_of_two_approvals_says_that_another_one_is_needed(cli: Cli, live_server: Any, tmp_path: Path) -> None:
    ApprovalRule.objects.create(approvers=2, set_by="user:x")
    asked = cli.json("reboot", "--pool", "web")["request_id"]
    ben = Cli(live_server.url, make_token(make_user("ben", "approver")), tmp_path)
    assert "1 of the 2 that it needs" in ben("approve", asked)[0]


def test_a_plan_takes_the_options_of_what_it_plans(cli: Cli) -> None:
    assert cli.json("plan", "reboot", "web-1", "--soak", "7")["operations"]
    assert "The parameter version" in cli("plan", "upgrade", "web-1", "--version", "not one", code=3)[0]


def test_approvals_from_the_shell(cli: Cli, live_server: Any, tmp_path: Path) -> None:
    ApprovalRule.objects.create(approvers=1, set_by="user:x")
    asked = cli.json("reboot", "--pool", "web")["request_id"]
    assert "Nobody approves their own" in cli("approve", asked, code=6)[1]
    ben = Cli(live_server.url, make_token(make_user("ben", "approver")), tmp_path)
    assert asked in ben("approvals")[0]
    assert "3 queued" in ben("approve", asked, "--reason", "fine")[0]
    assert "Nothing waits" in ben("approvals")[0]
    assert cli("cancel", asked)[0].startswith("3 cancelled")
    assert "3 of 3 over" in cli("show", asked)[0]
    assert "None of these can be retried" in cli("retry", asked, code=3)[1]


def test_one_is_cancelled_and_retried(cli: Cli) -> None:
    asked = cli.json("reboot", "web-1")["operations"][0]["id"]
    assert cli("cancel", asked, "--reason", "not now")[0].startswith("web-1: cancelled.")
    again = cli.json("retry", asked)["operations"][0]["id"]
    assert Operation.objects.get(pk=again).retry_of_id == Operation.objects.get(pk=asked).pk
    assert [one["id"] for one in cli.json("operations", "--active", "--pool", "web")] == [again]


def test_everything_is_stopped(cli: Cli) -> None:
    cli("stop-all", code=2)
    assert "No operation starts" in cli("stop-all", "--reason", "smoke")[0]
    assert Stop.objects.get().reason == "smoke"
    assert "start again" in cli("lift-stop")[0]


def test_the_token_decides(cli: Cli, live_server: Any, tmp_path: Path, web: Pool) -> None:
    viewer = Cli(live_server.url, make_token(make_user("viewer", ("viewer", web))), tmp_path)
    assert "operations.request" in viewer("reboot", "web-1", code=6)[1]
    wrong = Cli(live_server.url, "fleetui_wrong", tmp_path)
    assert wrong("nodes", "list", code=6)[1]
    assert not Operation.objects.exists()


def test_ids_that_are_none(cli: Cli) -> None:
    missing = "11111111-2222-3333-4444-555555555555"
    for command in ("show", "wait", "follow", "cancel", "retry"):
        assert "no operation or request" in cli(command, missing, code=7)[1]
        assert "cannot be a name" in cli(command, "../tokens", code=2)[1]
