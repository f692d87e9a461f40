"""The form of a plan: the nodes, the kind with its parameters, and why."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nodes.hosts.drivers.kubeadm_commands import ALL, CERTIFICATES
from nodes.hosts.drivers.podman_commands import LONGEST_FOLLOW_S, MOST_LOG_LINES
from ops import actions
from ops.actions.drain import DEFAULT_LIMIT_S, MOST_GRACE_S, MOST_LIMIT_S
from ops.actions.replace import DEFAULT_ARRIVAL_S, LEAST_ARRIVAL_S, MOST_ARRIVAL_S
from ops.services import threshold
from ops.services.reasons import is_reason_required, reason_hint
from ops.services.request import MOST_NODES

HOURS = {
    1: gettext_lazy("1 hour"),
    4: gettext_lazy("4 hours"),
    12: gettext_lazy("12 hours"),
    24: gettext_lazy("1 day"),
    72: gettext_lazy("3 days"),
}
#: Fields that a kind takes, beyond the reason and the deadline.
_DRAIN = ("delete_emptydir", "delete_unmanaged", "grace_s", "drain_limit_s", "drain_ending")
FIELDS: dict[str, tuple[str, ...]] = {
    "upgrade": ("version", "soak_s", "roll_back", "ignore_sessions", "ignore_managers", "drain", *_DRAIN),
    "rollback": ("soak_s", "ignore_sessions", "ignore_managers", "drain", *_DRAIN),
    "reboot": ("soak_s", "ignore_sessions", "ignore_managers", "drain", *_DRAIN),
    "drain": _DRAIN,
    "replace": ("arrive_within_s", "soak_s", "ignore_pool", "drain", *_DRAIN),
    "pin": ("deployment",),
    "unpin": ("deployment",),
    "unit_restart": ("unit",),
    "kargs": (
        "append",
        "delete",
        "replace",
        "soak_s",
        "roll_back",
        "ignore_sessions",
        "ignore_managers",
        "drain",
        *_DRAIN,
    ),
    "container_update": ("unit", "image", "soak_s", "roll_back"),
    "container_rollback": ("unit", "soak_s"),
    "container_restart": ("container",),
    "container_start": ("container",),
    "container_stop": ("container",),
    "container_logs": ("container", "lines", "seconds"),
    "image_pull": ("image",),
    "certbot_renew": ("certificate", "endpoint", "reload", "force"),
    "kubeadm_renew": ("certificate",),
}
#: Without these nothing can be planned: the form is asked for them first.
ASKED_FIRST = {
    "unit_restart": ("unit",),
    "kargs": ("append", "delete", "replace"),
    "container_update": ("image",),
    "container_rollback": ("unit",),
    "container_restart": ("container",),
    "container_start": ("container",),
    "container_stop": ("container",),
    "container_logs": ("container",),
    "image_pull": ("image",),
    "certbot_renew": ("certificate",),
}
#: Kinds that do so by themselves unless told otherwise: what is not ticked is said.
BACK_BY_ITSELF = ("container_update",)
_WORDS = ("append", "delete", "replace")
INITIAL = {
    "arrive_within_s": DEFAULT_ARRIVAL_S,
    "hours": 4,
    "lines": 200,
    "seconds": 60,
    "soak_s": 60,
    "deployment": "booted",
    "drain": "on",
    "drain_limit_s": DEFAULT_LIMIT_S,
    "drain_ending": "skip",
}


def _words(label: Any, help_text: Any) -> forms.CharField:
    """Kernel arguments, apart by spaces or lines."""
    area = forms.Textarea(
        attrs={"rows": 2, "spellcheck": "false", "autocapitalize": "off", "class": "form-control ui-mono"}
    )
    return forms.CharField(label=label, required=False, max_length=6000, widget=area, help_text=help_text)


class PlanForm(forms.Form):
    """The nodes, frozen as ids, the kind with its parameters, and why."""

    ids = forms.CharField(widget=forms.HiddenInput)
    kind = forms.ChoiceField(choices=[(kind, kind) for kind in actions.askable()], widget=forms.HiddenInput)
    version = forms.CharField(
        label=gettext_lazy("Version"),
        required=False,
        max_length=100,
        help_text=gettext_lazy("Empty: the next release of the stream of each node."),
    )
    unit = forms.CharField(
        label=gettext_lazy("Unit"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"list": "plan-units", "spellcheck": "false", "autocapitalize": "off"}),
        help_text=gettext_lazy("A service, socket, timer or path, such as kubelet.service."),
    )
    container = forms.CharField(
        label=gettext_lazy("Container"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off"}),
        help_text=gettext_lazy("Its name, as podman ps shows it."),
    )
    image = forms.CharField(
        label=gettext_lazy("Image"),
        required=False,
        max_length=500,
        widget=forms.TextInput(
            attrs={
                "list": "plan-images",
                "spellcheck": "false",
                "autocapitalize": "off",
                "class": "form-control ui-mono",
            }
        ),
        help_text=gettext_lazy("With its registry, and with a tag or a digest, such as quay.io/team/app:1.2."),
    )
    lines = forms.IntegerField(
        label=gettext_lazy("Lines of before"), required=False, min_value=1, max_value=MOST_LOG_LINES
    )
    seconds = forms.IntegerField(
        label=gettext_lazy("Follow it for seconds"), required=False, min_value=0, max_value=LONGEST_FOLLOW_S
    )
    certificate = forms.CharField(
        label=gettext_lazy("Certificate"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "class": "form-control ui-mono"}),
        help_text=gettext_lazy("Its name at Certbot: that of its folder in /etc/letsencrypt/live."),
    )
    endpoint = forms.CharField(
        label=gettext_lazy("Where it is served"),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "class": "form-control ui-mono"}),
        help_text=gettext_lazy(
            "HOST:PORT of one of the TLS endpoints. A handshake there proves that the new certificate is served."
        ),
    )
    reload = forms.CharField(
        label=gettext_lazy("Service to reload"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "class": "form-control ui-mono"}),
        help_text=gettext_lazy("What serves it, such as nginx. Empty: a deploy hook of Certbot does so."),
    )
    force = forms.BooleanField(label=gettext_lazy("Also when it is not due yet"), required=False)
    append = _words(gettext_lazy("Append"), gettext_lazy("NAME or NAME=VALUE, apart by spaces or lines."))
    delete = _words(gettext_lazy("Delete"), gettext_lazy("Exactly as they stand now."))
    replace = _words(gettext_lazy("Replace"), gettext_lazy("NAME=NEW, where NAME is there exactly once."))
    deployment = forms.ChoiceField(
        label=gettext_lazy("Deployment"),
        required=False,
        choices=[
            ("booted", gettext_lazy("The booted one")),
            ("rollback", gettext_lazy("The rollback one")),
            ("pending", gettext_lazy("The pending one")),
        ],
    )
    soak_s = forms.IntegerField(
        label=gettext_lazy("Watch its health for seconds"), required=False, min_value=0, max_value=3600, initial=60
    )
    roll_back = forms.BooleanField(
        label=gettext_lazy("Go back by itself when it is not healthy afterwards"), required=False
    )
    ignore_sessions = forms.BooleanField(label=gettext_lazy("Also when somebody is signed in"), required=False)
    ignore_managers = forms.BooleanField(label=gettext_lazy("Also beside another reboot manager"), required=False)
    drain = forms.BooleanField(
        label=gettext_lazy("Drain it first, and uncordon it afterwards"), required=False, initial=True
    )
    arrive_within_s = forms.IntegerField(
        label=gettext_lazy("Seconds until the new machine has to answer"),
        required=False,
        min_value=LEAST_ARRIVAL_S,
        max_value=MOST_ARRIVAL_S,
    )
    ignore_pool = forms.BooleanField(label=gettext_lazy("Also when no other node of its pool works"), required=False)
    delete_emptydir = forms.BooleanField(
        label=gettext_lazy("Also pods with data in emptyDir volumes, which is lost"), required=False
    )
    delete_unmanaged = forms.BooleanField(
        label=gettext_lazy("Also pods without a controller, which start nowhere else"), required=False
    )
    grace_s = forms.IntegerField(
        label=gettext_lazy("Seconds that a pod has to end"),
        required=False,
        min_value=0,
        max_value=MOST_GRACE_S,
        help_text=gettext_lazy("Empty: as each pod says itself."),
    )
    drain_limit_s = forms.IntegerField(
        label=gettext_lazy("Time limit of the drain in seconds"),
        required=False,
        min_value=10,
        max_value=MOST_LIMIT_S,
        initial=DEFAULT_LIMIT_S,
    )
    drain_ending = forms.ChoiceField(
        label=gettext_lazy("When the limit is over"),
        required=False,
        choices=[
            ("skip", gettext_lazy("Leave the node as it is, and uncordon it")),
            ("ask", gettext_lazy("Ask a person")),
            ("force", gettext_lazy("Delete the pods, whatever their budgets say")),
        ],
    )
    stop_after = forms.IntegerField(
        label=gettext_lazy("Stop when so many have ended badly"),
        required=False,
        min_value=1,
        max_value=threshold.MOST,
        help_text=gettext_lazy(
            "Those that have not begun by then are left out. "
            "Empty: all have their turn; only a renewal by kubeadm stops at the first."
        ),
    )
    hours = forms.TypedChoiceField(
        label=gettext_lazy("Wait for a host that does not answer, or for its turn"),
        coerce=int,
        initial=4,
        choices=list(HOURS.items()),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=300)
    count = forms.CharField(required=False)

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Asked for when it goes, not while the plan is only looked at.
        self.fields["reason"].required = is_reason_required() and "go" in self.data
        self.fields["reason"].help_text = reason_hint()
        for name in {name for names in FIELDS.values() for name in names} - set(FIELDS.get(kind, ())):
            del self.fields[name]
        if "," not in str(self.data.get("ids", "")):
            del self.fields["stop_after"]
        if kind == "kubeadm_renew":
            self.fields["certificate"] = forms.ChoiceField(
                label=_("Certificate"),
                required=False,
                choices=[(ALL, _("All that kubeadm renews")), *((name, name) for name in sorted(CERTIFICATES))],
                help_text=_(
                    "kubeadm renews it whether it is due or not, and the static pods that hold it are restarted."
                ),
            )
        first = ASKED_FIRST.get(kind, ())
        #: Whether all that a plan needs is there.
        self.is_complete = not first or any(str(self.data.get(name, "")).strip() for name in first)

    def clean_ids(self) -> list[uuid.UUID]:
        try:
            return [uuid.UUID(word) for word in self.cleaned_data["ids"].split(",")[:MOST_NODES]]
        except ValueError:
            raise forms.ValidationError(_("The selection is not readable: select the nodes again.")) from None

    def without_drain(self) -> None:
        """No node of these is known to a cluster: nothing is asked of it."""
        for name in ("drain", *_DRAIN):
            self.fields.pop(name, None)

    def params(self) -> dict[str, Any]:
        """What the kind takes, without what was left empty or as it is anyway."""
        names = [name for name in FIELDS.get(self.cleaned_data["kind"], ()) if name in self.fields]
        found = {name: self.cleaned_data.get(name) for name in names}
        found |= {name: str(found[name]).split() for name in _WORDS if name in found}
        kept = {name: value for name, value in found.items() if value not in (None, "", []) and value is not False}
        if self.cleaned_data["kind"] in BACK_BY_ITSELF:
            kept["roll_back"] = bool(found["roll_back"])
        if found.get("drain") is False:
            return {name: value for name, value in kept.items() if name not in _DRAIN} | {"drain": False}
        usual = {"drain": True, "drain_limit_s": DEFAULT_LIMIT_S, "drain_ending": "skip"}
        return {name: value for name, value in kept.items() if usual.get(name) != value or name not in usual}
