"""Sign-in, sign-out and refused sign-ins go into the audit log."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from fleetui.audit.log import Entry, record_alone


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
    name = str(credentials.get("username") or credentials.get("login") or "?")[:100]
    record_alone(Entry(actor="anonymous", action="sign_in", subject=f"user:{name}", outcome="refused"))


@receiver(password_changed, dispatch_uid="audit.password_changed")
def password_was_changed(user: Any, **_: Any) -> None:
    record_alone(Entry(actor=_who(user), action="users.set_password", subject=_who(user)))


@receiver(authenticator_added, dispatch_uid="audit.authenticator_added")
def second_factor_added(user: Any, authenticator: Any, **_: Any) -> None:
    after = {"type": str(authenticator.type)}
    record_alone(Entry(actor=_who(user), action="users.add_second_factor", subject=_who(user), after=after))


@receiver(authenticator_reset, dispatch_uid="audit.authenticator_reset")
def second_factor_made_anew(user: Any, authenticator: Any, **_: Any) -> None:
    after = {"type": str(authenticator.type)}
    record_alone(Entry(actor=_who(user), action="users.reset_second_factor", subject=_who(user), after=after))


@receiver(authenticator_removed, dispatch_uid="audit.authenticator_removed")
def second_factor_removed(user: Any, authenticator: Any, **_: Any) -> None:
    before = {"type": str(authenticator.type)}
    record_alone(Entry(actor=_who(user), action="users.remove_second_factor", subject=_who(user), before=before))


def _who(user: Any) -> str:
    return f"user:{user.get_username()}"
