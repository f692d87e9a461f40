"""ignition/configs/NAME/git/webhook/: the webhook of a followed repository, and what came there."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core.api.actions import Action
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import INTEGER, TEXT, TIME, Field, PageOf, Shape, column, one_of
from fleetui.core.api.views import Listing
from nodes.api.ignition.git import GitView
from nodes.models import GitDelivery
from nodes.models.git import DELIVERIES
from nodes.services.git.webhook import make_webhook, remove_webhook, webhook_path
from nodes.wording.git import DELIVERY_SENTENCES

DELIVERED = Listing(
    Shape(
        "IgnitionConfigDelivery",
        {
            "id": column("id", INTEGER),
            "at": column("at", TIME),
            "address": column("address", TEXT),
            "event": column("event", TEXT),
            "ref": column("ref", TEXT),
            "outcome": column("outcome", one_of(DELIVERIES)),
            "message": Field(TEXT, ("outcome",), lambda row: str(DELIVERY_SENTENCES[row["outcome"]])),
        },
    ),
    {"at": Sort("at", kind="time")},
    "-at",
)
NEW_WEBHOOK = Shape(
    "NewGitWebhook",
    {
        "url": Field(TEXT, ("url",), lambda row: row["url"]),
        "secret": Field(TEXT, ("secret",), lambda row: row["secret"]),
    },
)


class ConfigGitWebhook(GitView):
    """The webhook: made with its secret, which is shown once, or taken away."""

    actions = {
        "POST": Action(
            "ignition.edit",
            "ignition_configs_git_webhook_make",
            "Make the webhook, or another secret for it, shown once",
            {201: NEW_WEBHOOK},
            note="Where there is a webhook its address stays, and the old secret is worth nothing from now on.",
        ),
        "DELETE": Action("ignition.edit", "ignition_configs_git_webhook_remove", "Take the webhook away", {204: None}),
    }

    def post(self, request: Request, name: str) -> Response:
        found = self.follow(name)
        secret = make_webhook(follow=found, actor=self.principal)
        url = request.build_absolute_uri(webhook_path(found.hook_id))
        return Response({"url": url, "secret": secret}, status=201, headers={"Cache-Control": "no-store"})

    def delete(self, request: Request, name: str) -> Response:
        remove_webhook(follow=self.follow(name), actor=self.principal)
        return Response(status=204)


class ConfigGitDeliveries(GitView):
    """What came to the webhook last, and what was made of it."""

    actions = {
        "GET": Action(
            "ignition.read",
            "ignition_configs_git_deliveries",
            "List what came to the webhook",
            {200: PageOf(DELIVERED.shape)},
            query=DELIVERED.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        return DELIVERED.answer(GitDelivery.objects.filter(follow=self.follow(name)), request)
