"""Contacts with the real sshd of the distribution."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import nodes.hosts.ssh as ssh
from nodes import wording
from nodes.hosts.errors import (
    AuthenticationFailed,
    ChannelRefused,
    CommandFailed,
    ConnectionLost,
    ConnectionRefused,
    ForwardingRefused,
    HostKeyMismatch,
    HostKeyUnknown,
    JumpFailed,
    OutputTooLarge,
    TimedOut,
)
from tests.sshd import RealSshd, free_port, keygen, real_sshd

pytestmark = pytest.mark.sshd


@dataclass
class Lab:
    """A running sshd and an identity that may log in to it."""

    server: RealSshd
    identity: ssh.Identity

    @property
    def endpoint(self) -> ssh.Endpoint:
        return ssh.Endpoint(self.server.address, self.server.port, self.server.username)

    def key(self, kind: str = "ed25519") -> ssh.HostKey:
        return ssh.HostKey.parse(self.server.host_key_lines[kind])

    def connect(self, seconds: float = 15) -> ssh.Connection:
        return ssh.connect(self.endpoint, self.identity, host_key=self.key(), deadline=within(seconds))

    def hop(self) -> ssh.Hop:
        return ssh.Hop(self.endpoint, self.identity, self.key())


def within(seconds: float = 15) -> ssh.Deadline:
    return ssh.Deadline.after(seconds)


def transport_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ssh-transport"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    _text, identity = ssh.generate_identity("tests")
    with real_sshd([identity.public_line]) as server:
        yield Lab(server, identity)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    assert transport_threads() == []


def test_a_command_gives_both_streams_and_its_status(lab: Lab) -> None:
    with lab.connect() as connection:
        result = connection.run(["sh", "-c", "echo out; echo err >&2; exit 3"], deadline=within())
        assert (result.exit_status, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
        assert 0 < result.duration_s < 10
        assert connection.server_version.startswith("SSH-2.0-OpenSSH")
        assert connection.host_key == lab.key()
        assert "closed" not in repr(connection)
    assert "closed" in repr(connection)
    connection.close()


def test_arguments_arrive_as_they_are(lab: Lab) -> None:
    arguments = ["a b", "$HOME", "`id`", "'", '"', "é*", "-n", "", "line\nbreak", "; exit 9"]
    with lab.connect() as connection:
        result = connection.run(["printf", "%s|", *arguments], deadline=within())
    assert result.stdout.decode() == "".join(f"{argument}|" for argument in arguments)


def test_stdin_is_fed_and_then_ends(lab: Lab) -> None:
    script = b"printf 'read: '; wc -c < /dev/null; echo done\n"
    with lab.connect() as connection:
        assert connection.run(["sh", "-s"], stdin=script, deadline=within()).stdout.endswith(b"done\n")
        # Whatever asks for input, such as sudo, finds the end at once and cannot hang.
        assert connection.run(["cat"], deadline=within()).stdout == b""


def test_much_stdin_and_much_output_at_once_do_not_block_each_other(lab: Lab) -> None:
    payload = os.urandom(6_000_000)
    with lab.connect(60) as connection:
        result = connection.run(["cat"], stdin=payload, deadline=within(60), max_bytes=8_000_000)
    assert result.stdout == payload


def test_much_output_on_the_error_stream_only(lab: Lab) -> None:
    with lab.connect() as connection:
        argv = ["sh", "-c", "head -c 3900000 /dev/zero >&2; echo end"]
        result = connection.run(argv, deadline=within(30))
    assert len(result.stderr) == 3_900_000
    assert result.stdout == b"end\n"


def test_output_beyond_the_limit_is_an_error_and_the_connection_stays_usable(lab: Lab) -> None:
    with lab.connect() as connection:
        with pytest.raises(OutputTooLarge) as caught:
            connection.run(["sh", "-c", "yes"], deadline=within(), max_bytes=100_000)
        assert caught.value.params["limit_bytes"] == 100_000
        assert connection.run(["echo", "next"], deadline=within()).stdout == b"next\n"


def test_the_deadline_ends_a_command_that_hangs(lab: Lab) -> None:
    with lab.connect() as connection:
        started = time.monotonic()
        with pytest.raises(TimedOut) as caught:
            connection.run(["sleep", "60"], deadline=within(0.6))
        assert time.monotonic() - started < 2
        assert caught.value.phase == "command"


def test_a_background_process_does_not_hold_the_result_back(lab: Lab) -> None:
    with lab.connect() as connection:
        started = time.monotonic()
        result = connection.run(["sh", "-c", "sleep 30 & echo started"], deadline=within(20))
    assert (result.exit_status, result.stdout) == (0, b"started\n")
    assert time.monotonic() - started < 10


def test_a_command_killed_by_a_signal_has_the_status_a_shell_would_give(lab: Lab) -> None:
    with lab.connect() as connection:
        assert connection.run(["sh", "-c", "kill -9 $$"], deadline=within()).exit_status == 137


def test_check_turns_a_failure_into_an_error_with_the_last_line(lab: Lab) -> None:
    with lab.connect() as connection, pytest.raises(CommandFailed) as caught:
        connection.run(["sh", "-c", "echo first >&2; echo no space left >&2; exit 7"], deadline=within(), check=True)
    assert caught.value.exit_status == 7
    assert "no space left" in str(caught.value)


@pytest.mark.parametrize(("argv", "error"), [("uptime", TypeError), ([], ValueError), (["a\0b"], ValueError)])
def test_only_argument_lists_are_commands(lab: Lab, argv: list[str], error: type[Exception]) -> None:
    with lab.connect() as connection, pytest.raises(error):
        connection.run(argv, deadline=within())


def test_no_terminal_is_asked_for(lab: Lab) -> None:
    with lab.connect() as connection:
        result = connection.run(["sh", "-c", "test -t 0 || test -t 1; echo $? ${SSH_TTY:-none}"], deadline=within())
    assert result.stdout == b"1 none\n"


def test_a_lost_connection_is_an_error_unless_it_was_expected(lab: Lab) -> None:
    # What a reboot looks like from here: the server process of this connection goes away under the command.
    argv = ["sh", "-c", "echo bye; sleep 0.3; kill -9 $PPID"]
    with lab.connect() as connection, pytest.raises(ConnectionLost):
        connection.run(argv, deadline=within())
    with lab.connect() as connection:
        result = connection.run(argv, deadline=within(), expect_disconnect=True)
        assert result.exit_status is None
        assert result.stdout == b"bye\n"
        assert not connection.is_alive
        with pytest.raises(ConnectionLost):
            connection.run(["true"], deadline=within(), expect_disconnect=True)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_pinned_type_is_asked_for_first(lab: Lab, kind: str) -> None:
    with ssh.connect(lab.endpoint, lab.identity, host_key=[lab.key(kind)], deadline=within()) as connection:
        assert connection.host_key == lab.key(kind)
    seen = ssh.scan_host_key(lab.endpoint, deadline=within(), preferred_types=[lab.key(kind).type])
    assert seen == lab.key(kind)


def test_another_key_stops_before_the_login(lab: Lab, tmp_path: Path) -> None:
    other = ssh.HostKey.parse(keygen(tmp_path / "other"))
    before = lab.server.log.read_text().count("Accepted publickey")
    with pytest.raises(HostKeyMismatch) as caught:
        ssh.connect(lab.endpoint, lab.identity, host_key=other, deadline=within())
    assert caught.value.expected == other.fingerprint
    assert caught.value.seen == lab.key().fingerprint
    assert caught.value.seen_key == lab.key()
    assert lab.server.log.read_text().count("Accepted publickey") == before


def test_no_pinned_key_shows_the_key_and_never_logs_in(lab: Lab) -> None:
    with pytest.raises(HostKeyUnknown) as caught:
        ssh.connect(lab.endpoint, lab.identity, host_key=[], deadline=within())
    assert caught.value.seen == lab.key()


def test_the_fingerprint_is_the_one_of_ssh_keygen(lab: Lab) -> None:
    path = lab.server.folder / "host_ed25519.pub"
    printed = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout
    assert lab.key().fingerprint == printed.split()[1]


def test_a_stranger_is_told_what_to_do(lab: Lab) -> None:
    _text, stranger = ssh.generate_identity()
    with pytest.raises(AuthenticationFailed) as caught:
        ssh.connect(lab.endpoint, stranger, host_key=lab.key(), deadline=within())
    assert caught.value.params["username"] == lab.server.username
    assert "authorized keys" in caught.value.what_to_do


def test_too_many_logins_refused_by_the_server() -> None:
    _text, identity = ssh.generate_identity()
    with real_sshd([], options=["MaxAuthTries 1"], host_key_types=["ed25519"]) as server:
        lab = Lab(server, identity)
        with pytest.raises(AuthenticationFailed):
            lab.connect()


def test_the_key_types_of_a_login(lab: Lab, tmp_path: Path) -> None:
    kinds = {"rsa": ["-b", "2048"], "ecdsa": ["-b", "384"], "ed25519": []}
    lines = [keygen(tmp_path / kind, kind, *options) for kind, options in kinds.items()]
    with real_sshd(lines, host_key_types=["ed25519"]) as server:
        for kind in kinds:
            identity = ssh.load_identity((tmp_path / kind).read_text())
            with Lab(server, identity).connect() as connection:
                assert connection.run(["true"], deadline=within()).exit_status == 0


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_logs_in_without_an_authorized_key(lab: Lab, tmp_path: Path, kind: str) -> None:
    keygen(tmp_path / "id", kind)
    sign(lab.server.ca_key, tmp_path / "id.pub", lab.server.username, "+1h")
    text, certificate = (tmp_path / "id").read_text(), (tmp_path / "id-cert.pub").read_text()
    identity = ssh.load_identity(text, certificate=certificate)
    assert identity.certificate_expires_at is not None
    assert identity.certificate_expires_at > time.time()
    with Lab(lab.server, identity).connect() as connection:
        assert connection.run(["true"], deadline=within()).exit_status == 0
    with pytest.raises(AuthenticationFailed):
        Lab(lab.server, ssh.load_identity(text)).connect()


def test_a_certificate_that_is_not_accepted_is_told_apart_from_a_key(lab: Lab, tmp_path: Path) -> None:
    keygen(tmp_path / "id", "ed25519")
    sign(lab.server.ca_key, tmp_path / "id.pub", "somebody-else", "+1h")
    identity = ssh.load_identity((tmp_path / "id").read_text(), certificate=(tmp_path / "id-cert.pub").read_text())
    with pytest.raises(AuthenticationFailed) as caught:
        Lab(lab.server, identity).connect()
    assert "the authority of the certificate test (TrustedUserCAKeys)" in caught.value.what_to_do
    assert wording.error_mend("authentication", caught.value.params) == caught.value.what_to_do


def sign(ca_key: Path, public: Path, principal: str, validity: str) -> None:
    argv = ["ssh-keygen", "-q", "-s", str(ca_key), "-I", "test", "-n", principal, "-V", validity, str(public)]
    subprocess.run(argv, check=True)


def test_one_identity_serves_many_threads(lab: Lab) -> None:
    def contact(number: int) -> bytes:
        with lab.connect(60) as connection:
            return connection.run(["echo", str(number)], deadline=within(60)).stdout

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(contact, range(30))) == [f"{number}\n".encode() for number in range(30)]


def test_one_connection_serves_threads_one_after_the_other(lab: Lab) -> None:
    with lab.connect() as connection, ThreadPoolExecutor(5) as pool:
        results = pool.map(lambda n: connection.run(["echo", str(n)], deadline=within()).stdout, range(15))
        assert list(results) == [f"{n}\n".encode() for n in range(15)]


def test_through_jump_hosts(lab: Lab) -> None:
    with ssh.connect(
        lab.endpoint, lab.identity, host_key=lab.key(), deadline=within(30), jumps=[lab.hop(), lab.hop()]
    ) as connection:
        payload = os.urandom(700_000)
        assert connection.run(["cat"], stdin=payload, deadline=within(30)).stdout == payload
        assert len(transport_threads()) == 3
    assert ssh.scan_host_key(lab.endpoint, deadline=within(), jumps=[lab.hop()]) == lab.key()


def test_a_jump_host_with_another_key_is_named(lab: Lab, tmp_path: Path) -> None:
    bad = ssh.Hop(lab.endpoint, lab.identity, ssh.HostKey.parse(keygen(tmp_path / "other")))
    for jumps in ([bad], [lab.hop(), bad]):
        with pytest.raises(JumpFailed) as caught:
            ssh.connect(lab.endpoint, lab.identity, host_key=lab.key(), deadline=within(), jumps=jumps)
        assert isinstance(caught.value.inner, HostKeyMismatch)
        assert caught.value.hop == f"{lab.server.address}:{lab.server.port}"


def test_a_target_that_the_jump_host_cannot_reach(lab: Lab) -> None:
    target = ssh.Endpoint("127.0.0.1", free_port(), "core")
    with pytest.raises(ConnectionRefused) as caught:
        ssh.connect(target, lab.identity, host_key=lab.key(), deadline=within(), jumps=[lab.hop()])
    assert caught.value.params["port"] == target.port


def test_a_jump_host_that_forbids_forwarding() -> None:
    _text, identity = ssh.generate_identity()
    options = ["AllowTcpForwarding no"]
    with real_sshd([identity.public_line], options=options, host_key_types=["ed25519"]) as server:
        lab = Lab(server, identity)
        with pytest.raises(JumpFailed) as caught:
            ssh.connect(lab.endpoint, identity, host_key=lab.key(), deadline=within(), jumps=[lab.hop()])
    assert isinstance(caught.value.inner, ForwardingRefused)
    assert "AllowTcpForwarding" in caught.value.what_to_do


def test_a_host_that_allows_no_sessions() -> None:
    _text, identity = ssh.generate_identity()
    with (
        real_sshd([identity.public_line], options=["MaxSessions 0"], host_key_types=["ed25519"]) as server,
        Lab(server, identity).connect() as connection,
        pytest.raises(ChannelRefused),
    ):
        connection.run(["true"], deadline=within())


def test_over_ipv6() -> None:
    _text, identity = ssh.generate_identity()
    try:
        free_port("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with real_sshd([identity.public_line], address="::1", host_key_types=["ed25519"]) as server:
        with Lab(server, identity).connect() as connection:
            assert connection.run(["true"], deadline=within()).exit_status == 0
        bracketed = ssh.Endpoint("[::1]", server.port, server.username)
        assert ssh.scan_host_key(bracketed, deadline=within()) == Lab(server, identity).key()


def test_a_forbidden_moment_reaches_no_host(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with lab.connect() as connection:
        monkeypatch.setattr(ssh, "forbid", lambda: "Inside a transaction.")
        attempts: list[Callable[[], object]] = [
            lambda: lab.connect(),
            lambda: ssh.scan_host_key(lab.endpoint, deadline=within()),
            lambda: connection.run(["true"], deadline=within()),
        ]
        for attempt in attempts:
            with pytest.raises(ssh.ContactForbidden, match="transaction"):
                attempt()
        monkeypatch.setattr(ssh, "forbid", lambda: None)
        assert connection.run(["true"], deadline=within()).exit_status == 0


def test_small_requests_do_not_wait_for_acknowledgements(lab: Lab) -> None:
    with lab.connect() as connection:
        stream = connection._transports[0].stream
        assert isinstance(stream, socket.socket)
        assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection._transports[0].local_cipher == "aes128-gcm@openssh.com"


def test_neither_agent_nor_other_keys_are_tried(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.settimeout(0.2)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        _text, stranger = ssh.generate_identity()
        with pytest.raises(AuthenticationFailed):
            ssh.connect(lab.endpoint, stranger, host_key=lab.key(), deadline=within())
        with pytest.raises(TimeoutError):
            agent.accept()


def test_quoting_is_what_shlex_does(lab: Lab) -> None:
    with lab.connect() as connection:
        result = connection.run(["sh", "-c", 'echo "$SSH_ORIGINAL_COMMAND$0"', "x y"], deadline=within())
    assert shlex.split(result.stdout.decode()) == ["x", "y"]
