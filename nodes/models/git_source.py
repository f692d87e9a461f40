from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

AUTHS: Final = ("none", "token", "basic", "key")


class GitSource(models.Model):
    """A Git repository that something is taken from: where it stands, how one signs in there, and whose commits count.

    The secret is sealed for its own column. `host_key` is the pinned line of an SSH server.
    """

    url = models.CharField(_("repository"), max_length=500)
    auth = models.CharField(_("sign-in"), max_length=10, choices=[(name, name) for name in AUTHS], default="none")
    username = models.CharField(_("user name"), max_length=100, blank=True, default="")
    sealed_secret = models.TextField(blank=True, default="", editable=False)
    public_key = models.TextField(_("public key"), blank=True, default="", editable=False)
    host_key = models.TextField(_("host key"), blank=True, default="")
    require_signed = models.BooleanField(_("signed commits only"), default=False)
    allowed_signers = models.TextField(_("allowed signers"), blank=True, default="")
    allowed_keys = models.TextField(_("OpenPGP keys"), blank=True, default="")

    class Meta:
        abstract = True

    def seal_place(self, column: str) -> str:
        """Where a secret of this row is sealed for, such as `secret`."""
        return f"{self._meta.db_table}.sealed_{column}:{self.pk}"
