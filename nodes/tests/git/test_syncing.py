"""A config that follows a real repository: what becomes of commits, and of everything that may go wrong."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import translation

from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from nodes.models import GitFollow, GitSync, IgnitionVersion
from nodes.models.git import DELIVERIES, OUTCOMES, FollowState
from nodes.services.git import following, secrets, syncing
from nodes.services.git.leasing import CLAIM, LEASE, Lease
from nodes.services.git.trying import try_follow
from nodes.services.ignition.versions import save_version
from nodes.tests.cast import Cast
from nodes.tests.git.repositories import GOOD, Work, make_work
from nodes.tests.make import make_config, principal
from nodes.wording.git import (
    DELIVERY_SENTENCES,
    DELIVERY_WORDS,
    OUTCOME_WORDS,
    STATE_WORDS,
    TRIGGER_WORDS,
    mend_of,
    sentence_of,
    why_of,
)

pytestmark = pytest.mark.django_db
NEXT = GOOD + "    - name: deploy\n"


@pytest.fixture
def work(tmp_path: Path, settings: Any) -> Work:
    settings.GIT_LOCAL_ROOT = str(tmp_path)
    settings.DATA_DIR = tmp_path / "data"
    return make_work(tmp_path)


def follow(work: Work, cast: Cast, **values: Any) -> GitFollow:
    config = make_config("edge", cast.web)
    given = {"url": str(work.bare), "path": "host.bu", **values}
    return following.follow(config=config, values=given, actor=principal(cast.operator), now=clock.now())


def look(row: GitFollow) -> GitFollow:
    """What a worker does when the row is due."""
    GitFollow.objects.filter(pk=row.pk).update(due_at=clock.now())
    for pk, lease in syncing.claim_due(clock.now()):
        syncing.sync(pk, lease)
    row.refresh_from_db()
    return row


def numbers(row: GitFollow) -> list[tuple[int, str, str]]:
    found = IgnitionVersion.objects.filter(config=row.config).order_by("number")
    return [(one.number, one.state, one.message) for one in found]


def test_every_state_has_words() -> None:
    assert set(STATE_WORDS) == set(FollowState)
    assert set(TRIGGER_WORDS) == {"schedule", "person", "push"}
    assert set(OUTCOME_WORDS) == set(OUTCOMES)
    assert set(DELIVERY_WORDS) == set(DELIVERY_SENTENCES) == set(DELIVERIES)
    assert "–" in sentence_of("unreachable", "status", {})
    assert mend_of("following", "", {}) == ""


def test_commits_become_versions_that_wait_for_review(work: Work, cast: Cast) -> None:
    work.commit("before it was followed", host_bu=GOOD)
    first = work.commit("the first", host_bu=GOOD + "# 1\n")
    work.push()
    row = look(follow(work, cast))
    assert (row.state, row.seen_commit) == ("following", first)
    assert numbers(row) == [(1, "in_review", "the first")], "the first look takes the newest commit alone"
    work.commit("touches nothing that is read", README="x")
    work.commit("second", host_bu=NEXT)
    third = work.commit("third", host_bu=NEXT + "# 3\n")
    work.push()
    row = look(row)
    assert numbers(row)[1:] == [(2, "in_review", "second"), (3, "in_review", "third")]
    version = IgnitionVersion.objects.get(number=3)
    assert (version.author, version.commit_id) == ("Anna Example <anna@example.org>", third)
    assert version.source_path == "host.bu"
    assert len(numbers(look(row))) == 3, "nothing new, no version"
    assert GitSync.objects.filter(follow=row).count() == 3
    states = AuditEvent.objects.filter(action="git.state").count()
    assert states == 1, "a look that finds the same state is no event"


def test_a_broken_commit_is_kept_and_is_never_for_machines(work: Work, cast: Cast) -> None:
    work.commit("good", host_bu=GOOD)
    work.push()
    row = look(follow(work, cast))
    work.commit("broken", host_bu=GOOD + "nonsense: {")
    work.push()
    row = look(row)
    assert row.state == "broken"
    assert numbers(row) == [(1, "in_review", "good"), (2, "draft", "broken")]
    assert not IgnitionVersion.objects.get(number=2).is_valid
    work.tree.joinpath("host.bu").write_bytes(b"\xff\xfe")
    work.commit("no text")
    work.push()
    row = look(row)
    assert row.state == "broken"
    assert "no text" in sentence_of(row.state, "", row.detail)
    with translation.override("th"):
        assert sentence_of(row.state, "", row.detail) not in ("", str(row.detail))
        assert "no text" not in sentence_of(row.state, "", row.detail)
    assert len(numbers(row)) == 2
    work.commit("mended", host_bu=NEXT)
    work.push()
    assert look(row).state == "following"


def test_files_of_the_folder_are_what_the_source_embeds(work: Work, cast: Cast) -> None:
    embeds = GOOD + "storage:\n  files:\n    - path: /etc/motd\n      contents:\n        local: motd\n"
    work.commit("with a file", host_bu=embeds, files__motd="hello")
    work.push()
    row = look(follow(work, cast, files_dir="files"))
    version = IgnitionVersion.objects.get()
    assert (version.is_valid, list(version.files)) == (True, ["motd"])
    work.commit("only the file", files__motd="another")
    work.push()
    look(row)
    assert IgnitionVersion.objects.count() == 2


def test_rewritten_history_waits_for_a_person(work: Work, cast: Cast) -> None:
    first = work.commit("first", host_bu=GOOD)
    second = work.commit("second", host_bu=NEXT)
    work.push()
    row = look(follow(work, cast))
    work.git("reset", "-q", "--hard", first)
    other = work.commit("other", host_bu=GOOD + "# other\n")
    work.push("--force")
    row = look(row)
    assert (row.state, row.seen_commit, row.detail["new_head"]) == ("rewritten", second, other)
    assert len(numbers(row)) == 1, "the last good version stays"
    with pytest.raises(Conflict):
        following.accept_history(follow=row, head=second, actor=principal(cast.operator), now=clock.now())
    with pytest.raises(NotAllowed):
        following.accept_history(follow=row, head=other, actor=principal(cast.viewer), now=clock.now())
    following.accept_history(follow=row, head=other, actor=principal(cast.operator), now=clock.now())
    row = look(row)
    assert (row.state, row.seen_commit, row.accepted_commit) == ("following", other, "")
    assert [message for _, _, message in numbers(row)] == ["second", "other"]


def test_history_that_comes_back_needs_nobody(work: Work, cast: Cast) -> None:
    first = work.commit("first", host_bu=GOOD)
    second = work.commit("second", host_bu=NEXT)
    work.push()
    row = look(follow(work, cast))
    work.git("push", "-q", "--force", "origin", f"{first}:main")
    assert look(row).state == "rewritten"
    work.git("push", "-q", "--force", "origin", f"{second}:main")
    assert look(row).state == "following"


def test_what_is_gone_is_told_and_mends_itself(work: Work, cast: Cast) -> None:
    work.commit("first", host_bu=GOOD)
    work.push()
    row = look(follow(work, cast))
    work.git("push", "-q", "origin", "HEAD:kept")
    work.git("--git-dir", str(work.bare), "update-ref", "-d", "refs/heads/main")
    assert look(row).state == "no_branch"
    work.push()
    assert look(row).state == "following"
    work.git("rm", "-q", "host.bu")
    work.commit("taken away")
    work.push()
    assert look(row).state == "no_file"
    work.commit("back", host_bu=GOOD)
    work.push()
    row = look(row)
    assert row.state == "following"
    assert len(numbers(row)) == 1, "it reads as before"
    away = work.bare.rename(work.bare.with_name("away.git"))
    row = look(row)
    assert (row.state, row.failures) == ("refused", 1)
    assert look(row).due_at is not None
    assert row.due_at is not None
    assert row.due_at > clock.now()
    away.rename(work.bare)
    assert look(row).failures == 0


def test_a_look_that_was_killed_after_it_stored_stores_nothing_twice(
    work: Work, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit("first", host_bu=GOOD)
    work.push()
    row = follow(work, cast)

    class KilledError(BaseException):
        pass

    def die(*_: Any) -> None:
        raise KilledError

    for module, name in ((syncing, "_finish"), (syncing, "_settle")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, die)
            ((pk, lease),) = syncing.claim_due(clock.now())
            with pytest.raises(KilledError):
                syncing.sync(pk, lease)
        assert syncing.claim_due(clock.now()) == [], "the lease holds"
        GitFollow.objects.filter(pk=row.pk).update(lease_until=clock.now() - timedelta(seconds=1))
    assert look(row).state == "following"
    assert numbers(row) == [(1, "in_review", "first")]


def test_a_version_that_was_stored_and_not_submitted_is_submitted_by_the_next_look(
    work: Work, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit("first", host_bu=GOOD)
    work.push()
    row = follow(work, cast)
    with monkeypatch.context() as patch:
        patch.setattr("nodes.services.git.commits._submit", lambda version: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            look(row)
    row.refresh_from_db()
    assert (row.state, numbers(row)) == ("failed", [(1, "draft", "first")])
    look(row)
    assert numbers(row) == [(1, "in_review", "first")]


def test_claims_and_messages_are_taken_once(work: Work, cast: Cast) -> None:
    work.commit("first", host_bu=GOOD)
    work.push()
    row = follow(work, cast)
    ((pk, lease),) = syncing.claim_due(clock.now())
    assert syncing.claim_due(clock.now()) == []
    syncing.sync(pk, uuid.uuid4())
    assert GitSync.objects.count() == 0, "another lease does nothing"
    following.edit_follow(
        follow=GitFollow.objects.get(pk=pk),
        changes={"interval_s": 600},
        actor=principal(cast.operator),
        now=clock.now(),
    )
    syncing.sync(pk, lease)
    assert GitSync.objects.count() == 0, "an edit takes the lease away"
    look(row)
    assert GitSync.objects.count() == 1


def test_of_many_commits_at_once_the_newest_become_versions(
    work: Work, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(syncing, "KEEP_COMMITS", 6)
    work.commit("before", host_bu=GOOD)
    work.push()
    row = look(follow(work, cast))
    for number in range(9):
        head = work.commit(f"change {number}", host_bu=GOOD + f"# {number}\n")
        if number == 3:
            work.git("commit", "-q", "--amend", "--author", "Ben <ben@example.org>", "--no-edit")
        work.commit(f"elsewhere {number}", README=str(number))
    work.push()
    row = look(row)
    assert [message for _, _, message in numbers(row)] == ["before", "change 7", "change 8"]
    assert row.state == "following"
    noted = dict(row.commits.values_list("message", "outcome"))
    assert (noted["change 8"], noted["change 6"], noted.get("change 0")) == ("stored", "skipped", None)
    assert len(noted) == 6, "what is noted is bounded too"
    assert "Too many commits" in why_of(row.commits.get(message="change 6").detail)
    assert row.commits.order_by("-seen_at")[0].sha == head
    people = [str(one.people) for one in IgnitionVersion.objects.order_by("number")]
    assert ["ben@example.org" in one for one in people] == [False, True, False], "they had a hand in the next version"
    assert GitSync.objects.filter(follow=row).order_by("-pk")[0].versions == 2
    assert len(numbers(look(row))) == 3, "what was skipped stays so"


def test_a_push_during_a_look_is_looked_at_next(work: Work, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    work.commit("first", host_bu=GOOD)
    work.push()
    row = follow(work, cast)
    settle = syncing._settle

    def pushed_meanwhile(*given: Any) -> None:
        settle(*given)
        GitFollow.objects.filter(pk=row.pk).update(due_at=clock.now(), requested_by="push")

    with monkeypatch.context() as patched:
        patched.setattr(syncing, "_settle", pushed_meanwhile)
        look(row)
    assert (row.state, row.requested_by) == ("following", "push")
    assert [pk for pk, _lease in syncing.claim_due(clock.now())] == [row.pk]


def test_what_is_larger_than_a_version_keeps_is_too_large(work: Work, cast: Cast) -> None:
    work.commit("good", host_bu=GOOD, files__motd="hello")
    work.push()
    row = look(follow(work, cast, files_dir="files"))
    work.commit("an image", files__image="x" * (5 * 1024 * 1024))
    work.push()
    row = look(row)
    assert (row.state, row.failures) == ("too_large", 0)
    assert "image" in sentence_of(row.state, str(row.detail["reason"]), row.detail)
    assert "by their hash" in mend_of(row.state, str(row.detail["reason"]), row.detail)
    (commit,) = row.commits.filter(outcome="broken")
    assert "With image the files" in why_of(commit.detail)
    assert numbers(row) == [(1, "in_review", "good")]
    work.git("rm", "-q", "files/image")
    work.commit("without it", host_bu=NEXT)
    work.push()
    assert look(row).state == "following"


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_beside_the_work_and_ends_with_it(work: Work, cast: Cast) -> None:
    row = follow(work, cast)
    ((pk, own),) = syncing.claim_due(clock.now())
    GitFollow.objects.filter(pk=pk).update(lease_until=clock.now())
    with Lease(pk, own, pause_s=0.02):
        deadline = monotonic() + 20
        while not (held := GitFollow.objects.get(pk=pk).lease_until) or held < clock.now() + LEASE / 2:
            assert monotonic() < deadline
    GitFollow.objects.filter(pk=pk).update(lease=uuid.uuid4())
    with Lease(row.pk, own, pause_s=0.02) as lease:
        assert not lease.is_held(), "it is somebody else's"


def test_few_are_under_way_at_once(work: Work, cast: Cast) -> None:
    """Each may wait for minutes on a thread that operations and ticks need too."""
    made = [following.follow(
        config=make_config(f"edge-{number}", cast.web),
        values={"url": str(work.bare), "path": "host.bu"},
        actor=principal(cast.operator),
        now=clock.now(),
    ) for number in range(syncing.UNDER_WAY + 1)]  # fmt: skip
    assert len(syncing.claim_due(clock.now())) == syncing.UNDER_WAY
    assert syncing.claim_due(clock.now()) == []
    GitFollow.objects.filter(lease__isnull=False).update(lease=None, lease_until=None, due_at=None)
    assert len(syncing.claim_due(clock.now())) == len(made) - syncing.UNDER_WAY


def test_two_that_count_the_same_room_claim_no_more_than_it(
    work: Work, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "UNDER_WAY", 1)
    for number in range(2):
        row = following.follow(
            config=make_config(f"edge-{number}", cast.web),
            values={"url": str(work.bare), "path": "host.bu"},
            actor=principal(cast.operator),
            now=clock.now(),
        )
    make, others = uuid.uuid4, []

    def another_first() -> uuid.UUID:
        monkeypatch.setattr(uuid, "uuid4", make)
        GitFollow.objects.filter(pk=row.pk).update(lease=make(), lease_until=clock.now() + CLAIM)
        others.append(row.pk)
        return make()

    monkeypatch.setattr(uuid, "uuid4", another_first)
    assert syncing.claim_due(clock.now()) == []
    assert list(GitFollow.objects.filter(lease__isnull=False).values_list("pk", flat=True)) == others


def test_the_database_keeps_one_version_of_a_commit(work: Work, cast: Cast) -> None:
    work.commit("first", host_bu=GOOD)
    work.push()
    look(follow(work, cast))
    version = IgnitionVersion.objects.get()
    version.pk, version.number = uuid.uuid4(), 2
    with pytest.raises(IntegrityError):
        version.save(force_insert=True)


def test_secrets_are_sealed_and_told_to_nobody(work: Work, cast: Cast) -> None:
    given = {"auth": "token", "secret": "s3cret-token", "status_token": "status-token"}
    row = follow(work, cast, url="https://git.example.org/team/x.git", forge="gitea", **given)
    stored = " ".join(str(value) for value in GitFollow.objects.values().get().values())
    told = " ".join(f"{one.before} {one.after}" for one in AuditEvent.objects.all())
    for secret in ("s3cret-token", "status-token"):
        assert secret not in stored + told
    assert secrets.opened(row, "status_token") == "status-token"
    with pytest.raises(InvalidInput, match="no secret"):
        following.edit_follow(
            follow=row, changes={"url": "https://evil.example.org/x"}, actor=principal(cast.operator), now=clock.now()
        )


def test_a_deploy_key_is_made_and_only_its_public_half_shown(work: Work, cast: Cast) -> None:
    row = follow(work, cast, url="git@git.example.org:team/x.git", auth="key")
    assert row.public_key.startswith("ssh-ed25519 ")
    assert "PRIVATE KEY" in secrets.opened(row, "secret")
    before = row.public_key
    following.edit_follow(follow=row, changes={"branch": "prod"}, actor=principal(cast.operator), now=clock.now())
    assert row.public_key == before
    following.edit_follow(follow=row, changes={"new_key": True}, actor=principal(cast.operator), now=clock.now())
    assert row.public_key != before


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": "/etc"}, "url"),
        ({"url": "https://a:b@git.example.org/x"}, "url"),
        ({"path": "../x"}, "path"),
        ({"branch": "a..b"}, "branch"),
        ({"interval_s": 5}, "interval_s"),
        ({"auth": "key"}, "auth"),
        ({"url": "git@git.example.org:x.git"}, "auth"),
        ({"files_pattern": "*.conf"}, "files_pattern"),
        ({"require_signed": True}, "allowed_signers"),
        ({"url": "https://git.example.org/x", "auth": "token"}, "secret"),
    ],
)
def test_what_cannot_be_followed_names_its_field(work: Work, cast: Cast, values: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        follow(work, cast, **values)
    assert refused.value.field == field
    assert refused.value.mend


def test_over_ssh_without_a_key_it_says_what_is_needed(work: Work, cast: Cast) -> None:
    with pytest.raises(InvalidInput, match="Over SSH a deploy key is needed") as refused:
        follow(work, cast, url="ssh://git@git.example.org/team/x.git", auth="none")
    assert "deploy key (key)" in refused.value.mend


@pytest.mark.parametrize(
    "url",
    [
        "https://anna:hunter2@git.example/x.git",
        "https://anna:hunter2@git.example/x.git?ref=main",
        "https://anna:hunter2@git.example/",
        "ftp://anna:hunter2@git.example/x.git",
        "https://anna:hunter2@git.example/x y.git",
    ],
)
def test_a_password_in_an_address_is_not_said_again(work: Work, cast: Cast, url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        follow(work, cast, url=url)
    assert "hunter2" not in f"{refused.value.message} {refused.value.value} {refused.value.mend}"


def test_a_config_that_follows_is_not_written_by_hand(work: Work, cast: Cast) -> None:
    row = follow(work, cast)
    actor = principal(cast.operator)
    with pytest.raises(Conflict, match="follows a Git repository"):
        save_version(config=row.config, source=GOOD, actor=actor, now=clock.now())
    following.unfollow(follow=row, actor=actor, now=clock.now())
    assert save_version(config=row.config, source=GOOD, actor=actor, now=clock.now()).number == 1


def test_mirrors_of_nobody_go_with_the_sweep(work: Work, cast: Cast) -> None:
    work.commit("first", host_bu=GOOD)
    work.push()
    row = look(follow(work, cast))
    assert syncing.forget_orphans() == 0
    following.unfollow(follow=row, actor=principal(cast.operator), now=clock.now())
    assert syncing.forget_orphans() == 1


def test_a_trial_that_was_killed_leaves_nothing_for_long(work: Work, settings: Any) -> None:
    now, old = (settings.DATA_DIR / name for name in ("trial-now", "trial-old"))
    for one in (now, old):
        one.mkdir(parents=True)
        (one / "pack").write_text("half of it")
    os.utime(old, (0, 0))
    syncing.forget_orphans()
    assert (now.exists(), old.exists()) == (True, False)


def test_a_pause_is_kept_and_another_path_is_read_anew(work: Work, cast: Cast) -> None:
    work.commit("first", host_bu=GOOD, other_bu=NEXT)
    work.push()
    row, actor = look(follow(work, cast)), principal(cast.operator)
    following.edit_follow(follow=row, changes={"is_paused": True}, actor=actor, now=clock.now())
    assert syncing.claim_due(clock.now() + timedelta(days=1)) == []
    with pytest.raises(Conflict):
        following.sync_now(follow=row, actor=actor, now=clock.now())
    following.edit_follow(follow=row, changes={"is_paused": False, "path": "other.bu"}, actor=actor, now=clock.now())
    row = look(row)
    assert [one.source for one in IgnitionVersion.objects.order_by("number")] == [GOOD, NEXT]


def test_a_trial_says_what_is_there_and_stores_nothing(work: Work, cast: Cast) -> None:
    head = work.commit("first", host_bu=GOOD)
    work.push()
    row = follow(work, cast)
    found = try_follow(follow=row, actor=principal(cast.operator))
    assert (found.head, found.source_bytes, found.branches) == (head, len(GOOD), ("main",))
    row.branch = "trunk"
    found = try_follow(follow=row, actor=principal(cast.operator))
    assert found.problem is not None
    assert (found.problem.kind, found.branches) == ("no_branch", ("main",))
    assert IgnitionVersion.objects.count() == 0
    with pytest.raises(NotAllowed):
        try_follow(follow=row, actor=principal(cast.viewer))


def test_seals_are_made_anew_with_the_newest_key(work: Work, cast: Cast, settings: Any) -> None:
    row = follow(work, cast, url="https://git.example.org/x.git", auth="token", secret="s3cret")
    settings.ENCRYPTION_KEYS = ["ab" * 32, *settings.ENCRYPTION_KEYS]
    assert secrets.rotate_seals() == 1
    assert secrets.rotate_seals() == 0
    row.refresh_from_db()
    assert secrets.opened(row, "secret") == "s3cret"
