"""The form of a backup policy: the fields of its kind, and those that all have."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ops.backups.retention import PERIODS
from ops.backups.sources import KUBEADM_ETCD
from ops.models import BackupPolicy
from ops.services.backups.keeping import DEFAULT_KEEP, MOST_KEPT
from ops.services.backups.policies import DEFAULT_OVERDUE_S, MOST_OVERDUE_S
from ops.wording import backups as words

_PLAIN = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off", "class": "form-control ui-mono"}
#: kind -> its own fields, which are those of the settings.
FIELDS: dict[str, tuple[str, ...]] = {
    "path": ("paths", "exclude", "one_file_system"),
    "volume": ("claims", "exclude"),
    "postgresql": ("database", "user", "host", "port", "run_as", "runs_in", "container"),
    "etcd": ("runs_in", "container", "endpoint", "ca", "cert", "key", "folder", "is_gate"),
    "fleetui": (),
    "reported": (),
}
_COMMON = (
    "name",
    "node",
    "pool",
    "target",
    "cron",
    "zone",
    *PERIODS,
    "overdue_after_h",
    "drill_cron",
    "prove_within_h",
    "revision",
)


def _plain(label: Any, example: str = "", **options: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={**_PLAIN, "placeholder": example})
    return forms.CharField(**{"label": label, "max_length": 500, "required": False, "widget": widget, **options})


def _lines(label: Any, example: str, **options: Any) -> forms.CharField:
    widget = forms.Textarea(attrs={**_PLAIN, "rows": 3, "placeholder": example})
    return forms.CharField(**{"label": label, "max_length": 5000, "widget": widget, **options})


def _count(period: str) -> forms.IntegerField:
    label: Any = words.PERIODS[period]
    return forms.IntegerField(label=label, required=False, min_value=0, max_value=MOST_KEPT)


class PolicyForm(forms.Form):
    """What is backed up, where it lies, when, how long, and after what time somebody is told."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    node = _plain(gettext_lazy("Node"), "node-01", max_length=100)
    pool = forms.ChoiceField(
        label=gettext_lazy("Or any node of the pool"),
        required=False,
        help_text=gettext_lazy("Its nodes are members of one etcd; the first that answers makes the snapshot."),
    )
    paths = _lines(gettext_lazy("Paths"), "/etc\n/var/lib/app", help_text=gettext_lazy("Absolute, one a line."))
    claims = _lines(
        gettext_lazy("Claims"),
        "shop/data-db-0\nshop/*",
        help_text=gettext_lazy("NAMESPACE/CLAIM, one a line. * stands for anything."),
    )
    exclude = _lines(
        gettext_lazy("Leave out"), "*.tmp", required=False, help_text=gettext_lazy("Patterns of tar, one a line.")
    )
    one_file_system = forms.BooleanField(
        label=gettext_lazy("Stay on the file systems of the paths"), required=False, initial=True
    )
    database = _plain(gettext_lazy("Database"), "app", max_length=63, required=True)
    user = _plain(gettext_lazy("Database user"), "postgres", max_length=63)
    host = _plain(
        gettext_lazy("Host or socket directory"),
        "/run/postgresql",
        help_text=gettext_lazy("As seen from the node. Empty: the usual socket."),
    )
    port = forms.IntegerField(label=gettext_lazy("Port"), required=False, min_value=1, max_value=65_535, initial=5432)
    run_as = _plain(gettext_lazy("Run as the system user"), "postgres", max_length=63)
    runs_in = forms.ChoiceField(label=gettext_lazy("Where its programs are"), initial="host")
    container = _plain(
        gettext_lazy("Container"), "db", max_length=128, help_text=gettext_lazy("For Podman and Docker.")
    )
    endpoint = _plain(
        gettext_lazy("Endpoint"),
        "https://127.0.0.1:2379",
        help_text=gettext_lazy("As seen from the node. For kubeadm, fields that are left empty are what kubeadm has."),
    )
    ca = _plain(gettext_lazy("CA certificate"), KUBEADM_ETCD["ca"])
    cert = _plain(gettext_lazy("Client certificate"), KUBEADM_ETCD["cert"])
    key = _plain(gettext_lazy("Client key"), KUBEADM_ETCD["key"])
    folder = _plain(
        gettext_lazy("Directory for the snapshot"),
        "/var/lib/etcd",
        help_text=gettext_lazy(
            "On the node, for as long as it is copied. A container has to see it under the same path."
        ),
    )
    target = forms.ChoiceField(label=gettext_lazy("Target"))
    cron = _plain(
        gettext_lazy("When"), "0 2 * * *", max_length=200, help_text=gettext_lazy("Cron text. Empty: by hand only.")
    )
    zone = _plain(gettext_lazy("Time zone"), max_length=60)
    hourly = _count("hourly")
    daily = _count("daily")
    weekly = _count("weekly")
    monthly = _count("monthly")
    yearly = _count("yearly")
    overdue_after_h = forms.IntegerField(
        label=gettext_lazy("Overdue after hours"),
        min_value=1,
        max_value=MOST_OVERDUE_S // 3600,
        help_text=gettext_lazy("Without a good backup for so long, people are told and every page says so."),
    )
    drill_cron = _plain(
        gettext_lazy("Restore drill when"),
        "0 5 * * 0",
        max_length=200,
        help_text=gettext_lazy("Cron text, in the same time zone. Empty: by hand only."),
    )
    prove_within_h = forms.IntegerField(
        label=gettext_lazy("Proof too old after hours"),
        required=False,
        min_value=1,
        max_value=MOST_OVERDUE_S // 3600,
        help_text=gettext_lazy(
            "Without a restore drill that went well for so long, people are told. Empty: they are not."
        ),
    )
    is_gate = forms.BooleanField(
        label=gettext_lazy("No upgrade or replacement without a fresh, proven backup"),
        required=False,
        help_text=gettext_lazy(
            "Of the nodes of this policy: upgrades, rollbacks and replacements are refused meanwhile."
        ),
    )
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self, *args: Any, kind: str, pools: list[str], targets: list[str], next_url: str, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        own = {*_COMMON, *FIELDS[kind]}
        left_out = {
            "reported": {"target", "cron", "zone", "drill_cron", "prove_within_h", *PERIODS},
            "etcd": set(),
            "fleetui": {"node", "pool"},
        }.get(kind, {"pool"})
        for name in [one for one in self.fields if one not in own - left_out]:
            del self.fields[name]
        if "node" in self.fields and kind in ("path", "volume", "postgresql"):
            self.fields["node"].required = True
        if "pool" in self.fields:
            self.fields["pool"].choices = [("", "–"), *((one, one) for one in pools)]  # type: ignore[attr-defined]
        if "target" in self.fields:
            self.fields["target"].choices = [(one, one) for one in targets]  # type: ignore[attr-defined]
        if kind == "reported":
            for name, label in (("node", _("Node")), ("pool", _("Pool"))):
                self.fields[name].label = label
                self.fields[name].help_text = _("Whoever sees it sees this policy. Neither: the whole fleet.")
        if "runs_in" in self.fields:
            known = [one for one in words.RUNS_IN if kind == "etcd" or one != "kubeadm"]
            self.fields["runs_in"].choices = [(one, words.RUNS_IN[one]) for one in known]  # type: ignore[attr-defined]
        ask = {"hx-get": next_url, "hx-target": "#next-runs", "hx-include": "closest form"}
        for name in ("cron", "zone"):
            if name in self.fields:
                self.fields[name].widget.attrs.update(ask, **{"hx-trigger": "input changed delay:300ms, change"})
        if "zone" in self.fields:
            self.fields["zone"].widget.attrs["list"] = "zones"

    def keep(self) -> dict[str, int]:
        return {name: self.cleaned_data[name] for name in PERIODS if self.cleaned_data.get(name)}


def settings_of(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """What the form has, as the settings of the kind."""
    found = {name: values[name] for name in FIELDS[kind] if name != "is_gate"}
    for name in ("paths", "claims", "exclude"):
        if name in found:
            found[name] = found[name].splitlines()
    return {name: value for name, value in found.items() if value not in (None, "")}


def initial_of(policy: BackupPolicy | None, kind: str, node: str) -> dict[str, Any]:
    if policy is None:
        usual = {"keep": dict(DEFAULT_KEEP), "settings": {}} if kind != "reported" else {"keep": {}, "settings": {}}
        place = {"node": node, "cron": "0 2 * * *", "zone": timezone.get_current_timezone_name()}
        runs_in = {"runs_in": "kubeadm" if kind == "etcd" else "host"}
        return {**usual["keep"], **place, **runs_in, "overdue_after_h": DEFAULT_OVERDUE_S // 3600}
    given, schedule = dict(policy.settings), policy.schedule
    for name in ("paths", "claims", "exclude"):
        if name in given:
            given[name] = "\n".join(given[name])
    return {
        **given,
        **policy.keep,
        "name": policy.name,
        "node": policy.node.name if policy.node else policy.node_name,
        "pool": policy.pool.name if policy.pool else "",
        "target": policy.target.name if policy.target else "",
        "cron": schedule.cron if schedule else "",
        "zone": schedule.zone if schedule else timezone.get_current_timezone_name(),
        "drill_cron": policy.drill_schedule.cron if policy.drill_schedule else "",
        "prove_within_h": max(policy.prove_within_s // 3600, 1) if policy.prove_within_s else None,
        "is_gate": policy.is_gate,
        "overdue_after_h": max(policy.overdue_after_s // 3600, 1),
        "revision": policy.revision,
    }


def settings_shown(policy: BackupPolicy) -> list[dict[str, Any]]:
    """The settings as rows for a page."""
    fields = PolicyForm.base_fields
    rows = []
    for name in FIELDS[policy.kind]:
        value = policy.settings.get(name)
        if value in (None, "", []) or (name == "container" and policy.settings.get("runs_in") == "host"):
            continue
        shown = ", ".join(value) if isinstance(value, list) else value
        if name == "runs_in":
            shown = words.RUNS_IN[str(value)]
        if isinstance(value, bool):
            shown = _("yes") if value else _("no")
        rows.append({"label": fields[name].label, "value": shown})
    return rows
