"""Tells the forge what became of a commit: at least once, with pauses that grow, until it is given up.

What is to be told stands in the row of the commit, written with it. It is leased before it is sent; a worker that dies in
between lets the lease end, and it goes out again. A forge that is told twice says the same.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import structlog
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.errors import SealBroken
from fleetui.core.posting import NotSent, post
from fleetui.core.text import clean
from fleetui.notify.sender import our_address
from nodes.git import forges
from nodes.git.address import parse
from nodes.git.errors import GitProblem
from nodes.models import GitCommit, GitFollow
from nodes.services.git.access import allowed
from nodes.services.git.secrets import opened
from nodes.wording.git import sentence_of, why_of

LEASE: Final = timedelta(seconds=90)
LONGEST_RUN_S: Final = 20.0
#: More are not sent at once: forges that do not answer leave the other workers to operations.
UNDER_WAY: Final = 2
FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 3600.0
#: With these pauses about three hours.
MOST_ATTEMPTS: Final = 10
MOST_SAID: Final = 300
#: A shorter piece of a token helps nobody, and is in many a word.
_LEAST_PIECE: Final = 4
log = structlog.get_logger(__name__)


def queued(follow: GitFollow, now: datetime) -> dict[str, Any]:
    """The columns of a commit that is to be told of, or of one that is not because there is no token."""
    state = "waiting" if follow.sealed_status_token and follow.forge != "none" else "none"
    return {**_anew(now), "status": state, "status_due_at": now if state == "waiting" else None}


def ask_again(follow: GitFollow, now: datetime, *, is_elsewhere: bool) -> None:
    """Settings changed: with a token what waits or was given up is due at once, and the newest commit is told in any case.
    Without one nothing waits, and what was found in another repository is not told in this one."""
    rows = GitCommit.objects.filter(follow=follow)
    if is_elsewhere or not follow.sealed_status_token or follow.forge == "none":
        rows.filter(status="waiting").update(**_anew(now), status="none", status_due_at=None)
        return
    newest = rows.order_by("-seen_at").values_list("pk", flat=True).first()
    rows.filter(Q(status__in=("waiting", "dead")) | Q(pk=newest)).update(
        **_anew(now), status="waiting", status_due_at=now
    )


def _anew(now: datetime) -> dict[str, Any]:
    free = {"status_lease": None, "status_lease_until": None}
    return {**free, "status_attempts": 0, "status_said": "", "status_at": now}


def is_due(now: datetime) -> bool:
    """Whether there is one to send, and a place for it."""
    return _under_way(now) < UNDER_WAY and _due(now).exists()


def _under_way(now: datetime) -> int:
    return GitCommit.objects.filter(status="waiting", status_lease_until__gt=now).count()


def _due(now: datetime) -> QuerySet[GitCommit]:
    free = Q(status_lease_until=None) | Q(status_lease_until__lte=now)
    return GitCommit.objects.filter(free, status="waiting", status_due_at__lte=now)


def send_due(*, stop: Callable[[], bool] = lambda: False) -> int:
    """Send what is due, for some seconds at most; returns how many were taken. A slow forge takes one place of each round."""
    until_s, sent, is_busy = monotonic() + LONGEST_RUN_S, 0, True
    while is_busy and monotonic() < until_s and not stop():
        is_busy = False
        now = clock.now()
        at_work = GitCommit.objects.filter(status="waiting", status_lease_until__gt=now).values("follow")
        follows = _due(now).exclude(follow__in=at_work).order_by().values_list("follow", flat=True).distinct()
        for follow_id in list(follows[:100]):
            row = _claim(follow_id)
            if row is not None:
                is_busy = True
                sent += _send(row)
            if monotonic() >= until_s or stop():
                break
    return sent


def _claim(follow_id: uuid.UUID) -> GitCommit | None:
    now, lease = clock.now(), uuid.uuid4()
    pk = _due(now).filter(follow=follow_id).order_by("status_due_at", "pk").values_list("pk", flat=True).first()
    if pk is None or not _due(now).filter(pk=pk).update(status_lease=lease, status_lease_until=now + LEASE):
        return None
    rows = GitCommit.objects.filter(pk=pk, status_lease=lease)
    if _under_way(now) > UNDER_WAY:
        rows.update(status_lease=None, status_lease_until=None)
        return None
    return rows.select_related("follow__config", "version").first()


def _send(row: GitCommit) -> int:
    follow = row.follow
    mine = GitCommit.objects.filter(pk=row.pk, status_lease=row.status_lease, status="waiting")
    token = ""
    try:
        token = opened(follow, "status_token")
        if not token or follow.forge == "none":
            mine.update(**_anew(clock.now()), status="none", status_due_at=None)
            return 0
        _tell(row, token)
    except (NotSent, SealBroken, GitProblem) as error:
        why = sentence_of(error.kind, error.reason, error.params) if isinstance(error, GitProblem) else str(error)
        _failed(row, mine, masked(clean(why), token)[:MOST_SAID])
        return 0
    done = {**_anew(clock.now()), "status_attempts": row.status_attempts + 1}
    return mine.update(**done, status="sent", status_due_at=None)


def _tell(row: GitCommit, token: str) -> None:
    follow = row.follow
    if not forges.is_sendable(token):
        raise GitProblem("status", "token")
    status = status_of(row)
    try:
        address = parse(follow.url, allowed())
    except GitProblem as problem:
        raise GitProblem("refused", "not_allowed") from problem
    found = forges.call(follow.forge, address, token, status)
    try:
        post(found.url, found.body, found.headers)
    except NotSent as error:
        if not forges.stands_already(follow.forge, status.verdict, str(error)):
            raise


def _failed(row: GitCommit, mine: QuerySet[GitCommit], why: str) -> None:
    now, attempts = clock.now(), row.status_attempts + 1
    log.warning("commit_status_not_sent", config=str(row.follow.config), sha=row.sha, attempts=attempts, error=why)
    columns = {**_anew(now), "status_attempts": attempts, "status_said": why}
    if attempts >= MOST_ATTEMPTS:
        mine.update(**columns, status="dead", status_due_at=None)
        return
    pause_s = min(FIRST_PAUSE_S * 2 ** (attempts - 1), LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)  # noqa: S311
    mine.update(**columns, status_due_at=now + timedelta(seconds=pause_s))


def status_of(row: GitCommit) -> forges.Status:
    """What is told of a commit."""
    config, version, our = row.follow.config, row.version, our_address()
    is_good = row.outcome in ("stored", "same")
    if is_good and version is not None:
        advice = sum(one.get("kind") == "advice" for one in version.report)
        values = {"n": version.number, "warnings": version.warnings, "advice": advice}
        said = _("Converts, as version %(n)s. Warnings: %(warnings)s, advice: %(advice)s.") % values
    elif is_good:
        said = _("Converts.")
    elif row.outcome == "broken":
        said = _("Does not convert: %(why)s") % {"why": " ".join(why_of(row.detail or row.reason).split())}
    else:
        said = _("Refused: %(why)s") % {"why": why_of(row.detail or row.reason)}
    page = reverse("nodes:ignition_git", args=[config.name])
    if version is not None:
        page = reverse("nodes:ignition_version", args=[config.name, version.number])
    return forges.Status(
        sha=row.sha,
        verdict="success" if is_good else "failure",
        name=f"fleetui/{config.name}",
        description=said,
        target_url=f"{our}{page}" if our else "",
    )


def masked(text: str, token: str) -> str:
    """What a forge answered, without the token that it may have said again: whole, as JSON or a URL writes it, or cut off."""
    if not token:
        return text
    in_json = json.dumps(token)[1:-1]
    written = {token, in_json, in_json.replace("/", "\\/"), quote(token), quote(token, safe="")}
    for one in sorted(written, key=len, reverse=True):
        text = text.replace(one, "***")
    for one in written:
        for length in range(len(one) - 1, _LEAST_PIECE - 1, -1):
            if text.endswith(one[:length]):
                return text[:-length] + "***"
    return text
