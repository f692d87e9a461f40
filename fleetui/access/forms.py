"""Forms of tokens, people, roles and preferences. What may be stored is decided by the services."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from collections.abc import Iterable
from typing import Any

from allauth.account.forms import ChangePasswordForm, LoginForm
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from fleetui.access.models import User
from fleetui.access.principals import Principal
from fleetui.access.roles import ROLES
from fleetui.access.signals import refused_for_a_while
from fleetui.access.token_text import MAX_DAYS
from fleetui.access.views.subject import visible_pools

PLAIN = {"spellcheck": "false", "autocomplete": "off", "class": "ui-mono"}
SCOPE_WORDS = {
    "read": gettext_lazy("Read: see everything that you see"),
    "backups": gettext_lazy("Backups: see backups, make them now, and report those of other jobs"),
    "operate": gettext_lazy("Operate: read, and add, edit and poll nodes and request operations"),
    "admin": gettext_lazy("Admin: everything that you may do"),
}
#: The choice that stands for no pool in particular.
EVERYTHING = "all"
ROLE_WORDS = {
    "viewer": gettext_lazy("Viewer: sees nodes, pools and releases"),
    "operator": gettext_lazy("Operator: adds, edits and polls nodes, requests operations"),
    "approver": gettext_lazy("Approver: approves what others requested"),
    "auditor": gettext_lazy("Auditor: reads the audit log, users and tokens"),
    "admin": gettext_lazy("Admin: may do everything"),
}


class NetworksField(forms.CharField):
    """Networks, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={**PLAIN, "rows": 2, "placeholder": "10.0.0.0/8"})
        kwargs = {"label": gettext_lazy("Networks"), "required": False, "max_length": 2000, "widget": widget, **kwargs}
        super().__init__(**kwargs)

    def clean(self, value: Any) -> list[str]:
        found = [part for part in re.split(r"[\s,]+", super().clean(value)) if part]
        for network in found:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                said = _("“%(network)s” is not a network. Write it like 10.0.0.0/8 or 192.0.2.7.")
                raise ValidationError(said % {"network": network[:60]}) from error
        return found


class _Plain(forms.Form):
    """Without the words in the fields that say again, and otherwise, what the labels say."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class SignInForm(_Plain, LoginForm):  # type: ignore[misc]
    """The name and the password of a sign-in."""


class NewPasswordForm(_Plain, ChangePasswordForm):  # type: ignore[misc]
    """A new password of one's own."""


class _CodeForm(forms.Form):
    """The second step. Behind too many wrong codes allauth tries none, and tells nobody."""

    user: User

    def clean_code(self) -> str:
        try:
            return str(super().clean_code())  # type: ignore[misc]
        except ValidationError as error:
            if error.code == "too_many_login_attempts":
                refused_for_a_while({"username": self.user.get_username()}, "Too many wrong codes")
            raise


class CodeForm(_CodeForm, AuthenticateForm):  # type: ignore[misc]
    """The code of a sign-in."""


class CodeAgainForm(_CodeForm, ReauthenticateForm):  # type: ignore[misc]
    """The code of who is signed in, before a change that asks for it."""


class TokenForm(forms.Form):
    """A token of one's own."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True, "placeholder": "ci-deploy"}),
        help_text=gettext_lazy("Say where it is used: this is how you find it again."),
    )
    scope = forms.ChoiceField(
        label=gettext_lazy("Scope"), choices=list(SCOPE_WORDS.items()), initial="read", widget=forms.RadioSelect
    )
    days = forms.IntegerField(
        label=gettext_lazy("Valid for days"),
        initial=90,
        min_value=1,
        max_value=MAX_DAYS,
        help_text=gettext_lazy("1 to 366"),
    )
    pools = forms.MultipleChoiceField(
        label=gettext_lazy("Pools"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None chosen: wherever your roles reach."),
    )
    networks = NetworksField(help_text=gettext_lazy("Addresses that may use it, one a line. Empty: from anywhere."))

    def __init__(self, *args: Any, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        pools = [(str(pk), name) for pk, name in visible_pools(principal).values_list("pk", "name")]
        self.fields["pools"].choices = pools  # type: ignore[attr-defined]
        if not pools:
            del self.fields["pools"]


def _pool_choices(principal: Principal) -> list[tuple[str, str]]:
    return [
        (EVERYTHING, _("Everything")),
        *((str(pk), name) for pk, name in visible_pools(principal).values_list("pk", "name")),
    ]


class RoleForm(forms.Form):
    """A role to give."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=[(role, ROLE_WORDS[role]) for role in ROLES])
    pool = forms.ChoiceField(label=pgettext_lazy("where a role applies", "On"))

    def __init__(self, *args: Any, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pool"].choices = _pool_choices(principal)  # type: ignore[attr-defined]


class PasswordForm(forms.Form):
    """A password for somebody else."""

    password = forms.CharField(
        label=gettext_lazy("New password"),
        strip=False,
        required=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("At least 12 characters. Empty: one is made and shown to you once."),
    )


class UserForm(forms.Form):
    """A person to add, with a first role so that they see something."""

    username = forms.CharField(
        label=gettext_lazy("User name"), max_length=150, widget=forms.TextInput(attrs={**PLAIN, "autofocus": True})
    )
    full_name = forms.CharField(label=gettext_lazy("Full name"), max_length=150, required=False)
    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=254, required=False)
    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        required=False,
        initial="viewer",
        choices=[*((role, ROLE_WORDS[role]) for role in ROLES), ("", gettext_lazy("None yet: sees nothing"))],
    )
    pool = forms.ChoiceField(label=pgettext_lazy("where a role applies", "On"))
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        required=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("At least 12 characters. Empty: one is made and shown to you once."),
    )

    def __init__(self, *args: Any, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pool"].choices = _pool_choices(principal)  # type: ignore[attr-defined]

    def clean_username(self) -> str:
        name = str(self.cleaned_data["username"]).strip()
        try:
            User().username_validator(name)
        except ValidationError as error:
            raise ValidationError(_("Use letters, digits and @ . + - _ only.")) from error
        return name


#: The choice that follows the installation.
INSTALLATION = "-"


class TimeZoneForm(forms.Form):
    """The zone in which a person reads times."""

    time_zone = forms.ChoiceField(label=gettext_lazy("Times are shown in"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = _("The installation's: %(zone)s") % {"zone": settings.TIME_ZONE}
        self.fields["time_zone"].choices = [(INSTALLATION, first), *_zones()]  # type: ignore[attr-defined]

    def clean_time_zone(self) -> str:
        zone = str(self.cleaned_data["time_zone"])
        return "" if zone == INSTALLATION else zone


def _zones() -> Iterable[tuple[str, str]]:
    return [
        (name, name.replace("_", " "))
        for name in sorted(zoneinfo.available_timezones())
        if "/" in name or name == "UTC"
    ]
