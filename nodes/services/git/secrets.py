"""What is kept sealed of a repository: how it is signed in to, checked by, and answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from fleetui.core.crypto import seal, sealed_with_newest, unseal
from nodes.models import GitFollow
from nodes.models.git_source import GitSource

Secret = Literal["secret", "webhook_secret", "status_token"]
SECRETS: Final[tuple[Secret, ...]] = ("secret", "webhook_secret", "status_token")


def keep(source: GitSource, what: Secret, plain: str) -> None:
    """Put a secret into the row, which is not saved here; an empty one takes it away."""
    setattr(source, f"sealed_{what}", seal(plain, place=source.seal_place(what)) if plain else "")


def opened(source: GitSource, what: Secret) -> str:
    """The secret in clear; empty when there is none."""
    sealed: str = getattr(source, f"sealed_{what}")
    return unseal(sealed, place=source.seal_place(what)) if sealed else ""


def rotate_seals() -> int:
    """Seal every secret again with the newest encryption key; returns how many changed."""
    return rotated(GitFollow, SECRETS)


def rotated(model: type[GitSource], secrets: Sequence[Secret]) -> int:
    """The same for the rows of one model."""
    changed = 0
    columns = [f"sealed_{what}" for what in secrets]
    for row in model._default_manager.only("pk", *columns):
        for what, column in zip(secrets, columns, strict=True):
            sealed: str = getattr(row, column)
            if not sealed or sealed_with_newest(sealed):
                continue
            fresh = seal(opened(row, what), place=row.seal_place(what))
            changed += model._default_manager.filter(pk=row.pk, **{column: sealed}).update(**{column: fresh})
    return changed
