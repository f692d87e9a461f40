"""users/, roles/ and tokens/."""

from __future__ import annotations

import secrets
from typing import Any

from django.apps import apps
from django.db import transaction
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access import services
from fleetui.access.api.shapes import NEW_TOKEN, ROLE, TOKEN, USER
from fleetui.access.filters import RoleFilter, TokenFilter, UserFilter
from fleetui.access.models import RoleBinding, Token, User
from fleetui.access.principals import Principal, require
from fleetui.access.roles import ROLES
from fleetui.audit.exports import export_view
from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Flag, Integer, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import PageOf
from fleetui.core.api.views import ApiView, Listing, asked_fields, fields_param
from fleetui.core.errors import InvalidInput, NotFound


def with_pools(rows: list[dict[str, Any]]) -> None:
    """Put the names of their pools on token rows, with one query for all."""
    limited = {row["id"]: row for row in rows if row.get("limited_to_pools")}
    for row in limited.values():
        row["pool_names"] = []
    if limited:
        pairs = Token.pools.through.objects.filter(token_id__in=limited).order_by("pool__name")
        for token_id, name in pairs.values_list("token_id", "pool__name"):
            limited[token_id]["pool_names"].append(name)


USERS = Listing(USER, {"username": Sort("username", unique=True)}, "username", UserFilter, key_kind="integer")
BINDINGS = Listing(
    ROLE, {"user": Sort("user__username"), "created_at": Sort("created_at", kind="time")}, "user", RoleFilter
)
TOKENS = Listing(
    TOKEN,
    {
        "created_at": Sort("created_at", kind="time"),
        "expires_at": Sort("expires_at", kind="time"),
        "name": Sort("name"),
    },
    "-created_at",
    TokenFilter,
    prepare=with_pools,
)


def _people(principal: Principal) -> QuerySet[Any]:
    require(principal, "users.read")
    return User.objects.all()


UserExport = export_view("users", "users.read", USERS, _people)


class UserBody(Body):
    """A person to add. Without a password one is made that nobody knows: set one with `manage.py user password`."""

    secrets = frozenset({"password"})

    username = Text(min_length=1, max_length=150)
    password = Text(max_length=200, allow_null=True, default=None, write_only=True, trim_whitespace=False)
    full_name = Text(max_length=150, allow_blank=True, default="")
    email = serializers.EmailField(max_length=254, allow_blank=True, default="")


class UserEditBody(Body):
    """What may be changed of a person."""

    secrets = frozenset({"password"})

    is_active = Flag(required=False)
    password = Text(max_length=200, required=False, write_only=True, trim_whitespace=False)


class RoleBody(Body):
    """A role for a user on a pool, or (pool null) on everything."""

    user = Text(max_length=150)
    role = serializers.ChoiceField(choices=list(ROLES))
    pool = Text(max_length=100, allow_null=True, default=None)


class TokenBody(Body):
    """A token to make. `user` null means oneself; `pools` empty means wherever its owner's roles reach."""

    name = Text(min_length=1, max_length=100)
    scopes = serializers.ListField(child=Text(max_length=100), allow_empty=False)
    days = Integer(min_value=1, max_value=366, default=90)
    user = Text(max_length=150, allow_null=True, default=None)
    pools = serializers.ListField(child=Text(max_length=100), default=list)
    networks = serializers.ListField(child=Text(max_length=50), default=list)


def pool_named(name: str, field: str) -> Any:
    """The pool of this name; nodes stand above access, so the model is asked for by name."""
    row = apps.get_model("nodes", "Pool")._default_manager.filter(name=name).first()
    if row is None:
        raise InvalidInput(f"There is no pool {name}.", field=field, value=name, mend="Give the name of a pool.")
    return row


def user_named(name: str) -> User:
    row = User.objects.filter(username=name).first()
    if row is None:
        raise InvalidInput(f"There is no user {name}.", field="user", value=name, mend="Give the name of a user.")
    return row


class UserList(ApiView):
    """The people who may sign in."""

    actions = {
        "GET": Action("users.read", "users_list", "List users", {200: PageOf(USER)}, query=USERS.params),
        "POST": Action("users.write", "users_create", "Add a user", {201: USER}, body=UserBody),
    }

    def get(self, request: Request) -> Response:
        return USERS.answer(_people(self.principal), request)

    def post(self, request: Request) -> Response:
        require(self.principal, "users.write")
        values = read_body(UserBody, request)
        values["password"] = values["password"] or secrets.token_urlsafe(24)
        user = services.add_user(**values, actor=self.principal, now=clock.now())
        body = USER.render(User.objects.filter(pk=user.pk).values(*USER.columns()).get())
        return Response(body, status=201, headers={"Location": f"{request.path}{user.username}/"})


class UserDetail(ApiView):
    """One person."""

    actions = {
        "GET": Action("users.read", "users_read", "Read a user", {200: USER}, query=(fields_param(USER),)),
        "PATCH": Action(
            "users.write", "users_edit", "Close, open or give a new password", {200: USER}, body=UserEditBody
        ),
    }

    def get(self, request: Request, username: str) -> Response:
        require(self.principal, "users.read")
        return self._shown(username, asked_fields(request, USER))

    def patch(self, request: Request, username: str) -> Response:
        require(self.principal, "users.write")
        changes = read_body(UserEditBody, request, partial=True)
        user = User.objects.filter(username=username).first()
        if user is None:
            raise _no_user(username)
        with transaction.atomic():
            if "password" in changes:
                services.set_password(user=user, password=changes["password"], actor=self.principal)
            if "is_active" in changes:
                services.set_active(user=user, active=changes["is_active"], actor=self.principal)
        return self._shown(username, None)

    def _shown(self, username: str, fields: list[str] | None) -> Response:
        row = User.objects.filter(username=username).values(*USER.columns(fields)).first()
        if row is None:
            raise _no_user(username)
        return Response(USER.render(row, fields))


def _no_user(username: str) -> NotFound:
    return NotFound(f"There is no user {username}.", mend="Look at /api/v1/users/.")


class RoleList(ApiView):
    """Who holds which role where: everybody's for those who may read users, else one's own."""

    actions = {
        "GET": Action("users.read", "roles_list", "List role bindings", {200: PageOf(ROLE)}, query=BINDINGS.params),
        "POST": Action("users.write", "roles_create", "Give a role", {200: ROLE, 201: ROLE}, body=RoleBody),
    }

    def get(self, request: Request) -> Response:
        return BINDINGS.answer(RoleBinding.objects.visible_to(self.principal), request)

    def post(self, request: Request) -> Response:
        require(self.principal, "users.write")
        values = read_body(RoleBody, request)
        user = user_named(values["user"])
        pool = pool_named(values["pool"], "pool") if values["pool"] else None
        binding, made = services.bind_role(user=user, role=values["role"], pool=pool, actor=self.principal)
        row = RoleBinding.objects.filter(pk=binding.pk).values(*ROLE.columns()).get()
        location = f"{request.path}{binding.pk}/"
        return Response(ROLE.render(row), status=201 if made else 200, headers={"Location": location})


class RoleDetail(ApiView):
    """One role binding."""

    actions = {
        "GET": Action("users.read", "roles_read", "Read a role binding", {200: ROLE}, query=(fields_param(ROLE),)),
        "DELETE": Action("users.write", "roles_delete", "Take a role away", {204: None}),
    }

    def get(self, request: Request, binding_id: str) -> Response:
        fields = asked_fields(request, ROLE)
        row = self._rows(binding_id).values(*ROLE.columns(fields)).first()
        if row is None:
            raise _no_binding()
        return Response(ROLE.render(row, fields))

    def delete(self, request: Request, binding_id: str) -> Response:
        binding = self._rows(binding_id).select_related("user").first()
        if binding is None:
            raise _no_binding()
        services.unbind_role(binding=binding, actor=self.principal)
        return Response(status=204)

    def _rows(self, binding_id: str) -> QuerySet[Any]:
        return RoleBinding.objects.visible_to(self.principal).filter(pk=binding_id)


def _no_binding() -> NotFound:
    return NotFound("There is no such role binding that you may see.", mend="Look at /api/v1/roles/.")


def token_body(token_id: Any, fields: list[str] | None = None) -> dict[str, Any]:
    """One token as the API shows it."""
    row = Token.objects.filter(pk=token_id).values(*TOKEN.columns(fields)).get()
    with_pools([row])
    return TOKEN.render(row, fields)


TokenExport = export_view("tokens", "tokens.own", TOKENS, Token.objects.visible_to)


class TokenList(ApiView):
    """One's own tokens; everybody's for those who may read them."""

    actions = {
        "GET": Action("tokens.own", "tokens_list", "List tokens", {200: PageOf(TOKEN)}, query=TOKENS.params),
        "POST": Action("tokens.own", "tokens_create", "Make a token, shown once", {201: NEW_TOKEN}, body=TokenBody),
    }

    def get(self, request: Request) -> Response:
        return TOKENS.answer(Token.objects.visible_to(self.principal), request)

    def post(self, request: Request) -> Response:
        values = read_body(TokenBody, request)
        owner = (
            User.objects.filter(pk=self.principal.user_id).first() if not values["user"] else user_named(values["user"])
        )
        if owner is None:
            raise InvalidInput("A token belongs to a user.", field="user", mend="Name one.")
        values["user"] = owner
        values["pools"] = [pool_named(name, "pools").pk for name in dict.fromkeys(values["pools"])]
        token, text = services.create_token(**values, actor=self.principal, now=clock.now())
        body = {**token_body(token.pk), "token": text}
        return Response(body, status=201, headers={"Location": f"{request.path}{token.pk}/"})


class TokenDetail(ApiView):
    """One token. Deleting it revokes it; the row stays for the record."""

    actions = {
        "GET": Action("tokens.own", "tokens_read", "Read a token", {200: TOKEN}, query=(fields_param(TOKEN),)),
        "DELETE": Action("tokens.own", "tokens_revoke", "Revoke a token", {204: None}),
    }

    def get(self, request: Request, token_id: str) -> Response:
        return Response(token_body(self._one(token_id).pk, asked_fields(request, TOKEN)))

    def delete(self, request: Request, token_id: str) -> Response:
        services.revoke_token(token=self._one(token_id), actor=self.principal, now=clock.now())
        return Response(status=204)

    def _one(self, token_id: str) -> Token:
        token = Token.objects.visible_to(self.principal).filter(pk=token_id).select_related("user").first()
        if token is None:
            raise NotFound("There is no such token that you may see.", mend="Look at /api/v1/tokens/.")
        return token  # type: ignore[no-any-return]
