"""Users and the roles they hold. People stand in no pool, so the rights on them hold everywhere or not at all."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access import services
from fleetui.access.filters import UserFilter
from fleetui.access.forms import EVERYTHING, PasswordForm, RoleForm, UserForm
from fleetui.access.guards import needs
from fleetui.access.models import RoleBinding, User
from fleetui.access.principals import Principal
from fleetui.access.settings_tabs import settings_tabs
from fleetui.access.views.subject import everywhere, principal_of, visible_pools
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted, take_error

MADE_PASSWORD_BYTES = 15
MOST_SHOWN = 500


@require_safe
@needs("users.read")
def user_list(request: HttpRequest) -> HttpResponse:
    everywhere(request, "users.read")
    found = UserFilter(request.GET, queryset=User.objects.prefetch_related("bindings__pool"))
    users = list(found.qs.order_by("username")[:MOST_SHOWN])
    with_second = set(Authenticator.objects.filter(type="totp").values_list("user_id", flat=True))
    context = {
        "rows": [{"user": user, "has_second_factor": user.pk in with_second} for user in users],
        "tabs": settings_tabs(request),
        "q": request.GET.get("q", ""),
        "may_write": principal_of(request).may("users.write"),
    }
    return render(request, "access/users.html", context)


def _user(username: str) -> User:
    user = User.objects.filter(username=username.replace("\0", "")).first()
    if user is None:
        raise Http404(username)
    return user


@require_safe
@needs("users.read")
def user_page(request: HttpRequest, username: str) -> HttpResponse:
    principal = everywhere(request, "users.read")
    return _draw(request, principal, _user(username))


def _draw(request: HttpRequest, principal: Principal, user: User, *, status: int = 200, **forms: Any) -> HttpResponse:
    may_write = principal.may("users.write")
    context = {
        "person": user,
        "bindings": user.bindings.select_related("pool").order_by("role"),
        "tabs": settings_tabs(request),
        "may_write": may_write,
        "is_me": user.pk == principal.user_id,
        "has_second_factor": Authenticator.objects.filter(user=user, type="totp").exists(),
        "token_count": user.tokens.usable(clock.now()).count() if principal.may("tokens.read") else None,
        "role_form": forms.get("role_form") or RoleForm(principal=principal),
        "password_form": forms.get("password_form") or PasswordForm(),
    }
    return render(request, "access/user.html", context, status=status)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@needs("users.write")
def user_add(request: HttpRequest) -> HttpResponse:
    principal = everywhere(request, "users.write")
    form = UserForm(request.POST or None, principal=principal)

    def add(given: dict[str, Any]) -> HttpResponse:
        password = given["password"] or secrets.token_urlsafe(MADE_PASSWORD_BYTES)
        with transaction.atomic():
            user = services.add_user(
                username=given["username"],
                password=password,
                full_name=given["full_name"].strip(),
                email=given["email"],
                actor=principal,
                now=clock.now(),
            )
            if given["role"]:
                pool = _pool(principal, given["pool"])
                services.bind_role(user=user, role=given["role"], pool=pool, actor=principal)
        return _made(request, user, password) if not given["password"] else _added(request, user)

    answer, status = submitted(request, form, add)
    if answer:
        return answer
    context = {"form": form, "tabs": settings_tabs(request)}
    return render(request, "access/user_add.html", context, status=status)


def _pool(principal: Principal, pk: str) -> Any:
    return visible_pools(principal).get(pk=pk) if pk != EVERYTHING else None


def _added(request: HttpRequest, user: User) -> HttpResponse:
    messages.info(request, _("%(name)s was added.") % {"name": user.username})
    return redirect("access:user", username=user.username)


def _made(request: HttpRequest, user: User, password: str) -> HttpResponse:
    """The one page that shows a password that was made here."""
    context = {"person": user, "password": password, "tabs": settings_tabs(request)}
    return render(request, "access/password_made.html", context)


@never_cache
@sensitive_post_parameters("password")
@require_POST
@needs("users.write")
def user_password(request: HttpRequest, username: str) -> HttpResponse:
    """Give a new password; their other sessions end."""
    principal, user = everywhere(request, "users.write"), _user(username)
    form = PasswordForm(request.POST)
    if not form.is_valid():
        return _draw(request, principal, user, status=422, password_form=form)
    typed = form.cleaned_data["password"]
    password = typed or secrets.token_urlsafe(MADE_PASSWORD_BYTES)
    try:
        services.set_password(user=user, password=password, actor=principal)
    except FleetError as error:
        return _draw(request, principal, user, status=take_error(form, error), password_form=form)
    if not typed:
        return _made(request, user, password)
    messages.info(request, _("%(name)s has a new password. Their sessions ended.") % {"name": user.username})
    return redirect("access:user", username=user.username)


@require_POST
@needs("users.write")
def user_role(request: HttpRequest, username: str) -> HttpResponse:
    """Give a role."""
    principal, user = everywhere(request, "users.write"), _user(username)
    form = RoleForm(request.POST, principal=principal)
    if not form.is_valid():
        return _draw(request, principal, user, status=422, role_form=form)
    role, pool = form.cleaned_data["role"], _pool(principal, form.cleaned_data["pool"])
    try:
        services.bind_role(user=user, role=role, pool=pool, actor=principal)
    except FleetError as error:
        return _draw(request, principal, user, status=take_error(form, error), role_form=form)
    where = pool.name if pool else _("everything")
    messages.info(
        request, _("%(name)s is %(role)s on %(where)s.") % {"name": user.username, "role": role, "where": where}
    )
    return redirect("access:user", username=user.username)


@require_POST
@needs("users.write")
def user_role_take(request: HttpRequest, username: str, pk: uuid.UUID) -> HttpResponse:
    """Take a role away."""
    principal, user = everywhere(request, "users.write"), _user(username)
    binding = RoleBinding.objects.select_related("user").filter(user=user, pk=pk).first()
    if binding is None:
        raise Http404(str(pk))
    try:
        services.unbind_role(binding=binding, actor=principal)
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        said = _("%(name)s is not %(role)s there any more.")
        messages.info(request, said % {"name": user.username, "role": binding.role})
    return redirect("access:user", username=user.username)


@require_POST
@needs("users.write")
def user_active(request: HttpRequest, username: str) -> HttpResponse:
    """Close or open a person's door."""
    principal, user = everywhere(request, "users.write"), _user(username)
    active = request.POST.get("active") == "1"
    try:
        services.set_active(user=user, active=active, actor=principal)
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        said = (
            _("%(name)s may sign in.") if active else _("%(name)s may not sign in any more; sessions and tokens ended.")
        )
        messages.info(request, said % {"name": user.username})
    return redirect("access:user", username=user.username)
