"""Forms of pools, clusters, credentials, releases and of a node to add. What may be stored is decided by the services."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleetui.access.principals import Principal
from fleetui.core.errors import InvalidInput
from fleetui.core.form_errors import sentence
from nodes.hosts import drivers
from nodes.models import Cluster, Credential, JumpHost, Node, Pool
from nodes.models.node import NODE_NAME
from nodes.services.nodes import checked_address, checked_labels
from nodes.services.whereabouts import AddressTaken, require_free_address
from nodes.views.edit import NodeForm

if TYPE_CHECKING:
    _PoolModelForm = forms.ModelForm[Pool]
    _ClusterModelForm = forms.ModelForm[Cluster]
    _JumpHostModelForm = forms.ModelForm[JumpHost]
    _CredentialModelForm = forms.ModelForm[Credential]
else:
    _PoolModelForm = _ClusterModelForm = _CredentialModelForm = _JumpHostModelForm = forms.ModelForm

PLAIN = {"spellcheck": "false", "autocomplete": "off", "class": "ui-mono"}
#: A document that is pasted or uploaded; the same as the limit of a request.
MAX_DOCUMENT_BYTES = 9 * 1024 * 1024
MAX_KEY_CHARACTERS = 20_000


def _checked(check: Callable[[Any], Any], value: Any) -> Any:
    """A value as the service would keep it; its refusal becomes a form error."""
    try:
        return check(value)
    except InvalidInput as error:
        raise ValidationError(error.mend or error.message) from error


class AddNodeForm(NodeForm):
    """A node to add: checked before the host is asked for its key, so that a mistake costs no contact."""

    revision = None  # type: ignore[assignment]

    def __init__(self, *args: Any, principal: Principal, key_url: str, **kwargs: Any) -> None:
        super().__init__(*args, principal=principal, **kwargs)
        self._principal = principal
        self.fields["name"].widget.attrs["autofocus"] = True
        self.fields["name"].widget.attrs["placeholder"] = "web-1"
        self.fields["address"].widget.attrs["placeholder"] = "10.0.0.7"
        self.fields["address"].help_text = _("A host name or an IP address that this machine reaches.")
        self.fields["labels"].widget.attrs["rows"] = 3
        ask = {"hx-get": key_url, "hx-target": "#key-hint", "hx-trigger": "change", "hx-include": "closest form"}
        for name in ("pool", "credential"):
            if name in self.fields:
                self.fields[name].widget.attrs.update(ask)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        NODE_NAME(name)
        if Node.objects.filter(name=name).exists():
            raise ValidationError(_("A node with this name exists. Choose another name."))
        return name

    def clean_address(self) -> str:
        return str(_checked(checked_address, self.cleaned_data["address"]))

    def clean_labels(self) -> dict[str, str]:
        found: dict[str, str] = _checked(checked_labels, self.cleaned_data["labels"])
        return found

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        may_share = bool(found.get("allow_same_address"))
        self.asks_same_address = may_share
        if not may_share and {"address", "port", "pool"} <= set(found):
            try:
                require_free_address(
                    address=found["address"],
                    port=found["port"],
                    pool=found["pool"],
                    jump_host=found.get("jump_host"),
                    actor=self._principal,
                )
            except AddressTaken as error:
                self.asks_same_address = True
                self.add_error("address", sentence(error))
        return found

    @property
    def chosen_jump_host(self) -> JumpHost | None:
        """The jump host on the way: the node's own, else its pool's."""
        own, pool = self.cleaned_data.get("jump_host"), self.cleaned_data.get("pool")
        found: JumpHost | None = own or (pool.jump_host if pool else None)
        return found

    @property
    def chosen_credential(self) -> Credential | None:
        """The credential that contacts will use: the node's own, else its pool's."""
        own, pool = self.cleaned_data.get("credential"), self.cleaned_data.get("pool")
        found: Credential | None = own or (pool.credential if pool else None)
        return found


class PoolForm(_PoolModelForm):
    """What people set on a pool."""

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Pool
        fields = [
            "name",
            "description",
            "cluster",
            "role",
            "credential",
            "jump_host",
            "poll_interval_s",
            "retire_absent_after_s",
            "host_ca_keys",
        ]
        widgets = {
            "name": forms.TextInput(attrs=PLAIN),
            "role": forms.TextInput(attrs={"autocomplete": "off"}),
            "host_ca_keys": forms.Textarea(attrs={**PLAIN, "rows": 3, "placeholder": "ssh-ed25519 AAAA…"}),
        }
        help_texts = {
            "name": gettext_lazy("Letters, digits, dots and hyphens: hosts name it as their FleetLock group."),
            "role": gettext_lazy("A word of your own, such as worker or control-plane."),
            "credential": gettext_lazy("Used for every node of the pool that has none of its own."),
            "jump_host": gettext_lazy("Nodes of the pool that have none of their own are reached through it."),
            "host_ca_keys": gettext_lazy(
                "One public key a line. A host that shows a certificate of one of them is trusted without a pinned key."
            ),
            "poll_interval_s": gettext_lazy("From 10 to 86,400. Empty: as often as the installation says."),
            "retire_absent_after_s": gettext_lazy(
                "From 60 to 2,592,000, for nodes that enrolled by themselves. Empty: never."
            ),
        }
        error_messages = {
            "poll_interval_s": dict.fromkeys(("min_value", "max_value"), gettext_lazy("Give 10 to 86,400 seconds.")),
            "retire_absent_after_s": dict.fromkeys(
                ("min_value", "max_value"), gettext_lazy("Give 60 to 2,592,000 seconds.")
            ),
        }

    def __init__(self, *args: Any, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.instance.revision
        clusters, credentials = self.fields["cluster"], self.fields["credential"]
        clusters.queryset = Cluster.objects.visible_to(principal)  # type: ignore[attr-defined]
        clusters.empty_label = _("No cluster")  # type: ignore[attr-defined]
        credentials.queryset = Credential.objects.visible_to(principal)  # type: ignore[attr-defined]
        credentials.empty_label = _("None")  # type: ignore[attr-defined]
        jump_hosts = self.fields["jump_host"]
        jump_hosts.queryset = JumpHost.objects.visible_to(principal)  # type: ignore[attr-defined]
        jump_hosts.empty_label = _("None: straight")  # type: ignore[attr-defined]
        for name in ("cluster", "credential", "jump_host"):
            # Kept as it is: a person who may not see it may still edit the rest.
            current = getattr(self.instance, f"{name}_id")
            if current and not self.fields[name].queryset.filter(pk=current).exists():  # type: ignore[attr-defined]
                del self.fields[name]

    def validate_unique(self) -> None:
        """The service says it: the name may be taken by a pool that this person may not see."""


class JumpHostForm(_JumpHostModelForm):
    """What people set on a jump host; its key is compared on a page of its own."""

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = JumpHost
        fields = ["name", "address", "port", "credential", "through"]
        widgets = {"name": forms.TextInput(attrs=PLAIN), "address": forms.TextInput(attrs=PLAIN)}
        help_texts = {
            "credential": gettext_lazy("Signs in on the jump host; the nodes behind it have their own."),
            "through": gettext_lazy("For a jump host that stands behind another one."),
        }

    def __init__(self, *args: Any, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.instance.revision
        self.fields["address"].help_text = _("A host name or an IP address that this machine reaches.")
        credentials, through = self.fields["credential"], self.fields["through"]
        credentials.queryset = Credential.objects.visible_to(principal)  # type: ignore[attr-defined]
        credentials.empty_label = _("Choose one")  # type: ignore[attr-defined]
        through.queryset = JumpHost.objects.visible_to(principal).exclude(pk=self.instance.pk)  # type: ignore[attr-defined]
        through.empty_label = _("None: straight")  # type: ignore[attr-defined]

    def clean_address(self) -> str:
        return str(_checked(checked_address, self.cleaned_data["address"]))

    def validate_unique(self) -> None:
        """The service says it: the name may be taken by a jump host that this person may not see."""


class ClusterForm(_ClusterModelForm):
    """What people set on a cluster."""

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Cluster
        fields = ["name", "description"]
        widgets = {"name": forms.TextInput(attrs=PLAIN)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.instance.revision

    def validate_unique(self) -> None:
        """The service says it."""


class KeyForm(forms.Form):
    """A key that is made here or brought along. What was typed of it is never drawn again."""

    GENERATE, BRING = "generate", "bring"

    source = forms.ChoiceField(
        label=gettext_lazy("Key"),
        choices=[
            (GENERATE, gettext_lazy("Make a new ed25519 key here; its private half never leaves FleetUI")),
            (BRING, gettext_lazy("Use a private key that you have")),
        ],
        initial=GENERATE,
        widget=forms.RadioSelect,
    )
    private_key = forms.CharField(
        label=gettext_lazy("Private key"),
        required=False,
        strip=False,
        max_length=MAX_KEY_CHARACTERS,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 7, "placeholder": "-----BEGIN OPENSSH PRIVATE KEY-----"}),
        help_text=gettext_lazy("OpenSSH or PEM text. It is sealed before it is stored, and never shown again."),
    )
    key_file = forms.FileField(label=gettext_lazy("Or its file"), required=False, max_length=200)
    passphrase = forms.CharField(
        label=gettext_lazy("Passphrase of the key"),
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Opens the key once, now. It is not kept."),
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        upload, pasted = found.pop("key_file", None), found.get("private_key") or ""
        found["private_key"] = None
        if found.get("source") != self.BRING:
            found["passphrase"] = ""
            return found
        if upload and upload.size > MAX_KEY_CHARACTERS:
            self.add_error("key_file", _("The file is too large for a private key."))
        elif upload:
            pasted = upload.read().decode("utf-8", errors="replace")
        if not pasted.strip() and not self.errors:
            self.add_error("private_key", _("Paste the private key, or choose its file."))
        found["private_key"] = pasted.replace("\r\n", "\n")
        return found

    def forget_secrets(self) -> None:
        """Leave key and passphrase out of the form that is drawn again."""
        if self.is_bound:
            self.data = self.data.copy()  # type: ignore[attr-defined]
            for name in ("private_key", "passphrase"):
                self.data.pop(self.add_prefix(name), None)  # type: ignore[attr-defined]


class NextCredentialForm(KeyForm):
    """The credential that a pool is to have next: one that is there, or a new one."""

    EXISTING = "existing"

    credential = forms.ModelChoiceField(
        label=gettext_lazy("Credential"), queryset=Credential.objects.none(), required=False
    )
    name = forms.CharField(label=gettext_lazy("Name of the new credential"), max_length=100, required=False)
    username = forms.CharField(
        label=gettext_lazy("User name on the hosts"), max_length=64, required=False, widget=forms.TextInput(attrs=PLAIN)
    )
    field_order = ("source", "credential", "name", "username", "private_key", "key_file", "passphrase")

    def __init__(self, *args: Any, principal: Principal, pool: Pool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = Credential.objects.visible_to(principal)
        credential = self.fields["credential"]
        credential.queryset = found.exclude(pk=pool.credential_id)  # type: ignore[attr-defined]
        credential.empty_label = _("Choose one")  # type: ignore[attr-defined]
        source = self.fields["source"]
        source.label = _("Next credential")
        makes = list(source.choices) if principal.may("credentials.write") else []  # type: ignore[attr-defined]
        source.choices = [(self.EXISTING, _("Use a credential that is there")), *makes]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        if found.get("source") == self.EXISTING:
            if not found.get("credential") and "credential" not in self.errors:
                self.add_error("credential", _("Choose the credential to try."))
            return found
        for name in ("name", "username"):
            if not str(found.get(name) or "").strip() and name not in self.errors:
                self.add_error(name, _("Give a value."))
        return found


class CredentialForm(KeyForm):
    """A credential to add."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    username = forms.CharField(
        label=gettext_lazy("User name on the hosts"), max_length=64, initial="core", widget=forms.TextInput(attrs=PLAIN)
    )
    certificate = forms.CharField(
        label=gettext_lazy("SSH certificate"),
        required=False,
        max_length=MAX_KEY_CHARACTERS,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 3, "placeholder": "ssh-ed25519-cert-v01@openssh.com AAAA…"}),
        help_text=gettext_lazy("Where hosts trust a certificate authority. It has to belong to the key."),
    )
    field_order = ("name", "username", "source", "private_key", "key_file", "passphrase", "certificate")


class CredentialEditForm(_CredentialModelForm):
    """What may be changed of a credential without a new key."""

    revision = forms.IntegerField(widget=forms.HiddenInput)

    class Meta:
        model = Credential
        fields = ["name", "username", "certificate"]
        widgets = {
            "username": forms.TextInput(attrs=PLAIN),
            "certificate": forms.Textarea(attrs={**PLAIN, "rows": 4}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.instance.revision

    def validate_unique(self) -> None:
        """The service says it: the name may be taken by a credential that this person may not see."""


class DocumentForm(forms.Form):
    """A document that is uploaded as `file` or pasted as `document`."""

    @property
    def source_field(self) -> str:
        """The field that it came by, where what is wrong with it is told."""
        return "file" if self.files.get("file") else "document"


class ReleasesForm(DocumentForm):
    """A document of releases, uploaded or pasted."""

    os_family = forms.ChoiceField(label=gettext_lazy("OS family"))
    stream = forms.CharField(
        label=gettext_lazy("Stream"),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "stable"}),
        help_text=gettext_lazy("Needed for a Cincinnati graph only: the other documents name their stream."),
    )
    file = forms.FileField(label=gettext_lazy("JSON file"), required=False, max_length=200)
    document = forms.CharField(
        label=gettext_lazy("Or its text"),
        required=False,
        max_length=MAX_DOCUMENT_BYTES,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 10, "placeholder": '{"stream": "stable", "releases": [ … ]}'}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        families = sorted(family for family in drivers.families() if family != "unknown")
        self.fields["os_family"].choices = [(family, drivers.get(family).name) for family in families]  # type: ignore[attr-defined]
        self.fields["os_family"].initial = "fcos"

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        upload, pasted = found.get("file"), found.get("document") or ""
        if upload and upload.size > MAX_DOCUMENT_BYTES:
            self.add_error("file", _("The file is larger than 9 MiB. Import one stream at a time."))
        elif upload:
            pasted = upload.read().decode("utf-8-sig", errors="replace")
        if not pasted.strip() and not self.errors:
            self.add_error("document", _("Choose a file, or paste its text."))
        found["text"] = pasted
        return found
