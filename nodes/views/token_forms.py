"""What the pages of a pool's tokens have in common: enrolment tokens and provisioning tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from fleetui.access.forms import NetworksField
from fleetui.access.token_text import MAX_DAYS
from nodes.models import EnrolmentToken, PoolToken
from nodes.services.token_terms import MAX_LIMIT, token_state

EXPIRES_SOON_DAYS = 14
#: The newest of a pool, on its page.
SHOWN_TOKENS = 50


class TokenForm(forms.Form):
    """Terms of a token; each kind says in `helps` what they mean to it."""

    example = ""
    helps: dict[str, Any] = {}

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Valid for days"),
        initial=90,
        min_value=1,
        max_value=MAX_DAYS,
        help_text=gettext_lazy("1 to 366"),
    )
    max_uses = forms.IntegerField(
        label=gettext_lazy("Machines at most"),
        required=False,
        min_value=1,
        max_value=MAX_LIMIT,
    )
    networks = NetworksField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["placeholder"] = self.example
        for field, words in self.helps.items():
            self.fields[field].help_text = words


def shown(token: EnrolmentToken | PoolToken, now: datetime) -> dict[str, Any]:
    """A row of the page of a pool: the state as its badge says it, and whether the token can still be revoked."""
    state = token_state(token, now)
    is_open = state in ("active", "used_up")
    if state == "active":
        state = "expiring" if (token.expires_at - now).days < EXPIRES_SOON_DAYS else "valid"
    return {"token": token, "state": state, "is_open": is_open}
