"""Kinds of names in addresses of the API: what no name can be is answered as an address that does not exist."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import StringConverter, get_converters


class Name(StringConverter):
    """A name or an id."""

    regex = r"[A-Za-z0-9._-]{1,100}"


class UserName(StringConverter):
    regex = r"[\w.@+-]{1,150}"


def register() -> None:
    """Called by every module of addresses that uses them; once is enough."""
    for name, converter in (("name", Name), ("username", UserName)):
        if name not in get_converters():
            register_converter(converter, name)
