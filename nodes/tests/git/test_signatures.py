"""Signatures of real commits, made by git and ssh-keygen."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodes.git.signatures import Verdict, verify

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WHO = "ann@example.org"


@dataclass
class Signer:
    folder: Path

    def run(self, *argv: str, stdin: bytes = b"") -> bytes:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.folder)}
        return subprocess.run(argv, cwd=self.folder, env=env, input=stdin, capture_output=True, check=True).stdout

    def key(self, *kind: str, name: str = "key") -> str:
        self.run("ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "", "-f", name)
        return (self.folder / f"{name}.pub").read_text().strip()

    def commit(self, *, signed: bool = True) -> bytes:
        self.run("git", "init", "-q", ".")
        settings = {"user.name": "Ann", "user.email": WHO, "gpg.format": "ssh", "user.signingkey": "key"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.run("git", *options, "commit", "-q", "--allow-empty", "-m", "change", *(["-S"] if signed else []))
        return self.run("git", "cat-file", "commit", "HEAD")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path)


@pytest.mark.parametrize(
    "kind",
    [("ed25519",), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "384"), ("ecdsa", "-b", "521"), ("rsa", "-b", "2048")],
)
def test_what_git_signs_is_good(signer: Signer, kind: tuple[str, ...]) -> None:
    key = signer.key(*kind)
    raw = signer.commit()
    found = verify(raw, f"# people\n{WHO} {key}\n", at=NOW)
    assert (found.verdict, found.signer) == (Verdict.GOOD, WHO)
    assert found.fingerprint in signer.run("ssh-keygen", "-lf", "key.pub").decode()
    assert verify(raw.replace(b"change", b"chance"), f"{WHO} {key}", at=NOW).verdict == Verdict.BAD


def test_what_is_not_signed_by_an_allowed_key(signer: Signer) -> None:
    key = signer.key("ed25519")
    other = signer.key("ed25519", name="other")
    raw = signer.commit()
    assert verify(raw, f"{WHO} {other}", at=NOW).verdict == Verdict.UNKNOWN_KEY
    assert verify(raw, "", at=NOW).verdict == Verdict.UNKNOWN_KEY
    assert verify(signer.commit(signed=False), f"{WHO} {key}", at=NOW).verdict == Verdict.UNSIGNED


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ('namespaces="git"', Verdict.GOOD),
        ('namespaces="file,g*"', Verdict.GOOD),
        ('namespaces="file"', Verdict.UNKNOWN_KEY),
        ('namespaces="*,!git"', Verdict.UNKNOWN_KEY),
        ("cert-authority", Verdict.UNKNOWN_KEY),
        ("no-such-option", Verdict.UNKNOWN_KEY),
        ('valid-after="20260601",valid-before="20260602Z"', Verdict.GOOD),
        ('valid-before="202606011200"', Verdict.EXPIRED),
        ('valid-after="20260601120001Z"', Verdict.EXPIRED),
        ('valid-after="soon"', Verdict.UNKNOWN_KEY),
        ('valid-before="20261399"', Verdict.UNKNOWN_KEY),
    ],
)
def test_options_of_a_line(signer: Signer, options: str, verdict: Verdict) -> None:
    key = signer.key("ed25519")
    assert verify(signer.commit(), f"{WHO} {options} {key}", at=NOW).verdict == verdict


def resigned(signer: Signer, raw: bytes, *options: str) -> bytes:
    """The commit with a signature that ssh-keygen makes of it with other options."""
    head, _blank, message = raw.partition(b"\n\n")
    armoured = signer.run("ssh-keygen", "-q", "-Y", "sign", "-f", "key", *options, stdin=raw).strip()
    return head + b"\ngpgsig " + armoured.replace(b"\n", b"\n ") + b"\n\n" + message


def test_a_signature_for_something_else_is_bad(signer: Signer) -> None:
    allowed = f"{WHO} {signer.key('ed25519')}"
    raw = signer.commit(signed=False)
    assert verify(resigned(signer, raw, "-n", "git"), allowed, at=NOW).verdict == Verdict.GOOD
    assert verify(resigned(signer, raw, "-n", "git", "-O", "hashalg=sha256"), allowed, at=NOW).verdict == Verdict.GOOD
    assert verify(resigned(signer, raw, "-n", "file"), allowed, at=NOW).verdict == Verdict.BAD


def test_signatures_that_were_changed_are_never_good(signer: Signer) -> None:
    allowed = f"{WHO} {signer.key('ed25519')}"
    raw = signer.commit()
    start = raw.index(b"SIGNATURE-----\n ") + len(b"SIGNATURE-----\n ")
    end = raw.index(b"\n -----END")
    for at in range(start, end, 7):
        changed = raw[:at] + (b"A" if raw[at : at + 1] != b"A" else b"B") + raw[at + 1 :]
        assert verify(changed, allowed, at=NOW).verdict != Verdict.GOOD, at
        assert verify(raw[:at] + raw[end:], allowed, at=NOW).verdict != Verdict.GOOD, at
    twice = raw.replace(b"\ngpgsig ", b"\ngpgsig-sha256 x\ngpgsig ", 1)
    assert verify(twice, allowed, at=NOW).verdict == Verdict.BAD


def test_what_is_not_checked_is_named(signer: Signer) -> None:
    allowed = f"{WHO} {signer.key('rsa', '-b', '1024')}"
    raw = signer.commit(signed=False)
    weak = verify(resigned(signer, raw, "-n", "git"), allowed, at=NOW)
    assert (weak.verdict, weak.detail) == (Verdict.UNSUPPORTED, "RSA 1024")
    pgp = raw.replace(b"\n\n", b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n\n", 1)
    found = verify(pgp, allowed, at=NOW)
    assert (found.verdict, found.detail) == (Verdict.UNSUPPORTED, "OpenPGP")
