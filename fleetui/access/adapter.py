"""allauth, with sign-up closed and TOTP secrets sealed."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.http import HttpRequest

from fleetui.core import context
from fleetui.core.crypto import seal, unseal


class ClosedAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs up: an admin adds people."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address behind our proxies, so that limits count people and not the proxy."""
        return context.source_address.get() or str(request.META.get("REMOTE_ADDR", ""))


class SealedMFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        return seal(text, place="mfa_authenticator.data")

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, place="mfa_authenticator.data")

    def get_totp_issuer(self) -> str:
        return "FleetUI"
