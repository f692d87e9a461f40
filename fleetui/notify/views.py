"""The notifications tab of the settings: channels, their form, the test button, and what was sent."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.access.settings_tabs import settings_tabs
from fleetui.access.views.subject import principal_of
from fleetui.core import clock
from fleetui.core.errors import NotFound
from fleetui.core.form_errors import submitted
from fleetui.notify.channels import (
    PERMISSION,
    SECRETS,
    SETTINGS,
    channel_at,
    channels_of,
    delete_channel,
    set_channel,
)
from fleetui.notify.events import EVENTS
from fleetui.notify.models import Channel, Delivery
from fleetui.notify.trying import try_channel

SENT_SHOWN = 50
KIND_WORDS = {
    "webhook": gettext_lazy("Webhook, signed"),
    "slack": gettext_lazy("Slack"),
    "teams": gettext_lazy("Microsoft Teams"),
    "email": gettext_lazy("E-mail"),
    "alertmanager": gettext_lazy("Alertmanager"),
}
SEVERITY_WORDS = {
    "info": gettext_lazy("info"),
    "warning": gettext_lazy("warning"),
    "critical": gettext_lazy("critical"),
}
_STATES = {
    "waiting": ("info", gettext_lazy("waiting")),
    "sent": ("ok", gettext_lazy("sent")),
    "dead": ("bad", gettext_lazy("given up")),
}
_PLAIN = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off", "class": "form-control ui-mono"}


def _secret(label: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, required=False, max_length=2000, widget=widget)


class ChannelForm(forms.Form):
    """One rule a channel here; more of them over the API."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    url = forms.CharField(
        label=gettext_lazy("Address"), max_length=2000, required=False, widget=forms.TextInput(attrs=_PLAIN)
    )
    secret = _secret(gettext_lazy("Secret that signs"))
    host = forms.CharField(label=gettext_lazy("Mail server"), max_length=255, required=False)
    port = forms.IntegerField(label=gettext_lazy("Port"), initial=587, min_value=1, max_value=65_535, required=False)
    security = forms.ChoiceField(
        label=gettext_lazy("Encryption"),
        choices=[("starttls", "STARTTLS"), ("tls", "TLS"), ("none", gettext_lazy("None"))],
        required=False,
    )
    sender = forms.CharField(label=gettext_lazy("Sender"), max_length=320, required=False)
    recipients = forms.CharField(
        label=gettext_lazy("To"), required=False, help_text=gettext_lazy("Addresses, apart by spaces or commas.")
    )
    username = forms.CharField(label=gettext_lazy("User name"), max_length=200, required=False)
    password = _secret(gettext_lazy("Password"))
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 8}),
        help_text=gettext_lazy("None chosen: all of them."),
    )
    pool = forms.ChoiceField(label=gettext_lazy("Pool"), required=False)
    severity = forms.ChoiceField(
        label=gettext_lazy("From severity"), initial="warning", choices=list(SEVERITY_WORDS.items())
    )
    is_on = forms.BooleanField(label=gettext_lazy("Messages are sent"), required=False, initial=True)
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self, *args: Any, kind: str, channel: Channel | None, pools: list[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        every = {name for names in (*SETTINGS.values(), *SECRETS.values()) for name in names}
        for name in every - {*SETTINGS[kind], *SECRETS[kind]}:
            del self.fields[name]
        self.fields["events"].choices = [(one, f"{one}: {said}") for one, said in EVENTS.items() if one != "test"]  # type: ignore[attr-defined]
        self.fields["pool"].choices = [("", _("Every pool")), *pools]  # type: ignore[attr-defined]
        wanted = {"url", "host", "sender", "recipients", "secret"} & set(self.fields)
        for name in wanted if channel is None else wanted - set(SECRETS[kind]):
            self.fields[name].required = True
        if channel is not None:
            for name in SECRETS[kind]:
                self.fields[name].help_text = _("Empty: as it is. It has to be given anew when the address changes.")


def _principal(request: HttpRequest) -> Principal:
    """Where messages go is for admins of everything."""
    principal: Principal = principal_of(request)
    if not principal.may(PERMISSION):
        raise PermissionDenied(PERMISSION)
    return principal


def _channel(principal: Principal, channel_id: uuid.UUID) -> Channel:
    try:
        return channel_at(principal, channel_id)
    except NotFound as error:
        raise Http404(str(error)) from error


@require_safe
@needs("settings.write")
def channel_list(request: HttpRequest) -> HttpResponse:
    """Every channel with its rules, and the newest deliveries of all."""
    principal = _principal(request)
    sent = Delivery.objects.select_related("channel")[:SENT_SHOWN]
    context = {
        "tabs": settings_tabs(request),
        "rows": [
            {"channel": one, "kind": KIND_WORDS[one.kind], "where": _where(one), "rules": _rules_shown(one)}
            for one in channels_of(principal)
        ],
        "kinds": KIND_WORDS.items(),
        "sent": [
            {"delivery": one, "state": _STATES[one.state], "severity": SEVERITY_WORDS[one.severity]} for one in sent
        ],
    }
    return render(request, "notify/channels.html", context)


def _rules_shown(channel: Channel) -> list[dict[str, Any]]:
    return [
        {
            "events": rule.events,
            "pool": rule.pool.name if rule.pool else "",
            "severity": SEVERITY_WORDS[rule.severity],
        }
        for rule in channel.rules.all()
    ]


def _where(channel: Channel) -> str:
    if channel.kind == "email":
        return ", ".join(channel.settings["recipients"])
    return str(channel.settings.get("url", ""))


@require_http_methods(["GET", "HEAD", "POST"])
@needs("settings.write")
def channel_edit(request: HttpRequest, channel_id: uuid.UUID | None = None) -> HttpResponse:
    """A new channel of the kind in the address, or another setting of one that is there."""
    principal = _principal(request)
    channel = _channel(principal, channel_id) if channel_id else None
    kind = channel.kind if channel else request.GET.get("kind", "webhook")
    if kind not in Channel.KINDS:
        raise Http404(kind)
    pools = [(str(pk), str(name)) for pk, name in apps.get_model("nodes", "Pool").objects.values_list("pk", "name")]
    given = request.POST if request.method == "POST" else None
    form = ChannelForm(given, kind=kind, channel=channel, pools=pools, initial=_initial(channel))

    def save(values: dict[str, Any]) -> HttpResponse:
        settings = {name: values[name] for name in SETTINGS[kind]}
        if "recipients" in settings:
            settings["recipients"] = settings["recipients"].replace(",", " ").split()
        rule = {"events": values["events"], "pool_id": values["pool"] or None, "severity": values["severity"]}
        others = _other_rules(channel)
        saved = set_channel(
            name=values["name"],
            kind=kind,
            settings=settings,
            secrets={name: values[name] for name in SECRETS[kind]},
            rules=[rule, *others],
            is_on=values["is_on"],
            channel=channel,
            expected_revision=values["revision"],
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("%(name)s is saved. Test it.") % {"name": saved.name})
        return redirect("notifications")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    context = {"form": form, "channel": channel, "kind": KIND_WORDS[kind], "others": len(_other_rules(channel))}
    return render(request, "notify/channel.html", context, status=status)


def _other_rules(channel: Channel | None) -> list[dict[str, Any]]:
    """Those beyond the first, which the form does not show and leaves as they are."""
    rules = channel.rules.order_by("pk")[1:] if channel else []
    return [{"events": one.events, "pool_id": one.pool_id, "severity": one.severity} for one in rules]


def _initial(channel: Channel | None) -> dict[str, Any]:
    if channel is None:
        return {}
    rule = channel.rules.order_by("pk").first()
    found = {**channel.settings, "name": channel.name, "is_on": channel.is_on, "revision": channel.revision}
    if "recipients" in found:
        found["recipients"] = ", ".join(found["recipients"])
    if rule is not None:
        found |= {"events": rule.events, "pool": str(rule.pool_id or ""), "severity": rule.severity}
    return found


@require_POST
@needs("settings.write")
def channel_do(request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
    """The buttons: test, delete."""
    principal = _principal(request)
    channel = _channel(principal, channel_id)
    what = request.POST.get("do", "")
    if what == "test":
        taken, said = try_channel(channel=channel, actor=principal, now=clock.now())
        told = {"name": channel.name, "said": said}
        if taken:
            messages.success(request, _("%(name)s took the test message: %(said)s") % told)
        else:
            messages.error(request, _("%(name)s did not take the test message: %(said)s") % told)
    elif what == "delete":
        delete_channel(channel=channel, actor=principal)
    else:
        raise Http404(what)
    return redirect("notifications")
