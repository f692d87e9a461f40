"""TOTP secrets are sealed by allauth's adapter hooks; here they are sealed anew."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator

from fleetui.core.crypto import seal, sealed_with_newest, unseal

PLACE = "mfa_authenticator.data"


def rotate_mfa() -> int:
    """Seal every authenticator's secrets with the newest key; returns how many rows changed."""
    changed = 0
    for row in Authenticator.objects.all():
        fresh = {key: _again(value) for key, value in row.data.items()}
        if fresh != row.data:
            changed += Authenticator.objects.filter(pk=row.pk).update(data=fresh)
    return changed


def _again(value: Any) -> Any:
    if isinstance(value, list):
        return [_again(item) for item in value]
    if not isinstance(value, str) or not value.startswith("v1:") or sealed_with_newest(value):
        return value
    return seal(unseal(value, place=PLACE), place=PLACE)
