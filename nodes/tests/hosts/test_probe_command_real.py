"""The `probe` command against the real sshd of the distribution."""

import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from nodes.hosts.facts import Facts
from nodes.hosts.ssh import generate_identity
from tests.sshd import RealSshd, real_sshd

pytestmark = pytest.mark.sshd


@pytest.fixture(scope="module")
def reachable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealSshd, Path]]:
    """A running sshd, and the file of a key that may log in."""
    text, identity = generate_identity()
    key = tmp_path_factory.mktemp("home") / "id"
    key.write_text(text)
    with real_sshd([identity.public_line], host_key_types=["ed25519"]) as server:
        yield server, key


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def probe(server: RealSshd, key: Path, *args: str) -> tuple[int, str, str]:
    """Exit status, output and errors of the command."""
    stdout, stderr = io.StringIO(), io.StringIO()
    target = f"{server.username}@{server.address}:{server.port}"
    try:
        call_command("probe", target, "--identity", str(key), *args, stdout=stdout, stderr=stderr)
    except SystemExit as end:
        return int(str(end.code)), stdout.getvalue(), stderr.getvalue()
    return 0, stdout.getvalue(), stderr.getvalue()


def known_hosts(server: RealSshd, folder: Path, line: str) -> Path:
    path = folder / "known"
    path.write_text(f"[{server.address}]:{server.port} {line}\n")
    return path


def test_facts_as_json(reachable: tuple[RealSshd, Path], tmp_path: Path) -> None:
    server, key = reachable
    known = known_hosts(server, tmp_path, server.host_key_lines["ed25519"])
    status, out, err = probe(server, key, "--known-hosts", str(known), "--json")
    document = json.loads(out)
    assert (status, err) == (0, "")
    assert list(document) == [*Facts().as_json(), "measurement"]
    assert document["os"]["id"]
    assert len(document["boot"]["boot_id"]) == 36
    assert document["measurement"]["memory_total_bytes"] > 0
    again = json.loads(probe(server, key, "--known-hosts", str(known), "--json")[1])
    assert {**again, "measurement": 0} == {**document, "measurement": 0}


def test_an_unknown_key_is_refused_and_a_new_one_taken_when_asked(reachable: tuple[RealSshd, Path]) -> None:
    server, key = reachable
    status, out, err = probe(server, key)
    assert (status, out) == (1, "")
    assert "No host key is trusted yet" in err
    assert "--accept-new-host-key" in err
    status, out, err = probe(server, key, "--accept-new-host-key")
    assert status == 0
    assert out.startswith("Host\n")
    assert err.startswith("Trusting the new host key ssh-ed25519 SHA256:")


def test_output_that_cannot_be_written_is_one_line(reachable: tuple[RealSshd, Path]) -> None:
    server, key = reachable
    argv = [
        sys.executable,
        "manage.py",
        "probe",
        f"{server.username}@{server.address}:{server.port}",
        "--accept-new-host-key",
    ]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*argv, "--identity", str(key)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[1:] == [
        "error: The host was read, but the output could not be written: No space left on device."
    ]


def test_ctrl_c_leaves_no_stack(reachable: tuple[RealSshd, Path]) -> None:
    _server, key = reachable
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"core@127.0.0.1:{silent.getsockname()[1]}"
        command = subprocess.Popen(
            [sys.executable, "manage.py", "probe", target, "--identity", str(key)],
            stderr=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in the background has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        contact, _ = silent.accept()
        command.send_signal(signal.SIGINT)
        _out, err = command.communicate(timeout=20)
        contact.close()
    assert (command.returncode, err) == (130, "\nStopped.\n")


def test_a_changed_key_is_never_taken(reachable: tuple[RealSshd, Path], home: Path) -> None:
    server, key = reachable
    other = generate_identity()[1].public_line
    (home / ".ssh").mkdir()
    known_hosts(server, home, other).rename(home / ".ssh" / "known_hosts")
    for args in ((), ("--accept-new-host-key",)):
        status, out, err = probe(server, key, *args)
        assert (status, out) == (1, "")
        assert err.count("SHA256:") == 2


def test_a_family_may_be_forced(reachable: tuple[RealSshd, Path]) -> None:
    server, key = reachable
    status, out, _ = probe(server, key, "--accept-new-host-key", "--json", "--os", "unknown")
    assert status == 0
    assert json.loads(out)["deployments"] == []


def test_a_key_that_may_not_log_in(reachable: tuple[RealSshd, Path], tmp_path: Path) -> None:
    server, _ = reachable
    stranger = tmp_path / "stranger"
    stranger.write_text(generate_identity()[0])
    status, out, err = probe(server, stranger, "--accept-new-host-key")
    assert (status, out) == (1, "")
    assert "did not accept the login" in err
