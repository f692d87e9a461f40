"""notifications/: channels with their rules, a test of one, and what was sent."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Flag, Integer, Part, Text, read_body
from fleetui.core.api.shapes import FLAG, INTEGER, TEXT, TIME, Document, list_of, nullable, object_of, one_of
from fleetui.core.api.views import ApiView
from fleetui.notify.channels import channel_at, channels_of, delete_channel, set_channel
from fleetui.notify.events import SEVERITIES
from fleetui.notify.models import Channel, Delivery
from fleetui.notify.trying import try_channel

SHOWN = 100
_RULE = object_of({"events": list_of(TEXT), "pool_id": nullable(TEXT), "severity": one_of(SEVERITIES)})
_CHANNEL = {
    "id": TEXT,
    "name": TEXT,
    "kind": one_of(Channel.KINDS),
    "settings": {"type": "object", "additionalProperties": True},
    "is_on": FLAG,
    "rules": list_of(_RULE),
    "revision": INTEGER,
    "set_by": TEXT,
    "set_at": TIME,
}
_DELIVERY = {
    "id": INTEGER,
    "event": TEXT,
    "severity": one_of(SEVERITIES),
    "text": TEXT,
    "state": one_of(Delivery.STATES),
    "attempts": INTEGER,
    "happened_at": TIME,
    "due_at": TIME,
    "ended_at": nullable(TIME),
    "message_id": nullable(TEXT),
    "said": TEXT,
}
CHANNEL = Document("NotificationChannel", object_of(_CHANNEL))
CHANNELS = Document("NotificationChannelList", object_of({"results": list_of(object_of(_CHANNEL))}))
DELIVERIES = Document("NotificationDeliveryList", object_of({"results": list_of(object_of(_DELIVERY))}))
TRIED = Document("NotificationTest", object_of({"taken": FLAG, "said": TEXT}))


class ChannelRuleBody(Part):
    """Which events go to the channel: none named stands for all, no pool for all of them."""

    events = serializers.ListField(child=Text(max_length=40), default=list)
    pool_id = serializers.UUIDField(allow_null=True, default=None)
    severity = serializers.ChoiceField(choices=SEVERITIES, default="info")


class ChannelBody(Body):
    """A channel. `credentials` are never answered; what is left out of them stays as it was, unless the address changes."""

    name = Text(max_length=100)
    kind = serializers.ChoiceField(choices=Channel.KINDS)
    settings = serializers.DictField(default=dict)
    credentials = serializers.DictField(child=Text(max_length=2000), default=dict)
    rules = ChannelRuleBody(many=True, required=False)
    is_on = Flag(default=True)
    revision = Integer(required=False)

    secrets = frozenset({"credentials"})


def channel_json(one: Channel) -> dict[str, Any]:
    rules = [{"events": rule.events, "pool_id": rule.pool_id, "severity": rule.severity} for rule in one.rules.all()]
    columns = ("name", "kind", "settings", "is_on", "revision", "set_by", "set_at")
    return {"id": one.pk, **{name: getattr(one, name) for name in columns}, "rules": rules}


class _Channels(ApiView):
    def saved(self, request: Request, channel: Channel | None) -> Channel:
        values = read_body(ChannelBody, request)
        rules = values.get("rules")
        return set_channel(
            name=values["name"],
            kind=values["kind"],
            settings=values["settings"],
            secrets=values["credentials"],
            rules=[{}] if rules is None else rules,
            is_on=values["is_on"],
            channel=channel,
            expected_revision=values.get("revision"),
            actor=self.principal,
            now=clock.now(),
        )


class ChannelList(_Channels):
    """Channels, by name."""

    actions = {
        "GET": Action("settings.write", "notifications_list", "List channels", {200: CHANNELS}),
        "POST": Action("settings.write", "notifications_add", "Add a channel", {201: CHANNEL}, body=ChannelBody),
    }

    def get(self, request: Request) -> Response:
        return Response({"results": [channel_json(one) for one in channels_of(self.principal)]})

    def post(self, request: Request) -> Response:
        return Response(channel_json(self.saved(request, None)), status=201)


class ChannelDetail(_Channels):
    """One channel. PUT writes all of it."""

    actions = {
        "GET": Action("settings.write", "notifications_read", "Read a channel", {200: CHANNEL}),
        "PUT": Action("settings.write", "notifications_set", "Change a channel", {200: CHANNEL}, body=ChannelBody),
        "DELETE": Action("settings.write", "notifications_delete", "Delete a channel", {204: None}),
    }

    def get(self, request: Request, channel_id: uuid.UUID) -> Response:
        return Response(channel_json(channel_at(self.principal, channel_id)))

    def put(self, request: Request, channel_id: uuid.UUID) -> Response:
        return Response(channel_json(self.saved(request, channel_at(self.principal, channel_id))))

    def delete(self, request: Request, channel_id: uuid.UUID) -> Response:
        delete_channel(channel=channel_at(self.principal, channel_id), actor=self.principal)
        return Response(status=204)


class ChannelTest(ApiView):
    """Send a test message now, and say what the receiver answered."""

    actions = {"POST": Action("settings.write", "notifications_test", "Test a channel", {200: TRIED})}

    def post(self, request: Request, channel_id: uuid.UUID) -> Response:
        taken, said = try_channel(channel=channel_at(self.principal, channel_id), actor=self.principal, now=clock.now())
        return Response({"taken": taken, "said": said})


class ChannelDeliveries(ApiView):
    """The newest 100 deliveries of a channel."""

    actions = {"GET": Action("settings.write", "notifications_deliveries", "Read what was sent", {200: DELIVERIES})}

    def get(self, request: Request, channel_id: uuid.UUID) -> Response:
        rows = channel_at(self.principal, channel_id).deliveries.all()[:SHOWN]
        names = (
            "id",
            "event",
            "severity",
            "state",
            "attempts",
            "happened_at",
            "due_at",
            "ended_at",
            "message_id",
            "said",
        )
        found = [{**{name: getattr(row, name) for name in names}, "text": row.document["text"]} for row in rows]
        return Response({"results": found})
