"""A commit made into a version of its config, once, however often it is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.core.errors import Conflict, FleetError, InvalidInput, StaleEdit
from fleetui.core.text import clean
from nodes.git.errors import GitProblem
from nodes.git.history import CommitInfo
from nodes.git.people import Hand
from nodes.git.reading import Found
from nodes.models import GitCommit, GitFollow, IgnitionVersion
from nodes.models.ignition import ReviewState
from nodes.services.git.status import queued
from nodes.services.git.vouching import Vouched
from nodes.services.ignition.check import checked_source
from nodes.services.ignition.embedded import checked_files, file_of
from nodes.services.ignition.review import submit
from nodes.services.ignition.versions import hash_of, save_version
from nodes.wording.git import Detail

_TRIES = 3


def store_commit(
    follow: GitFollow, commit: CommitInfo, vouched: Vouched, hands: Sequence[Hand], content: Callable[[], Found]
) -> str:
    """Keep what the commit says, and note what became of it; the outcome."""
    if not vouched.is_good:
        return _note(follow, commit, vouched, "unsigned", None, vouched.why_not)
    try:
        found = content()
        source = _source(found.source, follow.path)
        files = _files(found.files)
        version, is_new = _version(follow, commit, [*hands, *vouched.hands], source, files)
    except GitProblem as problem:
        if problem.kind == "hostile":
            raise
        return _note(follow, commit, vouched, "broken", None, problem.as_detail())
    if not version.is_valid:
        return _note(follow, commit, vouched, "broken", version, _first_error(version), version.failure)
    if version.state == ReviewState.DRAFT and is_new:
        _submit(version)
    return _note(follow, commit, vouched, "stored" if version.commit_id == commit.sha else "same", version)


def _first_error(version: IgnitionVersion) -> Detail:
    """Where the first error stands and what it is: that is what somebody looks for, at the forge too. Empty where no line
    is known."""
    errors = (one for one in version.report if one.get("kind") == "error" and one.get("line"))
    first = next(errors, None)
    if first is None:
        return {}
    return {"kind": "content", "reason": "error", "line": first["line"], "message": clean(first["message"])[:300]}


def skip_commits(follow: GitFollow, commits: Sequence[CommitInfo]) -> None:
    """Note that commits came in too many at once to become versions. What was noted of them before stays."""
    now = clock.now()
    told = [
        GitCommit(
            follow=follow,
            sha=one.sha,
            author=clean(one.author)[:200],
            message=clean(one.message)[:2000],
            committed_at=one.committed_at,
            outcome="skipped",
            detail={"kind": "skipped", "reason": "many"},
            # One after the other: the oldest are forgotten first.
            seen_at=now - timedelta(microseconds=len(commits) - at),
        )
        for at, one in enumerate(commits)
    ]
    GitCommit.objects.bulk_create(told, ignore_conflicts=True)


def _source(raw: bytes, path: str) -> str:
    try:
        return checked_source(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise GitProblem("content", "no_text", path=path) from None
    except InvalidInput:
        # What is larger is not read, so that one thing is left which no database keeps.
        raise GitProblem("content", "nul", path=path) from None


def _files(found: dict[str, tuple[bytes, bool]]) -> dict[str, dict[str, object]]:
    try:
        return checked_files({path: file_of(data, executable=runs) for path, (data, runs) in found.items()})
    except InvalidInput as error:
        # Number and size are bounded where they are read.
        raise GitProblem("content", "path", path=clean(str(error.value))) from None


def _version(
    follow: GitFollow, commit: CommitInfo, hands: Sequence[Hand], source: str, files: dict[str, dict[str, object]]
) -> tuple[IgnitionVersion, bool]:
    """The version of this content: the one that the commit was stored as before, the newest when it reads the same and
    the repository is only just followed, or a new one; and whether nobody has noted it yet."""
    content_hash = hash_of(source, files)
    versions = IgnitionVersion.objects.filter(config=follow.config).select_related("config")
    for _try in range(_TRIES):
        stored = versions.filter(commit_id=commit.sha, content_hash=content_hash).first()
        if stored is not None:
            return stored, not stored.commits.exists()
        newest = versions.order_by("-number").first()
        if not follow.seen_commit and newest is not None and newest.content_hash == content_hash:
            return newest, False
        try:
            made = save_version(
                config=follow.config,
                source=source,
                files=files,
                message=commit.message,
                author=commit.author or _("unknown"),
                people=[hand.as_json() for hand in hands],
                commit_id=commit.sha,
                source_path=follow.path,
                actor=SYSTEM,
                now=clock.now(),
            )
        except (StaleEdit, IntegrityError):
            # Another worker, or a person, was first: look again.
            continue
        return made, True
    raise FleetError(f"{follow.config} is written to by others all the time.")


def _submit(version: IgnitionVersion) -> None:
    """What was pushed is meant to be used: it waits for its review."""
    try:
        submit(version=version, actor=SYSTEM, now=clock.now())
    except Conflict:
        # Somebody moved it on already.
        version.refresh_from_db(fields=["state"])


def _note(
    follow: GitFollow,
    commit: CommitInfo,
    vouched: Vouched,
    outcome: str,
    version: IgnitionVersion | None,
    detail: Detail | None = None,
    failure: str = "",
) -> str:
    now = clock.now()
    values = {
        "version": version,
        "author": clean(commit.author)[:200],
        "message": clean(commit.message)[:2000],
        "committed_at": commit.committed_at,
        "outcome": outcome,
        "signer": clean(vouched.signer)[:200],
        "detail": detail or {},
        "reason": clean(failure).strip()[:500],
        "seen_at": now,
    }
    with transaction.atomic():
        # As the settings are now: a token may have come or gone during the look.
        held = GitFollow.objects.select_for_update().only("forge", "sealed_status_token").filter(pk=follow.pk).first()
        if held is None:
            # Nobody follows it any more: there is nobody to tell, and nothing to tell of.
            return outcome
        values |= queued(held, now)
        GitCommit.objects.update_or_create(follow=follow, sha=commit.sha, defaults=values)
    return outcome
