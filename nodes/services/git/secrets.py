"""What a followed repository keeps sealed: how it is signed in to, checked by, and answered."""

from __future__ import annotations

from typing import Final, Literal

from fleetui.core.crypto import seal, sealed_with_newest, unseal
from nodes.models import GitFollow

Secret = Literal["secret", "webhook_secret", "status_token"]
SECRETS: Final[tuple[Secret, ...]] = ("secret", "webhook_secret", "status_token")


def keep(follow: GitFollow, what: Secret, plain: str) -> None:
    """Put a secret into the row, which is not saved here; an empty one takes it away."""
    setattr(follow, f"sealed_{what}", seal(plain, place=follow.seal_place(what)) if plain else "")


def opened(follow: GitFollow, what: Secret) -> str:
    """The secret in clear; empty when there is none."""
    sealed: str = getattr(follow, f"sealed_{what}")
    return unseal(sealed, place=follow.seal_place(what)) if sealed else ""


def rotate_seals() -> int:
    """Seal every secret again with the newest encryption key; returns how many changed."""
    changed = 0
    columns = [f"sealed_{what}" for what in SECRETS]
    for row in GitFollow.objects.only("pk", *columns):
        for what, column in zip(SECRETS, columns, strict=True):
            sealed: str = getattr(row, column)
            if not sealed or sealed_with_newest(sealed):
                continue
            fresh = seal(opened(row, what), place=row.seal_place(what))
            changed += GitFollow.objects.filter(pk=row.pk, **{column: sealed}).update(**{column: fresh})
    return changed
