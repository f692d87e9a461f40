"""Credentials: the private half goes in and never comes out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.crypto import seal, sealed_with_newest, unseal
from fleetui.core.errors import Conflict, InvalidInput, SealBroken
from nodes.hosts import ssh
from nodes.hosts.errors import BadIdentity
from nodes.hosts.ssh import Identity, generate_identity, load_identity
from nodes.models import Credential
from nodes.services import changes as rows


def _refuse_lone(passphrase: object, private_key: object) -> None:
    """Whoever sends a passphrase means a key, and forgot it."""
    if passphrase and not private_key:
        raise InvalidInput(
            _("There is no private key that the passphrase could open."),
            field="passphrase",
            mend=_("Give the private key too, or leave the passphrase out."),
        )


def _loaded(private_key: str | None, passphrase: str | None, certificate: str, name: str) -> tuple[str, Identity]:
    _refuse_lone(passphrase, private_key)
    if private_key is None:
        text, identity = generate_identity(f"fleetui {name}")
    else:
        try:
            identity = load_identity(private_key, passphrase=passphrase or None)
            text = ssh.private_text(private_key, passphrase=passphrase or None)
        except BadIdentity as error:
            raise InvalidInput(_(error.message), field="private_key", mend=_(error.what_to_do)) from error
    if certificate.strip():
        try:
            identity = load_identity(text, certificate=certificate)
        except BadIdentity as error:
            raise InvalidInput(_(error.message), field="certificate", mend=_(error.what_to_do)) from error
    return text, identity


def add_credential(
    *,
    name: str,
    username: str = "core",
    private_key: str | None = None,
    passphrase: str | None = None,
    certificate: str = "",
    actor: Principal,
    now: datetime,
) -> Credential:
    """Store a key (`private_key` None: a new ed25519 key is made). The passphrase opens it once and is not kept."""
    require(actor, "credentials.write")
    name, username = name.strip(), username.strip()
    text, identity = _loaded(private_key, passphrase, certificate, name)
    row = Credential(
        name=name,
        username=username,
        certificate=certificate.strip(),
        public_key=identity.public_line,
        fingerprint=identity.fingerprint,
        created_at=now,
    )
    row.sealed_private_key = seal(text, place=row.seal_place)
    rows.checked(row)
    after = {"username": username, "fingerprint": row.fingerprint, "made_here": private_key is None}
    rows.add(row, kind="credential", actor=actor, after=after)
    return row


def edit_credential(
    *,
    credential: Credential,
    changes: Mapping[str, Any],
    actor: Principal,
    now: datetime,
    expected_revision: int | None = None,
) -> Credential:
    """Change name, user name, certificate or key. A new key replaces the old one for every node at the next contact."""
    require(actor, "credentials.write")
    wanted = {key: value for key, value in changes.items() if key in ("name", "username", "certificate")}
    also: list[str] = []
    private_key = changes.get("private_key")
    _refuse_lone(changes.get("passphrase"), private_key)
    certificate = str(wanted.get("certificate", credential.certificate))
    if private_key:
        text, identity = _loaded(private_key, changes.get("passphrase"), certificate, credential.name)
        sealed = seal(text, place=credential.seal_place)
        if identity.fingerprint != credential.fingerprint:
            credential.sealed_private_key, credential.rotated_at = sealed, now
            also = ["sealed_private_key", "rotated_at"]
        elif not _opens(credential):
            # The key files were lost: the same key, given again, is how the hosts that know it are reached again.
            wanted["sealed_private_key"] = sealed
        wanted["public_key"], wanted["fingerprint"] = identity.public_line, identity.fingerprint
    elif "certificate" in wanted and certificate:
        _loaded(unseal(credential.sealed_private_key, place=credential.seal_place), None, certificate, credential.name)
    rows.edit(
        credential,
        kind="credential",
        changes=wanted,
        actor=actor,
        expected_revision=expected_revision,
        also=also,
        tell=partial(_told, wanted),
    )
    return credential


def _opens(credential: Credential) -> bool:
    try:
        unseal(credential.sealed_private_key, place=credential.seal_place)
    except SealBroken:
        return False
    return True


def _told(wanted: Mapping[str, Any], name: str, value: object) -> object:
    """How the audit log shows a field: of what is sealed, what became of it."""
    if name == "sealed_private_key":
        return "sealed anew" if value == wanted[name] else "does not open"
    return rows.shown(value)


def delete_credential(*, credential: Credential, actor: Principal, now: datetime) -> None:
    """Forget a credential that no node and no pool uses."""
    require(actor, "credentials.write")
    try:
        with transaction.atomic():
            credential.delete()
            append(
                [
                    Entry(
                        actor=str(actor),
                        action="credentials.delete",
                        subject=f"credential:{credential.name}",
                        before={"fingerprint": credential.fingerprint},
                    )
                ]
            )
    except ProtectedError as error:
        users = sorted(str(row) for row in error.protected_objects)
        raise Conflict(
            _("%(name)s is used by %(users)s.")
            % {"name": credential.name, "users": f"{', '.join(users[:5])}{' …' if len(users) > 5 else ''}"},
            mend=_("Give those another credential first."),
        ) from error


@lru_cache(maxsize=256)
def _identity(sealed: str, place: str, certificate: str) -> Identity:
    return load_identity(unseal(sealed, place=place), certificate=certificate or None)


def identity_of(credential: Credential) -> Identity:
    """The key, ready for SSH; decrypted and loaded once per process and version of the row."""
    return _identity(credential.sealed_private_key, credential.seal_place, credential.certificate)


def rotate_seals() -> int:
    """Seal every private key again with the newest encryption key; returns how many changed."""
    changed = 0
    for row in Credential.objects.only("pk", "sealed_private_key"):
        if sealed_with_newest(row.sealed_private_key):
            continue
        fresh = seal(unseal(row.sealed_private_key, place=row.seal_place), place=row.seal_place)
        changed += Credential.objects.filter(pk=row.pk, sealed_private_key=row.sealed_private_key).update(
            sealed_private_key=fresh
        )
    return changed
