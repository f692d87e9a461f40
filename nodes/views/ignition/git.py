"""The repository that a config follows: how it goes, what was found, and the form that sets it up."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from nodes.forms import PLAIN
from nodes.git_form import AUTH_WORDS, NEVER_SHOWN, SourceForm
from nodes.hosts.ssh import HostKey
from nodes.models import GitFollow, IgnitionConfig
from nodes.models.git import FORGES
from nodes.services.git import following
from nodes.services.git.secrets import SECRETS
from nodes.services.git.signers import trusted_of
from nodes.services.git.syncing import newest_commits
from nodes.services.git.trying import try_follow
from nodes.services.git.webhook import KEEP_DELIVERIES, webhook_path
from nodes.services.ignition import rights
from nodes.tasks import nudge_git
from nodes.views.ignition.subject import followed, version_url, visible_config
from nodes.views.subject import principal_of
from nodes.wording.git import (
    DELIVERY_SENTENCES,
    DELIVERY_WORDS,
    OUTCOME_WORDS,
    STATE_WORDS,
    STATUS_WORDS,
    TRIGGER_WORDS,
    mend_of,
    sentence_of,
    why_of,
)

_LEVELS = {"new": "none", "following": "ok", "broken": "warn", "unreachable": "warn", "unsigned": "warn"}
_OUTCOME_LEVELS = {"stored": "ok", "same": "none", "broken": "bad", "unsigned": "warn", "skipped": "none"}
_STATUS_LEVELS = {"waiting": "warn", "sent": "ok", "dead": "bad"}
_DELIVERY_LEVELS = {"due": "ok", "ping": "ok", "other_branch": "none", "other_event": "none", "paused": "none"}
_FORGE_WORDS = {"none": gettext_lazy("another"), "github": "GitHub", "gitlab": "GitLab", "gitea": "Gitea"}
_FORGE_WORDS |= {"forgejo": "Forgejo"}
_TRUST_WORDS = {
    "": ("ok", gettext_lazy("valid")),
    "early": ("none", gettext_lazy("not valid yet")),
    "expired": ("warn", gettext_lazy("expired")),
    "revoked": ("bad", gettext_lazy("revoked")),
}
#: Seconds between live refreshes: while a look is due or under way, and else.
_LIVE_SOON_S, _LIVE_S = 3, 15


class FollowForm(SourceForm):
    """What is followed. Secrets are never filled in: an empty one stays as it is."""

    branch = forms.CharField(label=gettext_lazy("Branch"), max_length=200, initial="main")
    path = forms.CharField(
        label=gettext_lazy("Main file"),
        max_length=300,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "hosts/web.bu"}),
        help_text=gettext_lazy("The Butane source, from the top of the repository."),
    )
    files_dir = forms.CharField(
        label=gettext_lazy("Folder of files"),
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "hosts/files"}),
        help_text=gettext_lazy("What local: and trees: of the source read. A dot is the whole repository."),
    )
    files_pattern = forms.CharField(
        label=gettext_lazy("Only these files"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "*.conf"}),
        help_text=gettext_lazy("A pattern for paths in that folder. Empty: all of them."),
    )
    interval_s = forms.IntegerField(
        label=gettext_lazy("Looked at every"),
        initial=300,
        min_value=following.LEAST_INTERVAL_S,
        max_value=following.MOST_INTERVAL_S,
        help_text=gettext_lazy("Seconds, 60 to 86400. With a webhook a push is looked at at once."),
    )
    forge = forms.ChoiceField(label=gettext_lazy("Forge"), choices=[(name, _FORGE_WORDS[name]) for name in FORGES])
    status_token = forms.CharField(
        label=gettext_lazy("Token for commit statuses"),
        required=False,
        max_length=2000,
        widget=forms.PasswordInput(attrs=NEVER_SHOWN),
        help_text=gettext_lazy(
            "With one the forge shows at each commit whether it converts. Empty: the one that is stored. "
            "The forge “another” takes it away."
        ),
    )


@require_safe
@needs("ignition.read")
def git_page(request: HttpRequest, name: str) -> HttpResponse:
    config = visible_config(request, name)
    found = GitFollow.objects.filter(config=config).first()
    context: dict[str, Any] = {
        "config": config,
        "follow": found,
        "may_edit": rights.may(principal_of(request), "ignition.edit", config),
    }
    if found is not None:
        found.config = config
        context |= {**_shown(found), **_hook(request, found)}
    return render(request, "nodes/ignition/git.html", context)


def _shown(found: GitFollow) -> dict[str, Any]:
    now = clock.now()
    is_under_way = found.lease_until is not None and found.lease_until > now
    is_due = not found.is_paused and found.due_at is not None and found.due_at <= now
    reason = str(found.detail.get("reason", ""))
    commits: list[dict[str, Any]] = []
    for commit in newest_commits(found):
        version = commit.version
        if version is not None:
            version.config = found.config
        author, _less, address = commit.author.partition(" <")
        commits.append(
            {
                "commit": commit,
                "why": why_of(commit.detail or commit.reason),
                "author": author,
                "address": address.removesuffix(">"),
                "word": OUTCOME_WORDS[commit.outcome],
                "level": _OUTCOME_LEVELS[commit.outcome],
                "version": version,
                "url": version_url(version) if version else "",
                "status_word": STATUS_WORDS[commit.status],
                "status_level": _STATUS_LEVELS.get(commit.status, "none"),
                "next_try": commit.status_attempts + 1,
            }
        )
    syncs = [
        {
            "sync": one,
            "word": STATE_WORDS[one.state],
            "level": _LEVELS.get(one.state, "bad"),
            "trigger": TRIGGER_WORDS[one.trigger],
            "sentence": sentence_of(one.state, str(one.detail.get("reason", "")), one.detail),
        }
        for one in found.syncs.order_by("-pk")[:20]
    ]
    return {
        "level": _LEVELS.get(found.state, "bad"),
        "word": STATE_WORDS[found.state],
        "sentence": sentence_of(found.state, reason, found.detail),
        "mend": mend_of(found.state, reason, found.detail),
        "tells_forge": any(one["commit"].status != "none" for one in commits) or bool(found.sealed_status_token),
        "forge_word": _FORGE_WORDS[found.forge],
        "auth_word": AUTH_WORDS[found.auth],
        "fingerprint": HostKey.parse(found.host_key).fingerprint if found.host_key else "",
        "offered": found.detail.get("fingerprint", "") if found.state == "host_key" else "",
        "new_head": found.detail.get("new_head", "") if found.state == "rewritten" else "",
        "is_under_way": is_under_way,
        "live_every_s": _LIVE_SOON_S if is_under_way or is_due else _LIVE_S,
        "trusted": [(one, *_TRUST_WORDS[one.state]) for one in trusted_of(found, now)],
        "commits": commits,
        "syncs": syncs,
    }


def _hook(request: HttpRequest, found: GitFollow) -> dict[str, Any]:
    """The webhook: where it is, and what came there last."""
    if not found.sealed_webhook_secret:
        return {}
    came = [
        {
            "delivery": one,
            "word": DELIVERY_WORDS[one.outcome],
            "level": _DELIVERY_LEVELS.get(one.outcome, "warn"),
            "sentence": DELIVERY_SENTENCES[one.outcome],
        }
        for one in found.deliveries.all()[:KEEP_DELIVERIES]
    ]
    return {"hook_url": request.build_absolute_uri(webhook_path(found.hook_id)), "deliveries": came}


@require_http_methods(["GET", "HEAD", "POST"])
@needs("ignition.edit")
def git_edit(request: HttpRequest, name: str) -> HttpResponse:
    """Set up what is followed, or change it. The button for a test stores nothing."""
    principal = principal_of(request)
    config = visible_config(request, name, "ignition.edit")
    found = GitFollow.objects.filter(config=config).first()
    first = {field: getattr(found, field) for field in FollowForm.base_fields if hasattr(found, field)} if found else {}
    form = FollowForm(request.POST or None, initial=first)
    trial: dict[str, Any] = {}

    def save(given: dict[str, Any]) -> HttpResponse:
        values = {field: value for field, value in given.items() if field not in SECRETS or value}
        if "test" in request.POST:
            trial["found"] = try_follow(follow=_unsaved(config, found, values), actor=principal)
            return HttpResponse(status=204)
        if found is None:
            following.follow(config=config, values=values, actor=principal, now=clock.now())
        else:
            found.config = config
            following.edit_follow(follow=found, changes=values, actor=principal, now=clock.now())
        nudge_git()
        messages.info(request, _("%(name)s follows the repository. It is looked at now.") % {"name": config.name})
        return redirect("nodes:ignition_git", name=name)

    answer, status = submitted(request, form, save)
    if answer and not trial:
        return answer
    tried = trial.get("found")
    problem = tried.problem if tried else None
    context = {
        "config": config,
        "form": form,
        "follow": found,
        "tried": tried,
        "trial_sentence": sentence_of(problem.kind, problem.reason, problem.params) if problem else "",
        "trial_mend": mend_of(problem.kind, problem.reason, problem.params) if problem else "",
        "back_url": reverse("nodes:ignition_git", args=[name]),
    }
    return render(request, "nodes/ignition/git_form.html", context, status=status)


def _unsaved(config: IgnitionConfig, found: GitFollow | None, values: dict[str, Any]) -> GitFollow:
    """The row as it would be, which is not stored."""
    row = found if found is not None else GitFollow()
    row.config = config
    following.fill(row, values, is_new=found is None)
    return row


@require_POST
@needs("ignition.edit")
def git_act(request: HttpRequest, name: str, act: str) -> HttpResponse:
    """The buttons of the page."""
    found, actor, now = followed(request, name), principal_of(request), clock.now()
    said = {
        "sync": _("The repository is looked at now."),
        "pause": _("Following is paused."),
        "resume": _("Following goes on."),
        "unfollow": _("%(name)s follows no repository any more.") % {"name": name},
        "accept-history": _("The new history is followed."),
        "trust": _("The host key is trusted."),
        "new-key": _("There is a new deploy key. Put its public half into the repository."),
    }
    if act not in said:
        raise PermissionDenied(act)
    try:
        if act == "sync":
            following.sync_now(follow=found, actor=actor, now=now)
        elif act == "unfollow":
            following.unfollow(follow=found, actor=actor, now=now)
        elif act == "accept-history":
            following.accept_history(follow=found, head=request.POST.get("head", ""), actor=actor, now=now)
        elif act == "trust":
            fingerprint = request.POST.get("fingerprint", "")
            following.trust_host_key(follow=found, fingerprint=fingerprint, actor=actor, now=now)
        else:
            changes: dict[str, Any] = {"new_key": True} if act == "new-key" else {"is_paused": act == "pause"}
            following.edit_follow(follow=found, changes=changes, actor=actor, now=now)
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:ignition_git", name=name)
    nudge_git()
    messages.info(request, said[act])
    return redirect("nodes:ignition_config" if act == "unfollow" else "nodes:ignition_git", name=name)
