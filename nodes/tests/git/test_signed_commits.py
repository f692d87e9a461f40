"""A config that takes signed commits only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetui.core import clock
from fleetui.core.errors import InvalidInput, NotAllowed
from nodes.git import gpgv
from nodes.models import GitFollow, IgnitionVersion
from nodes.services.git import following, syncing
from nodes.services.git.signers import trusted_of
from nodes.services.ignition import review
from nodes.tests.cast import Cast
from nodes.tests.git.openpgp_keys import Gpg, gpg_home
from nodes.tests.git.repositories import GOOD, Work, make_work
from nodes.tests.make import make_config, make_user, principal
from nodes.tests.pages import signed_in, text_of, url
from nodes.wording.git import why_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def work(tmp_path: Path, settings: Any) -> Work:
    settings.GIT_LOCAL_ROOT = str(tmp_path)
    settings.DATA_DIR = tmp_path / "data"
    return make_work(tmp_path)


def key_of(folder: Path, name: str) -> str:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
    subprocess.run(argv, check=True)
    return (folder / f"{name}.pub").read_text().strip()


def look(row: GitFollow) -> GitFollow:
    GitFollow.objects.filter(pk=row.pk).update(due_at=clock.now())
    for pk, lease in syncing.claim_due(clock.now()):
        syncing.sync(pk, lease)
    row.refresh_from_db()
    return row


def sign(work: Work, key: Path) -> None:
    for name, value in {"gpg.format": "ssh", "user.signingkey": str(key), "commit.gpgsign": "true"}.items():
        work.git("config", name, value)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gpg_home() as found:
        found.make("Anna <anna@example.org>")
        found.gpg("--quick-add-uid", "anna@example.org", "Anna <anna@private.example>")
        found.make("Eve <eve@example.org>")
        yield found


def sign_by_openpgp(work: Work, gpg: Gpg, who: str) -> None:
    program = gpg.home / "signs-there"
    program.write_text(
        f'#!/bin/sh\nexec gpg --homedir {gpg.home} --batch --pinentry-mode loopback --passphrase "" "$@"\n'
    )
    program.chmod(0o700)
    for name, value in {
        "gpg.format": "openpgp",
        "gpg.program": str(program),
        "user.signingkey": who,
        "commit.gpgsign": "true",
    }.items():
        work.git("config", name, value)


def test_only_commits_of_allowed_signers_become_versions(work: Work, cast: Cast, tmp_path: Path) -> None:
    allowed = key_of(tmp_path, "anna")
    key_of(tmp_path, "eve")
    values = {
        "url": str(work.bare),
        "path": "host.bu",
        "require_signed": True,
        "allowed_signers": f"anna@example.org {allowed}\n",
    }
    config = make_config("edge", cast.web)
    row = following.follow(config=config, values=values, actor=principal(cast.operator), now=clock.now())

    def pushed(text: str) -> tuple[str, str, str, int]:
        work.commit("change", host_bu=text)
        work.push()
        state = look(row).state
        newest = row.commits.order_by("-seen_at", "-pk").first()
        assert newest is not None
        return state, newest.outcome, why_of(newest.detail or ""), IgnitionVersion.objects.filter(config=config).count()

    state, outcome, detail, versions = pushed(GOOD)
    assert (state, outcome, versions) == ("unsigned", "unsigned", 0)
    assert detail == "The commit is not signed."
    sign(work, tmp_path / "eve")
    state, outcome, detail, versions = pushed(GOOD + "# 1\n")
    assert (state, outcome, versions) == ("unsigned", "unsigned", 0)
    assert "SHA256:" in detail
    sign(work, tmp_path / "anna")
    state, outcome, detail, versions = pushed(GOOD + "# 2\n")
    assert (state, outcome, detail, versions) == ("following", "stored", "", 1)
    assert list(row.commits.filter(outcome="stored").values_list("signer", flat=True)) == ["anna@example.org"]


def test_only_commits_of_allowed_openpgp_keys_become_versions(
    work: Work, cast: Cast, gpg: Gpg, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    values = {
        "url": str(work.bare),
        "path": "host.bu",
        "require_signed": True,
        "allowed_keys": gpg.public("anna@example.org"),
    }
    row = following.follow(
        config=make_config("edge", cast.web), values=values, actor=principal(cast.operator), now=clock.now()
    )
    sign_by_openpgp(work, gpg, "eve@example.org")
    work.commit("change", host_bu=GOOD)
    work.push()
    assert look(row).state == "unsigned"
    assert gpg.fingerprint("eve@example.org") in why_of(row.commits.get().detail)

    sign_by_openpgp(work, gpg, "anna@example.org")
    work.commit("change", host_bu=GOOD + "# 1\n")
    work.push()
    monkeypatch.setattr(gpgv, "program", lambda: None)
    assert look(row).state == "failed"
    # Nothing of it was looked at for good: it is when gpgv is there.
    assert row.commits.count() == 1
    monkeypatch.undo()
    assert look(row).state == "following"
    stored = row.commits.get(outcome="stored")
    assert stored.signer.startswith("Anna <anna@")
    assert [one.name for one in settings.DATA_DIR.iterdir()] == ["git"]
    # Who signed it has a part in it, by every address of the key.
    version = stored.version
    assert version is not None
    (signer,) = [one for one in version.people if one["role"] == "signer"]
    assert sorted(signer["emails"]) == ["anna@example.org", "anna@private.example"]
    private = make_user("private", ("approver", cast.web))
    private.email = "Anna@Private.example"
    private.save()
    with pytest.raises(NotAllowed) as refused:
        review.approve(version=version, actor=principal(private), now=clock.now())
    assert "The key of anna@private.example signed its commit" in str(refused.value.mend)


KEYS = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnot base64!\n-----END PGP PUBLIC KEY BLOCK-----\n"
PUB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMb0qkV2fnEIyBCZ1lX6hHW9ZC8DMd5BHf2bqPcWcJ0V"


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("allowed_signers", f"# people\nanna@example.org {PUB}\nanna", "Line 3 of the allowed signers is not a person"),
        ("allowed_signers", "anna ssh-dss AAAA", "a key of the kind ssh-dss"),
        ("allowed_signers", "anna sk-ssh-ed25519@openssh.com AAAA", "kind sk-ssh-ed25519@openssh.com"),
        ("allowed_signers", "anna ssh-ed25519 AAAA", "The key in line 1 of the allowed signers is damaged"),
        ("allowed_signers", f'anna namespaces="file" {PUB}', "is not for Git: its namespaces are file"),
        ("allowed_signers", f"anna cert-authority {PUB}", "has the option cert-authority"),
        ("allowed_signers", f'anna valid-before="20271341Z" {PUB}', "has the date 20271341Z"),
        ("allowed_keys", "anna\n", "Line 1 of the OpenPGP keys belongs to no key: anna"),
        ("allowed_keys", KEYS, "Line 3 of the OpenPGP keys is damaged"),
        ("allowed_keys", KEYS.partition("-----END")[0].replace("not base64!", "AAAA"), "has no end"),
        ("allowed_keys", KEYS.replace("not base64!", "AAAA"), "The block that begins in line 1"),
        ("allowed_keys", KEYS.replace("PUBLIC", "PRIVATE").replace("not base64!", "AAAA"), "is a private key"),
    ],
)
def test_what_does_not_parse_is_refused_by_its_line(cast: Cast, field: str, text: str, sentence: str) -> None:
    values = {"url": "https://git.example.org/x.git", "path": "host.bu", field: text}
    with pytest.raises(InvalidInput) as refused:
        following.follow(
            config=make_config("edge", cast.web), values=values, actor=principal(cast.operator), now=clock.now()
        )
    assert refused.value.field == field
    assert sentence in refused.value.message
    assert refused.value.mend


def test_keys_are_refused_where_nothing_verifies_them(cast: Cast, gpg: Gpg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpgv, "program", lambda: None)
    values = {"url": "https://git.example.org/x.git", "path": "host.bu", "allowed_keys": gpg.public("anna@example.org")}
    with pytest.raises(InvalidInput, match="gpgv is not installed"):
        following.follow(
            config=make_config("edge", cast.web), values=values, actor=principal(cast.operator), now=clock.now()
        )


def test_the_page_lists_who_may_sign(cast: Cast, gpg: Gpg) -> None:
    given = {
        "url": "https://git.example.org/x.git",
        "path": "host.bu",
        "branch": "main",
        "interval_s": 300,
        "auth": "none",
        "forge": "none",
        "allowed_signers": f'mira@example.org valid-before="20240101Z" {PUB}\nben@example.org {PUB}\n',
        "allowed_keys": gpg.public("anna@example.org"),
    }
    make_config("edge", cast.web)
    browser = signed_in(cast.operator)
    answer = browser.post(url("ignition_git_edit", "edge"), {**given, "require_signed": "on"})
    assert answer.status_code == 302, text_of(answer)
    page = text_of(browser.get(url("ignition_git", "edge")))
    for shown in ("mira@example.org", "ben@example.org", gpg.fingerprint("anna@example.org"), "expired", "SHA256:"):
        assert shown in page
    answer = browser.post(url("ignition_git_edit", "edge"), {**given, "allowed_signers": "anna\n"})
    assert answer.status_code == 422
    assert "Line 1 of the allowed signers" in text_of(answer)


def test_a_new_copy_of_a_key_is_stored_though_it_is_the_same_key(cast: Cast, gpg: Gpg) -> None:
    fingerprint = gpg.make("Lost <lost@example.org>")
    values = {"url": "https://git.example.org/x.git", "path": "host.bu", "allowed_keys": gpg.public("lost@example.org")}
    row = following.follow(
        config=make_config("edge", cast.web), values=values, actor=principal(cast.operator), now=clock.now()
    )
    assert [(one.fingerprint, one.state) for one in trusted_of(row, clock.now())] == [(fingerprint, "")]
    gpg.revoke("lost@example.org")
    changes = {"allowed_keys": gpg.public("lost@example.org")}
    following.edit_follow(follow=row, changes=changes, actor=principal(cast.operator), now=clock.now())
    row.refresh_from_db()
    assert [(one.fingerprint, one.state) for one in trusted_of(row, clock.now())] == [(fingerprint, "revoked")]
