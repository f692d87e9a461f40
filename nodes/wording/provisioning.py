"""What the standings of a provisioning are called."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

WORDS = {
    "waiting": _("waits for a machine"),
    "fetched": _("fetched, not seen yet"),
    "arrived": _("arrived"),
    "revoked": _("revoked"),
    "replaced": _("replaced by a later offer"),
    "moved": _("over: the node changed its pool"),
    "absent": _("over: its machine never came"),
    "expired": _("expired"),
}
LEVELS = {"waiting": "info", "fetched": "info", "arrived": "ok"}


def standing_words(standing: str) -> dict[str, str]:
    """{word, level} for a badge."""
    return {"word": str(WORDS[standing]), "level": LEVELS.get(standing, "none")}
