"""OpenPGP signatures of real commits, made by git and gpg; and keys that are no keys."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetui.core import clock
from nodes.git import gpgv
from nodes.git.errors import GitProblem
from nodes.git.openpgp import Unreadable, keys_in, mails_in, signature_in
from nodes.git.signatures import Signature, Verdict, verify
from nodes.tests.git.openpgp_keys import LONG_AGO, Gpg, gpg_home

ANN, EVE = "Ann <ann@example.org>", "Eve <eve@example.org>"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gpg_home() as found:
        found.make(ANN)
        found.gpg("--quick-add-uid", "ann@example.org", "Ann of Work <Ann@work.example>")
        found.make(EVE)
        yield found


def asked(raw: bytes, keys: str, folder: Path) -> Signature:
    check = partial(gpgv.verify, keys=keys_in(keys), folder=folder)
    return verify(raw, "", at=clock.now(), openpgp=check)


def test_what_an_allowed_key_signed_is_good(gpg: Gpg, tmp_path: Path) -> None:
    raw = gpg.commit("ann@example.org")
    keys = f"# people\n{gpg.public('eve@example.org')}\n{gpg.public('ann@example.org')}"
    found = asked(raw, keys, tmp_path)
    assert found.verdict == Verdict.GOOD
    assert found.fingerprint == gpg.fingerprint("ann@example.org")
    assert "Ann" in found.signer
    assert sorted(found.emails) == ["ann@example.org", "ann@work.example"]


def test_what_nobody_allowed_signed_is_not(gpg: Gpg, tmp_path: Path) -> None:
    raw = gpg.commit("ann@example.org")
    found = asked(raw, gpg.public("eve@example.org"), tmp_path)
    assert (found.verdict, found.fingerprint) == (Verdict.UNKNOWN_KEY, gpg.fingerprint("ann@example.org"))
    assert asked(raw, "", tmp_path).verdict == Verdict.UNKNOWN_KEY
    assert verify(raw, "", at=clock.now()) == Signature(Verdict.UNSUPPORTED, detail="OpenPGP")


@pytest.mark.parametrize(
    ("old", "new"), [(b"change", b"chance"), (b"ann@example", b"eve@example"), (b" +0000", b" +0100")]
)
def test_a_commit_that_was_changed_is_not(gpg: Gpg, tmp_path: Path, old: bytes, new: bytes) -> None:
    raw = gpg.commit("ann@example.org")
    head, mark, signed = raw.partition(b"gpgsig")
    changed = (
        head.replace(old, new)
        + mark
        + signed.replace(b"\n\nchange", b"\n\n" + new if old == b"change" else b"\n\nchange")
    )
    assert changed != raw
    assert asked(changed, gpg.public("ann@example.org"), tmp_path).verdict == Verdict.BAD


def test_a_key_that_has_ended_is_not_taken_though_it_had_not_when_it_signed(gpg: Gpg, tmp_path: Path) -> None:
    gpg.make("Old <old@example.org>", lasts="2d", at=LONG_AGO)
    raw = gpg.commit("old@example.org", at="20240101T120000")
    keys = gpg.public("old@example.org")
    found = asked(raw, keys, tmp_path)
    assert (found.verdict, found.signer) == (Verdict.EXPIRED, "Old <old@example.org>")
    (key,) = keys_in(keys)
    assert key.expires_at is not None
    assert key.expires_at.isoformat() == "2024-01-03T00:00:00+00:00"


def test_a_key_that_was_revoked_is_not_taken(gpg: Gpg, tmp_path: Path) -> None:
    gpg.make("Lost <lost@example.org>")
    raw = gpg.commit("lost@example.org")
    before = gpg.public("lost@example.org")
    assert asked(raw, before, tmp_path).verdict == Verdict.GOOD
    gpg.revoke("lost@example.org")
    after = gpg.public("lost@example.org")
    assert asked(raw, after, tmp_path).verdict == Verdict.REVOKED
    assert [key.is_revoked for key in (*keys_in(before), *keys_in(after))] == [False, True]


def test_a_subkey_signs_for_its_key_until_it_ends(gpg: Gpg, tmp_path: Path) -> None:
    primary = gpg.make("Sub <sub@example.org>", usage="cert", at=LONG_AGO)
    gpg.gpg("--quick-add-key", primary, "rsa2048", "sign", "2d", at=LONG_AGO)
    old = gpg.commit("sub@example.org", at="20240101T120000")
    gpg.gpg("--quick-add-key", primary, "ed25519", "sign", "never")
    raw, keys = gpg.commit("sub@example.org"), gpg.public("sub@example.org")
    found = asked(raw, keys, tmp_path)
    assert (found.verdict, found.fingerprint) == (Verdict.GOOD, primary)
    assert asked(old, keys, tmp_path).verdict == Verdict.EXPIRED
    (key,) = keys_in(keys)
    assert [one.algorithm for one in key.materials] == ["ed25519", "RSA 2048", "ed25519"]


def test_weak_hashes_are_refused(gpg: Gpg, tmp_path: Path) -> None:
    made = gpg.gpg("--digest-algo", "SHA1", "-u", "ann@example.org", "-bsa", stdin=b"what was signed")
    found = gpgv.verify(b"what was signed", made.encode(), keys_in(gpg.public("ann@example.org")), folder=tmp_path)
    assert (found.verdict, found.detail) in [(Verdict.UNSUPPORTED, "OpenPGP, hash 2"), (Verdict.BAD, "")]
    text = gpg.gpg("--textmode", "-u", "ann@example.org", "-bsa", stdin=b"what was signed")
    found = gpgv.verify(b"what was signed", text.encode(), keys_in(gpg.public("ann@example.org")), folder=tmp_path)
    assert (found.verdict, found.detail) == (Verdict.UNSUPPORTED, "OpenPGP, class 01")


def test_nothing_but_one_signature_comes_to_gpgv(gpg: Gpg) -> None:
    signed = gpg.gpg("--clearsign", "-u", "ann@example.org", stdin=b"x").encode()
    whole = gpg.gpg("--armor", "--sign", "-u", "ann@example.org", stdin=b"x").encode()
    one = gpg.gpg("-bsa", "-u", "ann@example.org", stdin=b"x").encode()
    two = gpg.gpg("-bsa", "-u", "ann@example.org", "-u", "eve@example.org", stdin=b"x").encode()
    assert signature_in(one).issuers
    for bad in (signed, whole, two, one + one, b"", b"\xff", one.replace(b"SIGNATURE", b"MESSAGE"), one[:-40]):
        with pytest.raises(ValueError):
            signature_in(bad)


@pytest.mark.parametrize(
    ("reason", "line", "change"),
    [
        ("outside", 1, lambda text: "ann\n" + text),
        ("outside", 3, lambda text: "# one\n\n" + text.replace("-----BEGIN PGP PUBLIC", "-----BEGIN GPG PUBLIC")),
        ("open", 1, lambda text: text.rpartition("-----END")[0]),
        ("base64", 4, lambda text: text.replace("\n\n", "\n\nnot base64!\n", 1).replace("\n\n", "\nComment: x\n\n", 1)),
        ("damaged", 1, lambda text: text.replace(text.splitlines()[3], text.splitlines()[3][::-1])),
        ("kind", 1, lambda text: text.replace("PUBLIC KEY BLOCK", "MESSAGE")),
        ("private", 1, lambda text: text.replace("PUBLIC KEY", "PRIVATE KEY")),
    ],
)
def test_garbage_is_refused_by_its_line(gpg: Gpg, reason: str, line: int, change: object) -> None:
    with pytest.raises(Unreadable) as refused:
        keys_in(change(gpg.public("ann@example.org")))  # type: ignore[operator]
    assert (refused.value.reason, refused.value.line) == (reason, line)


def test_a_private_key_and_a_weak_one_and_one_given_twice_are_refused(gpg: Gpg) -> None:
    private = gpg.gpg("--armor", "--export-secret-keys", "ann@example.org")
    # As what it is, and as what somebody calls it.
    for text in (private, private.replace("PRIVATE", "PUBLIC")):
        with pytest.raises(Unreadable, match="private"):
            keys_in(text)
    gpg.make("Weak <weak@example.org>", kind="rsa1024")
    with pytest.raises(Unreadable, match="weak"):
        keys_in(gpg.public("weak@example.org"))
    with pytest.raises(Unreadable, match="twice"):
        keys_in(gpg.public("ann@example.org") * 2)


def test_without_gpgv_nothing_is_decided(gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = gpg.commit("ann@example.org")
    keys = gpg.public("ann@example.org")
    monkeypatch.setattr(gpgv, "program", lambda: None)
    with pytest.raises(GitProblem) as problem:
        asked(raw, keys, tmp_path)
    assert (problem.value.kind, problem.value.reason) == ("failed", "no_gpgv")


@pytest.mark.parametrize("script", ["sleep 600", "kill -9 $$", "while :; do :; done"])
def test_a_gpgv_that_does_not_come_to_an_end_is_ended(
    gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    raw, keys = gpg.commit("ann@example.org"), gpg.public("ann@example.org")
    stuck, folder = tmp_path / "gpgv", tmp_path / "folder"
    folder.mkdir()
    stuck.write_text(f"#!/bin/sh\nexec 1>&-\n{script}\n")
    stuck.chmod(0o700)
    monkeypatch.setattr(gpgv, "program", lambda: str(stuck))
    monkeypatch.setattr(gpgv, "TIME_LIMIT_S", 1.0)
    with pytest.raises(GitProblem) as problem:
        asked(raw, keys, folder)
    assert (problem.value.kind, problem.value.reason) == ("failed", "gpgv")


def test_a_gpgv_that_contradicts_itself_is_not_believed(
    gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, keys = gpg.commit("ann@example.org"), gpg.public("ann@example.org")
    ann, eve = gpg.fingerprint("ann@example.org"), gpg.fingerprint("eve@example.org")
    good, valid = f"GOODSIG {ann[-16:]} Ann", "VALIDSIG {key} 2026-01-01 1 0 4 0 22 10 00 {key}"
    said: list[tuple[list[str], Verdict]] = [
        ([good, valid.format(key=ann)], Verdict.GOOD),
        ([good], Verdict.BAD),
        ([good, valid.format(key=eve)], Verdict.BAD),
        ([good, good, valid.format(key=ann)], Verdict.BAD),
        ([f"BADSIG {ann[-16:]} Ann", valid.format(key=ann)], Verdict.BAD),
        ([f"BADSIG {ann[-16:]} Ann", good, valid.format(key=ann)], Verdict.BAD),
        ([], Verdict.BAD),
    ]
    for lines, verdict in said:
        apart = [(one.split(" ")[0], one.split(" ")[1:]) for one in lines]
        monkeypatch.setattr(gpgv, "_said", lambda *_given, apart=apart: apart)
        assert asked(raw, keys, tmp_path).verdict == verdict


@given(st.binary(max_size=400))
def test_any_bytes_are_keys_or_refused(raw: bytes) -> None:
    body = base64.encodebytes(raw).decode()
    text = f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}-----END PGP PUBLIC KEY BLOCK-----\n"
    with contextlib.suppress(Unreadable):
        keys_in(text)


def test_addresses_are_found_in_identities() -> None:
    assert mails_in('Ann "of" <Ann@Example.ORG>') == ["ann@example.org"]
    assert mails_in("ann@example.org,*@example.net") == ["ann@example.org", "*@example.net"]
