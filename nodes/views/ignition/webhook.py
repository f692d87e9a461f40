"""Where forges tell of a push, and the pages that make and take away the secret they do it with."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from fleetui.access.guards import needs, public
from fleetui.access.hooks import hook_body, plain
from fleetui.core import clock, context
from fleetui.core.addresses import is_loopback
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.services.git import webhook as hook
from nodes.tasks import nudge_git
from nodes.views.ignition.subject import followed
from nodes.views.subject import principal_of

#: What a forge is told, which shows it to those who set it up there. Whoever does not know the secret learns nothing.
_REFUSED: Final = (403, "Refused.\n")
_SAID: Final = {
    "due": (202, "The repository is looked at now.\n"),
    "ping": (200, "It works. Pushes are looked at.\n"),
    "other_branch": (202, "Another branch is followed.\n"),
    "other_event": (202, "Only pushes are of use here.\n"),
    "paused": (202, "Following is paused.\n"),
    "unreadable": (400, "This is no push as JSON.\n"),
}


@public
@csrf_exempt
@require_POST
def git_webhook(request: HttpRequest, hook_id: str) -> HttpResponse:
    """A forge tells of a push. The signature is its right to do so."""
    body = hook_body(request, hook.MOST_BYTES)
    if isinstance(body, HttpResponse):
        return body
    address = context.source_address.get()
    outcome = hook.receive(
        hook_id=hook_id,
        headers=request.headers,
        body=body,
        is_private=request.is_secure() or is_loopback(address),
        address=address,
        now=clock.now(),
    )
    if body is None:
        return plain(413, f"At most {hook.MOST_BYTES // 1024 // 1024} MiB are read.\n")
    if outcome == "due":
        nudge_git()
    return plain(*_SAID.get(outcome, _REFUSED))


@never_cache
@require_POST
@needs("ignition.edit")
def git_webhook_make(request: HttpRequest, name: str) -> HttpResponse:
    """Make the webhook, or another secret for it: the answer is the only page that ever holds it."""
    found = followed(request, name)
    try:
        secret = hook.make_webhook(follow=found, actor=principal_of(request))
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:ignition_git", name=name)
    told = {
        "config": found.config,
        "follow": found,
        "secret": secret,
        "url": request.build_absolute_uri(hook.webhook_path(found.hook_id)),
        "is_plain": not request.is_secure(),
    }
    return render(request, "nodes/ignition/git_webhook_made.html", told)


@require_POST
@needs("ignition.edit")
def git_webhook_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Take no webhook any more."""
    try:
        hook.remove_webhook(follow=followed(request, name), actor=principal_of(request))
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        messages.info(request, _("The webhook is taken away. Take it away in the forge too."))
    return redirect("nodes:ignition_git", name=name)
