"""Which keys an installation needs to use what it holds, by ids that tell nothing about the keys themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models.functions import Left

from fleetui.access.models import Token
from fleetui.access.token_text import pepper_name
from fleetui.audit.models import AuditEvent
from fleetui.core.crypto import key_id
from fleetui.core.keys import KEYS, key_folder, read_keys
from fleetui.notify.models import Channel
from fleetui.transfer.archive import KeysNeeded
from fleetui.transfer.errors import TransferRefused
from nodes.models import Credential, EnrolmentToken, GitFollow, IgnitionValue, PoolToken, Provisioning
from ops.models import BackupTarget, ClusterAccess, Provisioner, Replacement

_SEALED = re.compile(r"^v1:([0-9a-f]{8}):")


def needed() -> KeysNeeded:
    """The keys of sealed values and of tokens that were not revoked, and the key of the audit log if it holds anything."""
    sealed = {found for value in _sealed_values() for found in _ids(value)}
    peppers: set[str] = set()
    for model in (Token, EnrolmentToken, PoolToken):
        peppers |= set(model._base_manager.filter(revoked_at=None).values_list("pepper", flat=True))
    peppers |= set(Provisioning.objects.filter(ended_at=None).values_list("pepper", flat=True))
    audit = key_id(settings.AUDIT_KEY) if AuditEvent.objects.exists() else ""
    return KeysNeeded(sorted(sealed), sorted(peppers), audit)


def _sealed_values() -> Iterator[Any]:
    yield from Credential.objects.order_by().values_list("sealed_private_key", flat=True)
    yield from IgnitionValue.objects.order_by().values_list("sealed_value", flat=True)
    for column in ("sealed_secret", "sealed_webhook_secret", "sealed_status_token"):
        yield from GitFollow.objects.order_by().values_list(column, flat=True)
    yield from ClusterAccess.objects.order_by().values_list("sealed", flat=True)
    yield from Channel.objects.order_by().values_list("sealed", flat=True)
    yield from Provisioner.objects.order_by().values_list("sealed_secret", flat=True)
    yield from Replacement.objects.order_by().values_list("sealed_token", flat=True)
    yield from BackupTarget.objects.order_by().values_list("sealed", flat=True)
    # Its head names the key; the rest may be megabytes.
    offers = Provisioning.objects.exclude(sealed_config="").order_by()
    yield from offers.values_list(Left("sealed_config", len("v1:01234567:")), flat=True)
    yield from Authenticator.objects.order_by().values_list("data", flat=True)


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _SEALED.findall(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _ids(item)
    elif isinstance(value, list):
        for item in value:
            yield from _ids(item)


def all_keys() -> dict[str, list[str]]:
    return {variable: read_keys(variable, settings.DATA_DIR) for variable in KEYS}


def missing_keys(wanted: KeysNeeded) -> list[str]:
    """Of the keys that secrets, tokens and audit log need, those that are not here, each with what it is."""
    here = {key_id(key) for key in settings.ENCRYPTION_KEYS}
    peppers = {pepper_name(key) for key in settings.TOKEN_PEPPERS}
    missing = [f"the encryption key {name}" for name in wanted.encryption if name not in here]
    missing += [f"the token pepper {name}" for name in wanted.peppers if name not in peppers]
    if wanted.audit and wanted.audit != key_id(settings.AUDIT_KEY):
        missing.append(f"the audit key {wanted.audit}")
    return missing


def require_keys(wanted: KeysNeeded, *, of: str) -> None:
    """Refuse what could not be used with the keys that are here. `of`: archive or backup."""
    if missing := missing_keys(wanted):
        raise TransferRefused(
            f"Keys are missing that the {of} needs: {', '.join(missing)}.",
            mend=f"The key files are kept apart. Copy them into {key_folder(settings.DATA_DIR)}, "
            "or name them by their variables, and try again.",
        )
