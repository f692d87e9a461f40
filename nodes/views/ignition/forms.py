"""Forms of Ignition configs and versions. What may be stored is decided by the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy

from fleetui.access.principals import Principal
from nodes.forms import PLAIN
from nodes.models import IgnitionConfig, Pool
from nodes.services.ignition.check import MOST_SOURCE_BYTES

if TYPE_CHECKING:
    _ConfigModelForm = forms.ModelForm[IgnitionConfig]
else:
    _ConfigModelForm = forms.ModelForm


class ConfigForm(_ConfigModelForm):
    """Name, description and pools. Only pools on which one may edit Ignition are offered."""

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)
    pools = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Pools"),
        queryset=Pool.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("The pools whose machines it is for. A pool can have a version of these configs only."),
    )

    class Meta:
        model = IgnitionConfig
        fields = ["name", "description", "pools"]
        widgets = {"name": forms.TextInput(attrs={**PLAIN, "placeholder": "edge"})}
        help_texts = {"name": gettext_lazy("Letters, digits, dots and hyphens.")}

    def __init__(self, *args: Any, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        where = principal.where("ignition.edit")
        pools = Pool.objects.visible_to(principal).order_by("name")
        self.fields["pools"].queryset = pools if where.everywhere else pools.filter(pk__in=where.pools)  # type: ignore[attr-defined]
        self.fields["pools"].required = not where.everywhere
        if self.instance.pk:
            self.fields["revision"].initial = self.instance.revision

    def validate_unique(self) -> None:
        """The service tells a taken name."""


class _ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class _ManyFiles(forms.FileField):
    """Any number of files; none is fine."""

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        one = super().clean
        return [one(each, initial) for each in data or ()]


class VersionForm(forms.Form):
    """What a version is made of. `base` is the number of the version that the edit started from, 0 for none."""

    source = forms.CharField(
        label=gettext_lazy("Butane source"),
        strip=False,
        max_length=MOST_SOURCE_BYTES,
        widget=forms.Textarea(
            attrs={
                "rows": 28,
                "wrap": "off",
                "spellcheck": "false",
                "autocapitalize": "off",
                "autocomplete": "off",
                "autocorrect": "off",
                "class": "g-source",
                "aria-describedby": "editor-keys",
            }
        ),
    )
    message = forms.CharField(
        label=gettext_lazy("What changes, and why"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    uploads = _ManyFiles(
        label=gettext_lazy("Add files"),
        required=False,
        widget=_ManyFilesInput(attrs={"multiple": True}),
        help_text=gettext_lazy("For local: and trees: in the source. A file of the same path is replaced."),
    )
    folder = forms.CharField(
        label=gettext_lazy("In the folder"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "etc"}),
        help_text=gettext_lazy("Empty: at the top."),
    )
    drop = forms.MultipleChoiceField(required=False)
    base = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0)

    def __init__(self, *args: Any, paths: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["drop"].choices = [(path, path) for path in paths]  # type: ignore[attr-defined]
