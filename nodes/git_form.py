"""The fields of a form that say where a repository stands, how one signs in there, and whose commits count."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from nodes.forms import PLAIN
from nodes.git.openpgp import MOST_TEXT
from nodes.models.git_source import AUTHS
from nodes.services.git.signers import MOST_SIGNERS

AUTH_WORDS = {
    "none": gettext_lazy("none: anybody may read it"),
    "token": gettext_lazy("an access token"),
    "basic": gettext_lazy("user name and password"),
    "key": gettext_lazy("a deploy key, over SSH"),
}
NEVER_SHOWN = {**PLAIN, "autocomplete": "new-password"}


class SourceForm(forms.Form):
    """Secrets are never filled in: an empty one stays as it is."""

    url = forms.CharField(
        label=gettext_lazy("Repository"),
        max_length=500,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "https://git.example.org/team/configs.git"}),
        help_text=gettext_lazy("As git clone takes it: https, or ssh with a deploy key."),
    )
    auth = forms.ChoiceField(label=gettext_lazy("Sign-in"), choices=[(name, AUTH_WORDS[name]) for name in AUTHS])
    username = forms.CharField(label=gettext_lazy("User name"), max_length=100, required=False)
    secret = forms.CharField(
        label=gettext_lazy("Token or password"),
        required=False,
        strip=False,
        max_length=20_000,
        widget=forms.PasswordInput(attrs=NEVER_SHOWN),
        help_text=gettext_lazy("Sealed, and never shown. Empty: the one that is stored. A deploy key is made here."),
    )
    require_signed = forms.BooleanField(label=gettext_lazy("Signed commits only"), required=False)
    allowed_signers = forms.CharField(
        label=gettext_lazy("Allowed signers"),
        required=False,
        strip=False,
        max_length=MOST_SIGNERS,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 4, "placeholder": "anna@example.org ssh-ed25519 AAAA…"}),
        help_text=gettext_lazy(
            "SSH keys, one a line: whose it is, options such as valid-before, and the line of the .pub file. "
            "Lines with # are comments."
        ),
    )
    allowed_keys = forms.CharField(
        label=gettext_lazy("OpenPGP keys"),
        required=False,
        strip=False,
        max_length=MOST_TEXT,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 4, "placeholder": "-----BEGIN PGP PUBLIC KEY BLOCK-----"}),
        help_text=gettext_lazy(
            "Public keys as gpg --armor --export prints them, one block after the other. They count until they expire "
            "or are revoked; for a revoked one, give its new export."
        ),
    )
