"""Sign-in, sign-out and refused sign-ins go into the audit log."""

from __future__ import annotations

from typing import Any

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
