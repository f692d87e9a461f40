"""Connections to a jump host that many contacts share, against a real sshd that counts its logins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from paramiko import Channel

import nodes.hosts.ssh as ssh
from nodes.hosts.errors import ConnectionRefused, HostError, JumpFailed
from nodes.hosts.ssh.jumps import SharedJumps
from tests.sshd import RealSshd, free_port, keygen, real_sshd

IDENTITY = ssh.generate_identity("jumps")[1]


def within(seconds: float = 90) -> ssh.Deadline:
    return ssh.Deadline.after(seconds)


@pytest.fixture(scope="module")
def target() -> Iterator[RealSshd]:
    with real_sshd([IDENTITY.public_line]) as server:
        yield server


@pytest.fixture
def jump() -> Iterator[RealSshd]:
    with real_sshd([IDENTITY.public_line], host_key_types=("ed25519",)) as server:
        yield server


def hop(server: RealSshd, name: str = "bastion") -> ssh.Hop:
    key = ssh.HostKey.parse(server.host_key_lines["ed25519"])
    return ssh.Hop(ssh.Endpoint(server.address, server.port, server.username), IDENTITY, key, name)


def look(target: RealSshd, jumps: list[ssh.Hop], shared: SharedJumps) -> bytes:
    endpoint = ssh.Endpoint(target.address, target.port, target.username)
    key = ssh.HostKey.parse(target.host_key_lines["ed25519"])
    with ssh.connect(endpoint, IDENTITY, host_key=key, deadline=within(), jumps=jumps, shared=shared) as connection:
        return connection.run(["sh", "-s"], stdin=b"head -c 300000 /dev/zero", deadline=within()).stdout


def logins(server: RealSshd) -> int:
    return server.log.read_text().count("Accepted publickey")


def test_one_login_for_many_hosts(target: RealSshd, jump: RealSshd) -> None:
    shared = SharedJumps()
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: look(target, [hop(jump)], shared), range(48)))
    shared.close()
    assert {len(one) for one in found} == {300_000}
    assert logins(jump) == 1
    assert [thread for thread in threading.enumerate() if thread.name == "ssh-transport"] == []


def test_what_is_sent_behind_a_close_does_not_end_the_jump_for_others(
    target: RealSshd, jump: RealSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, way = SharedJumps(), [hop(jump)]
    stream = shared.stream(way, ssh.Endpoint(target.address, target.port, target.username), within(), 10)
    assert isinstance(stream, Channel)

    transport = stream.get_transport()

    def closing() -> object:
        monkeypatch.undo()
        stream.close()
        return transport

    monkeypatch.setattr(stream, "get_transport", closing)
    with pytest.raises(OSError, match="It is closed"):
        stream.send(b"late")
    assert len(look(target, way, shared)) == 300_000
    shared.close()
    assert logins(jump) == 1
    assert "nonexistent" not in jump.log.read_text()


def test_chains_are_shared_too(target: RealSshd, jump: RealSshd) -> None:
    shared = SharedJumps()
    with real_sshd([IDENTITY.public_line], host_key_types=("ed25519",)) as second, ThreadPoolExecutor(8) as threads:
        way = [hop(jump), hop(second, "inner")]
        assert {len(one) for one in threads.map(lambda _: look(target, way, shared), range(16))} == {300_000}
        shared.close()
        assert (logins(jump), logins(second)) == (1, 1)


def test_reasons_of_targets_are_not_mixed_up(target: RealSshd, jump: RealSshd) -> None:
    """Refusals come back on the one connection while others open channels on it."""
    shared, way = SharedJumps(), [hop(jump)]

    def refused(port: int) -> HostError:
        with pytest.raises(HostError) as caught:
            ssh.scan_host_key(ssh.Endpoint("127.0.0.1", port), deadline=within(), jumps=way, shared=shared)
        return caught.value

    with ThreadPoolExecutor(24) as threads:
        dead = threads.map(refused, [free_port() for _ in range(24)])
        alive = threads.map(lambda _: look(target, way, shared), range(24))
        assert {type(error) for error in dead} == {ConnectionRefused}
        assert {len(one) for one in alive} == {300_000}
    shared.close()
    assert logins(jump) == 1


def test_a_connection_that_has_died_is_opened_again(target: RealSshd, jump: RealSshd) -> None:
    shared, way = SharedJumps(), [hop(jump)]
    look(target, way, shared)
    for known in shared._known.values():
        known.transports[0].close()
    assert not shared.is_alive(way)
    look(target, way, shared)
    assert shared.is_alive(way)
    shared.close()
    assert logins(jump) == 2


def test_a_jump_host_that_is_down_is_asked_once_for_all(target: RealSshd) -> None:
    shared = SharedJumps()
    endpoint = ssh.Endpoint("127.0.0.1", free_port())
    way = [ssh.Hop(endpoint, IDENTITY, ssh.HostKey.parse(target.host_key_lines["ed25519"]), "bastion")]
    caught: list[JumpFailed] = []
    for _ in range(5):
        with pytest.raises(JumpFailed) as failed:
            look(target, way, shared)
        caught.append(failed.value)
    assert {(error.hop, error.inner.kind) for error in caught} == {("bastion", "refused")}
    assert len({id(error.inner) for error in caught}) == 1
    shared.close()


def test_another_key_of_the_jump_host_is_the_jump_hosts_failure(
    target: RealSshd, jump: RealSshd, tmp_path: Path
) -> None:
    other = ssh.HostKey.parse(keygen(tmp_path / "other"))
    way = [ssh.Hop(hop(jump).endpoint, IDENTITY, other, "bastion")]
    shared = SharedJumps()
    with pytest.raises(JumpFailed) as caught:
        look(target, way, shared)
    assert (caught.value.kind, caught.value.inner.kind) == ("jump_failed", "key_mismatch")
    assert "bastion" in caught.value.message
    assert not hasattr(caught.value, "seen_key")
    shared.close()


def test_turns_bound_the_channels(target: RealSshd, jump: RealSshd) -> None:
    shared, way = SharedJumps(channels_at_once=2), [hop(jump)]
    with (
        shared.turn(way, within()),
        shared.turn(way, within()),
        pytest.raises(JumpFailed),
        shared.turn(way, within(0.1)),
    ):
        pass
    with shared.turn(way, within(0.1)):
        assert len(look(target, way, shared)) == 300_000
    shared.close()


def test_after_closing_nothing_is_opened(target: RealSshd, jump: RealSshd) -> None:
    shared = SharedJumps()
    look(target, [hop(jump)], shared)
    shared.close()
    with pytest.raises(JumpFailed):
        look(target, [hop(jump)], shared)
    assert logins(jump) == 1


def test_a_user_that_may_do_nothing_but_forward_is_enough(target: RealSshd) -> None:
    """As docs/jump-hosts.md says."""
    options = ["AllowTcpForwarding yes", f"PermitOpen *:{target.port}", "X11Forwarding no", "PermitTTY no"]
    options.append("ForceCommand /usr/sbin/nologin")
    with real_sshd([IDENTITY.public_line], options=options, host_key_types=("ed25519",)) as narrow:
        shared = SharedJumps()
        assert len(look(target, [hop(narrow)], shared)) == 300_000
        with pytest.raises(JumpFailed) as caught:
            ssh.scan_host_key(ssh.Endpoint("127.0.0.1", 1), deadline=within(), jumps=[hop(narrow)], shared=shared)
        assert caught.value.inner.kind == "forwarding_refused"
        shared.close()
