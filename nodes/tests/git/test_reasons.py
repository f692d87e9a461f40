"""Why a commit was not taken, as its author looks for it: where the first error is, and what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from fleetui.core import clock
from nodes.git.signatures import Verdict, verify
from nodes.models import GitFollow
from nodes.services.git import following, syncing
from nodes.services.git.status import status_of
from nodes.tests.cast import Cast
from nodes.tests.git.repositories import GOOD, Work, make_work
from nodes.tests.make import make_config, principal
from nodes.wording.git import mend_of, sentence_of, why_of

RELATIVE = f"{GOOD}storage:\n  files:\n    - path: etc/motd\n    - path: etc/issue\n"


@pytest.mark.django_db
def test_a_commit_with_errors_names_the_first_with_its_line(tmp_path: Path, settings: Any, cast: Cast) -> None:
    settings.GIT_LOCAL_ROOT, settings.DATA_DIR = str(tmp_path), tmp_path / "data"
    work: Work = make_work(tmp_path)
    sha = work.commit("relative", host_bu=RELATIVE)
    work.push()
    values = {"url": str(work.bare), "path": "host.bu"}
    row = following.follow(
        config=make_config("edge", cast.web), values=values, actor=principal(cast.operator), now=clock.now()
    )
    for pk, lease in syncing.claim_due(clock.now()):
        syncing.sync(pk, lease)
    row = GitFollow.objects.get(pk=row.pk)
    (commit,) = row.commits.all()
    assert why_of(commit.detail) == "line 8: path not absolute"
    said = sentence_of(row.state, str(row.detail.get("reason", "")), row.detail)
    assert said == f"Commit {sha[:10]} does not convert: line 8: path not absolute"
    assert status_of(commit).description == "Does not convert: line 8: path not absolute"


@pytest.mark.parametrize(
    ("reason", "is_set"),
    [
        ("received", True),
        ("inflated", True),
        ("object", False),
        ("objects", False),
        ("refs", False),
        ("commits", False),
    ],
)
def test_the_setting_is_named_only_where_it_helps(reason: str, is_set: bool) -> None:
    assert ("FLEETUI_GIT_MAX_MIB" in mend_of("too_large", reason, {})) is is_set


def test_what_is_no_signature_at_all_is_not_called_x509() -> None:
    raw = b"tree 0\nauthor a <a@x> 1 +0000\ncommitter a <a@x> 1 +0000\ngpgsig %s\n\nmessage\n"
    assert verify(raw % b"nonsense", "", at=timezone.now()).verdict == Verdict.BAD
    x509 = verify(raw % b"-----BEGIN SIGNED MESSAGE-----", "", at=timezone.now())
    assert (x509.verdict, x509.detail) == (Verdict.UNSUPPORTED, "X.509")
