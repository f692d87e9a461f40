"""ignition/versions/ and ignition/check/: save, read, compare and review."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import INTEGER, TEXT, PageOf
from fleetui.core.api.views import ApiView, Listing, asked_fields, fields_param
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from nodes.api.bodies import ReasonBody
from nodes.api.ignition.bodies import CheckBody, VersionBody
from nodes.api.ignition.shapes import CHECKED, DIFF, RENDERED, VERSION, WHOLE_VERSION, effect_shown
from nodes.filters import IgnitionVersionFilter
from nodes.models import IgnitionConfig, IgnitionVersion, Node
from nodes.services.ignition import review
from nodes.services.ignition.check import check, checked_source, secrets_in
from nodes.services.ignition.comparing import changed_files, effects_of, line_hunks, pretty
from nodes.services.ignition.declarations import as_json
from nodes.services.ignition.embedded import checked_files
from nodes.services.ignition.rendering import render
from nodes.services.ignition.versions import save_version

VERSIONS = Listing(
    VERSION,
    {
        "created_at": Sort("created_at", kind="time"),
        "number": Sort("number", kind="integer"),
        "config": Sort("config__name"),
    },
    "-created_at",
    IgnitionVersionFilter,
)
_READ, _EDIT, _APPROVE = "ignition.read", "ignition.edit", "ignition.approve"


class _Versions(ApiView):
    def version(self, version_id: uuid.UUID) -> IgnitionVersion:
        rows = IgnitionVersion.objects.visible_to(self.principal).select_related("config")
        row: IgnitionVersion | None = rows.filter(pk=version_id).first()
        if row is None:
            raise NotFound("There is no such version that you may see.", mend="Look at /api/v1/ignition/versions/.")
        return row

    def shown(self, version_id: uuid.UUID, status: int = 200) -> Response:
        fields = asked_fields(self.request, WHOLE_VERSION) if self.request.method in ("GET", "HEAD") else None
        row = IgnitionVersion.objects.filter(pk=version_id).values(*WHOLE_VERSION.columns(fields)).get()
        return Response(WHOLE_VERSION.render(row, fields), status=status)


class VersionList(_Versions):
    """All versions that one may see, without their texts."""

    actions = {
        "GET": Action(_READ, "ignition_versions_list", "List versions", {200: PageOf(VERSION)}, query=VERSIONS.params),
        "POST": Action(
            _EDIT, "ignition_versions_create", "Save a version as a draft", {201: WHOLE_VERSION}, body=VersionBody
        ),
    }

    def get(self, request: Request) -> Response:
        return VERSIONS.answer(IgnitionVersion.objects.visible_to(self.principal), request)

    def post(self, request: Request) -> Response:
        values = read_body(VersionBody, request)
        name = values.pop("config")
        config = IgnitionConfig.objects.visible_to(self.principal).filter(name=name).first()
        if config is None:
            mend = "Name a config that you may see, or add one."
            raise InvalidInput(f"There is no Ignition config {name}.", field="config", value=name, mend=mend)
        version = save_version(config=config, **values, actor=self.principal, now=clock.now())
        response = self.shown(version.pk, 201)
        response.headers["Location"] = f"{request.path}{version.pk}/"
        return response


class VersionDetail(_Versions):
    """One version with its source and what was found in it."""

    actions = {
        "GET": Action(
            _READ,
            "ignition_versions_read",
            "Read a version",
            {200: WHOLE_VERSION},
            query=(fields_param(WHOLE_VERSION),),
        )
    }

    def get(self, request: Request, version_id: uuid.UUID) -> Response:
        return self.shown(self.version(version_id).pk)


class VersionRendered(_Versions):
    """The Ignition config of a version, with the values of a node where one is named. Secrets are never in it."""

    actions = {
        "GET": Action(
            _READ,
            "ignition_versions_rendered",
            "Read the Ignition config of a version",
            {200: RENDERED},
            query=(Param("node", TEXT, "Name or id of a node whose values are filled in."),),
        )
    }

    def get(self, request: Request, version_id: uuid.UUID) -> Response:
        version = self.version(version_id)
        asked = request.query_params.get("node", "")
        node = self._node(asked) if asked else None
        if node is None:
            if not version.is_valid:
                raise Conflict(f"Version {version.number} does not convert.", mend="Read its report.")
            text, shown_hash, has_secrets = version.rendered, version.sha512, False
        else:
            done = render(version, node=node)
            text, has_secrets = done.shown, done.has_secrets
            shown_hash = "" if has_secrets else done.sha512
        return Response(
            {
                "node": node.name if node else None,
                "sha512": shown_hash or None,
                "has_secrets": has_secrets,
                "ignition": json.loads(text),
            }
        )

    def _node(self, asked: str) -> Node:
        rows = Node.objects.visible_to(self.principal).named(asked.replace("\0", "")[:100]).select_related("pool")
        found: Node | None = rows.first()
        if found is None:
            mend = "Name a node that you may see."
            raise InvalidInput(f"There is no node {asked[:100]}.", field="node", value=asked, mend=mend)
        return found


class VersionDiff(_Versions):
    """What differs from another version of the same config: in effect, as Butane, and as Ignition."""

    actions = {
        "GET": Action(
            _READ,
            "ignition_versions_diff",
            "Compare two versions of a config",
            {200: DIFF},
            query=(Param("against", {**INTEGER, "minimum": 1}, "The number of the older one; else the one before."),),
        )
    }

    def get(self, request: Request, version_id: uuid.UUID) -> Response:
        version = self.version(version_id)
        other = self._other(version, request.query_params.get("against", ""))
        effects = effects_of(other, version)
        told = [effect_shown(one) for one in effects or ()]
        return Response(
            {
                "version": version.number,
                "against": other.number,
                "effect": None if effects is None else told,
                "source": _lines(other.source, version.source),
                "rendered": _lines(pretty(other.rendered), pretty(version.rendered)),
                "files": changed_files(other, version),
            }
        )

    def _other(self, version: IgnitionVersion, text: str) -> IgnitionVersion:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
        if text and number is None:
            raise InvalidInput(
                f"{text[:40]!r} is no number of a version.", field="against", value=text, mend="Give a number."
            )
        wanted = max(1, version.number - 1) if number is None else number
        found: IgnitionVersion | None = IgnitionVersion.objects.filter(config=version.config, number=wanted).first()
        if found is None:
            mend = f"Give a number from 1 to {version.config.last_number}."
            raise InvalidInput(f"There is no version {wanted}.", field="against", value=wanted, mend=mend)
        return found


def _lines(before: str, after: str) -> Any:
    hunks = line_hunks(before, after)
    if hunks is None:
        return None
    return [[{**row, "old": row["old"] or None, "new": row["new"] or None} for row in rows] for rows in hunks]


class _Review(_Versions):
    """Base of what moves a version on."""

    act: ClassVar[Callable[..., IgnitionVersion]]
    takes_reason: ClassVar[bool] = True

    def post(self, request: Request, version_id: uuid.UUID) -> Response:
        given = read_body(ReasonBody, request) if self.takes_reason else {}
        version = self.version(version_id)
        type(self).act(version=version, **given, actor=self.principal, now=clock.now())
        return self.shown(version.pk)


def _review_action(permission: str, what: str, summary: str, *, body: Any = ReasonBody) -> dict[str, Action]:
    return {"POST": Action(permission, f"ignition_versions_{what}", summary, {200: WHOLE_VERSION}, body=body)}


class VersionSubmit(_Review):
    """A draft that converts waits for review from now on."""

    actions = _review_action(_EDIT, "submit", "Submit a version for review", body=None)
    act = staticmethod(review.submit)
    takes_reason = False


class VersionApprove(_Review):
    """By somebody other than its author."""

    actions = _review_action(_APPROVE, "approve", "Approve a version")
    act = staticmethod(review.approve)


class VersionReturn(_Review):
    """It is a draft again."""

    actions = _review_action(_APPROVE, "return", "Return a version to its author")
    act = staticmethod(review.give_back)


class VersionWithdraw(_Review):
    """For good."""

    actions = _review_action(_EDIT, "withdraw", "Withdraw a version")
    act = staticmethod(review.withdraw)


class Check(ApiView):
    """Butane in, Ignition and findings out. Nothing is stored, and values are in no finding."""

    actions = {
        "POST": Action(_READ, "ignition_check", "Check a source", {200: CHECKED}, body=CheckBody),
    }

    def post(self, request: Request) -> Response:
        given = read_body(CheckBody, request)
        source, files, values = checked_source(given["source"]), checked_files(given["files"]), given["values"]
        found = check(source, files, values)
        rendered, sha512 = found.rendered, found.sha512
        if rendered and (secrets := secrets_in(found.declarations, values or {})):
            # Answers end up in the logs of scripts, and a hash would let a short secret be guessed.
            rendered, sha512 = check(source, files, {**values, **secrets}).rendered, ""
        return Response(
            {
                "is_valid": found.is_valid,
                "failure": found.failure or None,
                "report": found.findings,
                "variables": as_json(found.declarations),
                "sha512": sha512 or None,
                "ignition": json.loads(rendered) if rendered else None,
            }
        )
