"""Words and levels of the states that the pages show. Not a tag library."""

from __future__ import annotations

from django.utils.translation import gettext, gettext_lazy

#: Level and word by axis and value. The level decides shape and colour: ok, info, warn, bad, none.
STATES = {
    "reachability": {
        "reachable": ("ok", gettext_lazy("Reachable")),
        "unreachable": ("bad", gettext_lazy("Unreachable")),
        "never_seen": ("none", gettext_lazy("Never seen")),
        "key_mismatch": ("bad", gettext_lazy("Key mismatch")),
    },
    "health": {
        "healthy": ("ok", gettext_lazy("Healthy")),
        "degraded": ("warn", gettext_lazy("Degraded")),
        "unknown": ("none", gettext_lazy("Unknown")),
    },
    "update_state": {
        "up_to_date": ("ok", gettext_lazy("Up to date")),
        "update_available": ("info", gettext_lazy("Update available")),
        "staged": ("info", gettext_lazy("Staged")),
        "reboot_pending": ("warn", gettext_lazy("Reboot pending")),
        "deferred": ("info", gettext_lazy("Deferred")),
        "rolled_back": ("bad", gettext_lazy("Rolled back")),
        "unknown": ("none", gettext_lazy("Unknown")),
    },
    "lifecycle": {
        "active": ("ok", gettext_lazy("Active")),
        "maintenance": ("info", gettext_lazy("Maintenance")),
        "retired": ("none", gettext_lazy("Retired")),
    },
    "outcome": {
        "done": ("ok", gettext_lazy("Done")),
        "refused": ("warn", gettext_lazy("Refused")),
        "failed": ("bad", gettext_lazy("Failed")),
    },
    "unit": {
        "active": ("ok", gettext_lazy("Active")),
        "activating": ("info", gettext_lazy("Starting")),
        "inactive": ("none", gettext_lazy("Inactive")),
        "failed": ("bad", gettext_lazy("Failed")),
    },
    "host_key": {
        "offered": ("info", gettext_lazy("Offered")),
        "pinned": ("ok", gettext_lazy("Pinned")),
        "replaced": ("none", gettext_lazy("Replaced")),
    },
    "validity": {
        "valid": ("ok", gettext_lazy("Valid")),
        "expiring": ("warn", gettext_lazy("Expires soon")),
        "expired": ("none", gettext_lazy("Expired")),
        "used_up": ("none", gettext_lazy("Used up")),
        "revoked": ("none", gettext_lazy("Revoked")),
    },
}


def level_of(axis: str, value: str) -> str:
    return STATES.get(axis, {}).get(value, ("none", ""))[0]


def word_of(axis: str, value: str) -> str:
    """The word for a value; a value without one is shown as it is."""
    known = STATES.get(axis, {}).get(value)
    return str(known[1]) if known else value.replace("_", " ").capitalize() or gettext("Unknown")


#: How the signature of a deployment stands, by the slug of the facts.
SIGNATURES = {
    "gpg_valid": ("ok", gettext_lazy("Valid GPG signature")),
    "gpg_off": ("warn", gettext_lazy("GPG verification is off")),
    "gpg_unverified": ("warn", gettext_lazy("No GPG signature was checked")),
    "gpg_invalid": ("bad", gettext_lazy("Invalid GPG signature")),
    "gpg_expired": ("warn", gettext_lazy("GPG signature expired")),
    "gpg_key_expired": ("warn", gettext_lazy("GPG key expired")),
    "gpg_key_revoked": ("bad", gettext_lazy("GPG key revoked")),
    "gpg_key_missing": ("warn", gettext_lazy("GPG key is not on the host")),
    "image_signed": ("ok", gettext_lazy("Checked by the policy of the host")),
    "image_unverified": ("warn", gettext_lazy("Not checked")),
}
_REMOTE = "image_remote:"


def signature_words(slug: str) -> tuple[str, str]:
    """Level and words for the signature of a deployment; a slug without words is shown as it is."""
    if slug.startswith(_REMOTE):
        words = gettext("Checked with the keys of the remote %(name)s")
        return "ok", words % {"name": slug.removeprefix(_REMOTE)}
    level, known = SIGNATURES.get(slug, ("none", slug.replace("_", " ").capitalize()))
    return level, str(known)


def age_words(seconds: float) -> str:
    """ "4 min ago" or "in 2 h". The same texts are in partials/strings.html for the browser."""
    size = abs(seconds)
    if size < 5:
        return gettext("now")
    if size < 90:
        number, past, future = size, gettext("%(n)s s ago"), gettext("in %(n)s s")
    elif size < 90 * 60:
        number, past, future = size / 60, gettext("%(n)s min ago"), gettext("in %(n)s min")
    elif size < 36 * 3600:
        number, past, future = size / 3600, gettext("%(n)s h ago"), gettext("in %(n)s h")
    else:
        number, past, future = size / 86400, gettext("%(n)s d ago"), gettext("in %(n)s d")
    return (past if seconds > 0 else future) % {"n": int(number)}
