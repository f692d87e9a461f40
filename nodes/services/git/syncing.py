"""One look at a followed repository, from the claim to what is written of it.

Rows are the truth: a worker that dies leaves a lease that ends. What it had stored is found again by commit and content.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Case, F, Q, Value, When

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, append
from fleetui.core import clock
from nodes.git.address import parse
from nodes.git.errors import GitProblem
from nodes.git.fetch import fetch
from nodes.git.history import info_of, new_commits
from nodes.git.mirror import Mirror
from nodes.git.people import Arrivals, hands_in
from nodes.git.reading import Wanted, key_of, read
from nodes.models import GitCommit, GitFollow, GitSync
from nodes.models.git import FollowState
from nodes.services.git import access
from nodes.services.git.commits import skip_commits, store_commit
from nodes.services.git.leasing import CLAIM, Lease
from nodes.services.git.vouching import vouch

log = structlog.get_logger(__name__)
#: After failures it is tried again ever more seldom, but never more seldom than this.
LONGEST_WAIT = timedelta(hours=1)
#: Far longer than a test takes.
TRIAL_KEPT_S = 3600
KEEP_SYNCS = 20
KEEP_COMMITS = 200
#: So many commits of one look become versions, the newest; each is converted and kept for ever.
MOST_AT_ONCE = 50
#: A lease is renewed each time that so many commits were compared.
_BETWEEN_RENEWALS = 500
#: More are not under way: each may wait for its server for minutes, on a thread that operations need too.
UNDER_WAY = 4


def claim_due(now: datetime) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Take what is due and nobody works on; ids with their leases. Each is taken once, whoever asks at the same time."""
    room = UNDER_WAY - GitFollow.objects.filter(lease_until__gt=now).count()
    if room <= 0:
        return []
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    due = GitFollow.objects.filter(free, is_paused=False, due_at__lte=now).order_by("due_at")
    claimed = []
    for pk, lease_until in due.values_list("pk", "lease_until")[:room]:
        lease = uuid.uuid4()
        same = GitFollow.objects.filter(pk=pk, is_paused=False, lease_until=lease_until)
        if same.update(lease=lease, lease_until=now + CLAIM):
            if GitFollow.objects.filter(lease_until__gt=now).count() > UNDER_WAY:
                # Another worker counted the same room: this one is given back before it is begun.
                GitFollow.objects.filter(pk=pk, lease=lease).update(lease=None, lease_until=None)
                break
            claimed.append((pk, lease))
    return claimed


def forget_orphans() -> int:
    """Throw mirrors away whose rows are gone, and what tests of a connection left that were killed."""
    folder = access.mirrors()
    for left in folder.parent.glob(f"{access.TRIAL}*"):
        if time.time() - left.stat().st_mtime > TRIAL_KEPT_S:
            shutil.rmtree(left, ignore_errors=True)
    found = [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
    if not found:
        return 0
    known = {str(pk) for pk in GitFollow.objects.values_list("pk", flat=True)}
    gone = [one for one in found if one.name not in known]
    for one in gone:
        Mirror(one, access.limits()).forget()
    return len(gone)


@dataclass
class _Round:
    """What one look came to. `is_read` once the newest commit is, whatever is wrong with that."""

    follow: GitFollow
    lease: Lease
    started_at: datetime
    state: FollowState = FollowState.FAILED
    detail: dict[str, Any] = field(default_factory=dict)
    head: str = ""
    seen: str = ""
    commits: int = 0
    versions: int = 0
    received: int = 0
    is_read: bool = False


def sync(follow_id: uuid.UUID, lease: uuid.UUID) -> None:
    """Look at the repository, and store what is new. A repeated message, or one whose lease is gone, does nothing."""
    follow = GitFollow.objects.select_related("config").filter(pk=follow_id, lease=lease).first()
    if follow is None:
        return
    done = _Round(follow, Lease(follow_id, lease), clock.now(), seen=follow.seen_commit)
    if not done.lease.is_held():
        return
    try:
        with done.lease:
            _look(done)
    except GitProblem as problem:
        done.state, done.detail = FollowState(problem.kind), {"reason": problem.reason, **problem.params}
        done.received = max(done.received, problem.received)
        if done.state in (FollowState.HOSTILE, FollowState.TOO_LARGE):
            # Nothing of it is built upon: the next look begins anew.
            Mirror(access.mirror_of(follow), access.limits()).forget()
    except Exception:
        log.exception("git_sync_failed", follow=str(follow.pk))
        _finish(done)
        raise
    _finish(done)


def _look(done: _Round) -> None:
    follow, limits = done.follow, access.limits()
    try:
        address = parse(follow.url, access.allowed())
    except GitProblem as problem:
        # What the operator allowed once may not be allowed any more.
        raise GitProblem("refused", "not_allowed") from problem
    folder = access.mirror_of(follow)
    fetched = fetch(address, follow.branch, folder, access.sign_in_of(follow), limits)
    done.head, done.received = fetched.head, fetched.received
    mirror = Mirror(folder, limits)
    try:
        _take(done, mirror, _new_of(follow, mirror, fetched.head))
        _settle(done, mirror)
    finally:
        mirror.close()


def _new_of(follow: GitFollow, mirror: Mirror, head: str) -> list[str]:
    found = new_commits(mirror, follow.seen_commit, head)
    if found is not None:
        return found
    accepted = follow.accepted_commit
    if accepted and new_commits(mirror, accepted, head) is not None:
        return [head]
    raise GitProblem("rewritten", "", seen=follow.seen_commit[:10], head=head[:10], new_head=head)


def _take(done: _Round, mirror: Mirror, commits: Collection[str]) -> None:
    """Each new commit that changes what the config reads, oldest first."""
    follow, wanted = done.follow, wanted_of(done.follow)
    last = _last_key(follow, mirror, wanted)
    arrivals = Arrivals(mirror, _last_taken(follow, mirror))
    keys: list[tuple[str, Any]] = []
    changing: list[int] = []
    before = last
    for at, sha in enumerate(commits):
        if at % _BETWEEN_RENEWALS == 0 and not done.lease.is_held():
            return
        key = key_of(mirror, sha, wanted)
        keys.append((sha, key))
        if key is not None and key != before:
            changing.append(at)
            before = key
    newest = set(changing[-MOST_AT_ONCE:])
    first = min(newest) if len(changing) > MOST_AT_ONCE else 0
    skip_commits(follow, [info_of(mirror, keys[at][0]) for at in changing[:-MOST_AT_ONCE][-KEEP_COMMITS:]])
    for at, (sha, key) in enumerate(keys):
        arrivals.add(sha)
        if at < first:
            # Who had a hand in what is skipped had one in the next version too.
            if key == last:
                arrivals.taken(sha)
            done.seen = sha
            continue
        if key is not None and key != last:
            if not done.lease.is_held():
                return
            info = info_of(mirror, sha)
            vouched = vouch(follow, info)
            if not vouched.is_good and at not in newest:
                # It changes nothing itself: that nobody vouches for what it holds was said of the one that did.
                done.seen = sha
                continue
            hands = hands_in(mirror, info, arrivals.taken(sha), wanted) if vouched.is_good else []
            content = partial(read, mirror, sha, wanted)
            outcome = store_commit(follow, info, vouched, hands, content)
            done.commits += 1
            done.versions += outcome in ("stored", "broken")
            if vouched.is_good:
                # What nobody vouched for is looked at again in a commit that somebody does.
                last = key
        elif key == last:
            # Whatever came in, nothing of it is left to be reviewed.
            arrivals.taken(sha)
        done.seen = sha


def wanted_of(follow: GitFollow) -> Wanted:
    return Wanted(follow.path, follow.files_dir, follow.files_pattern)


def _last_key(follow: GitFollow, mirror: Mirror, wanted: Wanted) -> Any:
    if not follow.seen_commit:
        return None
    taken = (
        follow.commits.exclude(outcome__in=("unsigned", "skipped"))
        .order_by("-seen_at")
        .values_list("sha", flat=True)
        .first()
    )
    try:
        return key_of(mirror, taken, wanted) if taken else None
    except GitProblem as problem:
        if problem.reason != "missing":
            raise
        return None


def _last_taken(follow: GitFollow, mirror: Mirror) -> str | None:
    """The commit after which people count: the last one that was taken, or what the first one that was seen stands on,
    which is nothing for a first of all. None where nothing is known of it."""
    if not follow.seen_commit:
        return None
    taken = follow.commits.filter(outcome__in=("stored", "broken", "same")).order_by("-seen_at")
    if last := taken.values_list("sha", flat=True).first():
        return last
    first = follow.commits.order_by("seen_at").values_list("sha", flat=True).first()
    try:
        return next(iter(mirror.parents(first)), "") if first else None
    except GitProblem as problem:
        if problem.reason != "missing":
            raise
        return None


def _settle(done: _Round, mirror: Mirror) -> None:
    """The state is that of the newest commit."""
    if key_of(mirror, done.head, wanted_of(done.follow)) is None:
        read(mirror, done.head, wanted_of(done.follow))
    newest = done.follow.commits.order_by("-seen_at").first()
    done.state = FollowState.FOLLOWING
    if newest is not None and newest.outcome in ("broken", "unsigned"):
        done.state = FollowState(newest.outcome)
        done.detail = {"sha": newest.sha[:10], "why": newest.detail or newest.reason}
        if newest.detail.get("kind") in (FollowState.TOO_LARGE, FollowState.NO_FILE):
            # Nothing was converted, and what to do is another thing.
            done.state, done.detail = FollowState(newest.detail["kind"]), newest.detail
    done.is_read = True


def _finish(done: _Round) -> None:
    follow, now = done.follow, clock.now()
    is_good = done.is_read
    failures = 0 if is_good else min(follow.failures + 1, 30)
    wait = timedelta(seconds=follow.interval_s)
    if failures > 1:
        wait = max(wait, min(wait * 2 ** min(failures - 1, 10), LONGEST_WAIT))
    columns: dict[str, Any] = {
        "state": done.state,
        "detail": done.detail,
        "failures": failures,
        "last_sync_at": now,
        # A push or a person during this look made it due anew: what they wait for may have come after it.
        "due_at": Case(When(due_at=follow.due_at, then=Value(now + wait)), default=F("due_at")),
        "requested_by": Case(When(due_at=follow.due_at, then=Value("schedule")), default=F("requested_by")),
        "lease": None,
        "lease_until": None,
        "seen_commit": done.seen,
    }
    if is_good:
        columns |= {"last_good_at": now, "accepted_commit": ""}
    if done.state != follow.state:
        columns["state_since"] = now
    with transaction.atomic():
        if not GitFollow.objects.filter(pk=follow.pk, lease=done.lease.own).update(**columns):
            # Set up anew, or stopped, meanwhile: what was found is not about it any more.
            return
        GitSync.objects.create(
            follow=follow,
            trigger=follow.requested_by,
            started_at=done.started_at,
            ended_at=now,
            state=done.state,
            detail=done.detail,
            head=done.head,
            commits=done.commits,
            versions=done.versions,
            received_bytes=done.received,
        )
        _forget_old(follow)
        if done.state != follow.state:
            after = {"state": done.state.value, "reason": done.detail.get("reason", ""), "head": done.head}
            subject = f"ignition-config:{follow.config}"
            append([Entry(str(SYSTEM), "git.state", subject, before={"state": follow.state}, after=after)])


def _forget_old(follow: GitFollow) -> None:
    syncs = list(follow.syncs.order_by("-pk").values_list("pk", flat=True)[KEEP_SYNCS : KEEP_SYNCS + 100])
    if syncs:
        follow.syncs.filter(pk__in=syncs).delete()
    newest = follow.commits.order_by("-seen_at").values_list("pk", flat=True)
    if commits := list(newest[KEEP_COMMITS : KEEP_COMMITS + 300]):
        follow.commits.filter(pk__in=commits).delete()


def newest_commits(follow: GitFollow, most: int = 20) -> list[GitCommit]:
    return list(follow.commits.select_related("version").defer(*_HEAVY).order_by("-seen_at")[:most])


_HEAVY = [f"version__{name}" for name in ("source", "files", "people", "declarations", "rendered", "report", "failure")]
