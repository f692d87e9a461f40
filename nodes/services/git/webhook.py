"""The webhook of a followed repository: a push is looked at at once. What comes in is a nudge: nothing of it is believed but
that there was a push, and that only from somebody who knows the secret."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import structlog
from django.db import transaction
from django.urls import reverse

from fleetui.access.principals import Principal
from fleetui.audit.log import Entry, append
from fleetui.core.errors import SealBroken
from fleetui.core.text import clean
from nodes.git import hooks
from nodes.models import GitDelivery, GitFollow
from nodes.services import changes as rows
from nodes.services.git.following import subject_of
from nodes.services.git.secrets import keep, opened
from nodes.services.ignition.rights import require

#: GitHub lists up to 2,048 commits in a push, the others far fewer.
MOST_BYTES: Final = 5 * 1024 * 1024
KEEP_DELIVERIES: Final = 10
log = structlog.get_logger(__name__)


def webhook_path(hook_id: uuid.UUID | None) -> str:
    """Where forges tell of a push, below our address; empty where there is no webhook."""
    return reverse("nodes:git_webhook", args=[hook_id]) if hook_id else ""


def make_webhook(*, follow: GitFollow, actor: Principal) -> str:
    """The secret, which is shown this once. Where there was one the address stays, and the old secret is worth nothing."""
    require(actor, "ignition.edit", follow.config)
    action = "git.webhook_rotate" if follow.sealed_webhook_secret else "git.webhook_make"
    plain = hooks.new_secret()
    keep(follow, "webhook_secret", plain)
    follow.hook_id = follow.hook_id or uuid.uuid4()
    _store(follow, actor, action, had=action == "git.webhook_rotate")
    return plain


def remove_webhook(*, follow: GitFollow, actor: Principal) -> None:
    """Take no webhook any more. The record of what came goes too; another one gets another address."""
    require(actor, "ignition.edit", follow.config)
    if not follow.sealed_webhook_secret:
        return
    keep(follow, "webhook_secret", "")
    follow.hook_id = None
    _store(follow, actor, "git.webhook_remove", had=True)


def _store(follow: GitFollow, actor: Principal, action: str, *, had: bool) -> None:
    columns: dict[str, Any] = {"sealed_webhook_secret": follow.sealed_webhook_secret, "hook_id": follow.hook_id}
    with transaction.atomic():
        same = GitFollow.objects.filter(pk=follow.pk, revision=follow.revision)
        if not same.update(**columns, revision=follow.revision + 1):
            raise rows.stale("git", str(follow.config))
        if follow.hook_id is None:
            follow.deliveries.all().delete()
        before, after = {"has_webhook_secret": had}, {"has_webhook_secret": bool(follow.sealed_webhook_secret)}
        append([Entry(str(actor), action, subject_of(follow), before=before, after=after)])
    follow.revision += 1


def receive(
    *, hook_id: str, headers: Mapping[str, str], body: bytes | None, is_private: bool, address: str, now: datetime
) -> str:
    """What was made of it, which is noted too: one of DELIVERIES, or nothing where there is no such webhook.

    `body` is None where it was too large to be read.
    """
    try:
        known = GitFollow.objects.filter(hook_id=uuid.UUID(hook_id)).exclude(sealed_webhook_secret="")
    except ValueError:
        return ""
    follow = known.first()
    if follow is None:
        return ""
    outcome, ref = _judged(follow, headers, body, is_private=is_private, now=now)
    with transaction.atomic():
        if outcome == "due":
            same = GitFollow.objects.filter(pk=follow.pk, hook_id=follow.hook_id, is_paused=False)
            if not same.update(due_at=now, requested_by="push", failures=0):
                outcome = "paused"
        GitDelivery.objects.create(
            follow=follow,
            at=now,
            address=address,
            event=clean(hooks.name_of(headers))[:40],
            ref=clean(ref)[:200],
            outcome=outcome,
        )
        kept = list(follow.deliveries.order_by("-pk").values_list("pk", flat=True)[:KEEP_DELIVERIES])
        follow.deliveries.exclude(pk__in=kept).delete()
    return outcome


def _judged(
    follow: GitFollow, headers: Mapping[str, str], body: bytes | None, *, is_private: bool, now: datetime
) -> tuple[str, str]:
    if body is None:
        return "too_large", ""
    try:
        secret = opened(follow, "webhook_secret")
    except SealBroken:
        log.exception("webhook_secret_not_opened", follow=str(follow.pk))
        return "sealed", ""
    proof = hooks.proof_of(headers, body, secret, now_s=now.timestamp(), is_private=is_private)
    if proof != "good":
        return proof, ""
    try:
        event = hooks.event_of(headers, body)
    except ValueError:
        return "unreadable", ""
    if event.is_ping or not event.ref:
        return "ping" if event.is_ping else "other_event", ""
    if event.ref != f"refs/heads/{follow.branch}":
        return "other_branch", event.ref
    return "paused" if follow.is_paused else "due", event.ref
