"""jump-hosts/: the SSH servers through which nodes are reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import Principal, require
from fleetui.core import clock
from fleetui.core.api.actions import IF_MATCH, Action
from fleetui.core.api.bodies import read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import PageOf
from fleetui.core.api.views import Listing, fields_param
from fleetui.core.errors import Conflict
from nodes.api import shapes
from nodes.api.bodies import JumpHostBody, resolve
from nodes.api.groups import Named, NamedDetail
from nodes.api.nodes import read_host_key
from nodes.filters import JumpHostFilter
from nodes.hosts.errors import HostError
from nodes.models import JumpHost
from nodes.services import jump_hosts

LISTING = Listing(
    shapes.JUMP_HOST,
    {"name": Sort("name", unique=True), "created_at": Sort("created_at", kind="time")},
    "name",
    JumpHostFilter,
)
_READ, _WRITE = "credentials.read", "credentials.write"


def jump_host_rows(principal: Principal) -> QuerySet[Any]:
    """Jump hosts that one may see, with what uses them."""
    return jump_hosts.counted(JumpHost.objects.visible_to(principal))


class _JumpHosts(Named):
    kind = "jump host"
    shape = shapes.JUMP_HOST

    def rows(self) -> QuerySet[Any]:
        return jump_host_rows(self.principal)

    def values(self, request: Request, *, partial: bool = False) -> dict[str, Any]:
        found = resolve(read_body(JumpHostBody, request, partial=partial), self.principal)
        if "host_key" in found:
            found["host_key"] = read_host_key(found["host_key"])
        return found


class JumpHostList(_JumpHosts):
    """All jump hosts that one may see."""

    actions = {
        "GET": Action(
            _READ, "jump_hosts_list", "List jump hosts", {200: PageOf(shapes.JUMP_HOST)}, query=LISTING.params
        ),
        "POST": Action(_WRITE, "jump_hosts_create", "Add a jump host", {201: shapes.JUMP_HOST}, body=JumpHostBody),
    }

    def get(self, request: Request) -> Response:
        return LISTING.answer(self.rows(), request)

    def post(self, request: Request) -> Response:
        values = self.values(request)
        return self.added(jump_hosts.add_jump_host(**values, actor=self.principal, now=clock.now()))


class JumpHostDetail(_JumpHosts, NamedDetail):
    """One jump host, by name or id."""

    actions = {
        "GET": Action(
            _READ,
            "jump_hosts_read",
            "Read a jump host",
            {200: shapes.JUMP_HOST},
            query=(fields_param(shapes.JUMP_HOST),),
        ),
        "PUT": Action(
            _WRITE,
            "jump_hosts_replace",
            "Set all of a jump host",
            {200: shapes.JUMP_HOST},
            body=JumpHostBody,
            headers=(IF_MATCH,),
        ),
        "PATCH": Action(
            _WRITE,
            "jump_hosts_edit",
            "Edit a jump host",
            {200: shapes.JUMP_HOST},
            body=JumpHostBody,
            headers=(IF_MATCH,),
        ),
        "DELETE": Action(_WRITE, "jump_hosts_delete", "Forget a jump host", {204: None}, headers=(IF_MATCH,)),
    }
    body = JumpHostBody

    def change(self, row: Any, changes: Mapping[str, Any], revision: int | None) -> None:
        require(self.principal, _WRITE)
        wanted = dict(changes)
        if "host_key" in wanted:
            wanted["host_key"] = read_host_key(wanted["host_key"])
        stored = JumpHost.objects.select_related("credential", "through").get(pk=row.pk)
        jump_hosts.edit_jump_host(
            jump_host=stored, changes=wanted, actor=self.principal, now=clock.now(), expected_revision=revision
        )

    def forget(self, row: Any) -> None:
        jump_hosts.delete_jump_host(jump_host=row, actor=self.principal, now=clock.now())


class _Contact(_JumpHosts):
    """What contacts the jump host, on the way that nodes are reached. No transaction is open meanwhile."""

    def stored(self, name: str) -> JumpHost:
        require(self.principal, _WRITE)
        row: JumpHost = JumpHost.objects.select_related("credential", "through").get(pk=self.one(name).pk)
        return row


def _failed(error: HostError) -> Conflict:
    return Conflict(error.message, mend=error.what_to_do)


class JumpHostKey(_Contact):
    """The key that a jump host shows now. It is not trusted by that: set it as host_key after comparing it."""

    actions = {
        "POST": Action(_WRITE, "jump_hosts_ask_key", "Ask a jump host for its key", {200: shapes.SHOWN_HOST_KEY})
    }

    def post(self, request: Request, name: str) -> Response:
        row = self.stored(name)
        try:
            key = jump_hosts.scan(address=row.address, port=row.port, through=row.through)
        except HostError as error:
            raise _failed(error) from error
        return Response(
            {
                "jump_host": row.name,
                "type": key.type,
                "fingerprint": key.fingerprint,
                "host_key": key.line,
                "trusted": key.line == row.host_key,
            }
        )


class JumpHostTry(_Contact):
    """Sign in on the whole way, with the trusted key."""

    actions = {"POST": Action(_WRITE, "jump_hosts_try", "Try to sign in on a jump host", {200: shapes.SIGNED_IN})}

    def post(self, request: Request, name: str) -> Response:
        row = self.stored(name)
        try:
            jump_hosts.try_out(row, now=clock.now())
        except HostError as error:
            raise _failed(error) from error
        return Response({"jump_host": row.name, "username": row.credential.username})
