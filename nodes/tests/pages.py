"""What the tests of pages share."""

from __future__ import annotations

from django.test import Client

from fleetui.access.models import User


def signed_in(user: User) -> Client:
    """A browser in which the user has signed in."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client
