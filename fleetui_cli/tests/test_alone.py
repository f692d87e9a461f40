"""fleetui-cli without FleetUI: its settings, and servers that are slow, gone, or something else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleetui_cli import api as api_module
from fleetui_cli.asking import moment, params_of, seconds
from fleetui_cli.codes import MEANINGS, Code, Problem
from fleetui_cli.main import _given, main
from fleetui_cli.options import parser

ROOT = Path(__file__).resolve().parents[2]


class Played(ThreadingHTTPServer):
    """A server that answers what it is told: each a status with a body and headers, or "cut" for a lost connection."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Any] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Played

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        found = self.server.answers.pop(0)
        if found == "cut":
            self.connection.close()
            return
        status, body, headers = found
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_details: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Played]:
    played = Played()
    thread = threading.Thread(target=played.serve_forever, daemon=True)
    thread.start()
    yield played
    played.shutdown()
    played.server_close()
    thread.join(30)


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No settings of this machine, and no pauses."""
    for name in ("FLEETUI_URL", "FLEETUI_TOKEN", "FLEETUI_TOKEN_FILE", "FLEETUI_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("fleetui_cli.api.time.sleep", lambda _seconds: None)
    monkeypatch.setattr("fleetui_cli.main.signal.signal", lambda *_given: None)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, server: Played, capsys: Any) -> Any:
    monkeypatch.setenv("FLEETUI_URL", server.url)
    monkeypatch.setenv("FLEETUI_TOKEN", "fleetui_secret")

    def of(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        found = capsys.readouterr()
        assert "fleetui_secret" not in found.out + found.err
        return code, found.out, found.err

    return of


PAGE: dict[str, Any] = {"results": [], "next": None}
MADE = {
    "request_id": "r",
    "approvals_needed": 0,
    "operations": [{"id": "o", "node": "n", "state": "queued"}],
    "refused": [],
}


def test_a_lost_answer_is_asked_for_again_with_the_same_key(server: Played, run: Any) -> None:
    server.answers = ["cut", (503, {}, {"Retry-After": "1"}), (201, MADE, {})]
    assert run("reboot", "n")[0] == 0
    keys = {headers["Idempotency-Key"] for _method, _path, headers in server.seen}
    assert len(server.seen) == 3
    assert len(keys) == 1
    assert all(len(key) == 36 for key in keys)


@pytest.mark.parametrize("how", ["--wait", "--follow"])
def test_what_is_waited_for_is_said_once_while_nothing_else_happens(
    how: str, server: Played, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetui_cli.outcome.NEWS_EVERY_S", 0)
    waits = {"node": "n", "state": "waiting", "is_final": False, "waits_for": "The host does not answer."}
    over = {"node": "n", "state": "succeeded", "is_final": True, "result_sentence": "Done."}
    silent = {"lines": [], "after": 0, "is_final": False, "state": "waiting"}
    looks: list[Any] = [(200, waits, {}), (200, waits, {})]
    if how == "--follow":
        looks = [(200, silent, {}), looks[0], (200, silent, {}), looks[1], (200, {**silent, "is_final": True}, {})]
    server.answers = [(201, MADE, {}), *looks, (200, over, {})]
    code, out, err = run("reboot", "n", how)
    assert (code, out.splitlines()) == (0, ["n: succeeded. Done."])
    assert err.splitlines()[1:] == ["n: waiting. The host does not answer."]


def test_a_plan_says_how_old_it_is_how_long_it_takes_and_who_has_to_agree(server: Played, run: Any) -> None:
    one = {"node": "n", "target": {"version": "2"}, "commands": [], "checks": [], "seen_at": "2026-03-01T12:00:00Z"}
    found = {"operations": [one], "refused": [], "note": None, "expected_s": 205, "approvals_needed": 2}
    server.answers = [(200, found, {})]
    code, out, _err = run("plan", "upgrade", "n")
    lines = out.splitlines()
    assert (code, lines[0][:24]) == (0, "n -> 2 (last read 2026-0")
    assert lines[1:3] == [
        "By past runs in these pools, all of it takes about 3 min.",
        "Others have to approve it: 2.",
    ]


def test_what_has_no_key_is_not_sent_twice(server: Played, run: Any) -> None:
    server.answers = [(200, {"is_final": False}, {}), "cut"]
    code, _out, err = run("approve", "some-id")
    assert code == 8
    assert "look before you repeat it" in err
    assert [method for method, _path, _headers in server.seen] == ["GET", "POST"]


def test_it_gives_up_on_a_server_that_stays_away(server: Played, run: Any) -> None:
    server.answers = [(502, b"<html>", {})] * api_module.ATTEMPTS
    assert run("nodes", "list")[0] == 8
    assert len(server.seen) == api_module.ATTEMPTS
    server.answers = ["cut"] * api_module.ATTEMPTS
    code, _out, err = run("nodes", "list")
    assert (code, "cannot be reached" in err) == (8, True)


def test_a_redirect_is_told_and_never_followed(server: Played, run: Any) -> None:
    server.answers = [(301, b"", {"Location": "https://elsewhere.example/"})]
    code, _out, err = run("nodes", "list")
    assert code == 2
    assert "https://elsewhere.example/" in err
    assert len(server.seen) == 1


def test_what_is_no_api_is_told(server: Played, run: Any) -> None:
    server.answers = [(200, b"<html>hello</html>", {})]
    code, _out, err = run("nodes", "list")
    assert (code, "is not FleetUI's API" in err) == (8, True)


@pytest.mark.parametrize(("status", "code"), [(400, 3), (401, 6), (403, 6), (404, 7), (409, 3), (422, 3), (500, 8)])
def test_a_refusal_is_the_servers_sentence_and_a_code(server: Played, run: Any, status: int, code: int) -> None:
    server.answers = [(status, {"detail": "It is so.", "mend": "Do that.\x1b[2J"}, {})]
    found, _out, err = run("nodes", "list")
    assert found == code
    assert err == "fleetui-cli: It is so. Do that.[2J\n"


def test_pages_are_followed_to_the_wanted_number(server: Played, run: Any) -> None:
    first = {"results": [{"name": "a"}, {"name": "b"}], "next": "http://other.example/api/v1/nodes/?cursor=x&limit=500"}
    server.answers = [(200, first, {}), (200, {"results": [{"name": "c"}], "next": None}, {})]
    code, out, _err = run("nodes", "list", "--json")
    assert [row["name"] for row in json.loads(out)] == ["a", "b", "c"]
    # On this server, whatever address the answer names.
    assert server.seen[1][1] == "/api/v1/nodes/?cursor=x&limit=500"
    assert code == 0


class TestSettings:
    def test_nothing_is_set(self, capsys: Any) -> None:
        assert main(["nodes", "list"]) == 2
        assert "No server is named." in capsys.readouterr().err
        assert main(["nodes", "list", "--url", "http://127.0.0.1:1"]) == 6
        assert "No token is given." in capsys.readouterr().err

    def test_the_config_file_is_for_its_owner_alone(self, server: Played, at_home: Path, capsys: Any) -> None:
        file = at_home / "fleetui" / "cli.toml"
        file.parent.mkdir()
        file.write_text(f'url = "{server.url}"\ntoken = "fleetui_kept"\n')
        file.chmod(0o644)
        assert main(["nodes", "list"]) == 2
        assert f"chmod 600 {file}" in capsys.readouterr().err
        file.chmod(0o600)
        server.answers = [(200, PAGE, {})]
        assert main(["nodes", "list"]) == 0
        assert server.seen[0][2]["Authorization"] == "Bearer fleetui_kept"

    def test_the_token_file_is_for_its_owner_alone(self, server: Played, tmp_path: Path, capsys: Any) -> None:
        file = tmp_path / "token"
        file.write_text("fleetui_filed\n")
        file.chmod(0o640)
        argv = ["nodes", "list", "--url", server.url, "--token-file", str(file)]
        assert main(argv) == 2
        assert "can be read by others (0640)" in capsys.readouterr().err
        file.chmod(0o600)
        server.answers = [(200, PAGE, {})]
        assert main(argv) == 0
        assert server.seen[0][2]["Authorization"] == "Bearer fleetui_filed"

    @pytest.mark.parametrize(
        ("text", "said"),
        [("url = 3", "is not text"), ("nonsense = 'x'", "unknown setting: nonsense"), ("url =", "cannot be read")],
    )
    def test_a_wrong_config_file_says_what(self, tmp_path: Path, capsys: Any, text: str, said: str) -> None:
        file = tmp_path / "c.toml"
        file.write_text(text)
        file.chmod(0o600)
        assert main(["nodes", "list", "--config", str(file)]) == 2
        assert said in capsys.readouterr().err

    @pytest.mark.parametrize("url", ["fleet.example", "ftp://fleet.example", "https://anna:pw@fleet.example"])
    def test_a_wrong_address_is_refused(self, url: str, capsys: Any) -> None:
        assert main(["nodes", "list", "--url", url]) == 2
        assert "anna" not in capsys.readouterr().err


@pytest.mark.parametrize(("text", "found"), [("90", 90), ("90s", 90), ("15m", 900), ("4h", 14_400), ("2d", 172_800)])
def test_times_are_read(text: str, found: float) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["x", "4x", "-1", "1.5h", "h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="is not a time"):
        seconds(text)


def test_moments_need_a_zone() -> None:
    assert moment("2026-12-01T22:00:00+01:00") == "2026-12-01T22:00:00+01:00"
    for text in ("2026-12-01T22:00:00", "tomorrow"):
        with pytest.raises(Problem):
            moment(text)
    assert moment(None) is None


def commands() -> list[list[str]]:
    """Every command as words, from the parser itself."""
    found: list[list[str]] = []
    for action in parser()._subparsers._group_actions:  # type: ignore[union-attr]
        for name, one in action.choices.items():  # type: ignore[union-attr]
            inner = one._subparsers
            below = [[name, verb] for each in inner._group_actions for verb in each.choices] if inner else [[name]]
            found += below
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help(words: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_the_docs_name_every_command_and_code() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    for words in commands():
        assert f"`{' '.join(words)}" in text, words
    for code in Code:
        assert f"| {int(code)} | {MEANINGS[code]} |" in text, code


@pytest.mark.parametrize(("given", "wanted"), [([], None), (["--stop-after", "1"], 1)])
def test_a_threshold_is_sent_only_when_it_is_given(
    run: Any, given: list[str], wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    made = {"request_id": "r", "approvals_needed": 0, "operations": [{"id": "o", "node": "a", "state": "queued"}]}

    def post(_api: object, _path: str, body: dict[str, Any], **_over: object) -> dict[str, Any]:
        sent.append(body)
        return {**made, "refused": []}

    monkeypatch.setattr(api_module.Api, "post", post)
    assert run("reboot", "a", "b", *given)[0] == Code.DONE
    assert sent[0].get("stop_after") == wanted


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["append=a=1"], {"append": "a=1"}),
        (["append=a=1", "soak_s=5", "append=b"], {"append": ["a=1", "b"], "soak_s": 5}),
        (['append=["a","b"]'], {"append": ["a", "b"]}),
    ],
)
def test_a_parameter_that_is_repeated_makes_a_list(words: list[str], found: dict[str, object]) -> None:
    given = _given(["run", "kargs", "n1", *(option for word in words for option in ("--param", word))])
    assert params_of(given) == found


def test_names_of_nodes_may_stand_behind_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert _given(["plan", "reboot", "--json", "web-01"]).nodes == ["web-01"]
    assert _given(["run", "pin", "web-01", "--param", "deployment=booted", "web-02"]).nodes == ["web-01", "web-02"]
    for wrong in (["plan", "reboot", "web-01", "--jsn"], ["approvals", "web-01"]):
        with pytest.raises(SystemExit) as ended:
            _given(wrong)
        assert ended.value.code == 2
        assert "unrecognized arguments" in capsys.readouterr().err


WAITED = {"id": "o", "node": "n", "state": "succeeded", "is_final": True, "result_sentence": "Done."}


def test_a_server_that_restarts_ends_no_watching(server: Played, run: Any) -> None:
    server.answers = [(201, MADE, {}), *["cut"] * api_module.ATTEMPTS, (200, WAITED, {})]
    code, out, err = run("reboot", "n", "--wait")
    assert (code, out) == (0, "n: succeeded. Done.\n")
    assert err.count("It is asked again for 10 minutes; what was asked for goes on.") == 1
    assert "It answers again." in err


def test_a_server_that_stays_away_ends_it_with_how_to_go_on(
    server: Played, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetui_cli.outcome.PATIENCE_S", 0.0)
    server.answers = [(201, MADE, {}), *["cut"] * api_module.ATTEMPTS]
    code, out, err = run("reboot", "n", "--wait", "--json")
    assert (code, json.loads(out)["request_id"]) == (8, "r")
    assert "Wait on: fleetui-cli wait o" in err


def test_whoever_stops_it_in_the_middle_of_asking_is_told_the_key(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_given: object, **_over: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api_module.Api, "post", stopped)
    code, _out, err = run("reboot", "n", "--key", "night-1")
    assert code == 130
    assert "whether that arrived is not known" in err
    assert "--key night-1" in err


@pytest.mark.parametrize(
    "argv",
    [
        ["upgrade", "n", "--version", ""],
        ["reboot", "--pool", "", "--filter", "os=fcos"],
        ["reboot", "--cluster", " ", "--pool", "web"],
        ["reboot", "n", "--key", ""],
        ["reboot", "n", "--wait", "--timeout", ""],
        ["reboot", "n", "--deadline", ""],
        ["reboot", ""],
        ["nodes", "list", "--limit", "0"],
        ["operations", "--limit", "-1"],
    ],
    ids=" ".join,
)
def test_a_value_that_a_script_left_empty_is_not_taken_for_none(server: Played, run: Any, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*argv)
    assert ended.value.code == 2
    assert server.seen == []


def test_options_of_the_server_may_stand_in_front_of_the_command(server: Played, capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("fleetui_filed\n")
    file.chmod(0o600)
    server.answers = [(200, PAGE, {})]
    assert main(["--json", "--url", server.url, "--token-file", str(file), "nodes", "list"]) == 0
    assert capsys.readouterr().out == "[]\n"
    assert _given(["--url", "http://a", "approvals", "--url", "http://b"]).url == "http://b"


def test_an_address_may_end_with_that_of_the_api(server: Played, run: Any) -> None:
    server.answers = [(200, PAGE, {}), (404, b"<html>", {})]
    assert run("nodes", "list", "--url", f"{server.url}/api/v1/")[0] == 0
    assert server.seen[0][1].startswith("/api/v1/nodes/?")
    code, _out, err = run("nodes", "list", "--url", f"{server.url}/nodes")
    assert (code, "is not FleetUI's API" in err) == (8, True)


@pytest.mark.parametrize("token", ["two\nlines", "two words", "\u0e01"])
def test_what_cannot_be_a_token_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("FLEETUI_TOKEN", token)
    code, _out, err = run("nodes", "list")
    assert (code, "FLEETUI_TOKEN does not hold one token." in err) == (2, True)


def test_a_node_is_shown_with_what_it_runs_and_why_it_is_so(server: Played, run: Any) -> None:
    node = {
        "name": "n",
        "os": {"name": "Fedora CoreOS", "version": "44"},
        "labels": {"site": "bkk"},
        "health": "degraded",
        "reasons": {"health": {"code": "disk_full", "sentence": "/boot is 96 % full"}},
        "booted": {"version": "44", "checksum": "c"},
        "staged": None,
    }
    server.answers = [(200, node, {})]
    told = dict(line.split("  ", 1) for line in run("nodes", "show", "n")[1].splitlines())
    assert {name: value.strip() for name, value in told.items()} == {
        "name": "n",
        "os": "Fedora CoreOS 44",
        "labels": "site=bkk",
        "health": "degraded: /boot is 96 % full",
        "booted": "44",
    }


@pytest.mark.parametrize(("into", "code"), [(">/dev/full", 9), (">&-", 9), ("2>&-", 0), (">/dev/null 2>&-", 0)])
def test_what_cannot_be_printed_has_a_code_of_its_own(server: Played, into: str, code: int) -> None:
    """Not 1, by which a script would take it for an operation that failed."""
    server.answers = [(200, {"results": [{"name": "\u0e01"}], "next": None}, {})]
    env = {"PATH": os.environ["PATH"], "FLEETUI_URL": server.url, "FLEETUI_TOKEN": "t", "PYTHONIOENCODING": "ascii"}
    argv = f"exec {sys.executable} -m fleetui_cli nodes list {into}"
    done = subprocess.run(["sh", "-c", argv], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def refused_for(*codes: str) -> dict[str, Any]:
    refused = [{"node": f"n{number}", "code": code, "reason": "So it is."} for number, code in enumerate(codes)]
    return {**MADE, "operations": [], "refused": refused}


@pytest.mark.parametrize(
    ("codes", "given", "code"),
    [
        (["there_already", "nothing_newer"], ["--if-needed"], 0),
        (["there_already", "nothing_newer"], [], 3),
        (["there_already", "busy"], ["--if-needed"], 3),
    ],
)
def test_a_job_that_runs_again_finds_nothing_left_to_do(
    server: Played, run: Any, codes: list[str], given: list[str], code: int
) -> None:
    server.answers = [(201, refused_for(*codes), {})]
    assert run("upgrade", "n0", "n1", "--strict", *given)[0] == code


def test_those_that_run_it_already_are_of_the_expected_number(server: Played, run: Any) -> None:
    plan = refused_for("there_already", "there_already")
    server.answers = [(200, plan, {}), (201, plan, {}), (200, plan, {})]
    assert run("upgrade", "--pool", "web", "--if-needed", "--expect", "2")[0] == 0
    code, _out, err = run("upgrade", "--pool", "web", "--expect", "2")
    assert (code, "to 0 nodes, not to 2" in err) == (3, True)
