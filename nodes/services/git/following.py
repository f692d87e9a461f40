"""Set up, change, pause and end that a config follows a repository. The looking itself is `syncing`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from fleetui.core.text import clean
from nodes.git import forges
from nodes.git.address import Address
from nodes.git.errors import GitProblem
from nodes.models import GitFollow, IgnitionConfig
from nodes.models.git import FORGES, FollowState
from nodes.services import changes as rows
from nodes.services.git.secrets import SECRETS, keep
from nodes.services.git.signers import keys_of
from nodes.services.git.sources import SOURCE_FIELDS, fill_source, path_in, ref_name, refused, still_shown
from nodes.services.git.status import ask_again
from nodes.services.ignition.rights import require
from nodes.wording.git import mend_of, sentence_of

LEAST_INTERVAL_S, MOST_INTERVAL_S = 60, 86_400
_OWN: Final = ("branch", "path", "files_dir", "files_pattern", "forge", "interval_s", "is_paused")
#: What is read of a repository: another of these, and its newest commit is looked at as if it were the first.
_READS: Final = ("url", *_OWN[:4], "require_signed", "allowed_signers", "allowed_keys")
FIELDS: Final = (*SOURCE_FIELDS, *_OWN)
_KIND = "git"


def follow(*, config: IgnitionConfig, values: Mapping[str, Any], actor: Principal, now: datetime) -> GitFollow:
    """Have a config follow a repository. For a deploy key without a private half a new one is made."""
    require(actor, "ignition.edit", config)
    row = GitFollow(config=config, created_at=now, created_by=str(actor)[:200], due_at=now, state_since=now)
    row.requested_by = "person"
    fill(row, values, is_new=True)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            append([Entry(str(actor), "git.follow", subject_of(row), after=_told(row))])
    except IntegrityError as error:
        raise Conflict(
            _("%(name)s follows a repository already.") % {"name": config.name}, mend=_("Change what it follows.")
        ) from error
    return row


def edit_follow(
    *,
    follow: GitFollow,
    changes: Mapping[str, Any],
    actor: Principal,
    now: datetime,
    expected_revision: int | None = None,
) -> GitFollow:
    """Change what is followed, or how. A look that is under way is dropped, and the next one is due at once.

    A secret that is not among the changes stays, unless the address leads to another server: it is not sent there.
    """
    require(actor, "ignition.edit", follow.config)
    if expected_revision is not None and expected_revision != follow.revision:
        raise rows.stale("git", str(follow.config))
    before, was = _told(follow), {name: getattr(follow, name) for name in FIELDS}
    fill(follow, changes, is_new=False)
    after = _told(follow)
    given = sorted(name for name in SECRETS if changes.get(name))
    if after == before and not given and not changes.get("new_key"):
        return follow
    if any(was[name] != getattr(follow, name) for name in _READS):
        follow.seen_commit = follow.accepted_commit = ""
        follow.state, follow.state_since, follow.detail = FollowState.NEW, now, {}
    follow.failures, follow.due_at, follow.requested_by = 0, now, "person"
    columns = {name: getattr(follow, name) for name in (*FIELDS, *_OTHERS)}
    with transaction.atomic():
        same = GitFollow.objects.filter(pk=follow.pk, revision=follow.revision)
        if not same.update(**columns, revision=follow.revision + 1, lease=None, lease_until=None):
            raise rows.stale("git", str(follow.config))
        if {"url", "forge", "has_status_token"} & {name for name in after if before[name] != after[name]} or (
            "status_token" in given
        ):
            ask_again(follow, now, is_elsewhere=was["url"] != follow.url)
        told = {name: value for name, value in after.items() if before[name] != value}
        old = {name: before[name] for name in told}
        append([Entry(str(actor), "git.edit", subject_of(follow), before=old, after={**told, "secrets": given})])
    follow.revision += 1
    return follow


_OTHERS: Final = (
    *(f"sealed_{name}" for name in SECRETS),
    "public_key",
    "seen_commit",
    "accepted_commit",
    "state",
    "state_since",
    "detail",
    "failures",
    "due_at",
    "requested_by",
)


def unfollow(*, follow: GitFollow, actor: Principal, now: datetime) -> None:
    """Follow it no more. Versions stay, secrets go, and the mirror with the next sweep."""
    require(actor, "ignition.edit", follow.config)
    subject, before = subject_of(follow), _told(follow)
    with transaction.atomic():
        follow.delete()
        append([Entry(str(actor), "git.unfollow", subject, before=before)])


def sync_now(*, follow: GitFollow, actor: Principal, now: datetime) -> None:
    """Make it due. One that is paused stays so."""
    require(actor, "ignition.edit", follow.config)
    if follow.is_paused:
        raise Conflict(_("Following is paused."), field="is_paused", value=True, mend=_("Go on with it first."))
    with transaction.atomic():
        GitFollow.objects.filter(pk=follow.pk, is_paused=False).update(due_at=now, requested_by="person", failures=0)
        append([Entry(str(actor), "git.sync", subject_of(follow))])


def accept_history(*, follow: GitFollow, head: str, actor: Principal, now: datetime) -> None:
    """Go on with the history that replaced the one that was followed. `head` is the commit that the person saw."""
    require(actor, "ignition.edit", follow.config)
    shown = str(follow.detail.get("new_head", ""))
    if follow.state != FollowState.REWRITTEN or not head or not shown.startswith(head) or len(head) < 7:
        raise Conflict(
            _("That is not the history that was found."),
            field="head",
            value=head[:64],
            mend=_("Look at the page again: it names the commit that the branch leads to now."),
        )
    with transaction.atomic():
        same = GitFollow.objects.filter(pk=follow.pk, state=FollowState.REWRITTEN, revision=follow.revision)
        fresh = {"accepted_commit": shown, "due_at": now, "requested_by": "person", "lease": None, "lease_until": None}
        if not same.update(**fresh, revision=follow.revision + 1):
            raise rows.stale("git", str(follow.config))
        before, after = {"head": follow.seen_commit}, {"head": shown}
        append([Entry(str(actor), "git.accept_history", subject_of(follow), before=before, after=after)])


def trust_host_key(*, follow: GitFollow, fingerprint: str, actor: Principal, now: datetime) -> None:
    """Pin the key that the server shows, if it is still the one of this fingerprint. It is asked, so no transaction may
    be open."""
    require(actor, "ignition.edit", follow.config)
    seen = still_shown(follow, fingerprint)
    edit_follow(follow=follow, changes={"host_key": seen.line}, actor=actor, now=now)


def subject_of(follow: GitFollow) -> str:
    """As the audit log names it."""
    return f"ignition-config:{follow.config}"


def fill(row: GitFollow, values: Mapping[str, Any], *, is_new: bool) -> None:
    """Values into the row, checked one by one and then together."""
    for name in _OWN:
        if name in values:
            value = values[name]
            setattr(row, name, clean(value).strip() if isinstance(value, str) else value)
    _check(row)
    row.path, row.files_dir = path_in(row, row.path, "path"), path_in(row, row.files_dir, "files_dir", is_folder=True)
    filled = fill_source(row, values, is_new=is_new, key_comment=f"fleetui {row.config.name}")
    _keep_status_token(row, values, is_moved=filled.is_moved)
    _check_status(row, filled.address, is_given=bool(values.get("status_token")))
    rows.checked(row, exclude={field.name for field in GitFollow._meta.fields} - set(FIELDS))


def _keep_status_token(row: GitFollow, values: Mapping[str, Any], *, is_moved: bool) -> None:
    if values.get("status_token") is not None:
        keep(row, "status_token", _sendable(str(values["status_token"])))
    elif is_moved:
        keep(row, "status_token", "")


def _sendable(text: str) -> str:
    """A token for a header; what was pasted with a line end around it is one still."""
    token = text.strip()
    if token and not forges.is_sendable(token):
        told = sentence_of("status", "token", {})
        raise InvalidInput(told, field="status_token", mend=mend_of("status", "token", {}))
    return token


def _check(row: GitFollow) -> None:
    if not LEAST_INTERVAL_S <= int(row.interval_s) <= MOST_INTERVAL_S:
        raise refused(row, "interval_s", row.interval_s, _("Give 60 to 86400 seconds."))
    if row.forge not in FORGES:
        raise refused(row, "forge", row.forge, _("Choose none, github, gitlab, gitea or forgejo."))
    row.branch = ref_name(row, "branch", "refs/heads/", _("Give the name of a branch, such as main."))
    if row.files_pattern and not row.files_dir:
        raise refused(row, "files_pattern", row.files_pattern, _("Name the folder that it is about too."))


def _check_status(row: GitFollow, address: Address, *, is_given: bool) -> None:
    """A token for statuses has to lead somewhere. Without a forge to tell, one that was stored is thrown away."""
    if not row.sealed_status_token:
        return
    if row.forge == "none" and not is_given:
        keep(row, "status_token", "")
        return
    try:
        forges.endpoint(row.forge, address)
    except GitProblem as problem:
        told = sentence_of(problem.kind, problem.reason, problem.params)
        mend = mend_of(problem.kind, problem.reason, problem.params)
        field = "forge" if problem.reason == "no_forge" else "url"
        raise InvalidInput(told, field=field, value=getattr(row, field), mend=mend) from problem


def _told(row: GitFollow) -> dict[str, Any]:
    """What the audit log says: never a secret, only whether there is one, and which key."""
    told: dict[str, Any] = {name: getattr(row, name) for name in FIELDS}
    return told | {
        # Keys are long: it says which ones. The hash tells a new copy of one, such as after it was revoked.
        "allowed_keys": [key.fingerprint for key in keys_of(row)],
        "allowed_keys_sha256": hashlib.sha256(row.allowed_keys.encode()).hexdigest() if row.allowed_keys else "",
        "public_key": row.public_key,
        "has_secret": bool(row.sealed_secret),
        "has_webhook_secret": bool(row.sealed_webhook_secret),
        "has_status_token": bool(row.sealed_status_token),
    }
