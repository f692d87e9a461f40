"""A config that takes signed commits only."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleetui.core import clock
from nodes.models import GitFollow, IgnitionVersion
from nodes.services.git import following, syncing
from nodes.tests.cast import Cast
from nodes.tests.git.repositories import GOOD, Work, make_work
from nodes.tests.make import make_config, principal

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
        return state, newest.outcome, newest.reason, IgnitionVersion.objects.filter(config=config).count()

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
