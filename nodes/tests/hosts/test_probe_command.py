"""Where a host is, the text of its facts, and the `probe` command up to the network."""

import io
from pathlib import Path

import pytest
from django.core.management import call_command

from nodes.hosts.facts import Facts, Measurement
from nodes.hosts.report import as_text
from nodes.hosts.ssh import generate_identity
from nodes.hosts.target import Target, parse_target
from nodes.tests.hosts.hostdoubles import answer, read


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("core@host", Target("core", "host", 22)),
        ("host.example.com", Target("core", "host.example.com", 22)),
        ("admin@192.0.2.1:2222", Target("admin", "192.0.2.1", 2222)),
        ("core@[2001:db8::1]:2222", Target("core", "2001:db8::1", 2222)),
        ("core@[2001:db8::1]", Target("core", "2001:db8::1", 22)),
        ("core@2001:db8::1", Target("core", "2001:db8::1", 22)),
        ("core@[fe80::1%eth0]:22", Target("core", "fe80::1%eth0", 22)),
        ("svc.user_1@host_2:1", Target("svc.user_1", "host_2", 1)),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target


ODD_TARGETS = (
    *("", "@host", "core@", "core@host:", "core@host:0", "core@host:65536", "core@host:ssh", "core@[::1"),
    *("core@[host]:22", "-x@host", "core@-x", "core@a b", "a;b@host", "core@[::1]22", "core@host:\u0663"),
    "core@" + "a" * 300,
)


@pytest.mark.parametrize("text", ODD_TARGETS)
def test_odd_targets_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^The .*\.$"):
        parse_target(text)


def test_the_text_of_a_host() -> None:
    reading = read(df=answer(status=124))
    text = as_text(reading.facts, reading.measurement)
    assert "Fedora CoreOS 43.20251024.3.0" in text
    assert "booted" in text
    assert "df       timeout  The command did not finish in time." in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_text_of_an_empty_host() -> None:
    assert as_text(Facts(), Measurement()).startswith("Host\n")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id"
    path.write_text(generate_identity()[0])
    return path


def refused(*args: str) -> tuple[int, str]:
    """The exit status and the one line that the command ends with."""
    stderr = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("probe", *args, stderr=stderr, stdout=io.StringIO())
    assert stderr.getvalue().count("\n") == 1
    assert isinstance(end.value.code, int)
    return end.value.code, stderr.getvalue()


def test_wrong_use_ends_with_2(key: Path, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("")
    status, text = refused("core@bad host", "--identity", str(key))
    assert (status, text.startswith("error: The host 'bad host'")) == (2, True)
    status, text = refused("core@127.0.0.1", "--identity", str(tmp_path / "absent"))
    assert (status, "absent cannot be read: No such file or directory." in text) == (2, True)
    status, text = refused("core@127.0.0.1", "--identity", str(known))
    assert (status, f"{known}: The private key is empty." in text) == (2, True)
    certificate = tmp_path / f"{key.name}-cert.pub"
    certificate.write_text("ssh-ed25519-cert-v01@openssh.com AAAA")
    status, text = refused("core@127.0.0.1", "--identity", str(key))
    assert (status, text.startswith(f"error: {key} with {certificate}: ")) == (2, True)
    certificate.unlink()
    status, text = refused("core@127.0.0.1", "--identity", str(key), "--known-hosts", str(tmp_path / "none"))
    assert (status, "The known hosts file" in text) == (2, True)


def test_a_default_key_is_looked_for_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    status, text = refused("core@127.0.0.1")
    assert (status, "Name one with --identity FILE." in text) == (2, True)


def test_a_host_that_does_not_answer_ends_with_1(key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    status, text = refused("core@127.0.0.1:1", "--identity", str(key), "--timeout", "5")
    assert (status, text.startswith("error: 127.0.0.1 refused the connection on port 1.")) == (1, True)
