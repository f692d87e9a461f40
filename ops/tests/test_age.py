"""Backups that are encrypted to age recipients: opened by the real age, never held whole, and what does not open says why."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
import tracemalloc
from pathlib import Path

import pyrage
import pytest

from ops.backups.age import (
    BEGINS_WITH,
    Envelope,
    NotOpened,
    Pieces,
    RecipientRefused,
    checked_identity,
    checked_recipients,
)
from tests.conftest import missing

MIB = 1024 * 1024


def keys() -> tuple[str, str]:
    """A public and a secret key."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity.to_public()), str(identity)


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_what_is_closed_is_opened(size: int) -> None:
    content, (public, secret) = os.urandom(size), keys()
    pieces = (content[at : at + 70_000] for at in range(0, size, 70_000))
    closed = b"".join(Envelope([public]).closed(pieces))
    assert closed.startswith(BEGINS_WITH)
    assert b"".join(Envelope([public], secret).opened(iter([closed]))) == content


def test_the_real_age_opens_it_for_each_recipient(tmp_path: Path) -> None:
    if not shutil.which("age"):
        missing("age is not installed")
    content = os.urandom(200_000)
    lines = []
    for name in ("one", "two"):
        subprocess.run(["age-keygen", "-o", tmp_path / name], check=True, capture_output=True)
        lines.append(subprocess.check_output(["age-keygen", "-y", tmp_path / name], text=True).strip())
    key = tmp_path / "ssh"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ops@example.org", "-f", key], check=True)
    lines.append((tmp_path / "ssh.pub").read_text())
    recipients = checked_recipients(lines)
    assert recipients[2].count(" ") == 1, "without its comment"
    (tmp_path / "closed").write_bytes(b"".join(Envelope(recipients).closed(one for one in [content])))
    for name in ("one", "two", "ssh"):
        said = subprocess.check_output(["age", "--decrypt", "-i", tmp_path / name, tmp_path / "closed"])
        assert said == content, name


def test_it_opens_what_the_real_age_closed(tmp_path: Path) -> None:
    if not shutil.which("age"):
        missing("age is not installed")
    public, secret = keys()
    closed = subprocess.run(["age", "-r", public], input=b"by hand", check=True, capture_output=True).stdout
    assert b"".join(Envelope([public], secret).opened(iter([closed]))) == b"by hand"


def test_an_empty_piece_is_not_the_end() -> None:
    public, secret = keys()
    closed = Envelope([public]).closed(one for one in (b"a", b"", b"b"))
    assert b"".join(Envelope([public], secret).opened(closed)) == b"ab"


def test_without_recipients_nothing_is_closed() -> None:
    assert (b"".join(Envelope().closed(one for one in (b"as", b" it is"))), Envelope().suffix) == (b"as it is", "")


def test_memory_stays_flat() -> None:
    public, secret = keys()
    piece = bytes(MIB)

    def opened() -> int:
        closed = Envelope([public]).closed(piece for _number in range(60))
        return sum(map(len, Envelope([public], secret).opened(closed)))

    opened()
    tracemalloc.start()
    try:
        assert opened() == 60 * MIB
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


class Broke(Exception):
    pass


def test_what_the_source_raises_comes_out_and_no_thread_stays() -> None:
    def broken() -> Pieces:
        yield b"x" * 100_000
        raise Broke

    before = threading.active_count()
    with pytest.raises(Broke):
        b"".join(Envelope([keys()[0]]).closed(broken()))
    left_off = Envelope([keys()[0]]).closed(bytes(MIB) for _number in itertools.count())
    next(left_off)
    left_off.close()
    assert threading.active_count() == before


def test_what_does_not_open_says_why() -> None:
    public, secret = keys()
    closed = b"".join(Envelope([public]).closed(one for one in [bytes(200_000)]))
    changed = closed[:-70_000] + bytes([closed[-70_000] ^ 1]) + closed[-69_999:]
    for lies, identity, code in (
        (closed, "", "no_identity"),
        (closed, keys()[1], "other_identity"),
        (closed[:-1], secret, "spoilt"),
        (changed, secret, "spoilt"),
        (closed[:90], secret, "spoilt"),
        (b"", secret, "spoilt"),
        (b"PK\x03\x04" + bytes(100), secret, "spoilt"),
    ):
        with pytest.raises(NotOpened) as caught:
            b"".join(Envelope([public], identity).opened(iter([lies])))
        assert caught.value.code == code


def test_what_is_no_recipient_is_refused() -> None:
    public, secret = keys()
    assert checked_recipients([f" {public} ", public]) == [public]
    for wrong in ("age1abc", "ssh-ed25519 AAAA", public + "x", secret, "me@example.org", f"{public} x"):
        with pytest.raises(RecipientRefused):
            checked_recipients([wrong])
    assert checked_identity(f"{secret}\n", [public]) == secret
    for wrong in (public, keys()[1], "AGE-SECRET-KEY-1X", ""):
        with pytest.raises(RecipientRefused):
            checked_identity(wrong, [public])
