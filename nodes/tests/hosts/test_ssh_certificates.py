"""Host certificates against a real sshd: what is trusted, and every way in which one is not."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import nodes.hosts.ssh as ssh
from nodes.hosts.errors import BadHostCertificate, HostKeyMismatch, HostKeyUnknown
from nodes.hosts.ssh.certificates import check_certificate
from tests.sshd import RealSshd, keygen, real_sshd, sign_host

PRIVATE, IDENTITY = ssh.generate_identity("certificates")
OTHER = ssh.HostKey.parse(ssh.generate_identity()[1].public_line)
NOW = datetime.now(UTC)


def within(seconds: float = 10) -> ssh.Deadline:
    return ssh.Deadline.after(seconds)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("authorities")
    kinds = {"ed25519": (), "ecdsa": ("-b", "384"), "rsa": ("-b", "3072")}
    for kind, options in kinds.items():
        keygen(folder / kind, kind, *options)
    keygen(folder / "short", "rsa", "-b", "1024")
    return {kind: folder / kind for kind in (*kinds, "short")}


def key_of(ca: Path) -> ssh.HostKey:
    return ssh.parse_authority(ca.with_name(f"{ca.name}.pub").read_text())


@contextlib.contextmanager
def host(ca: Path, principals: str, *options: str, kind: str = "ed25519") -> Iterator[RealSshd]:
    """An sshd whose host key of one kind is certified."""

    def certify(folder: Path) -> list[str]:
        sign_host(ca, folder / f"host_{kind}.pub", principals, *options)
        return [f"HostCertificate {folder}/host_{kind}-cert.pub"]

    with real_sshd([IDENTITY.public_line], host_key_types=(kind,), prepare=certify) as server:
        yield server


def sign_in(server: RealSshd, *trusted: ssh.HostKey, pinned: tuple[ssh.HostKey, ...] = ()) -> ssh.Connection:
    endpoint = ssh.Endpoint(server.address, server.port, server.username)
    names = (server.address, "web-1")
    return ssh.connect(
        endpoint, IDENTITY, host_key=pinned, authorities=ssh.Authorities(trusted, names), deadline=within()
    )


def refusal(server: RealSshd, *trusted: ssh.HostKey) -> BadHostCertificate:
    with pytest.raises(BadHostCertificate) as caught, sign_in(server, *trusted):
        pass
    error = caught.value
    assert error.message.endswith(".")
    assert error.what_to_do.endswith(".")
    return error


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("ca", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_of_any_usual_kind_is_trusted(authorities: dict[str, Path], ca: str, kind: str) -> None:
    with host(authorities[ca], "web-1,web-1.example.org", "-z", "77", "-V", "-1h:+52w", kind=kind) as server:
        with sign_in(server, OTHER, key_of(authorities[ca])) as connection:
            assert connection.run(["echo", "in"], deadline=within()).stdout == b"in\n"
            found = connection.certificate
        assert found is not None
        assert found.authority == key_of(authorities[ca])
        assert (found.key_id, found.serial) == (f"host host_{kind}", 77)
        assert found.principals == ("web-1", "web-1.example.org")
        assert found.key.line == server.host_key_lines[kind] == connection.host_key.line
        assert found.valid_before is not None
        assert found.valid_before > NOW + timedelta(days=360)


def test_the_address_is_a_name_too_and_case_does_not_matter(authorities: dict[str, Path]) -> None:
    for principals in ("127.0.0.1", "WEB-1"):
        with (
            host(authorities["ed25519"], principals) as server,
            sign_in(server, key_of(authorities["ed25519"])) as found,
        ):
            assert found.certificate is not None
            assert found.certificate.valid_before is None


@pytest.mark.parametrize(
    ("principals", "options", "reason", "said"),
    [
        pytest.param("web-1", ("-V", "-2h:-1h"), "expired", "has expired on", id="expired"),
        pytest.param("web-1", ("-V", "+1h:+2h"), "not_yet_valid", "only from", id="not-yet"),
        pytest.param("web-2,web-3", (), "wrong_principal", "web-2, web-3", id="another-host"),
        pytest.param("web-*", (), "wrong_principal", "web-*", id="pattern"),
        pytest.param("", (), "wrong_principal", "not for this host", id="nobody"),
        pytest.param("web-1", ("-O", "critical:colour@example.org=red"), "critical_option", "colour@", id="option"),
        pytest.param("web-1", ("-t", "ssh-rsa"), "bad_signature", "does not hold", id="sha1"),
    ],
)
def test_what_does_not_hold_is_said(
    authorities: dict[str, Path], principals: str, options: tuple[str, ...], reason: str, said: str
) -> None:
    ca = authorities["rsa" if reason == "bad_signature" else "ed25519"]
    with host(ca, principals, *options) as server:
        error = refusal(server, key_of(ca))
    assert error.params["reason"] == reason
    assert said in error.message


def test_another_authority_is_named(authorities: dict[str, Path]) -> None:
    with host(authorities["ecdsa"], "web-1") as server:
        error = refusal(server, key_of(authorities["ed25519"]), OTHER)
    assert error.reason == "unknown_ca"
    assert key_of(authorities["ecdsa"]).fingerprint in error.message


def tampered(line: str) -> str:
    """The serial of the certificate raised by one: everything reads well, and the signature is another's."""
    kind, text, *rest = line.split()
    blob = bytearray(base64.b64decode(text))
    at = 0
    for _ in range(3):  # type, nonce, key
        at += 4 + int.from_bytes(blob[at : at + 4], "big")
    blob[at + 7] ^= 1
    return " ".join([kind, base64.b64encode(blob).decode(), *rest]) + "\n"


def test_a_changed_certificate_is_not_trusted(authorities: dict[str, Path], tmp_path: Path) -> None:
    """sshd does not load one either, so it is checked alone."""
    keygen(tmp_path / "host")
    for ca in ("ed25519", "ecdsa", "rsa"):
        line = sign_host(authorities[ca], tmp_path / "host.pub", "web-1")
        trusted = [key_of(authorities[ca])]
        for text, holds in ((line, True), (tampered(line), False)):
            blob = base64.b64decode(text.split()[1])
            if holds:
                assert check_certificate(blob, "h", authorities=trusted, names=["web-1"], now=NOW).key_id == "host host"
                continue
            with pytest.raises(BadHostCertificate) as caught:
                check_certificate(blob, "h", authorities=trusted, names=["web-1"], now=NOW)
            assert caught.value.reason == "bad_signature"


def user_certificate(ca: Path, tmp_path: Path) -> bytes:
    keygen(tmp_path / "user")
    argv = ["ssh-keygen", "-q", "-s", str(ca), "-I", "nok", "-n", "web-1", str(tmp_path / "user.pub")]
    subprocess.run(argv, check=True)
    return base64.b64decode((tmp_path / "user-cert.pub").read_text().split()[1])


def test_a_certificate_of_a_user_is_none_of_a_host(authorities: dict[str, Path], tmp_path: Path) -> None:
    """sshd does not load one as its own, so it is checked alone."""
    blob = user_certificate(authorities["ed25519"], tmp_path)
    trusted = [key_of(authorities["ed25519"])]
    with pytest.raises(BadHostCertificate) as caught:
        check_certificate(blob, "10.0.0.1", authorities=trusted, names=["web-1"], now=NOW)
    assert caught.value.reason == "not_a_host_certificate"


def test_what_is_cut_or_rubbish_is_damaged(authorities: dict[str, Path], tmp_path: Path) -> None:
    blob = user_certificate(authorities["rsa"], tmp_path)
    trusted = [key_of(authorities["rsa"])]
    for size in range(0, len(blob), 7):
        with pytest.raises(BadHostCertificate) as caught:
            check_certificate(blob[:size], "h", authorities=trusted, names=["web-1"], now=NOW)
        assert caught.value.reason == "damaged"


def test_a_plain_key_is_still_unknown(authorities: dict[str, Path]) -> None:
    with real_sshd([IDENTITY.public_line]) as server:
        with pytest.raises(HostKeyUnknown) as caught, sign_in(server, key_of(authorities["ed25519"])):
            pass
        assert caught.value.seen is not None
        assert caught.value.seen.line == server.host_key_lines["ed25519"]


def test_a_pinned_key_is_the_stricter_rule(authorities: dict[str, Path]) -> None:
    trusted = key_of(authorities["ed25519"])
    with host(authorities["ed25519"], "web-1") as server:
        own = ssh.HostKey.parse(server.host_key_lines["ed25519"])
        with sign_in(server, trusted, pinned=(own,)) as connection:
            assert connection.certificate is None
        with pytest.raises(HostKeyMismatch), sign_in(server, trusted, pinned=(OTHER,)):
            pass


def test_without_authorities_the_certificate_is_not_asked_for(authorities: dict[str, Path]) -> None:
    with host(authorities["ed25519"], "web-1") as server:
        endpoint = ssh.Endpoint(server.address, server.port, server.username)
        assert ssh.scan_host_key(endpoint, deadline=within()).line == server.host_key_lines["ed25519"]


def test_what_cannot_be_an_authority(authorities: dict[str, Path], tmp_path: Path) -> None:
    keygen(tmp_path / "host")
    certificate = sign_host(authorities["ed25519"], tmp_path / "host.pub", "web-1")
    for line, said in (
        (certificate, "certificate, not"),
        (authorities["short"].with_name("short.pub").read_text(), "2048"),
        ("ssh-ed25519 AAAA", "not"),
        ("", "not a public"),
    ):
        with pytest.raises(ValueError, match=said):
            ssh.parse_authority(line)
    line = "@cert-authority * " + authorities["ed25519"].with_name("ed25519.pub").read_text()
    assert ssh.parse_authority(line) == key_of(authorities["ed25519"])


def test_clocks_decide(authorities: dict[str, Path], tmp_path: Path) -> None:
    keygen(tmp_path / "host")
    line = sign_host(authorities["ed25519"], tmp_path / "host.pub", "web-1", "-V", "20260101000000Z:20260201000000Z")
    blob = base64.b64decode(line.split()[1])

    def at(moment: datetime) -> ssh.HostCertificate:
        trusted = [key_of(authorities["ed25519"])]
        return check_certificate(blob, "h", authorities=trusted, names=["web-1"], now=moment)

    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert at(begin).valid_before == end
    for moment in (begin - timedelta(seconds=1), end):
        with pytest.raises(BadHostCertificate):
            at(moment)
