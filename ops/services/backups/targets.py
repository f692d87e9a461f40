"""Targets of backups: set, tried on every save by writing, reading back and deleting, and deleted. The keys are sealed."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from django.conf import settings as installation
from django.db import IntegrityError, transaction
from django.db.models import F, ProtectedError, QuerySet
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.crypto import seal, sealed_with_newest, unseal
from fleetui.core.errors import Conflict, InvalidInput, NotFound, SealBroken, StaleEdit
from fleetui.core.words import any_of
from ops.backups.age import MOST_RECIPIENTS, Envelope, RecipientRefused, checked_identity, checked_recipients
from ops.backups.base import Target, TargetError, try_out
from ops.backups.local import LocalTarget
from ops.backups.s3 import ENCRYPTIONS, LOCKS, S3Place, S3Target
from ops.models import BackupRun, BackupTarget
from ops.services.backups.policies import require_to_set
from ops.wording.backups import target_problem

PERMISSION = "backups.write"
SETTINGS: Final[dict[str, tuple[str, ...]]] = {
    "local": ("path", "recipients"),
    "s3": ("endpoint", "bucket", "prefix", "region", "encryption", "kms_key", "lock", "lock_days", "recipients"),
}
#: The identity opens what is encrypted to one of the recipients, and goes nowhere. Without it there are no drills of that.
IDENTITY: Final = "identity"
KEYS: Final[dict[str, tuple[str, ...]]] = {"local": (), "s3": ("access_key", "secret_key")}
SECRETS: Final[dict[str, tuple[str, ...]]] = {kind: (*keys, IDENTITY) for kind, keys in KEYS.items()}
_PLACE: Final = ("path", "endpoint", "bucket", "prefix")
MOST_LOCK_DAYS = 36_500
_HERE: Final = ("127.0.0.1", "localhost", "::1")


def targets_of(principal: Principal) -> QuerySet[BackupTarget]:
    """Every target: whoever sees backups somewhere sees where they lie, and never the keys."""
    if not principal.may_somewhere("backups.read"):
        require(principal, "backups.read")
    return BackupTarget.objects.all()


def target_at(principal: Principal, target_id: uuid.UUID) -> BackupTarget:
    found = targets_of(principal).filter(pk=target_id).first()
    if found is None:
        raise NotFound(_("There is no such backup target."), mend=_("Read the list of targets."))
    return found


def secrets_of(target: BackupTarget) -> dict[str, str]:
    """The sealed part in clear."""
    found: dict[str, str] = orjson.loads(unseal(target.sealed, place=target.seal_place)) if target.sealed else {}
    return found


def opened(target: BackupTarget) -> Target:
    """What writes to it; raises SealBroken."""
    return _opened(target.kind, target.settings, secrets_of(target))


def has_identity(target: BackupTarget) -> bool:
    """Whether there is one that opens encrypted backups; of what cannot be unsealed there is none."""
    try:
        return bool(secrets_of(target).get(IDENTITY))
    except SealBroken:
        return False


def envelope_of(target: BackupTarget) -> Envelope:
    """What closes and opens the backups there; raises SealBroken."""
    return Envelope(target.settings.get("recipients", ()), secrets_of(target).get(IDENTITY, ""))


def _opened(kind: str, given: Mapping[str, Any], keys: Mapping[str, str]) -> Target:
    if kind == "local":
        return LocalTarget(given["path"])
    place = {name: value for name, value in {**given, **keys}.items() if name not in ("recipients", IDENTITY)}
    return S3Target(S3Place(**place))


def set_target(
    *,
    name: str,
    kind: str,
    settings: Mapping[str, Any],
    credentials: Mapping[str, str],
    target: BackupTarget | None = None,
    expected_revision: int | None = None,
    actor: Principal,
    now: datetime,
) -> BackupTarget:
    """Add a target, or (with `target`) change it, once it was written to and read from.

    Keys that are left empty stay as they were; they do not follow to another endpoint.
    """
    require(actor, PERMISSION)
    if target is not None and target.policies.filter(kind="fleetui").exists():
        require_to_set(actor, "fleetui", None)
    name = name.strip()
    if not name or len(name) > 100:
        raise InvalidInput(_("A target needs a name."), field="name", value=name, mend=_("Give 1 to 100 characters."))
    if kind not in BackupTarget.KINDS or (target is not None and kind != target.kind):
        mend = _("Use %(known)s.") % {"known": any_of(BackupTarget.KINDS)}
        raise InvalidInput(_("This is no kind of target."), field="kind", value=kind, mend=mend)
    if unknown := sorted(set(settings) - set(SETTINGS[kind])):
        mend = _("Use %(known)s.") % {"known": any_of(SETTINGS[kind])}
        raise InvalidInput(_("A target of this kind has no such setting."), field=unknown[0], value=None, mend=mend)
    shown = _local(settings) if kind == "local" else _s3(settings)
    shown["recipients"] = _recipients(settings.get("recipients"))
    if target is not None:
        _refuse_move(target, shown)
    row = target or BackupTarget(name=name, kind=kind)
    same_place = target is not None and target.settings.get("endpoint") == shown.get("endpoint")
    try:
        sealed = secrets_of(row)
    except SealBroken:
        if same_place:
            raise
        sealed = {}  # keys that are given anew mend it
    kept = sealed if same_place else {}
    keys = {one: str(credentials.get(one) or kept.get(one, "")).strip() for one in KEYS[kind]}
    if missing := [one for one in KEYS[kind] if not keys[one]]:
        mend = _("Give both keys; give them anew when the endpoint changes.")
        raise InvalidInput(_("The target needs keys."), field=missing[0], value=None, mend=mend)
    if identity := _identity(credentials.get(IDENTITY), sealed.get(IDENTITY, ""), shown["recipients"]):
        keys[IDENTITY] = identity
    _try(kind, shown, keys)
    columns: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "settings": shown,
        "sealed": seal(orjson.dumps(keys).decode(), place=row.seal_place) if keys else "",
        "tried_at": now,
        "head_due_at": now,
        "set_by": str(actor),
        "set_at": now,
    }
    if target is not None and any(target.settings.get(one) != shown.get(one) for one in _PLACE):
        # What was written lies at the other place.
        columns |= {"head_at": None, "head_seq": None, "head_problem": {}}
    before = _told(target) if target else None
    try:
        with transaction.atomic():
            if target is None:
                found = BackupTarget.objects.create(pk=row.pk, **columns)
            else:
                revision = target.revision if expected_revision is None else expected_revision
                mine = BackupTarget.objects.filter(pk=target.pk, revision=revision)
                if not mine.update(**columns, revision=F("revision") + 1):
                    raise StaleEdit(_("Someone else changed this target meanwhile."), mend=_("Read it again."))
                found = BackupTarget.objects.get(pk=target.pk)
            action = "backups.edit_target" if target else "backups.add_target"
            append([_entry(action, found, actor, before=before, after=_told(found))])
    except IntegrityError as error:
        raise Conflict(
            _("There is a target %(name)s already.") % {"name": name},
            field="name",
            value=name,
            mend=_("Choose another name."),
        ) from error
    return found


def _refuse_move(target: BackupTarget, shown: Mapping[str, Any]) -> None:
    """Where backups lie stays where it is: the ledger would name places that nobody finds."""
    moved = next((one for one in _PLACE if target.settings.get(one) != shown.get(one)), None)
    if moved and BackupRun.objects.filter(target=target).there().exists():
        mend = _("Add another target, and give it to the policies.")
        raise Conflict(_("Backups lie at this place."), field=moved, value=str(shown.get(moved)), mend=mend)


def try_target(*, target: BackupTarget, actor: Principal, now: datetime) -> None:
    """Write, read back and delete now; raises InvalidInput with what went wrong."""
    require(actor, PERMISSION)
    _try(target.kind, target.settings, secrets_of(target))
    with transaction.atomic():
        BackupTarget.objects.filter(pk=target.pk).update(tried_at=now)
        append([_entry("backups.test_target", target, actor)])


def delete_target(*, target: BackupTarget, actor: Principal) -> None:
    """What lies there stays there. One that a policy uses is not deleted."""
    require(actor, PERMISSION)
    try:
        with transaction.atomic():
            if BackupTarget.objects.filter(pk=target.pk).delete()[0]:
                append([_entry("backups.delete_target", target, actor, before=_told(target))])
    except ProtectedError as error:
        names = ", ".join(sorted(str(one) for one in error.protected_objects)[:5])
        raise Conflict(
            _("Policies back up to this target: %(names)s.") % {"names": names},
            mend=_("Give them another target first."),
        ) from error


def _try(kind: str, shown: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    """No transaction is open meanwhile."""
    try:
        try_out(_opened(kind, shown, keys), f".fleetui-test/{secrets.token_hex(8)}")
    except (TargetError, ValueError) as error:
        told = error if isinstance(error, TargetError) else TargetError("failed", str(error))
        message, mend = target_problem(told.code, told.said)
        field = {"credentials": "access_key", "no_bucket": "bucket", "region": "region", "refused": "lock"}
        first = "path" if kind == "local" else "endpoint"
        raise InvalidInput(message, field=field.get(told.code, first), value=None, mend=mend) from error


def _local(given: Mapping[str, Any]) -> dict[str, Any]:
    """A directory that is there: a mount that is missing must not be filled in its place."""
    text = str(given.get("path") or "").strip()
    path = Path(os.path.normpath(text))
    if not text.startswith("/") or "\0" in text or path == Path("/") or not path.is_dir():
        mend = _(
            "Make the directory on the machine that FleetUI runs on, writable for its user, and give its whole path."
        )
        raise InvalidInput(_("There is no such directory."), field="path", value=text[:200], mend=mend)
    inside = Path(os.path.realpath(path))
    if inside.is_relative_to(Path(os.path.realpath(installation.DATA_DIR))):
        mend = _("Choose a directory on another disk.")
        raise InvalidInput(_("This is FleetUI's own data directory."), field="path", value=text[:200], mend=mend)
    return {"path": str(path)}


def _s3(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {one: str(given.get(one) or "").strip() for one in SETTINGS["s3"] if one not in ("lock_days", "recipients")}
    if unclear := next((one for one, text in found.items() if not text.isprintable()), None):
        mend = _("Give it without control characters.")
        raise InvalidInput(_("It holds characters that cannot be seen."), field=unclear, value=None, mend=mend)
    found["region"] = found["region"] or "us-east-1"
    found["prefix"] = found["prefix"].strip("/")
    if found["endpoint"]:
        found["endpoint"] = _endpoint(found["endpoint"])
    if not 3 <= len(found["bucket"]) <= 255 or not all(one.isalnum() or one in ".-_" for one in found["bucket"]):
        mend = _("Give 3 or more letters, digits, dots and hyphens.")
        raise InvalidInput(_("This is no name of a bucket."), field="bucket", value=found["bucket"], mend=mend)
    for name, known in (("encryption", ENCRYPTIONS), ("lock", LOCKS)):
        if found[name] not in known:
            mend = _("Use %(known)s, or leave it out.") % {"known": ", ".join(one for one in known if one)}
            raise InvalidInput(_("There is no such choice."), field=name, value=found[name], mend=mend)
    days = given.get("lock_days") or 0
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= MOST_LOCK_DAYS:
        mend = _("Give 1 to %(most)s.") % {"most": MOST_LOCK_DAYS}
        raise InvalidInput(_("This is no number of days."), field="lock_days", value=days, mend=mend)
    if bool(found["lock"]) != bool(days):
        mend = _("Give both, or neither.")
        raise InvalidInput(_("A lock needs its number of days."), field="lock_days", value=days, mend=mend)
    return {**found, "lock_days": days}


def _recipients(given: object) -> list[str]:
    lines = [] if given is None else given if isinstance(given, list) else str(given).splitlines()
    texts = [str(one).strip() for one in lines if str(one).strip()]
    if len(texts) > MOST_RECIPIENTS:
        mend = _("Give %(most)s at most.") % {"most": MOST_RECIPIENTS}
        raise InvalidInput(_("These are too many recipients."), field="recipients", value=len(texts), mend=mend)
    try:
        return checked_recipients(texts)
    except RecipientRefused as error:
        # Whoever gives the secret key by mistake does not find it in a log.
        is_secret = "SECRET" in error.value.upper() or "PRIVATE" in error.value.upper()
        mend = _("Give public keys, one a line: age1… as age-keygen prints it, ssh-ed25519 … or ssh-rsa ….")
        value = None if is_secret else error.value[:200]
        raise InvalidInput(_("This is no recipient of age."), field="recipients", value=value, mend=mend) from error


def _identity(given: str | None, kept: str, recipients: Sequence[str]) -> str:
    """The one that was given, or the one that is kept while it belongs to a recipient. Empty: none."""
    text = str(given or "").strip()
    try:
        return checked_identity(text or kept, recipients) if text or kept else ""
    except RecipientRefused as error:
        if not text:
            return ""
        mend = _("Give the line AGE-SECRET-KEY-1… that belongs to one of the recipients.")
        message = _("This identity opens nothing that is encrypted to these recipients.")
        raise InvalidInput(message, field=IDENTITY, value=None, mend=mend) from error


def _endpoint(text: str) -> str:
    """Over TLS, or on this machine: what goes there is whatever the fleet holds."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        good, _port = good and text.isascii() and not any(one.isspace() for one in text), parts.port
    except ValueError:
        good = False
    if not good or parts.path.strip("/") or parts.query:
        mend = _("Give one such as https://s3.example.com, without bucket, user and password in it.")
        raise InvalidInput(_("This is no address of an S3 server."), field="endpoint", value=text[:200], mend=mend)
    if parts.scheme == "http" and parts.hostname not in _HERE:
        mend = _("Give one that begins with https://.")
        raise InvalidInput(_("Backups would travel in clear."), field="endpoint", value=text[:200], mend=mend)
    return text.rstrip("/")


def _told(target: BackupTarget) -> dict[str, Any]:
    """For the audit log: never a key."""
    shown = {"name": target.name, "kind": target.kind, "settings": target.settings}
    return {**shown, "has_identity": has_identity(target)} if target.settings.get("recipients") else shown


def _entry(
    action: str,
    target: BackupTarget,
    actor: Principal,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Entry:
    return Entry(actor=str(actor), action=action, subject=f"backup-target:{target.name}", before=before, after=after)


def rotate_seals() -> int:
    """Seal every target's keys again with the newest encryption key; returns how many changed."""
    changed = 0
    for row in BackupTarget.objects.exclude(sealed="").only("pk", "sealed"):
        if not sealed_with_newest(row.sealed):
            fresh = seal(unseal(row.sealed, place=row.seal_place), place=row.seal_place)
            changed += BackupTarget.objects.filter(pk=row.pk, sealed=row.sealed).update(sealed=fresh)
    return changed
