"""`manage.py butane` and `manage.py ignition validate`: flags, streams and exit codes of the real tools."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

import fleetui
from nodes.management.commands.butane import Command as Butane
from nodes.management.commands.ignition import Command as Ignition
from nodes.tests.ignition.sources import butane

WARNS = butane("bogus: 1\n")
EMPTY = '{"ignition":{"version":"3.4.0"}}\n'


def run(command: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "input.bu"
        path.write_text(text)
        return str(path)

    return write


def test_butane(source: Any) -> None:
    assert run("butane", source(butane())) == (0, EMPTY, "")
    assert run("butane", "--strict", source(butane())) == (0, EMPTY, "")
    assert run("butane", "-c", source(butane())) == (0, "", "")
    assert run("butane", "-p", source(butane())) == (
        0,
        '{\n  "ignition": {\n    "version": "3.4.0"\n  }\n}\n',
        "",
    )


def test_butane_with_warnings(source: Any) -> None:
    name = source(WARNS)
    line = "warning at $.bogus, line 3 col 1: unused key bogus\n"
    assert run("butane", "--raw-errors", name) == (0, EMPTY, line)
    assert run("butane", "--raw-errors", "-s", name) == (
        1,
        "",
        line + "Config produced warnings and --strict was specified\n",
    )
    assert run("butane", name, "--color", "never")[2] == (
        f"warning[$.bogus]:\n  --> {name}:3:1\n   |\n 1 | variant: fcos\n 2 | version: 1.5.0\n 3 | bogus: 1\n"
        "   | ^^^^^^ unused key bogus\n 4 | \n   |\n"
    )
    assert "\033[1;33mwarning\033[0m[$.bogus]" in run("butane", name, "--color", "always")[2]


def test_butane_with_errors(source: Any) -> None:
    code, out, err = run("butane", "--raw-errors", source(butane("storage: {files: [{path: a}]}\n")))
    assert (code, out) == (1, "")
    assert err == (
        "error at $.storage.files.0.path, line 3 col 26: path not absolute\n"
        "Error translating config: config generated was invalid\n"
    )
    assert run("butane", "/nowhere/a") == (
        1,
        "",
        "failed to open /nowhere/a: open /nowhere/a: no such file or directory\n",
    )


def test_a_directory_instead_of_a_file(tmp_path: Path) -> None:
    assert run("butane", str(tmp_path)) == (1, "", f"failed to read {tmp_path}: read {tmp_path}: is a directory\n")
    assert run("ignition", "validate", str(tmp_path)) == (
        1,
        "",
        f"couldn't read config: read {tmp_path}: is a directory\n",
    )


@pytest.mark.parametrize(
    ("given", "is_colored"), [(["--color"], True), (["--color", "never"], False), (["--color=always"], True)]
)
def test_color_may_stand_alone(source: Any, capsysbinary: Any, given: list[str], is_colored: bool) -> None:
    Butane().run_from_argv(["manage.py", "butane", *given, source(WARNS)])
    assert (b"\033[1;33mwarning" in capsysbinary.readouterr().err) is is_colored


@pytest.mark.parametrize("command", [["butane", "-V"], ["butane", "--version"], ["ignition", "--version"]])
def test_versions(command: list[str], capsys: Any) -> None:
    """Which release of the real tool is followed, not Django's own version."""
    with pytest.raises(SystemExit) as ended:
        {"butane": Butane, "ignition": Ignition}[command[0]]().run_from_argv(["manage.py", *command])
    assert ended.value.code == 0
    followed = {"butane": "converts as Butane v0.29.0", "ignition": "validates as Ignition v2.26.0"}[command[0]]
    assert capsys.readouterr().out == f"FleetUI {fleetui.__version__}, {followed}\n"


def test_butane_with_files_and_output(source: Any, tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("hi")
    name = source(butane("storage: {files: [{path: /etc/motd, contents: {local: motd}}]}\n"))
    result = tmp_path / "out.ign"
    assert run("butane", "-d", str(tmp_path), "-o", str(result), name) == (0, "", "")
    assert '"source":"data:,hi"' in result.read_text()
    code, _, err = run("butane", "-d", str(tmp_path), "-o", str(tmp_path), name)
    assert (code, err) == (1, f"failed to open {tmp_path}: open {tmp_path}: is a directory\n")


def test_ignition_validate(source: Any) -> None:
    assert run("ignition", "validate", source(EMPTY)) == (0, "", "")
    assert run("ignition", "validate", source('{"ignition":{"version":"3.4.0"},"x":1}')) == (
        0,
        "warning at $.x, line 1 col 33: unused key x\n",
        "",
    )
    assert run("ignition", "validate", source("[]"))[:2] == (
        1,
        "error at line 1 col 2: json: cannot unmarshal array into Go value of type util.versionStub\n",
    )
    code, out, err = run("ignition", "validate", source('{"ignition":{"version":"2.2.0"}}'))
    assert (code, out, err.splitlines()[0]) == (1, "", "couldn't parse config: unsupported config version")
    assert "Butane" in err.splitlines()[1]
    assert run("ignition", "validate", "/nowhere") == (
        1,
        "",
        "couldn't read config: open /nowhere: no such file or directory\n",
    )


LATEST = butane(
    "systemd: {units: [{name: podman.socket, enabled: true}]}\n"
    "storage: {files: [{path: /etc/hostname, contents: {inline: edge-01}}, {path: /etc/a, mode: 0666}]}\n"
)


def test_ignition_lint(source: Any) -> None:
    name = source(LATEST)
    code, out, err = run("ignition", "lint", name)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == f"{name}:1:1: error: No user has an SSH key. [no-ssh-key]"
    assert lines[1] == "    Add ssh_authorized_keys to a user."
    assert f"{name}:4:92: error: Everybody on the host may change /etc/a (mode 0666). [world-writable]" in lines
    assert lines[-1] == "error 2, warning 1, advice 1, allowed 0"
    allowed = ("--allow", "no-ssh-key", "--allow", "world-writable")
    assert run("ignition", "lint", name, *allowed)[0] == 0
    assert run("ignition", "lint", name, *allowed, "--strict")[0] == 1
    assert run("ignition", "lint", name, *allowed, "--strict", "--allow", "zincati-no-strategy")[0] == 0
    with pytest.raises(CommandError, match="invalid choice"):
        run("ignition", "lint", name, "--allow", "nope")


def test_ignition_lint_as_json(source: Any) -> None:
    code, out, _ = run("ignition", "lint", source(LATEST), "--json", "--platform", "aws", "--allow", "no-ssh-key")
    told = json.loads(out)
    assert (code, told["error"]) == (1, None)
    assert [one["rule"] for one in told["allowed"]] == ["no-ssh-key"]
    (one,) = (one for one in told["findings"] if one["rule"] == "world-writable")
    assert one | {"message": "", "reason": "", "fix": ""} == {
        "rule": "world-writable",
        "severity": "error",
        "message": "",
        "reason": "",
        "fix": "",
        "path": "$.storage.files.1.mode",
        "line": 4,
        "column": 92,
        "content_line": None,
        "params": {"path": "/etc/a", "mode": "0666"},
    }
    assert one["message"]
    assert one["fix"]


def test_ignition_lint_of_what_cannot_be_read(source: Any, tmp_path: Path) -> None:
    code, out, err = run("ignition", "lint", source(butane("storage: {files: [{path: a}]}\n")))
    assert (code, out) == (1, "")
    assert err == (
        "error at $.storage.files.0.path, line 3 col 26: path not absolute\n"
        "couldn't look at config: config generated was invalid\n"
    )
    code, out, _ = run("ignition", "lint", source("x"), "--json")
    assert (code, json.loads(out)["findings"]) == (1, [])
    assert json.loads(out)["error"]
    (tmp_path / "key.pub").write_text("nonsense\n")
    local = source(butane("passwd: {users: [{name: core, ssh_authorized_keys_local: [key.pub]}]}\n"))
    assert "[key-unreadable]" in run("ignition", "lint", local, "--files-dir", str(tmp_path))[1]
    assert run("ignition", "lint", "/nowhere")[0] == 1


def test_ignition_rules() -> None:
    code, out, _ = run("ignition", "rules")
    assert (code, out.splitlines()[0]) == (0, "# Rules of the lint")


def test_pipes_carry_bytes() -> None:
    text = butane('passwd: {users: [{name: a, gecos: "é\\u2028"}]}\n').encode()
    ended = subprocess.run(
        [sys.executable, "manage.py", "butane", "--strict"],
        input=text,
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout == (
        '{"ignition":{"version":"3.4.0"},"passwd":{"users":[{"gecos":"é\\u2028","name":"a"}]}}\n'.encode()
    )
