"""Who had a hand in a version that came by Git, and so does not approve it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress

from fleetui.access.models import User
from fleetui.core import clock
from fleetui.core.errors import NotAllowed
from nodes.models import GitFollow, IgnitionConfig, IgnitionVersion
from nodes.services.git import following, syncing, vouching
from nodes.services.git.vouching import Vouched
from nodes.services.ignition import review
from nodes.tests.cast import Cast
from nodes.tests.git.repositories import GOOD, Work, make_work
from nodes.tests.make import make_config, make_user, principal
from nodes.tests.pages import signed_in, text_of, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def work(tmp_path: Path, settings: Any) -> Work:
    settings.GIT_LOCAL_ROOT = str(tmp_path)
    settings.DATA_DIR = tmp_path / "data"
    return make_work(tmp_path)


@pytest.fixture
def row(work: Work, cast: Cast) -> GitFollow:
    values = {"url": str(work.bare), "path": "host.bu"}
    config = make_config("edge", cast.web)
    return following.follow(config=config, values=values, actor=principal(cast.operator), now=clock.now())


def commit(work: Work, text: str, author: str, committer: str = "", path: str = "host.bu") -> None:
    work.write(path, text)
    work.git("add", "-A")
    env = {f"GIT_AUTHOR_{part}": value for part, value in (("NAME", author), ("EMAIL", f"{author}@example.org"))}
    committer = committer or author
    env |= {"GIT_COMMITTER_NAME": committer, "GIT_COMMITTER_EMAIL": f"{committer}@example.org"}
    work.git("commit", "-q", "-m", f"change by {author}", env=env)


def looked(row: GitFollow, work: Work) -> IgnitionVersion:
    """The newest version after a push."""
    work.push()
    GitFollow.objects.filter(pk=row.pk).update(due_at=clock.now())
    for pk, lease in syncing.claim_due(clock.now()):
        syncing.sync(pk, lease)
    return IgnitionVersion.objects.get(config=row.config, number=IgnitionConfig.objects.get().last_number)


def who(version: IgnitionVersion) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in version.people:
        found.setdefault(one["role"], []).extend(mail.partition("@")[0] for mail in one["emails"])
    return {role: sorted(names) for role, names in found.items()}


def approver(cast: Cast, name: str, email: str = "") -> User:
    made = make_user(name, ("approver", cast.web))
    made.email = email
    made.save()
    return made


def test_author_and_committer_do_not_approve(work: Work, row: GitFollow, cast: Cast) -> None:
    commit(work, GOOD, "anna", "ben")
    version = looked(row, work)
    assert who(version) == {"author": ["anna"], "committer": ["ben"]}
    refused = {
        "Its commit names anna@example.org as its author": approver(cast, "one", "Anna@Example.ORG"),
        "Its commit names ben@example.org as its committer": approver(cast, "two"),
    }
    # An address that is kept beside that of the account.
    EmailAddress.objects.create(
        user=refused["Its commit names ben@example.org as its committer"], email="Ben@example.org"
    )
    for sentence, person in refused.items():
        with pytest.raises(NotAllowed, match="Nobody approves what they wrote") as error:
            review.approve(version=version, actor=principal(person), now=clock.now())
        assert sentence in str(error.value.mend)
        page = text_of(signed_in(person).get(url("ignition_version", "edge", version.number)))
        assert sentence in page
        assert "Approve version" not in page
        assert "anna &lt;anna@example.org&gt;" in page
    other = approver(cast, "three", "mira@example.org")
    assert "Approve version" in text_of(signed_in(other).get(url("ignition_version", "edge", version.number)))
    review.approve(version=version, actor=principal(other), now=clock.now())
    assert version.state == "approved"


def test_it_holds_when_the_repository_is_followed_no_more(work: Work, row: GitFollow, cast: Cast) -> None:
    commit(work, GOOD, "anna", "ben")
    version = looked(row, work)
    following.unfollow(follow=row, actor=principal(cast.operator), now=clock.now())
    version.refresh_from_db()
    assert review.own_part(version, principal(approver(cast, "ben", "ben@example.org"))) == review.OwnPart(
        "committer", "ben@example.org"
    )


def test_who_wrote_what_a_merge_brings_does_not_approve_it(work: Work, row: GitFollow, cast: Cast) -> None:
    commit(work, GOOD, "old")
    assert who(looked(row, work)) == {"author": ["old"], "committer": ["old"]}
    work.git("checkout", "-q", "-b", "feature")
    commit(work, GOOD + "# 1\n", "anna")
    commit(work, "elsewhere", "carl", path="README")
    commit(work, GOOD + "# 2\n", "dora", "anna")
    work.git("checkout", "-q", "-")
    work.git("merge", "-q", "--no-ff", "-m", "merge", "feature")
    version = looked(row, work)
    assert version.number == 2
    # The merge itself is by Anna Example, as the environment says. Carl touched nothing that the config reads.
    assert who(version) == {"author": ["anna"], "committer": ["anna"], "merged": ["anna", "dora"]}
    own = review.own_part(version, principal(approver(cast, "dora", "dora@example.org")))
    assert own == review.OwnPart("merged", "dora@example.org")
    assert review.own_part(version, principal(approver(cast, "carl", "carl@example.org"))) is None
    # The next one is about itself again.
    commit(work, GOOD + "# 3\n", "emil")
    assert who(looked(row, work)) == {"author": ["emil"], "committer": ["emil"]}


def test_who_wrote_what_was_not_taken_has_a_part_in_what_stands_on_it(
    work: Work, row: GitFollow, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(work, GOOD, "old")
    looked(row, work)
    vouch = vouching.vouch
    monkeypatch.setattr(
        syncing, "vouch", lambda *_given: Vouched(is_good=False, why_not={"kind": "signature", "reason": "unsigned"})
    )
    commit(work, GOOD + "# 1\n", "eve")
    assert looked(row, work).number == 1
    monkeypatch.setattr(syncing, "vouch", vouch)
    commit(work, GOOD + "# 1\n# 2\n", "anna")
    version = looked(row, work)
    assert who(version) == {"author": ["anna"], "committer": ["anna"], "merged": ["eve"]}


def test_who_wrote_the_first_one_that_was_not_taken_has_a_part_too(
    work: Work, row: GitFollow, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(work, GOOD + "# 1\n", "eve")
    vouch = vouching.vouch
    monkeypatch.setattr(
        syncing, "vouch", lambda *_given: Vouched(is_good=False, why_not={"kind": "signature", "reason": "unsigned"})
    )
    work.push()
    for pk, lease in syncing.claim_due(clock.now()):
        syncing.sync(pk, lease)
    monkeypatch.setattr(syncing, "vouch", vouch)
    commit(work, GOOD + "# 1\n# 2\n", "anna")
    assert who(looked(row, work)) == {"author": ["anna"], "committer": ["anna"], "merged": ["eve"]}
