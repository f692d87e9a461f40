"""Sign-in, sign-out and refused sign-ins go into the audit log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from allauth.account.signals import password_changed
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
    authenticator_used,
)
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.cache import cache
from django.dispatch import receiver

from fleetui.audit.log import Entry, record_alone
from fleetui.core import context

#: The time over which failed sign-ins are counted (ACCOUNT_RATE_LIMITS).
REFUSED_S = 5 * 60


@receiver(user_logged_in, dispatch_uid="audit.sign_in")
def signed_in(user: Any, **_: Any) -> None:
    record_alone(Entry(actor=f"user:{user.get_username()}", action="sign_in", subject=f"user:{user.get_username()}"))


@receiver(user_logged_out, dispatch_uid="audit.sign_out")
def signed_out(user: Any, **_: Any) -> None:
    if user is not None:
        record_alone(
            Entry(actor=f"user:{user.get_username()}", action="sign_out", subject=f"user:{user.get_username()}")
        )


@receiver(user_login_failed, dispatch_uid="audit.sign_in_refused")
def refused(credentials: dict[str, Any], **_: Any) -> None:
    record_alone(_refused(credentials, ""))


def refused_for_a_while(credentials: Mapping[str, Any], what: str = "Too many failed sign-ins") -> None:
    """Too many tries: the first of five minutes is recorded for all, or who knocks without end would fill the log."""
    entry = _refused(credentials, f"{what}: for five minutes none is tried.")
    told = hashlib.sha256(f"{what} {entry.subject.lower()} {context.source_address.get()}".encode()).hexdigest()
    if cache.add(f"sign_in_refused_for_a_while:{told}", 1, timeout=REFUSED_S):
        record_alone(entry)


def _refused(credentials: Mapping[str, Any], reason: str) -> Entry:
    name = str(credentials.get("username") or credentials.get("login") or "?")[:100]
    return Entry(actor="anonymous", action="sign_in", subject=f"user:{name}", reason=reason, outcome="refused")


@receiver(authentication_failed, dispatch_uid="audit.code_refused")
def code_refused(user: Any, **_: Any) -> None:
    """Whoever comes so far knows the password."""
    record_alone(_refused({"username": user.get_username()}, "The code of the second step was wrong."))


@receiver(authenticator_used, dispatch_uid="audit.authenticator_used")
def recovery_code_used(user: Any, authenticator: Any, **_: Any) -> None:
    if _is_codes(authenticator):
        left = len(authenticator.wrap().get_unused_codes())
        entry = Entry(actor=_who(user), action="users.use_recovery_code", subject=_who(user), after={"left": left})
        record_alone(entry)


@receiver(password_changed, dispatch_uid="audit.password_changed")
def password_was_changed(user: Any, **_: Any) -> None:
    record_alone(Entry(actor=_who(user), action="users.set_password", subject=_who(user)))


@receiver(authenticator_added, dispatch_uid="audit.authenticator_added")
def second_factor_added(user: Any, authenticator: Any, **_: Any) -> None:
    after = {"type": str(authenticator.type)}
    # The codes come with the first factor, as an authenticator of their own.
    action = "users.reset_second_factor" if _is_codes(authenticator) else "users.add_second_factor"
    record_alone(Entry(actor=_who(user), action=action, subject=_who(user), after=after))


@receiver(authenticator_reset, dispatch_uid="audit.authenticator_reset")
def second_factor_made_anew(user: Any, authenticator: Any, **_: Any) -> None:
    after = {"type": str(authenticator.type)}
    record_alone(Entry(actor=_who(user), action="users.reset_second_factor", subject=_who(user), after=after))


@receiver(authenticator_removed, dispatch_uid="audit.authenticator_removed")
def second_factor_removed(user: Any, authenticator: Any, **_: Any) -> None:
    before = {"type": str(authenticator.type)}
    action = "users.remove_recovery_codes" if _is_codes(authenticator) else "users.remove_second_factor"
    record_alone(Entry(actor=_who(user), action=action, subject=_who(user), before=before))


def _is_codes(authenticator: Any) -> bool:
    return bool(authenticator.type == Authenticator.Type.RECOVERY_CODES)


def _who(user: Any) -> str:
    return f"user:{user.get_username()}"
