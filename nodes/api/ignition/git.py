"""ignition/configs/NAME/git/: the repository that a config follows. Secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.api.actions import IF_MATCH, Action
from fleetui.core.api.bodies import Body, Flag, Integer, Text, read_body
from fleetui.core.api.etag import expected_revision
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import (
    FLAG,
    INTEGER,
    TEXT,
    TIME,
    UUID,
    Field,
    PageOf,
    Row,
    Shape,
    column,
    known,
    nullable,
    one_of,
)
from fleetui.core.api.views import ApiView, Listing
from fleetui.core.errors import NotFound
from nodes.git.openpgp import MOST_TEXT
from nodes.models import GitCommit, GitFollow, IgnitionConfig
from nodes.models.git import FORGES, OUTCOMES, STATUSES, FollowState
from nodes.models.git_source import AUTHS
from nodes.services.git import following
from nodes.services.git.following import LEAST_INTERVAL_S, MOST_INTERVAL_S
from nodes.services.git.signers import MOST_SIGNERS
from nodes.services.git.webhook import webhook_path
from nodes.tasks import nudge_git
from nodes.wording.git import mend_of, sentence_of, why_of

_READ, _WRITE = "ignition.read", "ignition.edit"


def _sentence(row: Row) -> str:
    detail = row["detail"]
    return sentence_of(row["state"], detail.get("reason", ""), detail)


def _mend(row: Row) -> str:
    detail = row["detail"]
    return mend_of(row["state"], detail.get("reason", ""), detail)


GIT = Shape(
    "IgnitionConfigGit",
    {
        "url": column("url", TEXT),
        "branch": column("branch", TEXT),
        "path": column("path", TEXT),
        "files_dir": column("files_dir", TEXT),
        "files_pattern": column("files_pattern", TEXT),
        "auth": column("auth", one_of(AUTHS)),
        "username": column("username", TEXT),
        "public_key": known("public_key", TEXT),
        "host_key": known("host_key", TEXT),
        "forge": column("forge", one_of(FORGES)),
        "require_signed": column("require_signed", FLAG),
        "allowed_signers": column("allowed_signers", TEXT),
        "allowed_keys": column("allowed_keys", TEXT),
        "has_secret": Field(FLAG, ("sealed_secret",), lambda row: bool(row["sealed_secret"])),
        "has_status_token": Field(FLAG, ("sealed_status_token",), lambda row: bool(row["sealed_status_token"])),
        "has_webhook_secret": Field(FLAG, ("sealed_webhook_secret",), lambda row: bool(row["sealed_webhook_secret"])),
        "webhook_path": Field(TEXT, ("hook_id",), lambda row: webhook_path(row["hook_id"])),
        "interval_s": column("interval_s", INTEGER),
        "is_paused": column("is_paused", FLAG),
        "state": column("state", one_of([one.value for one in FollowState])),
        "state_since": column("state_since", TIME),
        "message": Field(TEXT, ("state", "detail"), _sentence),
        "what_to_do": Field(TEXT, ("state", "detail"), _mend),
        "fingerprint": Field(nullable(TEXT), ("detail",), lambda row: row["detail"].get("fingerprint")),
        "new_head": Field(nullable(TEXT), ("detail",), lambda row: row["detail"].get("new_head")),
        "seen_commit": known("seen_commit", TEXT),
        "last_sync_at": column("last_sync_at", nullable(TIME)),
        "last_good_at": column("last_good_at", nullable(TIME)),
        "next_sync_at": column("due_at", nullable(TIME)),
        "revision": column("revision", INTEGER),
    },
)


COMMITS = Listing(
    Shape(
        "IgnitionConfigCommit",
        {
            "id": column("id", UUID),
            "sha": column("sha", TEXT),
            "author": column("author", TEXT),
            "message": column("message", TEXT),
            "committed_at": column("committed_at", TIME),
            "seen_at": column("seen_at", TIME),
            "outcome": column("outcome", one_of(OUTCOMES)),
            "reason": Field(TEXT, ("detail", "reason"), lambda row: why_of(row["detail"] or row["reason"])),
            "signer": column("signer", TEXT),
            "version_id": column("version_id", nullable(UUID)),
            "version_number": column("version__number", nullable(INTEGER)),
            "status": column("status", one_of(STATUSES)),
            "status_at": column("status_at", nullable(TIME)),
            "status_attempts": column("status_attempts", INTEGER),
            "status_next_at": column("status_due_at", nullable(TIME)),
            "status_message": column("status_said", TEXT),
        },
    ),
    {"seen_at": Sort("seen_at", kind="time")},
    "-seen_at",
)


class GitBody(Body):
    """What a config follows. Secrets that are left out stay as they are; an empty one is taken away."""

    secrets = frozenset({"secret", "status_token"})

    url = Text(min_length=1, max_length=500)
    branch = Text(max_length=200, default="main")
    path = Text(min_length=1, max_length=300)
    files_dir = Text(max_length=300, allow_blank=True, default="")
    files_pattern = Text(max_length=200, allow_blank=True, default="")
    auth = serializers.ChoiceField(choices=AUTHS, default="none")
    username = Text(max_length=100, allow_blank=True, default="")
    secret = Text(max_length=20_000, allow_blank=True, required=False, help_text="Token, password or private key.")
    new_key = Flag(default=False, help_text="Make a new deploy key; its public half is in the answer.")
    host_key = Text(max_length=2000, allow_blank=True, required=False, help_text="The SSH host key that is trusted.")
    forge = serializers.ChoiceField(choices=FORGES, default="none")
    status_token = Text(max_length=2000, allow_blank=True, required=False)
    require_signed = Flag(default=False)
    allowed_signers = Text(max_length=MOST_SIGNERS, allow_blank=True, default="", trim_whitespace=False)
    allowed_keys = Text(
        max_length=MOST_TEXT,
        allow_blank=True,
        default="",
        trim_whitespace=False,
        help_text="OpenPGP public keys as gpg --armor --export prints them.",
    )
    interval_s = Integer(min_value=LEAST_INTERVAL_S, max_value=MOST_INTERVAL_S, default=300)
    is_paused = Flag(default=False)


class HistoryBody(Body):
    """The commit that the rewritten history leads to, as `new_head` names it."""

    head = Text(min_length=7, max_length=64)


class HostKeyBody(Body):
    """The fingerprint that was compared; the server has to show that key still."""

    fingerprint = Text(min_length=10, max_length=100)


class GitView(ApiView):
    """The config of the address, and what it follows."""

    def config(self, name: str) -> IgnitionConfig:
        rows = IgnitionConfig.objects.visible_to(self.principal)
        found: IgnitionConfig | None = rows.filter(name=name).first()
        if found is None:
            mend = "Look at /api/v1/ignition/configs/."
            raise NotFound(f"There is no Ignition config {name} that you may see.", mend=mend)
        return found

    def follow(self, name: str) -> GitFollow:
        found = following_of(self.principal).filter(config=self.config(name)).first()
        if found is None:
            raise NotFound(f"{name} follows no Git repository.", mend="PUT one here to have it followed.")
        return found

    def shown(self, follow: GitFollow, status: int = 200) -> Response:
        found = GitFollow.objects.filter(pk=follow.pk).values(*dict.fromkeys([*GIT.columns(), "revision"])).get()
        return self.tagged(GIT.render(found), found["revision"], status)


def following_of(principal: Principal) -> QuerySet[GitFollow]:
    rows: QuerySet[GitFollow] = GitFollow.objects.visible_to(principal).select_related("config")
    return rows


class ConfigGit(GitView):
    """The repository that a config follows."""

    actions = {
        "GET": Action(_READ, "ignition_configs_git_read", "Read what a config follows", {200: GIT}),
        "PUT": Action(
            _WRITE,
            "ignition_configs_git_follow",
            "Have a config follow a Git repository",
            {200: GIT, 201: GIT},
            body=GitBody,
            headers=(IF_MATCH,),
        ),
        "PATCH": Action(
            _WRITE,
            "ignition_configs_git_edit",
            "Change what a config follows",
            {200: GIT},
            body=GitBody,
            headers=(IF_MATCH,),
        ),
        "DELETE": Action(_WRITE, "ignition_configs_git_unfollow", "Follow it no more", {204: None}),
    }

    def get(self, request: Request, name: str) -> Response:
        return self.shown(self.follow(name))

    def put(self, request: Request, name: str) -> Response:
        config = self.config(name)
        values = read_body(GitBody, request)
        found = following_of(self.principal).filter(config=config).first()
        if found is not None:
            return self._edit(request, found, values)
        made = following.follow(config=config, values=values, actor=self.principal, now=clock.now())
        nudge_git()
        return self.shown(made, 201)

    def patch(self, request: Request, name: str) -> Response:
        found = self.follow(name)
        return self._edit(request, found, read_body(GitBody, request, partial=True))

    def delete(self, request: Request, name: str) -> Response:
        following.unfollow(follow=self.follow(name), actor=self.principal, now=clock.now())
        return Response(status=204)

    def _edit(self, request: Request, found: GitFollow, values: dict[str, Any]) -> Response:
        revision = expected_revision(request, found.revision)
        following.edit_follow(
            follow=found, changes=values, actor=self.principal, now=clock.now(), expected_revision=revision
        )
        nudge_git()
        return self.shown(found)


class ConfigGitCommits(GitView):
    """The commits that were looked at, and whether the forge was told what became of them."""

    actions = {
        "GET": Action(
            _READ,
            "ignition_configs_git_commits",
            "List the commits that a config followed",
            {200: PageOf(COMMITS.shape)},
            query=COMMITS.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        return COMMITS.answer(GitCommit.objects.filter(follow=self.follow(name)), request)


class ConfigGitSync(GitView):
    """Look at the repository now."""

    actions = {"POST": Action(_WRITE, "ignition_configs_git_sync", "Look at the repository now", {202: GIT})}

    def post(self, request: Request, name: str) -> Response:
        found = self.follow(name)
        following.sync_now(follow=found, actor=self.principal, now=clock.now())
        nudge_git()
        return self.shown(found, 202)


class ConfigGitHistory(GitView):
    """Go on with a rewritten history."""

    actions = {
        "POST": Action(
            _WRITE, "ignition_configs_git_accept_history", "Follow the new history", {202: GIT}, body=HistoryBody
        )
    }

    def post(self, request: Request, name: str) -> Response:
        given, found = read_body(HistoryBody, request), self.follow(name)
        following.accept_history(follow=found, head=given["head"], actor=self.principal, now=clock.now())
        nudge_git()
        return self.shown(found, 202)


class ConfigGitHostKey(GitView):
    """Trust the host key that an SSH server shows."""

    actions = {
        "POST": Action(
            _WRITE, "ignition_configs_git_trust", "Trust the host key of the server", {202: GIT}, body=HostKeyBody
        )
    }

    def post(self, request: Request, name: str) -> Response:
        given, found = read_body(HostKeyBody, request), self.follow(name)
        following.trust_host_key(follow=found, fingerprint=given["fingerprint"], actor=self.principal, now=clock.now())
        nudge_git()
        return self.shown(found, 202)
