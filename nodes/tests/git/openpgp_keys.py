"""OpenPGP keys made by gpg in a home of its own, and commits that git signs with them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

#: Of a time when keys of the past were made.
LONG_AGO = "20240101T000000"


@dataclass
class Gpg:
    """A home of gpg, and a repository beside it."""

    home: Path

    def run(self, *argv: str, stdin: bytes = b"") -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GNUPGHOME": str(self.home), "LC_ALL": "C.UTF-8"}
        env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(argv, cwd=self.home, env=env, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def gpg(self, *argv: str, at: str = "", stdin: bytes = b"") -> str:
        faked = ["--faked-system-time", at] if at else []
        quiet = ["--batch", "--no-tty", "-q", "--pinentry-mode", "loopback", "--passphrase", ""]
        return self.run("gpg", *quiet, *faked, *argv, stdin=stdin)

    def make(self, who: str, kind: str = "ed25519", usage: str = "sign", lasts: str = "never", at: str = "") -> str:
        """A new key; its fingerprint."""
        self.gpg("--quick-gen-key", who, kind, usage, lasts, at=at)
        return self.fingerprint(who)

    def fingerprint(self, who: str) -> str:
        listed = self.gpg("--with-colons", "-k", who)
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def public(self, who: str) -> str:
        return self.gpg("--armor", "--export", who)

    def revoke(self, who: str) -> None:
        made = self.home / "openpgp-revocs.d" / f"{self.fingerprint(who)}.rev"
        # gpg puts a colon there, so that nobody imports it by mistake.
        self.gpg("--import", stdin=made.read_bytes().replace(b"\n:-----BEGIN", b"\n-----BEGIN"))

    def commit(self, who: str, *, at: str = "") -> bytes:
        """A commit signed by git; as it is stored."""
        self.run("git", "init", "-q", ".")
        program = self.home / "signs"
        faked = f"--faked-system-time {at}" if at else ""
        program.write_text(f'#!/bin/sh\nexec gpg --batch --pinentry-mode loopback --passphrase "" {faked} "$@"\n')
        program.chmod(0o700)
        settings = {"user.name": "Ann", "user.email": "ann@example.org", "user.signingkey": who}
        settings |= {"gpg.program": str(program)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.run("git", *options, "commit", "-q", "--allow-empty", "-S", "-m", "change")
        return self.run("git", "cat-file", "commit", "HEAD").encode()


@contextmanager
def gpg_home() -> Iterator[Gpg]:
    """Its path is short: gpg makes a socket there, whose path may not be longer than 107 characters."""
    with TemporaryDirectory(prefix="gpg-") as folder:
        found = Gpg(Path(folder))
        try:
            yield found
        finally:
            found.run("gpgconf", "--kill", "all")
