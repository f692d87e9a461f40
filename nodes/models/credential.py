from __future__ import annotations

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.querysets import CredentialQuerySet

#: Names stand in addresses of the API.
CREDENTIAL_NAME = RegexValidator(r"^[a-zA-Z0-9._-]+\Z", _("Use letters, digits, dots, hyphens and underscores."))
#: Pages show command lines for it, where a hyphen in front would be an option.
HOST_USERNAME = RegexValidator(
    r"^[a-zA-Z0-9._][a-zA-Z0-9._@-]*\Z",
    _("Use letters, digits, dots, hyphens, underscores and @, and no hyphen in front."),
)


class Credential(models.Model):
    """A user name and an SSH key. The private half is sealed; only the public half is ever shown."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True, validators=[CREDENTIAL_NAME])
    username = models.CharField(_("user name on the hosts"), max_length=64, default="core", validators=[HOST_USERNAME])
    sealed_private_key = models.TextField(editable=False)
    public_key = models.TextField(_("public key"), editable=False)
    fingerprint = models.CharField(_("fingerprint"), max_length=100, editable=False)
    certificate = models.TextField(_("SSH certificate"), blank=True, default="")
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    rotated_at = models.DateTimeField(null=True, editable=False)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("credential")

    def __str__(self) -> str:
        return self.name

    @property
    def seal_place(self) -> str:
        return f"nodes_credential.private_key:{self.pk}"
