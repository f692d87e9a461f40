"""allauth, with sign-up closed and TOTP secrets sealed."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from fleetui.access.signals import refused_for_a_while
from fleetui.core import context
from fleetui.core.crypto import seal, unseal


class ClosedAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs up: an admin adds people."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": _("This account is closed. An administrator can open it."),
        "enter_current_password": _("This is not your current password."),
        "incorrect_password": _("This is not your password."),
        "rate_limited": _("Too many tries. Wait a few minutes, then try again."),
        "too_many_login_attempts": _("Too many failed sign-ins. Wait five minutes, then try again."),
        "username_password_mismatch": _("User name and password do not belong together."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Behind too many failed tries, nothing is compared, so Django tells nobody of a refused sign-in."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            refused_for_a_while(credentials)
            raise

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address behind our proxies, so that limits count people and not the proxy."""
        return context.source_address.get() or str(request.META.get("REMOTE_ADDR", ""))


class SealedMFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("This code is not right. Codes change every 30 seconds: type the one that is shown now."),
    }

    def encrypt(self, text: str) -> str:
        return seal(text, place="mfa_authenticator.data")

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, place="mfa_authenticator.data")

    def get_totp_issuer(self) -> str:
        return "FleetUI"
