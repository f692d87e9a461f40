"""The form that changes what people set on a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError, StaleEdit
from fleetui.core.form_errors import take_error
from nodes.hosts import drivers
from nodes.models import Credential, JumpHost, Node, Pool
from nodes.services.nodes import EDITABLE, edit_node
from nodes.services.whereabouts import AddressTaken
from nodes.views.subject import node_for, principal_of

MAX_LABELS_TEXT = 10_000


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as a person writes them: `key=value`, one a line."""
    return "\n".join(f"{key}={value}" for key, value in sorted(labels.items()))


class LabelsField(forms.CharField):
    """Lines of `key=value`."""

    widget = forms.Textarea(attrs={"rows": 4, "class": "ui-mono", "spellcheck": "false"})

    def clean(self, value: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in super().clean(value).splitlines():
            if not line.strip():
                continue
            key, equals, said = line.partition("=")
            if not equals or not key.strip():
                raise forms.ValidationError(
                    _("The line “%(line)s” is not a label: write key=value.") % {"line": line.strip()[:80]}
                )
            found[key.strip()] = said.strip()
        return found


if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Node]
else:
    _ModelForm = forms.ModelForm


class NodeForm(_ModelForm):
    """Name, address, port, pool, credential, jump host, OS family and labels."""

    labels = LabelsField(
        label=gettext_lazy("Labels"), required=False, max_length=MAX_LABELS_TEXT,
        help_text=gettext_lazy("One a line, as <code>key=value</code>. Lists can be filtered by them."),
    )  # fmt: skip
    os_family_given = forms.ChoiceField(
        label=gettext_lazy("OS family"), required=False,
        help_text=gettext_lazy("Leave it on detection unless the host names itself wrongly."),
    )  # fmt: skip
    allow_same_address = forms.BooleanField(
        label=gettext_lazy("These are different machines: both have this address"), required=False
    )
    revision = forms.IntegerField(widget=forms.HiddenInput)
    #: Whether the form asks that: only when the address was refused.
    asks_same_address = False

    class Meta:
        model = Node
        fields = ["name", "address", "port", "pool", "credential", "jump_host", "os_family_given", "labels"]
        widgets = {
            "name": forms.TextInput(attrs={"class": "ui-mono", "spellcheck": "false", "autocomplete": "off"}),
            "address": forms.TextInput(attrs={"class": "ui-mono", "spellcheck": "false", "autocomplete": "off"}),
        }
        # Django's own sentence does not fit under so narrow a field.
        error_messages = {"port": dict.fromkeys(("min_value", "max_value"), gettext_lazy("Give 1 to 65535."))}

    def __init__(self, *args: Any, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        where = principal.where("nodes.write")
        pools = Pool.objects.visible_to(principal)
        pool = self.fields["pool"]
        pool.queryset = pools if where.everywhere else pools.filter(pk__in=where.pools)  # type: ignore[attr-defined]
        pool.empty_label = _("No pool")  # type: ignore[attr-defined]
        pool.required = not where.everywhere
        credential = self.fields["credential"]
        credential.queryset = Credential.objects.visible_to(principal)  # type: ignore[attr-defined]
        credential.empty_label = _("The pool's")  # type: ignore[attr-defined]
        if self.instance.credential_id and not credential.queryset.filter(pk=self.instance.credential_id).exists():  # type: ignore[attr-defined]
            # Kept as it is: a person who may not see the credential may still edit the rest.
            del self.fields["credential"]
        jump_host = self.fields["jump_host"]
        jump_host.queryset = JumpHost.objects.visible_to(principal)  # type: ignore[attr-defined]
        jump_host.empty_label = _("The pool's, if it has one")  # type: ignore[attr-defined]
        if self.instance.jump_host_id and not jump_host.queryset.filter(pk=self.instance.jump_host_id).exists():  # type: ignore[attr-defined]
            del self.fields["jump_host"]
        families = [
            ("", _("Detect it from the host")),
            *((name, drivers.get(name).name) for name in sorted(drivers.families())),
        ]
        self.fields["os_family_given"].choices = families  # type: ignore[attr-defined]

    def _get_validation_exclusions(self) -> set[str]:
        # The name may be taken by a node that this person may not see; the service says so in its own words.
        return {*super()._get_validation_exclusions(), "name"}  # type: ignore[misc]


def _initial(node: Node) -> dict[str, Any]:
    return {"labels": labels_text(node.labels), "revision": node.revision}


@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.write")
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """The form; a change that somebody else made meanwhile is not overwritten."""
    node = node_for(request, name, "nodes.write")
    principal = principal_of(request)
    old_name = node.name
    form = NodeForm(request.POST or None, instance=node, initial=_initial(node), principal=principal)
    status = 200
    if request.method == "POST":
        if form.is_valid() and (saved := _save(form, old_name, principal)):
            messages.info(request, _("%(name)s was changed.") % {"name": saved.name})
            return redirect("nodes:detail", name=saved.name)
        status = 412 if getattr(form, "is_stale", False) else 422
    context = {"form": form, "node_name": old_name, "is_stale": getattr(form, "is_stale", False)}
    return render(request, "nodes/edit.html", context, status=status)


def _save(form: NodeForm, old_name: str, principal: Principal) -> Node | None:
    """The changed node, or None with the reason on the form."""
    # The form has written onto its own copy; the service compares with what is stored.
    stored = Node.objects.select_related("pool__cluster", "credential", "jump_host").get(name=old_name)
    changes = {name: form.cleaned_data[name] for name in EDITABLE if name in form.cleaned_data}
    try:
        return edit_node(
            node=stored,
            changes=changes,
            actor=principal,
            now=clock.now(),
            expected_revision=form.cleaned_data["revision"],
            allow_same_address=form.cleaned_data["allow_same_address"],
        )
    except FleetError as error:
        take_error(form, error)
        form.asks_same_address = isinstance(error, AddressTaken) or form.cleaned_data["allow_same_address"]
        form.is_stale = isinstance(error, StaleEdit)  # type: ignore[attr-defined]
    return None
