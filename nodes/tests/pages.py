"""What the tests of pages share."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from fleetui.access.models import User


def signed_in(user: User) -> Client:
    """A browser in which the user has signed in."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def url(page: str, *args: object) -> str:
    """The address of a page of the app."""
    return reverse(f"nodes:{page}", args=list(args))


def text_of(response: Any) -> str:
    return str(response.content.decode())
