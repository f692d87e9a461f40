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
from nodes.hosts import ssh
from nodes.hosts.errors import BadIdentity, HostError
from nodes.hosts.ssh import HostKey, generate_identity, load_identity
from nodes.models import GitFollow, IgnitionConfig
from nodes.models.git import AUTHS, FORGES, FollowState
from nodes.services import changes as rows
from nodes.services.git.access import address_of
from nodes.services.git.secrets import SECRETS, keep
from nodes.services.git.signers import check_keys, check_signers, keys_of
from nodes.services.git.status import ask_again
from nodes.services.ignition.rights import require
from nodes.wording.git import mend_of, sentence_of

LEAST_INTERVAL_S, MOST_INTERVAL_S = 60, 86_400
#: What is read of a repository: another of these, and its newest commit is looked at as if it were the first.
_READS: Final = (
    "url",
    "branch",
    "path",
    "files_dir",
    "files_pattern",
    "require_signed",
    "allowed_signers",
    "allowed_keys",
)
FIELDS: Final = (*_READS, "auth", "username", "forge", "interval_s", "is_paused", "host_key")
#: Texts of several lines, which are kept as they were written.
_WHOLE: Final = ("allowed_signers", "allowed_keys")
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
    address = address_of(follow.url)
    seen = shown_host_key(address)
    if seen.fingerprint != fingerprint:
        raise Conflict(
            _("The server shows another host key now: %(fingerprint)s.") % {"fingerprint": seen.fingerprint},
            field="fingerprint",
            value=fingerprint[:100],
            mend=_("Compare this one with what the forge publishes."),
        )
    edit_follow(follow=follow, changes={"host_key": seen.line}, actor=actor, now=now)


def shown_host_key(address: Address) -> HostKey:
    """The key that the SSH server of a repository shows."""
    endpoint = ssh.Endpoint(address.host, address.port or 22, address.user)
    try:
        return ssh.scan_host_key(endpoint, deadline=ssh.Deadline.after(15.0))
    except HostError as error:
        raise Conflict(_(error.message), field="fingerprint", mend=_(error.what_to_do)) from error


def subject_of(follow: GitFollow) -> str:
    """As the audit log names it."""
    return f"ignition-config:{follow.config}"


def fill(row: GitFollow, values: Mapping[str, Any], *, is_new: bool) -> None:
    """Values into the row, checked one by one and then together."""
    origin, old_keys = (_origin(row.url), row.allowed_keys) if not is_new else (None, "")
    for name in FIELDS:
        if name in values:
            value = values[name]
            setattr(row, name, clean(value).strip() if isinstance(value, str) and name not in _WHOLE else value)
    address = address_of(row.url)
    row.url = str(address) if address.scheme != "ssh" or "://" in row.url else row.url
    row.path, row.files_dir = _path(row.path, "path"), _path(row.files_dir, "files_dir", is_folder=True)
    _check(row)
    if row.allowed_keys != old_keys:
        check_keys(row.allowed_keys)
    moved = origin is not None and origin != _origin(row.url)
    if moved:
        row.host_key = str(values.get("host_key", ""))
    _check_host_key(row)
    _check_sign_in(row, address)
    _keep_secrets(row, values, is_moved=moved)
    _check_status(row, address, is_given=bool(values.get("status_token")))
    rows.checked(row, exclude={field.name for field in GitFollow._meta.fields} - set(FIELDS))


def _keep_secrets(row: GitFollow, values: Mapping[str, Any], *, is_moved: bool) -> None:
    if values.get("status_token") is not None:
        keep(row, "status_token", _sendable(str(values["status_token"])))
    elif is_moved:
        keep(row, "status_token", "")
    secret = values.get("secret") or ""
    if row.auth == "none":
        keep(row, "secret", "")
        row.public_key = ""
    elif row.auth == "key":
        _keep_key(row, str(secret), wants_new=bool(values.get("new_key")))
    else:
        row.public_key = ""
        if secret:
            keep(row, "secret", str(secret))
        elif is_moved or not row.sealed_secret or ("auth" in values and _was_key(row)):
            raise InvalidInput(
                _("The sign-in has no secret."),
                field="secret",
                mend=_("Give the token or the password for this server."),
            )


def _sendable(text: str) -> str:
    """A token for a header; what was pasted with a line end around it is one still."""
    token = text.strip()
    if token and not forges.is_sendable(token):
        told = sentence_of("status", "token", {})
        raise InvalidInput(told, field="status_token", mend=mend_of("status", "token", {}))
    return token


def _was_key(row: GitFollow) -> bool:
    stored = GitFollow.objects.filter(pk=row.pk).values_list("auth", flat=True).first()
    return stored is not None and stored != row.auth


def _keep_key(row: GitFollow, private_key: str, *, wants_new: bool) -> None:
    if private_key.strip():
        try:
            text, identity = ssh.private_text(private_key), load_identity(private_key)
        except BadIdentity as error:
            raise InvalidInput(_(error.message), field="secret", mend=_(error.what_to_do)) from error
    elif not row.public_key or not row.sealed_secret or wants_new:
        text, identity = generate_identity(f"fleetui {row.config.name}")
    else:
        return
    keep(row, "secret", text)
    row.public_key = identity.public_line


def _check(row: GitFollow) -> None:
    if not LEAST_INTERVAL_S <= int(row.interval_s) <= MOST_INTERVAL_S:
        raise _refused("interval_s", row.interval_s, _("Give 60 to 86400 seconds."))
    if row.auth not in AUTHS:
        raise _refused("auth", row.auth, _("Choose none, token, basic or key."))
    if row.forge not in FORGES:
        raise _refused("forge", row.forge, _("Choose none, github, gitlab, gitea or forgejo."))
    branch = row.branch.removeprefix("refs/heads/")
    parts = branch.split("/")
    bad = any(c in branch for c in " ~^:?*[\\") or ".." in branch or "@{" in branch or not branch.isprintable()
    if bad or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts):
        raise _refused("branch", row.branch, _("Give the name of a branch, such as main."))
    row.branch = branch
    if row.files_pattern and not row.files_dir:
        raise _refused("files_pattern", row.files_pattern, _("Name the folder that it is about too."))
    check_signers(row.allowed_signers)
    if row.require_signed and not (row.allowed_signers.strip() or row.allowed_keys.strip()):
        raise _refused("allowed_signers", "", _("Name at least one signer whose commits are taken."))


def _check_sign_in(row: GitFollow, address: Address) -> None:
    if address.scheme == "ssh" and row.auth != "key":
        raise InvalidInput(
            _("Over SSH a deploy key is needed."),
            field="auth",
            value=row.auth,
            mend=_("Choose the sign-in by a deploy key (key): it is made when you save, and shown for the forge."),
        )
    if address.scheme != "ssh" and row.auth == "key":
        raise _refused("auth", row.auth, _("A deploy key is for SSH: choose a token or a password for https."))
    if address.scheme in ("file", "http") and row.auth != "none":
        raise _refused("auth", row.auth, _("There is no sign-in here: nothing secret is sent without TLS."))
    if row.auth == "basic" and not row.username:
        raise _refused("username", "", _("Give the user name that belongs to the password."))
    if ":" in row.username:
        raise _refused("username", row.username, _("A user name holds no colon."))


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


def _check_host_key(row: GitFollow) -> None:
    if not row.host_key:
        return
    try:
        row.host_key = HostKey.parse(row.host_key).line
    except ValueError as error:
        raise _refused("host_key", row.host_key[:100], str(error)) from error


def _path(text: str, field: str, *, is_folder: bool = False) -> str:
    path = text.strip().rstrip("/") if is_folder else text.strip()
    path = path.removeprefix("./") if path != "." else path
    if is_folder and path in ("", "."):
        return path
    if any(step in ("", ".", "..") for step in path.split("/")) or not path.isprintable():
        raise _refused(field, text[:300], _("Give a path from the top of the repository, such as hosts/web.bu."))
    return path


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        address = address_of(url)
    except InvalidInput:
        # The operator does not allow it any more: whatever comes is another place.
        return "", "", None
    return address.scheme, address.host, address.port


def _refused(field: str, value: object, mend: str) -> InvalidInput:
    named = GitFollow._meta.get_field(field).verbose_name  # type: ignore[union-attr]
    return InvalidInput(_("The %(field)s cannot be used.") % {"field": named}, field=field, value=value, mend=mend)


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
